"""Checking: whether all that will be asked for can be built, before anything runs. All faults are told at once.

What will be asked for are the *roots*: what plugins declare with `require`, and every singleton. For each it is
decided, as for a request, where everything comes from; nothing is built.
"""

from __future__ import annotations

import sys
import typing as t

import attrs

from buvar import context, errors, scopes
from buvar.declaration import Declaration
from buvar.ever import ever

from . import decide, explain, signature, supply, typeform
from .adapter import Adapter
from .injected import Injected
from .supply import Node
from .views import CALL, Level, View

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components

    from .decide import Asker, Step
    from .signature import Parameter
    from .supply import Origin, Registry


@attrs.frozen
class Root:
    """Something that will be asked for, as a plugin declares it.

    *target* is a type, or a function whose parameters are needed. *given* are the types that will be there by then, as
    components or given by keyword, such as the request. *scope* says whether a scope will be open, *place* who says so.
    """

    target: t.Any
    given: tuple[type, ...] = ()
    scope: bool = True
    place: errors.Place | None = None

    def __str__(self) -> str:
        return typeform.show(self.target)


def require(*targets: t.Any, given: t.Iterable[type] = (), scope: bool = True) -> None:
    """Declare that *targets* will be asked for in this context, so that the check before the run looks after them.

    A target is a type, or a function (a handler) whose parameters are needed. *given* are the types that will be there
    by then, such as the request; *scope* says whether a scope will be open.
    """
    frame = sys._getframe(1)
    place = errors.Place(frame.f_code.co_filename, frame.f_lineno)
    for target in targets:
        root = Root(target, tuple(given), scope, place)
        context.add(root, name=root)


def roots(components: Components) -> list[Root]:
    """Return what was declared with `require` in *components*, and the functions of the declarations there."""
    declared = [
        Root(needed, needed.given if isinstance(needed, Injected) else (), place=entry.place)
        for entry in components.entries(Declaration)
        for needed in t.cast("Declaration", entry.item).needs
    ]
    return [*components.find(Root).values(), *declared]


def check(registry: Registry, components: Components) -> None:
    """Look after what was declared in *components*, and after all singletons of *registry*.

    Raises an ExceptionGroup of `ResolveError` and `AdapterError`: what is missing, what needs itself, what outlives
    what it needs, and for what there are several candidates with none to be preferred.
    """
    check_all([(registry, components, roots(components))])


def check_all(
    views: c.Iterable[tuple[Registry, Components, c.Iterable[Root]]], owners: c.Container[str | None] | None = None
) -> None:
    """Do what `check` does for several views at once, of each the roots that are given with it.

    With *owners*, only singletons are looked after that one of these has registered.
    """
    faults: dict[t.Hashable, Exception] = {}
    for registry, components, required in views:
        singletons = (
            Root(adapter, scope=False)
            for adapter in registry.index
            if adapter.lifetime == "singleton" and (owners is None or adapter.owner in owners)
        )
        offers: dict[t.Hashable, supply.Supply] = {}  # so that what is found out for one root is known for the next
        for root in dict.fromkeys((*required, *singletons)):
            there = root.scope, root.given
            offer = offers[there] = offers.get(there) or offer_for(registry, components, root)
            for what, fault in _faults(offer, root):
                faults.setdefault(what, fault)
    if faults:
        errors_found = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        raise ExceptionGroup(f"the check of what is injected found {errors_found}", list(faults.values()))


def _what(fault: Exception, node: Node | None, need: Parameter, ring: frozenset[Adapter]) -> t.Hashable:
    """Return what is wrong: what an adapter lacks is the same fault for all who need it, a circle for all around it."""
    if ring:
        return ring
    return (node.adapter, need.name, fault.reason) if node and isinstance(fault, errors.ResolveError) else str(fault)


def needs_of(registry: Registry, root: Root) -> tuple[Parameter, ...]:
    """Return what *root* asks for: a type, or what the parameters of a function or an adapter need.

    Raises `AdapterError` and `ResolveError` for annotations that mean nothing.
    """
    if isinstance(root.target, Adapter | Injected):
        return root.target.parameters
    if isinstance(root.target, type) or not callable(root.target) or t.get_origin(root.target) is not None:
        return (registry.index.need(root.target),)
    return signature.parameters(root.target, {})


def needed(
    registry: Registry, required: c.Iterable[Root], owners: c.Container[str | None] | None = None
) -> c.Iterator[t.Any]:
    """Yield the types that *required* asks for, and the adapters of *registry* (with *owners*: those of these).

    What cannot be read is left out: `check_all` tells it.
    """
    adapters = (Root(each, scope=False) for each in registry.index if owners is None or each.owner in owners)
    for root in (*required, *adapters):
        try:
            needs = needs_of(registry, root)
        except (errors.AdapterError, errors.ResolveError):
            continue
        yield from (member for need in needs for member in typeform.members(need.form.tp))


def _faults(offer: supply.Supply, root: Root) -> c.Iterator[tuple[t.Hashable, Exception]]:
    """Yield each fault of *root* and of what is below it, after what stands for it, whatever leads there."""
    view, function, node = CALL, root.target, None
    if isinstance(root.target, Adapter):
        view, function = View(Level.STAGE), root.target.implementation
        node = Node(root.target, view)
    elif isinstance(root.target, Injected):
        function = root.target.function
    try:
        needs = needs_of(offer.registry, root)
    except (errors.AdapterError, errors.ResolveError) as error:
        yield str(error), error
        return
    for need in needs:  # one by one, so that one fault hides no other
        named = None if need.name is None else function
        for (asker, lacking), fault, ring in _faults_of_need(offer, need, view, named):
            if root.place is not None:
                fault.add_note(f"required at {root.place}")
            yield _what(fault, asker or node, lacking, ring), fault


def _faults_of_need(
    offer: supply.Supply, need: Parameter, view: View, function: t.Any
) -> c.Iterator[tuple[Asker, errors.BuvarError, frozenset[Adapter]]]:
    try:
        decision = decide.decide(offer, (need,), view)
    except errors.AdapterError as error:
        yield (None, need), error, frozenset()
        return
    if decision is None:
        yield from explain.failures(offer, (need,), function, view)
        return
    for step in decision.steps.values():
        if reason := explain.why_not_kept(offer, step.node):
            yield step.asker, explain.step_failure(decision, step, reason, function), frozenset()
    asked: list[tuple[Parameter, Origin, Step | None]] = [(one, origin, None) for one, origin in decision.origins]
    asked += [(one, origin, step) for step in decision.steps.values() for one, origin in step.origins]
    for one, origin, asker in asked:
        inside = view if asker is None else offer.inside(asker.node)
        if isinstance(origin, Node) and (rivals := _rivals(offer, one, origin, inside)):
            found = explain.ambiguity(decision, one, asker, rivals, function)
            yield (None if asker is None else asker.node, one), found, frozenset()


def offer_for(registry: Registry, components: Components, root: Root) -> supply.Supply:
    """Return what there will be when *root* is asked for."""
    there = components.push_scope() if root.scope else components.push()
    for kind in root.given:
        for base in kind.__mro__:
            ever.note(base)
            there.maps[0][base] = scopes.CLOSED  # anything: it is only looked whether there is something
    return supply.Supply(registry, there, {})


def _rivals(offer: supply.Supply, need: Parameter, chosen: Node, view: View) -> list[Node]:
    """Return all that could as well be taken for *need*: adapters of different types, none of them the very type."""
    wanted = [one for one in typeform.members(need.form.tp) if one is not type(None)]
    nodes = next(found for part in offer.parts(need, view) if chosen in (found := offer.nodes(need, part)))
    if len(wanted) > 1 or len(nodes) < 2 or any(node.adapter.return_type == wanted[0] for node in nodes):
        return []
    if all(typeform.answers(chosen.adapter.return_type, node.adapter.return_type) for node in nodes):
        return []  # it is the most special of them
    able = offer.satisfiable(nodes)
    rivals = [node for node in nodes if node in able]
    return rivals if len(rivals) > 1 else []
