"""Declarations: what a plugin contributes for others to use is a component that is one of many of its kind.

A declaration has a name of its own, and is filed under that. So one adds it as any other component, and who needs all
of a kind collects them (`plugin.declared`)::

    @attrs.frozen
    class MenuItem(plugin.Declaration):
        url: str

    context.add(MenuItem("orders", "/orders"))
"""

from __future__ import annotations

import typing as t

import attrs

from .errors import DeclarationError, Place, describe


def _check_name(instance: Declaration, _: object, name: t.Any) -> None:
    if not (isinstance(name, str) and name):
        raise DeclarationError(
            f"the name of this {type(instance).__name__} has to be a text that is not empty, not {name!r}"
        )


@attrs.frozen
class Declaration:
    """The base of declarations, which are frozen attrs classes: *name* tells one from all others of its kind.

    Two different ones of one kind and one name are a `DeclarationError`, when the second one is added to the same layer
    or, where walls are between them, when the stage starts. The same object may be added again.
    """

    #: the plugin that collects declarations of this kind, where there is one that has to be loaded for it
    collector: t.ClassVar[str | None] = None

    name: str = attrs.field(validator=_check_name)

    @property
    def needs(self) -> tuple[t.Any, ...]:
        """The functions whose parameters will be injected: the check before the run looks after what they need.

        A `di.Injected` stands for those parameters of a function that are.
        """
        return ()


def kinds(cls: object) -> tuple[t.Any, ...]:
    """Return the classes under which declarations of *cls* are filed: itself, and its bases that are declarations.

    Empty for what is no class of declarations.
    """
    if not (isinstance(cls, type) and issubclass(cls, Declaration)):
        return ()
    return tuple(base for base in cls.__mro__ if issubclass(base, Declaration) and base is not Declaration)


def own_name(item: object, kind: type[Declaration], name: t.Hashable) -> str:
    """Return the name that *item* is filed under, as one of *kind*; *name* is the one that was given, or None."""
    if not isinstance(item, Declaration):
        raise DeclarationError(f"{describe(kind)} is a kind of declaration, and {item!r} is none; add one that is")
    if name not in {None, item.name}:
        raise DeclarationError(f"{describe(kind)} {item.name!r} has a name of its own; add it without name={name!r}")
    return item.name


#: a declaration, the plugin that declared it, and where
Origin: t.TypeAlias = tuple[Declaration, str | None, Place | None]


def clash(one: Origin, other: Origin) -> str:
    """Return the sentence about two declarations of one name."""
    shared = next(kind for kind in kinds(type(one[0])) if isinstance(other[0], kind))
    places = " and ".join(_where(owner, place) for _, owner, place in (one, other))
    return f"{describe(shared)} {one[0].name!r} is declared twice: {places}; rename one of them"


def _where(owner: str | None, place: Place | None) -> str:
    by = f"by {owner}" if owner is not None else "outside of plugins"
    return f"{by} ({place})" if place is not None else by
