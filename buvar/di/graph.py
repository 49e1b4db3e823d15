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
from .supply import Collected, Component, Constant, Node
from .views import CALL, Level, View

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components, Entry, Home, Maps

    from .adapter import Adapter
    from .decide import Decision
    from .supply import Origin, Registry


def graph(registry: Registry, components: Components) -> Graph:
    """Return the graph of the adapters in *registry*, and of the components and roots (see `require`) in *components*.

    A need that cannot be met is missing, be it for something that it needs in turn, or for a circle; so is what nothing
    could keep, such as something scoped for a singleton. What stands behind walls is there where it is needed.
    """
    return graph_all([(registry, components)])


def graph_all(views: c.Iterable[tuple[Registry, Components]]) -> Graph:
    """Return one `graph` of several views, of plugins with walls after that of all: of theirs what is their own."""
    drawing = _Drawing()
    for registry, components in views:
        _Asking(drawing, registry, components).draw()
    return drawing.graph()


class _Drawing:
    """The nodes and edges so far."""

    def __init__(self) -> None:
        #: an adapter, and the registry by which its needs are resolved -> its node
        self._adapters: dict[tuple[Adapter, Registry], AdapterNode] = {}
        self._nodes: list[ComponentNode] = []
        #: the identity of an item -> the node of each addition of it, and the keys and the name that it is filed under
        self._filed: dict[int, list[tuple[ComponentNode, tuple[t.Any, ...], t.Hashable]]] = {}
        self._roots: dict[Root, RootNode] = {}
        self._edges: list[Edge] = []

    def graph(self) -> Graph:
        return Graph(
            tuple(self._adapters.values()), tuple(self._nodes), tuple(self._roots.values()), tuple(self._edges)
        )

    def adapter(self, adapter: Adapter, registry: Registry) -> tuple[str, bool]:
        """Return the name of the node of *adapter*, and whether its needs are still to be drawn."""
        if (adapter, registry) in self._adapters:
            return self._adapters[adapter, registry].id, False
        fault = None
        try:
            _ = adapter.parameters
        except errors.AdapterError as error:
            fault = str(error)
        node = self._adapters[adapter, registry] = AdapterNode(
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
        return node.id, fault is None

    def add(
        self, item: object, key: t.Hashable, name: t.Hashable, owner: str | None, place: errors.Place | None
    ) -> ComponentNode:
        shown: t.Any = name
        if name is item:  # a declaration that is filed under itself: the name in it tells more than its repr
            inner = getattr(item, "name", None)
            shown = inner if isinstance(inner, str) else None
        shown = shown if shown is None or type(shown) is str else errors.describe(shown)
        node = ComponentNode(f"c{len(self._nodes) + 1}", errors.describe(key), shown, owner, place)
        self._nodes.append(node)
        keys = key.__mro__ if isinstance(key, type) else (key,)
        self._filed.setdefault(id(item), []).append((node, keys, name))
        return node

    def component(self, item: object, key: t.Hashable, name: t.Hashable) -> str:
        for node, keys, named in self._filed.get(id(item), ()):
            if key in keys and named == name:
                return node.id
        return self.add(item, key, name, None, None).id

    def is_known(self, entry: Entry) -> bool:
        """Say whether *entry* is drawn, since another view has it too."""
        if isinstance(entry.item, Root):
            return entry.item in self._roots
        addition = entry.place, entry.key, entry.name
        return any((node.place, keys[0], name) == addition for node, keys, name in self._filed.get(id(entry.item), ()))

    def root(self, root: Root, owner: str | None, place: errors.Place, fault: str | None) -> str:
        node = self._roots[root] = RootNode(f"r{len(self._roots) + 1}", str(root), owner, root.place or place, fault)
        return node.id

    def link(self, asker: str, need: Parameter, provider: str | None, how: How, why: str | None = None) -> None:
        self._edges.append(Edge(asker, need.name, _describe(need.form.tp), provider, how, why))


class _Asking:
    """Draws what one view has, and what that needs."""

    def __init__(self, drawing: _Drawing, registry: Registry, components: Components) -> None:
        self._drawing = drawing
        self._registry = registry
        self._components = components
        #: one for all adapters, so that what is found out for one is known for the next
        self._offer = supply.Supply(registry, components.push_scope(), {})
        self._waiting: list[tuple[str, Adapter, Home | None]] = []

    def draw(self) -> None:
        for adapter in self._registry.own:
            self._adapter(adapter, None)
        for entry in self._components.entries():
            if self._drawing.is_known(entry):
                continue
            if isinstance(entry.item, Root):
                self._root(entry.item, entry)
            else:
                self._drawing.add(entry.item, entry.key, entry.name, entry.owner, entry.place)
        for asker, adapter, home in self._waiting:  # it grows
            self._ask(asker, adapter, home)

    def _adapter(self, adapter: Adapter, home: Home | None) -> str:
        identity, is_new = self._drawing.adapter(adapter, self._registry if home is None else home.adapters)
        if is_new:
            self._waiting.append((identity, adapter, home))
        return identity

    def _root(self, root: Root, entry: Entry) -> None:
        fault = None
        try:
            needs = needs_of(self._registry, root)
        except (errors.AdapterError, errors.ResolveError) as error:
            needs, fault = (), str(error)
        identity = self._drawing.root(root, entry.owner, entry.place, fault)
        offer = offer_for(self._registry, self._components, root)
        for need in needs:
            self._decide(identity, offer, need, CALL, None if need.name is None else root.target)

    def _ask(self, asker: str, adapter: Adapter, home: Home | None) -> None:
        """Add the edges of *adapter*: as it is decided as a whole, or one by one where it cannot be called."""
        node = supply.node_of(adapter, View(Level.CALL, home))
        offer = self._offer
        try:
            whole = decide.decide(offer, (_itself(adapter),), View(Level.CALL, home))
        except errors.AdapterError:  # of a candidate
            whole = None
        if whole is not None and node in whole.steps:
            faults = _faults(offer, whole, None)
            for need, origin in whole.steps[node].origins:
                self._edge(asker, need, whole.behind(origin), offer, faults)
            return
        for need in adapter.parameters:
            self._decide(asker, offer, need, node.view, adapter.implementation)

    def _decide(self, asker: str, offer: supply.Supply, need: Parameter, view: View, function: t.Any) -> None:
        try:
            decision = decide.decide(offer, (need,), view)
            if decision is None:
                raise next(explain.failures(offer, (need,), function, view))[1]
        except (errors.AdapterError, errors.ResolveError) as error:
            self._drawing.link(asker, need, None, "missing", str(error))
        else:
            faults = _faults(offer, decision, function)
            self._edge(asker, need, decision.behind(decision.origins[0][1]), offer, faults)

    def _edge(
        self, asker: str, need: Parameter, origin: Origin, offer: supply.Supply, faults: c.Mapping[Node, str]
    ) -> None:
        """Add the edges of one need that was decided."""
        link = self._drawing.link
        if found := [faults[node] for node in decide.nodes_of([(need, origin)]) if node in faults]:
            link(asker, need, None, "missing", found[0])
        elif isinstance(origin, Node):
            link(asker, need, self._adapter(origin.adapter, origin.view.home), "adapter")
        elif isinstance(origin, Component):
            link(asker, need, self._component(offer.views.maps(origin.view), origin.key), "component")
        elif isinstance(origin, Collected):
            self._collected(asker, need, origin, offer)
        elif isinstance(origin, Constant):  # nothing is given by keyword here
            link(asker, need, None, "default" if origin.override is None else "override")

    def _collected(self, asker: str, need: Parameter, origin: Collected, offer: supply.Supply) -> None:
        items = merge(offer.views.maps(origin.view), origin.key).items()
        real = [(name, item) for name, item in items if type(item) not in origin.fakes]
        providers: list[str | None] = [self._drawing.component(item, origin.key, name) for name, item in real]
        nodes = [node for node in origin.nodes if isinstance(node, Node)]
        providers += [self._adapter(node.adapter, node.view.home) for node in nodes]
        overrides = set(supply.overrides_of([(need, origin)]))
        for provider in dict.fromkeys(providers) or ([] if overrides else [None]):
            self._drawing.link(asker, need, provider, "collected")
        for _ in overrides:
            self._drawing.link(asker, need, None, "override")

    def _component(self, maps: Maps, filed: t.Hashable) -> str:
        item = supply.get(maps, filed)
        if isinstance(filed, tuple) and filed[:1] == (NAMED,):
            return self._drawing.component(item, *filed[1:])
        return self._drawing.component(item, filed, None)


def _itself(adapter: Adapter) -> Parameter:
    """Return what only *adapter* answers, of which it is decided as a whole what it takes."""
    return Parameter(None, typeform.Form(t.Any, ()), only=adapter)


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
