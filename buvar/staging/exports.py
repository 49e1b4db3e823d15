"""Walls: a plugin that says what it exports keeps all else to itself.

``@exports(Users)`` on ``prepare`` makes the plugin a module with walls. It has a layer and a registry of its own; above
those of all it sees its own things, and what the walled plugins export that it loads. What it exports goes to who loads
it: to a walled plugin alone, or, by an open one, to all. An adapter that is exported is resolved at home.
"""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs

from buvar import components, di, errors
from buvar.di.adapter import Adapter
from buvar.di.gate import Gate

F = t.TypeVar("F", bound=c.Callable[..., t.Any])
_MARK: t.Final = "__buvar_exports__"


def exports(*keys: t.Hashable) -> c.Callable[[F], F]:
    """Decorate ``prepare`` so that its plugin has walls: what it adds and registers is its own, except for *keys*.

    A key is a type, or whatever a component is filed under; each has to be provided when the plugin is prepared, by
    itself or by a walled plugin that it loads. Without keys the walls have no door.
    """

    def decorate(prepare: F) -> F:
        setattr(prepare, _MARK, keys)
        return prepare

    if len(keys) == 1 and hasattr(keys[0], "__code__"):
        raise TypeError("@exports takes what is exported; for walls without a door write @exports()")
    return decorate


def exported(prepare: c.Callable[..., t.Any]) -> tuple[t.Hashable, ...] | None:
    """Return what a plugin exports, None where it has no walls."""
    found: tuple[t.Hashable, ...] | None = getattr(prepare, _MARK, None)
    return found


@attrs.define(eq=False)
class Walls:
    """What a walled plugin has for itself: its *private* layer, the layer of what it *imported*, and its *adapters*."""

    keys: tuple[t.Hashable, ...]
    home: components.Home
    adapters: di.Adapters
    private: components.Layer = attrs.field(factory=components.Layer)
    imported: components.Layer = attrs.field(factory=components.Layer)
    #: whose each key is that was imported
    origins: dict[t.Hashable, Walls] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        """The name of the plugin."""
        return str(self.home.owner)

    def origin(self, key: t.Hashable) -> Walls:
        """Return who provides *key*, which this plugin exports: itself, or whom it has it from."""
        return self if self.names(key, imported=False) else self.origins.get(key, self)

    @property
    def inside(self) -> components.Components:
        """What is inside of the walls alone."""
        return components.Components(self.private, self.imported)

    def components_of(self, key: t.Hashable) -> dict[t.Hashable, t.Any]:
        """Return the components under *key* that are inside of the walls, by name."""
        return self.inside.find(key)

    def names(self, key: t.Hashable, *, imported: bool = True) -> set[t.Hashable]:
        """Return the names of what there is for *key* inside of the walls; what an adapter builds has the name None."""
        found = self.components_of(key) if imported else self.private.names(key)
        return {*found, None} if self.adapters.builds(key, imported=imported) else {*found}


@attrs.define(eq=False)
class Shared:
    """What all see: a *layer*, and the registry of the stage, which imports what is exported to it."""

    layer: components.Layer
    adapters: di.Adapters
    origins: dict[t.Hashable, Walls] = attrs.field(factory=dict)


class Loads(t.Protocol):
    """Who loads: the record of a plugin, seen from the room that it stands on."""

    name: str
    walls: Walls | None


class Doors:
    """Hands over what walled plugins export, and knows what stands behind which walls."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.walled: list[Walls] = []
        self._origins: dict[t.Hashable, Walls] = {}
        self._given: set[tuple[Walls, Walls | None]] = set()

    def add(self, walls: Walls) -> None:
        """Know a plugin that has walls."""
        self.walled.append(walls)

    def close(self, walls: Walls) -> None:
        """Look after what a plugin exports, now that it is prepared.

        Raises `errors.ExportError` for what it does not provide, and for what another plugin exports.
        """
        for key in walls.keys:
            if not walls.names(key):
                reason = "it provides none; add one or register an adapter in prepare"
                raise errors.ExportError(walls.name, key, reason)
            former = self._origins.setdefault(key, walls.origin(key))
            if former is not walls.origin(key):
                reason = f"{former.name} exports that too; export it from one of them only"
                raise errors.ExportError(walls.name, key, reason)

    def give(self, walls: Walls, loader: Loads) -> None:
        """Give what a plugin exports to *loader*."""
        if (walls, loader.walls) in self._given:
            return
        self._given.add((walls, loader.walls))
        to = loader.walls or self.shared
        stack = components.Components(to.imported if isinstance(to, Walls) else to.layer, home=walls.home)
        for key in walls.keys:
            to.origins[key] = walls.origin(key)
            for each, item in walls.components_of(key).items():
                stack.add_from(None, item, key, each)  # it is listed where it was added
            if walls.adapters.builds(key):
                first, tp = walls.adapters.lookup(key)[0], walls.adapters.index.form(key).tp
                adapter = Adapter.through(Gate(walls.home, tp), first, tp, family=first.family and tp)
                to.adapters.import_(adapter)
