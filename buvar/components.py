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

from .errors import ComponentLookupError, Place, describe

if t.TYPE_CHECKING:
    import collections.abc as c

T = t.TypeVar("T")
D = t.TypeVar("D")

#: item, owner, and the place that added it: code object and instruction
Addition = tuple[t.Any, str | None, types.CodeType, int]


_new: t.Final = object.__new__


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
    """One floor of a stack: the *unnamed* components by key, the *named* ones as ``{key: {name: item}}``.

    Two dicts, because nearly all look-ups are unnamed and then cost one probe a layer. What is None is made by the
    first addition that needs it, since most layers live for one request or one task and get few additions or none.
    """

    __slots__ = ("additions", "named", "unnamed")

    def __init__(self, unnamed: dict[t.Hashable, t.Any] | None = None) -> None:
        self.unnamed: dict[t.Hashable, t.Any] = {} if unnamed is None else unnamed
        self.named: dict[t.Hashable, dict[t.Hashable, t.Any]] | None = None
        self.additions: dict[tuple[t.Hashable, t.Hashable], Addition] | None = None

    def names(self, key: t.Hashable) -> dict[t.Hashable, t.Any]:
        """Return what is filed under *key* as ``{name: item}``, None being the name of the unnamed one."""
        return Components(self).find(key)

    def entries(self) -> c.Iterator[Entry]:
        """List what was added here and still stands, in the order in which it was."""
        for (key, name), (item, owner, code, instruction) in (self.additions or {}).items():
            yield Entry(item, key, name, owner, Place(code.co_filename, line_of(code, instruction)))

    def __contains__(self, key: t.Hashable) -> bool:
        return key in self.unnamed or (self.named is not None and key in self.named)

    def __len__(self) -> int:
        return len(self.additions or ())

    def __bool__(self) -> t.Literal[True]:
        return True


def line_of(code: types.CodeType, instruction: int) -> int:
    """Return the line of *code* that *instruction*, a frame's ``f_lasti``, belongs to."""
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end and line is not None)
    return next(lines, code.co_firstlineno)


class Components:
    """A registry of components: a stack of layers, the innermost first.

    ``Components()`` has one fresh layer, ``Components(*layers)`` stands on those of others (see `stack`).
    *owner* names the plugin whose additions these are; it is kept by `push`.
    """

    # A look-up walks the unnamed dicts, which stand here once more: that saves it a step at each layer. What is pushed
    # on another stack makes its own layer only when that is asked for, since each request pushes, and few add.
    __slots__ = ("_below", "_stack", "_top", "_under", "owner")

    def __init__(self, *layers: Layer, owner: str | None = None) -> None:
        self._stack: tuple[Layer, ...] | None = layers or (Layer(),)
        self._under: Components | None = None
        try:
            self._top, *below = [layer.unnamed for layer in self._stack]
        except AttributeError:
            raise TypeError(
                "a stack is made of layers, as in Components.stack; a dict is none: add its items"
            ) from None
        self._below = tuple(below)
        self.owner = owner

    @property
    def stack(self) -> tuple[Layer, ...]:
        """The layers, the innermost first."""
        waiting: list[Components] = []
        each = self
        while each._stack is None:
            assert each._under is not None
            waiting.append(each)
            each = each._under
        stack = each._stack
        for each in reversed(waiting):
            each._stack = stack = (Layer(each._top), *stack)
            each._under = None
        return stack

    def add(self, item: T, namespace: t.Hashable = None, *, name: t.Hashable = None) -> T:
        """File *item* under its type and all bases of it, or under *namespace* (and its bases, if it is a class).

        The last added wins. Returns *item*. Raises ValueError for a class: a component is an instance.
        """
        return self.add_from(sys._getframe(1), item, namespace, name)

    def add_from(self, frame: types.FrameType, item: T, namespace: t.Hashable, name: t.Hashable) -> T:
        """Do the work of `add`, on behalf of the code that runs in *frame*, which is only reported as the place."""
        if isinstance(item, type):
            raise ValueError(f"{describe(item)} is a class; a component is an instance: add {item.__name__}(…)")
        key: t.Any = type(item) if namespace is None else namespace
        keys = key.__mro__ if isinstance(key, type) else (key,)
        layer = (self._stack or self.stack)[0]
        if name is None:
            for base in keys:
                self._top[base] = item
        else:
            named = layer.named = {} if layer.named is None else layer.named
            for base in keys:
                named.setdefault(base, {})[name] = item
        if layer.additions is None:
            layer.additions = {}
        # the line is worked out when somebody asks for it: adding is on the path of each request
        layer.additions[key, name] = (item, self.owner, frame.f_code, frame.f_lasti)
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
        # name and default are keywords by contract (see the overloads); taking them as such costs a call 25 ns.
        # `in` first, since it is the cheapest way to find nothing, and most of what is asked for is some layers down
        if name is None:
            top = self._top
            if namespace in top:
                return top[namespace]
            for unnamed in self._below:
                if namespace in unnamed:
                    return unnamed[namespace]
        else:
            for layer in self._stack or self.stack:
                if layer.named is not None:
                    found = layer.named.get(namespace)
                    if found is not None and name in found:
                        return found[name]
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
        for layer in reversed(self._stack or self.stack):
            if namespace in layer.unnamed:
                merged[None] = layer.unnamed[namespace]
            if layer.named is not None and namespace in layer.named:
                merged.update(layer.named[namespace])
        return merged

    def push(self, *layers: Layer) -> Components:
        """Return a stack with *layers*, or else one fresh layer, on top of this one's."""
        if layers:
            return Components(*layers, *self.stack, owner=self.owner)
        pushed = _new(Components)  # what __init__ does, without a look at each layer
        pushed._stack = None
        pushed._under = self
        pushed._top = {}
        pushed._below = (self._top,) + self._below  # noqa: RUF005 - half the time of unpacking
        pushed.owner = self.owner
        return pushed

    def push_with(self, key: t.Hashable, item: object) -> Components:
        """Return a stack with one fresh layer on top of this one's, which holds *item* under *key* alone, not listed.

        A third of the work of `push` and `add`, for what comes with each request and is asked for by that one key.
        """
        pushed = _new(Components)
        pushed._stack = None
        pushed._under = self
        pushed._top = {key: item}
        pushed._below = (self._top,) + self._below  # noqa: RUF005 - half the time of unpacking
        pushed.owner = self.owner
        return pushed

    def pop(self) -> Components:
        """Return the stack without its innermost layer (a fresh layer when there was but one)."""
        return Components(*self.stack[1:], owner=self.owner)

    def entries(self) -> c.Iterator[Entry]:
        """List all additions that still stand, the innermost layer's first, in the order in which they were made."""
        for layer in self.stack:
            yield from layer.entries()

    def __iter__(self) -> c.Iterator[Entry]:
        return self.entries()

    def __contains__(self, namespace: t.Hashable) -> bool:
        return any(namespace in layer for layer in self.stack)

    def __repr__(self) -> str:
        count = sum(map(len, self.stack))
        return f"<Components: {count} in {len(self.stack)} layers>"
