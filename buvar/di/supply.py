"""Supply: all that one request can draw on, and what can be satisfied from it.

What is needed is looked up where its asker lives, see `views`. Dependencies given by keyword are given for one call,
and by who asks: they do not reach what is kept, nor what stands behind walls.
"""

from __future__ import annotations

import functools
import typing as t

import attrs

from buvar import errors
from buvar.components import NAMED, merge, missing
from buvar.ever import ever

from . import typeform
from .able import Closure
from .views import Level, View, Views

if t.TYPE_CHECKING:
    import collections.abc as c
    import contextlib

    from buvar.components import Closer, Components, Home, Maps

    from .adapter import Adapter
    from .index import Index
    from .override import Override, Overrides
    from .signature import Parameter
    from .typeform import Form


class Registry(t.Protocol):
    """The adapters, seen from the rooms that they stand on."""

    overrides: Overrides
    #: whose adapters they are, where that is somebody's
    home: Home | None

    def current(self, components: Components) -> contextlib.AbstractContextManager[None]: ...

    @property
    def index(self) -> Index: ...

    @property
    def own(self) -> c.Iterable[Adapter]: ...

    @property
    def inner(self) -> Index | None: ...


_LEVELS: t.Final = {"transient": Level.CALL, "scoped": Level.SCOPE, "singleton": Level.STAGE}


class Node(t.NamedTuple):
    """An adapter and where its needs are looked up: what it builds for the call is not what it builds to be kept."""

    adapter: Adapter
    view: View

    @property
    def level(self) -> Level:
        """For how long what it builds lives."""
        return self.view.level

    @property
    def is_kept(self) -> bool:
        """Whether what it builds is built once in a scope or a stage."""
        return self.adapter.lifetime != "transient"


def node_of(adapter: Adapter, asker: View) -> Node:
    """Return where *adapter* builds for something that lives at the level of *asker*: as long as that, or longer."""
    own = _LEVELS[adapter.lifetime]
    if own <= asker.level and not asker.inner:
        return Node(adapter, asker)
    return Node(adapter, View(max(own, asker.level), asker.home))


@attrs.frozen(eq=False)
class Component:
    """Where an argument comes from: a component of the context, under *key* in the dicts of a *view*."""

    key: t.Hashable
    view: View


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
    """Where an argument comes from: all that a *view* has under *key*, and what *nodes* build, in a *container*.

    Fakes stand in the place of nodes; *fakes* are the overrides of what the view has, by its class.
    """

    key: t.Hashable
    view: View
    nodes: tuple[Node | Constant, ...]
    container: type
    fakes: c.Mapping[type, Override] = attrs.field(factory=dict)


Origin: t.TypeAlias = "Component | Given | Constant | Collected | Node"


class Probe(t.NamedTuple):
    """A look at the context that a decision rests on: whether there is something under *key* in a view."""

    view: View
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


def overrides_of(origins: c.Iterable[tuple[Parameter, Origin]]) -> c.Iterator[Override]:
    """Yield the overrides that *origins* rest on."""
    for _, origin in origins:
        for one in origin.nodes if isinstance(origin, Collected) else (origin,):
            if isinstance(one, Constant) and one.override is not None:
                yield one.override
        if isinstance(origin, Collected):
            yield from origin.fakes.values()


class Supply:
    """The dependencies given by keyword, the context and the adapters; it notes what it was asked in `probes`."""

    def __init__(self, registry: Registry, components: Components, given: c.Mapping[str, t.Any]) -> None:
        self.registry = registry
        self.index = registry.index
        self.inner = registry.inner
        self.components = components
        self.given = given
        self.overrides = registry.overrides
        self.views = Views(components)
        self.has_scope = components.scope is not None
        self.closer: Closer | None = components.home.closer
        self.probes: list[Probe | Fit] = []
        #: the looks that `ground` rests on
        self.looks: list[Probe | Fit] = []
        #: whether a decision rests on what there is, and not on whether there is something
        self.unsure = False
        #: the classes that no layer anywhere ever held anything under (with a name, or without), as far as was asked
        self.never: set[tuple[t.Hashable, bool]] = set()
        self._by_type = {base: name for name, item in given.items() for base in type(item).__mro__} if given else {}

    def index_at(self, home: Home | None) -> Index:
        """Return the adapters that code at *home* resolves by."""
        return self.index if home is None else t.cast("Index", home.adapters.index)

    def inner_at(self, home: Home | None) -> Index | None:
        """Return those of them that are behind walls, None where there are no walls."""
        return self.inner if home is None else t.cast("Index | None", home.adapters.inner)

    def parts(self, need: Parameter, view: View) -> tuple[View, ...]:
        """Return where *need* is looked up in turn: what a plugin has behind its walls comes before all outside."""
        inner = self.inner_at(view.home)
        if inner is None or need.only is not None or not (inner.candidates(need.form) or self._by_other_means(need)):
            return (view,)
        return view._replace(inner=True), view

    def _by_other_means(self, need: Parameter) -> bool:
        """Say whether *need* can be met under several keys, or by a keyword: else the layers alone have an order."""
        (key, *more), named = need.form.keys or (None,), need.name is not None
        return bool(more or self._by_type) or (named and ever.may_hold(key, named=True))

    def needs(self, node: Node) -> tuple[Parameter, ...]:
        """Return what *node* needs: behind a gate, that is what it leads to. Raises `AdapterError`."""
        gate = node.adapter.gate
        return node.adapter.parameters if gate is None else (gate.home.adapters.index.need(gate.target),)

    def inside(self, node: Node) -> View:
        """Return where the needs of *node* are looked up."""
        gate = node.adapter.gate
        if gate is None:
            return node.view
        return View(node.level, None if gate.home.adapters is self.registry else gate.home)

    def find(self, need: Parameter, view: View) -> Origin | None:
        """Return where *need* can be taken from without building anything, None when it cannot."""
        if not self.overrides:
            return self._find(need, view)
        if (override := self.overrides.find(need)) is not None:
            return Constant(override.fake, override)
        origin = self._find(need, view)
        if origin is None:
            return None
        self.unsure = True
        item = self.given[origin.name] if isinstance(origin, Given) else get(self.views.maps(view), origin.key)
        override = self.overrides.find_item(item, need.form, need.component_name)
        return origin if override is None else Constant(override.fake, override)

    def _find(self, need: Parameter, view: View) -> Component | Given | None:
        if need.only is not None:
            return None
        given = need.name
        if view.is_of_call and given is not None and given in self.given and self._fits(given, need.form.tp):
            return Given(given)
        if (component := self._component(need, view)) is not None or need.pick is not None:
            return component
        if view.is_of_call and self._by_type:
            for key in need.form.keys:
                if key in self._by_type:
                    return Given(self._by_type[key])
        return None

    def instead(self, need: Parameter, view: View) -> Origin | None:
        """Return what is taken instead of all that *need* would collect: the keyword of that name, or a fake."""
        assert need.collect is not None
        form, container = need.collect
        override = self.overrides.find_type(form.tp) if self.overrides else None
        if override is not None:
            fakes: t.Any = {None: override.fake} if container is dict else container([override.fake])
            return Constant(fakes, override)
        if view.is_of_call and need.name is not None and need.name in self.given:
            return Given(need.name)
        return None

    def fakes(self, form: Form, view: View) -> dict[type, Override]:
        """Return what stands in for some of what is collected as *form*, by the class of it."""
        if not self.overrides:
            return {}
        self.unsure = True
        found = {
            type(item): self.overrides.find_item(item, form, None)
            for item in merge(self.views.maps(view), form.tp).values()
        }
        return {kind: override for kind, override in found.items() if override is not None}

    def _component(self, need: Parameter, view: View) -> Component | None:
        name = need.component_name
        if name is not None:
            for key in need.form.keys:
                if self._probe(view, key, name):
                    return Component((NAMED, key, name), view)
        if need.pick is None:
            for key in need.form.keys:
                if self._probe(view, key, None):
                    return Component(key, view)
        return None

    def _fits(self, name: str, tp: t.Any) -> bool:
        fits = typeform.fits(self.given[name], tp)
        plain = isinstance(tp, type) and not getattr(tp, "_is_protocol", False)
        bases = type(self.given[name]).__mro__
        # a proxy may say of itself that it is something else
        by_type = plain and (tp in bases) == fits and not any("__class__" in vars(base) for base in bases[:-1])
        self.probes.append(Fit(name, tp, fits, by_type))
        return fits

    def _probe(self, view: View, key: t.Hashable, name: t.Hashable) -> bool:
        named = name is not None
        if not ever.may_hold(key, named=named):
            self.never.add((key, named))
            return False
        filed = (NAMED, key, name) if named else key
        present = any(filed in layer for layer in self.views.maps(view))
        self.probes.append(Probe(view, filed, present))
        return present

    def candidates(self, need: Parameter, view: View) -> tuple[Adapter, ...]:
        """Return the adapters that could build what is needed in *view*, the first choice first."""
        if need.only is not None:
            return (need.only,)
        if need.pick is not None:
            return ()
        index = self.inner_at(view.home) if view.inner else self.index_at(view.home)
        return () if index is None else index.candidates(need.form)

    def nodes(self, need: Parameter, view: View) -> list[Node]:
        """Return the candidates for what something in *view* needs, where they build for it."""
        return [node_of(adapter, view) for adapter in self.candidates(need, view)]

    @functools.cached_property
    def ground(self) -> Closure[Node]:
        """What can be satisfied if nothing is open, as far as it was asked about."""
        return Closure(self._reachable, functools.cache(self._below))

    def satisfiable(self, roots: c.Iterable[Node]) -> set[Node]:
        """Return all nodes that can get all they need, of those below *roots* and what was asked about before."""
        self.ground.learn(roots)
        return self.ground.satisfied

    def _reachable(self, roots: c.Iterable[Node], known: c.Container[Node]) -> dict[Node, list[list[Node]]]:
        """Return each node below *roots* with the candidates for each thing that only an adapter can give it.

        What is *known* is left out; what is looked at goes to `looks`, since all that is decided may rest on it.
        """
        found: dict[Node, list[list[Node]]] = {}
        waiting = list(roots)
        before, self.probes = self.probes, self.looks
        try:
            while waiting:
                node = waiting.pop()
                if node in found or node in known:
                    continue
                inside = self.inside(node)
                open_needs = [need for need in self.needs(node) if not self.has(need, inside)]
                found[node] = [self.nodes(need, inside) for need in open_needs]
                waiting.extend(candidate for needs in found[node] for candidate in needs)
        finally:
            self.probes = before
        return found

    def _below(self, node: Node) -> list[Node]:
        """Return all that a walk might ever enter from *node*, whatever there is besides adapters."""
        try:
            needs = self.needs(node)
        except errors.AdapterError:  # who enters it is told
            return []
        inside = self.inside(node)
        found: dict[Node, None] = {}
        for need in needs:
            if need.collect is not None:
                adapters = self.index_at(inside.home).candidates(need.collect[0])
                found.update(dict.fromkeys(node_of(adapter, inside) for adapter in adapters))
            for part in self.parts(need, inside):
                found.update(dict.fromkeys(self.nodes(need, part)))
        return list(found)

    def has(self, need: Parameter, view: View) -> bool:
        """Say whether *need* can be met without an adapter."""
        if need.collect is not None or need.default is not missing or self.find(need, view) is not None:
            return True
        return bool(self.overrides) and any(self.faked(adapter) for adapter in self.candidates(need, view))

    def faked(self, adapter: Adapter) -> Constant | None:
        """Return what stands in for all that *adapter* builds."""
        override = self.overrides.find_type(adapter.return_type) if self.overrides else None
        return None if override is None else Constant(override.fake, override)
