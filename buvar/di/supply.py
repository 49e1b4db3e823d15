"""Supply: all that one request can draw on, and what can be satisfied from it.

What is needed is looked up where its asker lives. What lives for the call sees all that is current; what is kept in a
scope sees what the scope began with, and what is kept in the stage sees what the stage has: so nothing that is kept
holds what ends before it. For the same reason dependencies given by keyword, which are given for one call, do not reach
what is kept.
"""

from __future__ import annotations

import enum
import typing as t

import attrs

from buvar.components import NAMED, missing
from buvar.ever import ever

from . import typeform

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Closer, Components, Maps

    from .adapter import Adapter
    from .index import Index
    from .override import Overrides
    from .signature import Parameter


class Registry(t.Protocol):
    """The adapters, seen from the rooms that they stand on."""

    overrides: Overrides

    @property
    def index(self) -> Index: ...


class Level(enum.IntEnum):
    """For how long something lives, and so where its needs are looked up."""

    CALL = 0
    SCOPE = 1
    STAGE = 2


_LEVELS: t.Final = {"transient": Level.CALL, "scoped": Level.SCOPE, "singleton": Level.STAGE}


class Node(t.NamedTuple):
    """An adapter at a level: what it builds for the call is not what it builds for something that is kept."""

    adapter: Adapter
    level: Level

    @property
    def is_kept(self) -> bool:
        """Whether what it builds is built once in a scope or a stage."""
        return self.adapter.lifetime != "transient"


def node_of(adapter: Adapter, asker: Level) -> Node:
    """Return where *adapter* builds for something that lives at the level of *asker*: as long as that, or longer."""
    return Node(adapter, max(asker, _LEVELS[adapter.lifetime]))


@attrs.frozen(eq=False)
class Component:
    """Where an argument comes from: a component of the context, under *key* in the dicts of its level."""

    key: t.Hashable


@attrs.frozen(eq=False)
class Given:
    """Where an argument comes from: the dependency given by keyword under *name*."""

    name: str


@attrs.frozen(eq=False)
class Constant:
    """Where an argument comes from: it is *item*, a default or what was put in place of something for a test."""

    item: t.Any
    override: t.Any = None


@attrs.frozen(eq=False)
class Collected:
    """Where an argument comes from: all components under *key*, and what *nodes* build, in a *container*."""

    key: t.Hashable
    nodes: tuple[Node, ...]
    container: type


Origin: t.TypeAlias = "Component | Given | Constant | Collected | Node"


class Probe(t.NamedTuple):
    """A look at the context that a decision rests on: whether there is something under *key* at a level."""

    level: Level
    key: t.Hashable
    present: bool


class Fit(t.NamedTuple):
    """A look at a given dependency that a decision rests on: whether it is meant for a type."""

    name: str
    tp: t.Any
    fits: bool
    #: whether all of that class would have the same answer
    by_type: bool


def get(maps: Maps, key: t.Hashable, default: t.Any = missing) -> t.Any:
    """Return the innermost thing under *key*."""
    for layer in maps:
        if key in layer:
            return layer[key]
    return default


def maps_of(components: Components) -> tuple[Maps, Maps, Maps]:
    """Return where what lives at each `Level` looks its needs up."""
    return components.maps, components.scope or components.maps, components.home.root


class Supply:
    """The dependencies given by keyword, the context and the adapters; it notes what it was asked in `probes`."""

    def __init__(
        self, index: Index, components: Components, given: c.Mapping[str, t.Any], overrides: Overrides | None = None
    ) -> None:
        self.index = index
        self.components = components
        self.given = given
        self.overrides = overrides
        self.maps = maps_of(components)
        self.has_scope = components.scope is not None
        self.closer: Closer | None = components.home.closer
        self.probes: list[Probe | Fit] = []
        #: the gates that led here, and whether a decision rests on one of which nothing more is known
        self.gates: frozenset[t.Any] = frozenset()
        self.led: dict[tuple[t.Any, Level], bool] = {}
        self.unsure = False
        #: the classes that no layer anywhere ever held anything under (with a name, or without), as far as was asked
        self.never: set[tuple[t.Hashable, bool]] = set()
        self._by_type = {base: name for name, item in given.items() for base in type(item).__mro__} if given else {}

    def find(self, need: Parameter, level: Level) -> Origin | None:
        """Return where *need* can be taken from without building anything, None when it cannot."""
        if self.overrides and (override := self.overrides.find(need)) is not None:
            return Constant(override.fake, override)
        if need.only is not None:
            return None
        given = need.name
        if level is Level.CALL and given is not None and given in self.given and self._fits(given, need.form.tp):
            return Given(given)
        if (component := self._component(need, level)) is not None or need.pick is not None:
            return component
        if level is Level.CALL and self._by_type:
            for key in need.form.keys:
                if key in self._by_type:
                    return Given(self._by_type[key])
        return None

    def instead(self, need: Parameter, level: Level) -> Origin | None:
        """Return what is taken instead of all that *need* would collect: the keyword of that name, or a fake."""
        assert need.collect is not None
        form, container = need.collect
        override = self.overrides.find_type(form.tp) if self.overrides else None
        if override is not None:
            fakes: t.Any = {None: override.fake} if container is dict else container([override.fake])
            return Constant(fakes, override)
        if level is Level.CALL and need.name is not None and need.name in self.given:
            return Given(need.name)
        return None

    def _component(self, need: Parameter, level: Level) -> Component | None:
        name = need.name if need.pick is None else need.pick
        if name is not None:
            for key in need.form.keys:
                if self._probe(level, key, name):
                    return Component((NAMED, key, name))
        if need.pick is None:
            for key in need.form.keys:
                if self._probe(level, key, None):
                    return Component(key)
        return None

    def _fits(self, name: str, tp: t.Any) -> bool:
        fits = typeform.fits(self.given[name], tp)
        plain = isinstance(tp, type) and not getattr(tp, "_is_protocol", False)
        bases = type(self.given[name]).__mro__
        # a proxy may say of itself that it is something else
        by_type = plain and (tp in bases) == fits and not any("__class__" in vars(base) for base in bases[:-1])
        self.probes.append(Fit(name, tp, fits, by_type))
        return fits

    def _probe(self, level: Level, key: t.Hashable, name: t.Hashable) -> bool:
        named = name is not None
        if not ever.may_hold(key, named=named):
            self.never.add((key, named))
            return False
        filed = (NAMED, key, name) if named else key
        present = any(filed in layer for layer in self.maps[level])
        self.probes.append(Probe(level, filed, present))
        return present

    def candidates(self, need: Parameter) -> tuple[Adapter, ...]:
        """Return the adapters that could build what is needed, the first choice first."""
        if need.only is not None:
            return (need.only,)
        return () if need.pick is not None else self.index.candidates(need.form)

    def leads(self, node: Node) -> bool:
        """Say whether a gate leads to something that can be built; what is behind it may change unseen."""
        gate = node.adapter.gate
        found = gate is None or gate.leads(self, node.level)
        self.unsure = self.unsure or not found
        return found

    def nodes(self, need: Parameter, level: Level) -> list[Node]:
        """Return the candidates for what something at *level* needs, at the levels at which they build for it."""
        return [node_of(adapter, level) for adapter in self.candidates(need)]

    def satisfiable(self, roots: c.Iterable[Node], without: c.Container[Node] = ()) -> set[Node]:
        """Return all nodes below *roots* that can get all they need, if those in *without* are not used."""
        open_needs = self._reachable(roots, without)
        satisfied: set[Node] = set()
        growing = True
        while growing:
            growing = False
            for node, needs in reversed(open_needs.items()):  # what is needed was found after what needs it
                if node not in satisfied and all(not satisfied.isdisjoint(one) for one in needs):
                    satisfied.add(node)
                    growing = True
        return satisfied

    def _reachable(self, roots: c.Iterable[Node], without: c.Container[Node]) -> dict[Node, list[list[Node]]]:
        """Return each node below *roots* with the candidates for each thing that only an adapter can give it."""
        found: dict[Node, list[list[Node]]] = {}
        waiting = list(roots)
        while waiting:
            node = waiting.pop()
            if node in found or node in without:
                continue
            if not self.leads(node):
                found[node] = [[]]
                continue
            open_needs = [need for need in node.adapter.parameters if not self.has(need, node.level)]
            found[node] = [self.nodes(need, node.level) for need in open_needs]
            waiting.extend(candidate for needs in found[node] for candidate in needs)
        return found

    def has(self, need: Parameter, level: Level) -> bool:
        """Say whether *need* can be met without an adapter."""
        if need.collect is not None or need.default is not missing or self.find(need, level) is not None:
            return True
        return bool(self.overrides) and any(self.faked(adapter) for adapter in self.candidates(need))

    def faked(self, adapter: Adapter) -> Constant | None:
        """Return what stands in for all that *adapter* builds."""
        override = self.overrides.find_type(adapter.return_type) if self.overrides else None
        return None if override is None else Constant(override.fake, override)
