"""The injection graph: who provides what, from where, for whom and with which lifetime.

Nothing is built: for each adapter, and each root that is declared, it is decided where everything comes from, as for a
request inside of a scope.
"""

from __future__ import annotations

import typing as t

from buvar import errors
from buvar.components import NAMED, merge

from . import decide, explain, supply, typeform
from .check import Root, needs_of, offer_for
from .picture import AdapterNode, ComponentNode, Edge, How, RootNode
from .picture import Graph as Graph
from .signature import Parameter
from .supply import Collected, Component, Constant, Level, Node

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components, Entry, Maps

    from .adapter import Adapter
    from .decide import Decision
    from .supply import Origin, Registry

#: what an adapter answers of which it is decided as a whole what it takes
_ITSELF: t.Final = Parameter(None, typeform.Form(t.Any, ()))


def graph(registry: Registry, components: Components) -> Graph:
    """Return the graph of the adapters in *registry*, and of the components and roots (see `require`) in *components*.

    A need that cannot be met is missing, be it for something that it needs in turn, or for a circle; so is what nothing
    could keep, such as something scoped for a singleton.
    """
    return _Drawing(registry, components).draw()


class _Asked(supply.Supply):
    """A supply of which one adapter is asked for, so that it does not feed itself."""

    def __init__(self, adapter: Adapter, registry: Registry, components: Components) -> None:
        super().__init__(registry.index, components, {}, registry.overrides)
        self._asked = adapter

    def candidates(self, need: Parameter) -> tuple[Adapter, ...]:
        return (self._asked,) if need is _ITSELF else super().candidates(need)


class _Drawing:
    def __init__(self, registry: Registry, components: Components) -> None:
        self._registry = registry
        self._components = components
        self._adapters: dict[Adapter, AdapterNode] = {}
        self._waiting: list[Adapter] = []
        self._nodes: list[ComponentNode] = []
        #: the identity of an item -> the node of each addition of it, and the keys and the name that it is filed under
        self._filed: dict[int, list[tuple[ComponentNode, tuple[t.Any, ...], t.Hashable]]] = {}
        self._edges: list[Edge] = []

    def draw(self) -> Graph:
        roots: dict[Root, RootNode] = {}
        for adapter in self._registry.index:
            self._adapter(adapter)
        for entry in self._components.entries():
            if not isinstance(entry.item, Root):
                self._add(entry.item, entry.key, entry.name, entry.owner, entry.place)
            elif entry.item not in roots:
                roots[entry.item] = self._root(f"r{len(roots) + 1}", entry.item, entry)
        for adapter in self._waiting:  # it grows
            self._ask(adapter)
        return Graph(tuple(self._adapters.values()), tuple(self._nodes), tuple(roots.values()), tuple(self._edges))

    def _adapter(self, adapter: Adapter) -> str:
        if adapter not in self._adapters:
            fault = None
            try:
                _ = adapter.parameters
            except errors.AdapterError as error:
                fault = str(error)
            self._adapters[adapter] = AdapterNode(
                id=f"a{len(self._adapters) + 1}",
                type=typeform.show(adapter.return_type),
                description=_describe(adapter.return_type),
                label=adapter.label,
                kind=adapter.kind,
                lifetime=adapter.lifetime,
                owner=adapter.owner,
                place=adapter.place,
                fault=fault,
            )
            if fault is None:
                self._waiting.append(adapter)
        return self._adapters[adapter].id

    def _add(
        self, item: object, key: t.Hashable, name: t.Hashable, owner: str | None, place: errors.Place | None
    ) -> ComponentNode:
        shown = name if name is None or type(name) is str else errors.describe(name)
        node = ComponentNode(f"c{len(self._nodes) + 1}", errors.describe(key), shown, owner, place)
        self._nodes.append(node)
        keys = key.__mro__ if isinstance(key, type) else (key,)
        self._filed.setdefault(id(item), []).append((node, keys, name))
        return node

    def _root(self, identity: str, root: Root, entry: Entry) -> RootNode:
        fault = None
        try:
            needs = needs_of(self._registry, root)
        except (errors.AdapterError, errors.ResolveError) as error:
            needs, fault = (), str(error)
        for need in needs:
            function = None if need.name is None else root.target
            self._decide(identity, offer_for(self._registry, self._components, root), need, Level.CALL, function)
        return RootNode(identity, str(root), entry.owner, root.place or entry.place, fault)

    def _ask(self, adapter: Adapter) -> None:
        """Add the edges of *adapter*: as it is decided as a whole, or one by one where it cannot be called."""
        asker = self._adapter(adapter)
        node = supply.node_of(adapter, Level.CALL)
        offer = _Asked(adapter, self._registry, self._components.push_scope())
        try:
            whole = decide.decide(offer, (_ITSELF,))
        except errors.AdapterError:  # of a candidate
            whole = None
        if whole is not None and node in whole.steps:
            faults = _faults(offer, whole, None)
            for need, origin in whole.steps[node].origins:
                self._edge(asker, need, origin, offer.maps[node.level], faults)
            return
        for need in adapter.parameters:
            self._decide(asker, offer, need, node.level, adapter.implementation)

    def _decide(self, asker: str, offer: supply.Supply, need: Parameter, level: Level, function: t.Any) -> None:
        try:
            decision = decide.decide(offer, (need,), level)
            if decision is None:
                raise next(explain.failures(offer, (need,), function, level))
        except (errors.AdapterError, errors.ResolveError) as error:
            self._link(asker, need, None, "missing", str(error))
        else:
            faults = _faults(offer, decision, function)
            self._edge(asker, need, decision.origins[0][1], offer.maps[level], faults)

    def _edge(self, asker: str, need: Parameter, origin: Origin, maps: Maps, faults: c.Mapping[Node, str]) -> None:
        """Add the edges of one need that was decided; *maps* are those of the level of who asks."""
        if found := [faults[node] for node in decide.nodes_of([(need, origin)]) if node in faults]:
            self._link(asker, need, None, "missing", found[0])
        elif isinstance(origin, Node):
            self._link(asker, need, self._adapter(origin.adapter), "adapter")
        elif isinstance(origin, Component):
            self._link(asker, need, self._component(maps, origin.key), "component")
        elif isinstance(origin, Collected):
            items = merge(maps, origin.key).items()
            providers: list[str | None] = [self._component_of(item, origin.key, name) for name, item in items]
            providers += [self._adapter(node.adapter) for node in origin.nodes]
            for provider in providers or [None]:
                self._link(asker, need, provider, "collected")
        elif isinstance(origin, Constant):  # nothing is given by keyword here
            self._link(asker, need, None, "default" if origin.override is None else "override")

    def _link(self, asker: str, need: Parameter, provider: str | None, how: How, why: str | None = None) -> None:
        self._edges.append(Edge(asker, need.name, _describe(need.form.tp), provider, how, why))

    def _component(self, maps: Maps, filed: t.Hashable) -> str:
        item = supply.get(maps, filed)
        if isinstance(filed, tuple) and filed[:1] == (NAMED,):
            return self._component_of(item, *filed[1:])
        return self._component_of(item, filed, None)

    def _component_of(self, item: object, key: t.Hashable, name: t.Hashable) -> str:
        for node, keys, named in self._filed.get(id(item), ()):
            if key in keys and named == name:
                return node.id
        return self._add(item, key, name, None, None).id


def _faults(offer: supply.Supply, decision: Decision, function: t.Any) -> dict[Node, str]:
    """Return the nodes that cannot be kept where they have to be, and those that need them, each with the reason."""
    faults: dict[Node, str] = {}
    for node, step in decision.steps.items():  # each after those that it needs
        if reason := explain.why_not_kept(offer, node):
            faults[node] = str(explain.step_failure(decision, step, reason, function))
        elif found := [faults[one] for one in decide.nodes_of(step.origins) if one in faults]:
            faults[node] = found[0]
    return faults


def _describe(tp: t.Any) -> str:
    return errors.describe(tp) if isinstance(tp, type) else str(tp)
