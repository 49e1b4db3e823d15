"""Components: a stack of layers in which a service keeps what its plugins share.

A component is found by its type, by any base of it, or by any other hashable key, and by an optional name.
Additions go to the innermost layer, the first of the stack; no layer below is ever changed by them. A look-up
walks from the innermost layer outwards.

The stack is immutable and layers are plain objects: ``push`` and ``pop`` copy a tuple of references and nothing else.
"""

from __future__ import annotations

import sys
import types
import typing as t

import attrs

from . import declaration
from .errors import ComponentLookupError, DeclarationError, Place, describe
from .ever import ever

if t.TYPE_CHECKING:
    import collections.abc as c

T = t.TypeVar("T")
D = t.TypeVar("D")

#: item, owner, and the place that added it: code object and instruction
Addition = tuple[t.Any, str | None, types.CodeType, int]


#: the dicts of a stack, the innermost layer's first
Maps = tuple[dict[t.Hashable, t.Any], ...]

_new: t.Final = object.__new__
# bound once, since each request adds
_bases_of: t.Final = ever.bases.get


class Mark:
    """A key or a value that nothing outside of buvar can be equal to."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"<{self._text}>"


#: a named component stands in the dict of its layer under ``(NAMED, key, name)``
NAMED: t.Final = Mark("named")
#: in the dict of a layer: ``{key: {name: item}}`` of what has a name, and what was added, ``{(key, name): Addition}``
NAMES: t.Final = Mark("names")
ADDITIONS: t.Final = Mark("additions")
#: in the dict of a scope that was opened inside of another one: the dicts of that other one
OUTER: t.Final = Mark("outer scope")


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


class Layer:
    """One floor of a stack: a dict that others may stand on too.

    The dict, *filed*, has the unnamed components by key, the named ones under ``(NAMED, key, name)``, and under `NAMES`
    and `ADDITIONS`, once there are any, the names of each key and what was added. So a look-up costs one probe a layer,
    and a layer that lives for one request is one dict. Layers are equal when they have the same dict.
    """

    __slots__ = ("filed",)

    def __init__(self) -> None:
        self.filed: dict[t.Hashable, t.Any] = {}

    @classmethod
    def of(cls, filed: dict[t.Hashable, t.Any]) -> Layer:
        """Return the layer of a dict that is part of a stack."""
        layer = cls.__new__(cls)
        layer.filed = filed
        return layer

    def names(self, key: t.Hashable) -> dict[t.Hashable, t.Any]:
        """Return what is filed under *key* as ``{name: item}``, None being the name of the unnamed one."""
        return Components(self).find(key)

    def entries(self, kind: type = object) -> c.Iterator[Entry]:
        """List what was added here and still stands, in the order in which it was; of one *kind* alone."""
        for (key, name), (item, owner, code, instruction) in self.filed.get(ADDITIONS, {}).items():
            if isinstance(item, kind):
                yield Entry(item, key, name, owner, Place(code.co_filename, line_of(code, instruction)))

    def __contains__(self, key: t.Hashable) -> bool:
        return key in self.filed or key in self.filed.get(NAMES, ())

    def __len__(self) -> int:
        return len(self.filed.get(ADDITIONS, ()))

    def __bool__(self) -> t.Literal[True]:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and other.filed is self.filed

    def __hash__(self) -> int:
        return id(self.filed)


def line_of(code: types.CodeType, instruction: int) -> int:
    """Return the line of *code* that *instruction*, a frame's ``f_lasti``, belongs to."""
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end and line is not None)
    return next(lines, code.co_firstlineno)


def merge(maps: Maps, key: t.Hashable) -> dict[t.Hashable, t.Any]:
    """Return what all of *maps* hold under *key* as ``{name: item}``; see `Components.find`."""
    merged: dict[t.Hashable, t.Any] = {}
    for layer in reversed(maps):
        if key in layer:
            merged[None] = layer[key]
        if NAMES in layer:
            merged.update(layer[NAMES].get(key, ()))
    return merged


class Closer(t.Protocol):
    """What takes down, when it ends, what was made to live as long as it does: a stage's teardown."""

    def add(self, task: c.Callable[[], t.Any]) -> None:
        """Call *task*, or await what it returns, at the end."""

    async def enter(self, manager: t.Any) -> t.Any:
        """Enter an async context manager now, and leave it at the end."""


@attrs.define(eq=False)
class Home:
    """Whose code a stack is for, and where what it builds once is kept.

    *owner* is the plugin (None outside of plugins), *root* the dicts of the stack that singletons are kept in and built
    from, *closer* what finalises them (None where nothing does). *base* are the dicts of the plugin's own stack: what a
    stack has above them was pushed. *adapters* is the registry that code at home resolves by, if it has one of its
    own, *outside* is the home of all, where this one has walls, and *hint* says more of what was not found.
    """

    owner: str | None
    root: Maps
    closer: Closer | None = None
    base: Maps = attrs.field(default=attrs.Factory(lambda self: self.root, takes_self=True))
    adapters: t.Any = None
    outside: Home | None = None
    hint: c.Callable[[c.Iterable[t.Any], c.Iterable[t.Hashable]], str | None] | None = None

    def explain(self, keys: c.Iterable[t.Any], names: c.Iterable[t.Hashable]) -> str:
        """Return what is known of *keys*, under none of which one of *names* was found, as the end of a message."""
        said = None if self.hint is None else self.hint(keys, names)
        return "" if said is None else f"; {said}"


class Components:
    """A registry of components: a stack of layers, the innermost first.

    ``Components()`` has one fresh layer, ``Components(*layers)`` stands on those of others (see `stack`).
    *home* says whose code it is for; it is kept by `push`. Without one, the stack is the root of its own.
    """

    # A scope is known by its dicts: those of the stack that it began with. Those *below* the innermost stand here once
    # more, since a look-up that need not leave out the first of them is a tenth faster
    __slots__ = ("below", "home", "maps", "scope")

    def __init__(self, *layers: Layer, owner: str | None = None, home: Home | None = None) -> None:
        try:
            self.maps: Maps = tuple([layer.filed for layer in layers or (Layer(),)])
        except AttributeError:
            raise TypeError(
                "a stack is made of layers, as in Components.stack; a dict is none: add its items"
            ) from None
        self.below: Maps = self.maps[1:]
        self.scope: Maps | None = None
        self.home = Home(owner, self.maps) if home is None else home

    @classmethod
    def of(cls, maps: Maps, scope: Maps | None, home: Home) -> Components:
        """Return the stack of these dicts, within the scope that began with *scope*."""
        stack = _new(cls)
        stack.maps, stack.below = maps, maps[1:]
        stack.scope, stack.home = scope, home
        return stack

    @property
    def owner(self) -> str | None:
        """The plugin whose additions these are, None outside of plugins."""
        return self.home.owner

    @property
    def stack(self) -> tuple[Layer, ...]:
        """The layers, the innermost first."""
        return tuple(map(Layer.of, self.maps))

    def add(self, item: T, namespace: t.Hashable = None, *, name: t.Hashable = None) -> T:
        """File *item* under its type and all bases of it, or under *namespace* (and its bases, if it is a class).

        The last added wins; but a `Declaration` is filed under its own name, and `DeclarationError` is raised where
        another one has it. Returns *item*. Raises ValueError for a class: a component is an instance. What is added to
        a scope is not listed by `entries`: it ends soon, and each request adds.
        """
        if name is None and self.scope is self.maps:
            # what `add_from` does, for what each request adds
            bases = _bases_of(type(item) if namespace is None else namespace)
            if bases is not None and (namespace is None or not isinstance(item, type)):
                layer = self.maps[0]
                for base in bases:
                    layer[base] = item
                return item
        return self.add_from(None if self.scope is self.maps else sys._getframe(1), item, namespace, name)

    def add_from(self, frame: types.FrameType | None, item: T, namespace: t.Hashable, name: t.Hashable) -> T:
        """Do the work of `add`, on behalf of the code that runs in *frame*, which is reported as the place.

        Without a frame the addition is not listed.
        """
        if isinstance(item, type):
            raise ValueError(f"{describe(item)} is a class; a component is an instance: add {item.__name__}(…)")
        key: t.Any = type(item) if namespace is None else namespace
        layer = self.maps[0]
        bases: tuple[t.Any, ...] | None = ever.bases.get(key)
        if bases is None:
            bases = ever.first(key)
            if kinds := declaration.kinds(key):
                bases, name = kinds, declaration.own_name(item, kinds[0], name)
                if self._is_declared(frame, kinds, name, item):
                    return item
        if name is None:
            for base in bases:
                layer[base] = item
        else:
            self._name(layer, bases, name, item)
        if frame is None:
            return item
        # the line is worked out when somebody asks for it
        addition = (item, self.home.owner, frame.f_code, frame.f_lasti)
        if ADDITIONS in layer:
            layer[ADDITIONS][key, name] = addition
        else:
            layer[ADDITIONS] = {(key, name): addition}
        return item

    def _is_declared(self, frame: types.FrameType | None, kinds: tuple[type, ...], name: str, item: t.Any) -> bool:
        """Tell whether the declaration *item* stands here already. Raises DeclarationError where another one does."""
        layer = self.maps[0]
        for kind in kinds:
            former = layer.get((NAMED, kind, name), item)
            if former is not item:
                known = (each for each in Layer.of(layer).entries(kind) if each.item is former)
                first = next(((former, each.owner, each.place) for each in known), (former, self.home.owner, None))
                place = None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)
                raise DeclarationError(declaration.clash(first, (item, self.home.owner, place)))
        return (NAMED, kinds[0], name) in layer

    def _name(
        self, layer: dict[t.Hashable, t.Any], bases: tuple[t.Hashable, ...], name: t.Hashable, item: object
    ) -> None:
        ever.note_named(bases)
        names = layer.setdefault(NAMES, {})
        for base in bases:
            names.setdefault(base, {})[name] = item
            layer[NAMED, base, name] = item

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
        # name and default are keywords by contract (see the overloads); taking them as such costs a call 25 ns.
        # `in` first, since it is the cheapest way to find nothing, and most of what is asked for is some layers down
        key = namespace if name is None else (NAMED, namespace, name)
        layer = self.maps[0]
        if key in layer:
            return layer[key]
        for layer in self.below:
            if key in layer:
                return layer[key]
        if default is missing:
            hint = self.home.explain((namespace,), (name,))
            raise ComponentLookupError(namespace, name, self.find(namespace), hint)
        return default

    @t.overload
    def find(self, namespace: type[T]) -> dict[t.Hashable, T]: ...
    @t.overload
    def find(self, namespace: t.Hashable) -> dict[t.Hashable, t.Any]: ...
    def find(self, namespace: t.Any) -> dict[t.Hashable, t.Any]:
        """Merge what all layers hold under *namespace* into ``{name: item}``; the unnamed one's name is None."""
        return merge(self.maps, namespace)

    def push(self, *layers: Layer) -> Components:
        """Return a stack with *layers*, or else one fresh layer, on top of this one's."""
        if layers:
            above = Components(*layers, *self.stack, home=self.home)
            above.scope = self.scope
            return above
        pushed = _new(Components)  # what __init__ does, without a look at each layer
        pushed.below = self.maps
        pushed.maps = ({},) + self.maps  # noqa: RUF005 - half the time of unpacking
        pushed.scope = self.scope
        pushed.home = self.home
        return pushed

    def push_scope(self, key: t.Hashable = None, item: object = None) -> Components:
        """Return a stack with a scope on top of this one's: a fresh layer in which scoped things are kept.

        *item*, if there is a *key*, is filed under that alone, and not listed: a third of the work of `add`, for what
        comes with each request and is asked for by that one key. Who opens a scope closes it, see `context.scope`.
        """
        pushed = _new(Components)
        pushed.below = self.maps
        pushed.maps = pushed.scope = ({},) + self.maps  # noqa: RUF005 - half the time of unpacking
        pushed.home = self.home
        if self.scope is not None:
            pushed.maps[0][OUTER] = self.scope
        if key is not None:
            if key not in ever.held:
                ever.note(key)
            pushed.maps[0][key] = item
        return pushed

    def at(self, home: Home) -> Components:
        """Return what was pushed on the stack of this home, scopes included, on that of another *home*."""
        maps = self._pushed(self.maps) + home.base
        if self.scope is None or self.scope is self.maps:
            return Components.of(maps, self.scope and maps, home)
        pushed = self._pushed(self.scope)  # a scope around the whole stage is the same in all homes
        return Components.of(maps, pushed + home.base if pushed else self.scope, home)

    def _pushed(self, maps: Maps) -> Maps:
        return maps[: max(0, len(maps) - len(self.home.base))]

    def pop(self) -> Components:
        """Return the stack without its innermost layer (a fresh layer when there was but one)."""
        below = Components(*self.stack[1:], home=self.home)
        below.scope = self.maps[0].get(OUTER) if self.scope is self.maps else self.scope
        return below

    def entries(self, kind: type = object) -> c.Iterator[Entry]:
        """List all additions that still stand, the innermost layer's first, in the order in which they were made.

        With *kind*, only those that are instances of it.
        """
        for layer in self.stack:
            yield from layer.entries(kind)

    def __iter__(self) -> c.Iterator[Entry]:
        return self.entries()

    def __contains__(self, namespace: t.Hashable) -> bool:
        return any(namespace in layer for layer in self.stack)

    def __repr__(self) -> str:
        count = sum(map(len, self.stack))
        return f"<Components: {count} in {len(self.stack)} layers>"
