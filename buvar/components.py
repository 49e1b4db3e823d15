"""Components: a stack of layers in which a service keeps what its plugins share.

A component is found by its type, by any base of it, or by any other hashable key, and by an optional name.
Additions go to the innermost layer, the first of the stack; no layer below is ever changed by them. A look-up
walks from the innermost layer outwards.

The stack is immutable and layers are plain objects: ``push`` and ``pop`` copy a tuple of references and nothing else.
"""

from __future__ import annotations

import sys
import typing as t

import attrs

from .errors import ComponentLookupError, Place, describe

if t.TYPE_CHECKING:
    import collections.abc as c

T = t.TypeVar("T")
D = t.TypeVar("D")


class Missing:
    """The type of `missing`, which stands for "no default was given" where None is a fine default."""

    def __repr__(self) -> str:
        return "missing"

    def __bool__(self) -> t.Literal[False]:
        return False


missing: t.Final = Missing()


@attrs.frozen
class Entry:
    """One addition, as `Components.entries` lists it.

    *owner* is the plugin that added it (None outside of plugins), *place* the line that did.
    """

    item: object
    key: t.Hashable
    name: t.Hashable
    owner: str | None
    place: Place


class Layer(dict[t.Hashable, t.Any]):
    """One dict of unnamed components by key; the named ones stand beside them in `named`: ``{key: {name: item}}``.

    Two dicts, because nearly all look-ups are unnamed and then cost one probe a layer.
    """

    __slots__ = ("additions", "named")

    def __init__(self) -> None:
        self.named: dict[t.Hashable, dict[t.Hashable, t.Any]] = {}
        # (key, name) -> (item, owner, file, line): plain tuples, since adding is on the path of each request
        self.additions: dict[tuple[t.Hashable, t.Hashable], tuple[t.Any, str | None, str, int]] = {}

    def names(self, key: t.Hashable) -> dict[t.Hashable, t.Any]:
        """Return what is filed under *key* as ``{name: item}``, None being the name of the unnamed one."""
        found: dict[t.Hashable, t.Any] = {None: self[key]} if key in self else {}
        return {**found, **self.named.get(key, {})}


class Components:
    """A registry of components: a stack of layers, the innermost first.

    ``Components()`` has one fresh layer, ``Components(*layers)`` stands on those of others (see `stack`).
    *owner* names the plugin whose additions these are; it is kept by `push`.
    """

    __slots__ = ("_below", "_top", "owner", "stack")

    def __init__(self, *layers: Layer, owner: str | None = None) -> None:
        self.stack: tuple[Layer, ...] = layers or (Layer(),)
        self._top = self.stack[0]
        self._below = self.stack[1:]
        self.owner = owner

    def add(self, item: T, namespace: t.Hashable = None, *, name: t.Hashable = None) -> T:
        """File *item* under its type and all bases of it, or under *namespace* (and its bases, if it is a class).

        The last added wins. Returns *item*. Raises ValueError for a class: a component is an instance.
        """
        if isinstance(item, type):
            raise ValueError(f"{describe(item)} is a class; a component is an instance: add {item.__name__}(…)")
        key: t.Any = type(item) if namespace is None else namespace
        frame = sys._getframe(1)  # only to report the place
        if frame.f_globals.get("__name__") == "buvar.context" and frame.f_back is not None:
            frame = frame.f_back
        top = self._top
        for base in key.__mro__ if isinstance(key, type) else (key,):
            if name is None:
                top[base] = item
            elif base in top.named:
                top.named[base][name] = item
            else:
                top.named[base] = {name: item}
        top.additions[key, name] = (item, self.owner, frame.f_code.co_filename, frame.f_lineno)
        return item

    @t.overload
    def get(self, namespace: type[T], *, name: t.Hashable = None) -> T: ...
    @t.overload
    def get(self, namespace: type[T], *, name: t.Hashable = None, default: D) -> T | D: ...
    @t.overload
    def get(self, namespace: t.Hashable, *, name: t.Hashable = None, default: t.Any = ...) -> t.Any: ...
    def get(self, namespace: t.Any, name: t.Hashable = None, default: t.Any = missing) -> t.Any:
        """Return the innermost component filed under *namespace* and *name*.

        Raises `ComponentLookupError` when there is none and no *default* was given.
        """
        # name and default are keywords by contract (see the overloads); taking them as such costs a call 25 ns
        if name is None:
            top = self._top
            if namespace in top:
                return top[namespace]
            for layer in self._below:
                if namespace in layer:
                    return layer[namespace]
        else:
            for layer in self.stack:
                named = layer.named
                if namespace in named and name in named[namespace]:
                    return named[namespace][name]
        if default is missing:
            raise ComponentLookupError(namespace, name, self.find(namespace))
        return default

    @t.overload
    def find(self, namespace: type[T]) -> dict[t.Hashable, T]: ...
    @t.overload
    def find(self, namespace: t.Hashable) -> dict[t.Hashable, t.Any]: ...
    def find(self, namespace: t.Any) -> dict[t.Hashable, t.Any]:
        """Merge what all layers hold under *namespace* into ``{name: item}``; the unnamed one's name is None."""
        merged: dict[t.Hashable, t.Any] = {}
        for layer in reversed(self.stack):
            merged.update(layer.names(namespace))
        return merged

    def push(self, *layers: Layer) -> Components:
        """Return a stack with *layers*, or else one fresh layer, on top of this one's."""
        return Components(*(layers or (Layer(),)), *self.stack, owner=self.owner)

    def pop(self) -> Components:
        """Return the stack without its innermost layer (a fresh layer when there was but one)."""
        return Components(*self._below, owner=self.owner)

    def entries(self) -> c.Iterator[Entry]:
        """List all additions that still stand, the innermost layer's first, in the order in which they were made."""
        for layer in self.stack:
            for (key, name), (item, owner, file, line) in layer.additions.items():
                yield Entry(item, key, name, owner, Place(file, line))

    def __iter__(self) -> c.Iterator[Entry]:
        return self.entries()

    def __contains__(self, namespace: t.Hashable) -> bool:
        return any(namespace in layer or namespace in layer.named for layer in self.stack)

    def __repr__(self) -> str:
        count = sum(len(layer.additions) for layer in self.stack)
        return f"<Components: {count} in {len(self.stack)} layers>"
