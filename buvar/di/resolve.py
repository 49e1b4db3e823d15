"""Resolving: from what is asked for to the objects.

What is asked for the first time is decided and built step by step. The second time it is compiled to a plan, and from
then on the plan does it. There is one plan for each state of the context that was met: what is there, what is not, and
whether a scope is open.
"""

from __future__ import annotations

import threading
import typing as t

import attrs

from buvar import context
from buvar.components import Mark
from buvar.ever import ever

from . import build, decide, explain, plan, signature, supply, typeform
from .supply import Fit, Node, Probe
from .views import Level, Views

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components, Home

    from .decide import Decision
    from .override import Override
    from .signature import Parameter
    from .supply import Registry

#: so many states of the context have a plan of their own, for one request
VARIANTS: t.Final = 64


@attrs.frozen(eq=False)
class Request:
    """What is asked for: *targets*.

    Its plans are kept under *key*: one target, or the targets and the names of what is given, or the mark of a bound
    request; None where it cannot be a key. *function* is whose parameters the targets are, if they are parameters.
    """

    key: t.Any
    targets: tuple[t.Any, ...]
    function: t.Any = None

    @property
    def in_order(self) -> bool:
        """Whether its plans take what is given in order, as a bound request does, and not as a dict."""
        return isinstance(self.key, Mark)

    def answer(self, found: list[t.Any]) -> t.Any:
        """Return what was found as it was asked for."""
        return found[0] if len(self.targets) == 1 else tuple(found)

    def arguments(self, given: dict[str, t.Any]) -> tuple[t.Any, ...]:
        """Return what its plans take."""
        if self.in_order:
            return tuple(given.values())
        return (given,) if given else ()


@attrs.define(eq=False)
class Variant:
    """A decision, what it rests on, and the plan that was made of it when it was needed again."""

    decision: Decision
    types: tuple[type, ...]
    has_scope: bool
    era: object
    plan: plan.Plan | None = None
    depends_on_scope: bool = attrs.field(init=False)

    @depends_on_scope.default
    def _looks_into_scope(self) -> bool:  # as its plan does
        adapters = [step.node.adapter for step in self.decision.steps.values()]
        looks = (look.view for look in self.looks() if isinstance(look, Probe))
        return any(one.lifetime == "scoped" or one.opens for one in adapters) or any(
            view.level is Level.SCOPE for view in looks
        )

    def holds(self, components: Components, given: c.Mapping[str, t.Any]) -> bool:
        """Tell whether all is as it was when it was decided."""
        if self.types != tuple(map(type, given.values())):
            return False
        if self.depends_on_scope and self.has_scope != (components.scope is not None):
            return False
        views = Views(components)
        return all(
            typeform.fits(given[look.name], look.tp) == look.fits
            if isinstance(look, Fit)
            else any(look.key in layer for layer in views.maps(look.view)) == look.present
            for look in self.looks()
        )

    def looks(self) -> c.Iterator[Probe | Fit]:
        yield from self.decision.looks
        for step in self.decision.steps.values():
            yield from step.looks


class Resolver:
    """Decides, keeps plans, and drops them when what they rest on changes."""

    def __init__(self, registry: Registry, *, sync: bool = False) -> None:
        self._registry = registry
        self._sync = sync
        self._lock = threading.Lock()
        self._era: object = object()
        self._variants: dict[t.Hashable, list[Variant]] = {}
        #: the key of a request -> its plan
        self.plans: dict[t.Hashable, plan.Plan] = {}

    def forget(self) -> None:
        """Drop all plans; what is being resolved is resolved as it was decided."""
        with self._lock:
            self._era = object()
            self._variants.clear()
            self.plans.clear()

    async def resolve(self, request: Request, components: Components, given: dict[str, t.Any]) -> t.Any:
        """Return what is asked for, by a variant that holds, or else by a new one."""
        if (home := self._elsewhere(components)) is not None:
            there = components.at(home)
            with self._registry.current(there):
                return await self.resolve(request, there, given)
        variant = self._variant(request, components, given)
        if variant is None:
            variant = self._decide(request, components, given)
        elif variant.plan is None:
            self._compile(request, variant, tuple(given))
        run = build.Build(variant.decision, components, given)
        if variant.plan is None:
            return request.answer(await run.run())
        await run.ensure()
        self._install(request, variant)
        return await variant.plan(*request.arguments(given))

    def resolve_now(
        self, request: Request, components: Components, given: dict[str, t.Any], *, by_plan: bool = True
    ) -> t.Any:
        """Do what `resolve` does without awaiting. Raises `ResolveError` for what is built asynchronously."""
        if (home := self._elsewhere(components)) is not None:
            there = components.at(home)
            with self._registry.current(there):
                return self.resolve_now(request, there, given, by_plan=by_plan)
        variant = self._variant(request, components, given)
        known = variant is not None
        variant = variant or self._decide(request, components, given)
        run = build.Build(variant.decision, components, given, sync=True)
        run.refuse_awaiting()
        if known and variant.plan is None:
            self._compile(request, variant, tuple(given))
        if variant.plan is None or not by_plan:
            return request.answer(_finish(run.run()))
        _finish(run.ensure())
        self._install(request, variant)
        return variant.plan(*request.arguments(given))

    def _elsewhere(self, components: Components) -> Home | None:
        """Return the home of the adapters, if that is not where they are asked: what was bound is called anywhere."""
        home = self._registry.home
        return None if home is None or components.home.adapters in (None, self._registry) else home

    def _variant(self, request: Request, components: Components, given: c.Mapping[str, t.Any]) -> Variant | None:
        variants = self._variants.get(request.key, ())
        return next((each for each in tuple(variants) if each.holds(components, given)), None)

    def _install(self, request: Request, variant: Variant) -> None:
        assert variant.plan is not None
        with self._lock:
            if self._era is variant.era:  # else something changed meanwhile that it knows nothing of
                self.plans[request.key] = variant.plan

    def _decide(self, request: Request, components: Components, given: dict[str, t.Any]) -> Variant:
        era = self._era
        offer = supply.Supply(self._registry, components, given)
        needs = tuple(
            target if isinstance(target, signature.Parameter) else offer.index.need(target)
            for target in request.targets
        )
        decision = self.decision(offer, needs, request.function)
        variant = Variant(decision, tuple(map(type, given.values())), offer.has_scope, era)
        if request.key is not None and not offer.unsure and ever.watch(decision.never, self):
            with self._lock:
                if self._era is era:
                    variants = self._variants.setdefault(request.key, [])
                    variants.append(variant)
                    del variants[:-VARIANTS]
        return variant

    def decision(self, offer: supply.Supply, needs: tuple[Parameter, ...], function: t.Any) -> Decision:
        """Return where *needs*, which *function* has, come from. Raises `ResolveError`."""
        found = decide.decide(offer, needs)
        if found is None:
            raise explain.failure(offer, needs, function)
        for step in found.steps.values():
            if reason := explain.why_not_kept(offer, step.node):
                raise explain.step_failure(found, step, reason, function)
        if offer.overrides:
            self._substitute(found, offer)
        return found

    def _substitute(self, decision: Decision, offer: supply.Supply) -> None:
        """Have what is built with fakes kept apart from what is built without."""
        touched: dict[Node, frozenset[Override]] = {}
        for node, step in decision.steps.items():
            overrides = set(supply.overrides_of(step.origins))
            for one in decide.nodes_of(step.origins):
                overrides |= touched[one]
            touched[node] = frozenset(overrides)
            if overrides and node.is_kept:
                substitute = self._registry.overrides.substitute(node.adapter, touched[node])
                substitute.stores.append(offer.views.maps(node.view)[0])
                decision.substitutes[node] = substitute

    def _compile(self, request: Request, variant: Variant, names: tuple[str, ...]) -> None:
        def named(values: tuple[t.Any, ...]) -> dict[str, t.Any]:
            if request.in_order:
                return dict(zip(names, values, strict=True))
            return values[0] if values else {}

        async def again(components: Components, *values: t.Any) -> t.Any:
            return await self.resolve(request, components, named(values))

        def again_now(components: Components, *values: t.Any) -> t.Any:
            return self.resolve_now(request, components, named(values), by_plan=False)

        variant.plan = plan.compile_plan(
            variant.decision,
            dict(zip(names, variant.types, strict=True)),
            again_now if self._sync else again,
            owners=() if self._registry.home is None else (self._registry, None),
            has_scope=variant.has_scope,
            sync=self._sync,
            in_order=request.in_order,
        )


def _finish(coroutine: c.Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("what is asynchronous was refused before")


async def arguments(registry: Registry, function: c.Callable[..., t.Any]) -> dict[str, t.Any]:
    """Return what the parameters of *function* need, by name, resolved as those of an adapter are.

    ``*args`` and ``**kwargs`` are left out. Raises `AdapterError` for an annotation that means nothing, `ResolveError`
    for what nothing provides (its path ends with *function*), and what an adapter itself raises.
    """
    needs = signature.parameters(function, {})
    if not needs:
        return {}
    components = context.current_context()
    offer = supply.Supply(registry, components, {})
    decision = Resolver(registry).decision(offer, needs, function)
    found = await build.Build(decision, components, {}, function).run()
    return {str(need.name): item for need, item in zip(needs, found, strict=True)}
