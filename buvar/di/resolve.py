"""Resolving: from what is asked for to the objects.

First it is decided where everything comes from, then it is built. So nothing is built for a request that cannot be met.

Where a parameter comes from, the first that there is: a dependency given by keyword under its name; a component of its
name and type in the context; an unnamed component of its type; any given dependency of its type; the adapters for its
type, the first that can be satisfied; its default. An adapter never feeds itself: inside of what it needs, the next one
for the same type is taken, and so one adapter can wrap another.

Theory. To decide is a walk into the depth. An adapter on the way from the root to here is *open*, a failed one stays
failed. This is right until the walk meets an open adapter: then failing depends on the way. So the walk starts again,
carefully: before it enters an adapter it makes sure, by a fixed point over all that is not open, that the adapter can
be satisfied without anything open. What passes cannot fail further in (a shortest derivation never needs its own root),
and each adapter is entered once. Neither walk recurses: each level is a generator on a list.
"""

from __future__ import annotations

import types
import typing as t

import attrs

from buvar import context, errors
from buvar.components import missing

from . import explain, signature, supply

if t.TYPE_CHECKING:
    import collections.abc as c

    from .adapter import Adapter
    from .index import Indexed
    from .signature import Parameter

#: where an argument comes from: an adapter of the plan, or else the object itself
Origin: t.TypeAlias = "tuple[Parameter, Adapter | None, t.Any]"
#: who needs something, and as what
Asker: t.TypeAlias = "tuple[Adapter | None, Parameter]"
Walk: t.TypeAlias = "c.Generator[tuple[Adapter, Asker], bool, T]"
T = t.TypeVar("T")


async def nject(adapters: Indexed, targets: tuple[t.Any, ...], given: c.Mapping[str, t.Any]) -> list[t.Any]:
    """Return the objects for *targets*, one each. Raises `ResolveError`, and what an adapter itself raises."""
    index = adapters.index
    needs = tuple(signature.Parameter(None, index.form(target)) for target in targets)
    return await _obtain(supply.Supply(index, context.current_context(), given), needs, None)


async def arguments(adapters: Indexed, function: c.Callable[..., t.Any]) -> dict[str, t.Any]:
    """Return what the parameters of *function* need, by name, resolved as those of an adapter are.

    ``*args`` and ``**kwargs`` are left out. Raises `AdapterError` for an annotation that means nothing, `ResolveError`
    for what nothing provides (its path ends with *function*), and what an adapter itself raises.
    """
    needs = signature.parameters(function, {})
    if not needs:
        return {}
    offer = supply.Supply(adapters.index, context.current_context(), {})
    found = await _obtain(offer, needs, function)
    return {str(need.name): item for need, item in zip(needs, found, strict=True)}


async def _obtain(offer: supply.Supply, needs: tuple[Parameter, ...], function: t.Any) -> list[t.Any]:
    plan = _decide(offer, needs)
    if plan is None:
        raise explain.failure(offer, needs, function)
    return await _build(plan, function)


@attrs.frozen
class Step:
    """One adapter to be called, with the origins of its arguments."""

    adapter: Adapter
    origins: list[Origin]
    asker: Asker


@attrs.frozen
class Plan:
    """The steps in the order in which they are taken, and where the objects asked for come from."""

    steps: list[Step]
    origins: list[Origin]


class _CircleMetError(Exception):
    """The quick walk met an open adapter."""


def _decide(offer: supply.Supply, needs: tuple[Parameter, ...]) -> Plan | None:
    try:
        return _Walker(offer, careful=False).plan(needs)
    except _CircleMetError:
        return _Walker(offer, careful=True).plan(needs)


class _Walker:
    __slots__ = ("_careful", "_done", "_failed", "_offer", "_open", "_steps")

    def __init__(self, offer: supply.Supply, *, careful: bool) -> None:
        self._offer = offer
        self._careful = careful
        self._steps: list[Step] = []
        self._done: set[Adapter] = set()
        self._failed: set[Adapter] = set()
        self._open: set[Adapter] = set()

    def plan(self, needs: tuple[Parameter, ...]) -> Plan | None:
        origins = self._run(self._origins(None, needs))
        return None if origins is None else Plan(self._steps, origins)

    def _run(self, root: Walk[list[Origin] | None]) -> list[Origin] | None:
        walks: list[Walk[t.Any]] = [root]
        answer: t.Any = None
        while walks:
            try:
                wanted = walks[-1].send(answer)
            except StopIteration as end:
                walks.pop()
                answer = end.value
            else:
                walks.append(self._enter(*wanted))
                answer = None
        return t.cast("list[Origin] | None", answer)

    def _enter(self, adapter: Adapter, asker: Asker) -> Walk[bool]:
        """Plan the call of *adapter*; False when something that it needs is not to be had."""
        mark = len(self._steps)
        self._open.add(adapter)
        origins = yield from self._origins(adapter, adapter.parameters)
        self._open.discard(adapter)
        if origins is None:
            self._failed.add(adapter)
            self._done.difference_update(step.adapter for step in self._steps[mark:])
            del self._steps[mark:]
            return False
        self._steps.append(Step(adapter, origins, asker))
        self._done.add(adapter)
        return True

    def _origins(self, adapter: Adapter | None, needs: tuple[Parameter, ...]) -> Walk[list[Origin] | None]:
        origins: list[Origin] = []
        for need in needs:
            item = self._offer.find(need)
            chosen = None
            if item is supply.absent:
                chosen = yield from self._choose((adapter, need))
                item = need.default
                if chosen is None and item is missing:
                    return None
            origins.append((need, chosen, item))
        return origins

    def _choose(self, asker: Asker) -> Walk[Adapter | None]:
        for candidate in self._offer.candidates(asker[1]):
            if candidate in self._done:
                return candidate
            if self._may_enter(candidate) and (yield candidate, asker):
                return candidate
        return None

    def _may_enter(self, candidate: Adapter) -> bool:
        if candidate in self._open:
            if not self._careful:
                raise _CircleMetError
            return False
        if not self._careful:
            return candidate not in self._failed
        return candidate in self._offer.satisfiable((candidate,), self._open)


async def _build(plan: Plan, function: t.Any) -> list[t.Any]:
    built: dict[Adapter | None, t.Any] = {}
    for step in plan.steps:
        try:
            built[step.adapter] = await _call(step, built)
        except errors.UsageError:
            raise  # it says itself what is wrong, and not with the code
        except Exception as error:
            error.add_note(explain.note(step.adapter, _askers(plan, step), function))
            raise
    return [item if adapter is None else built[adapter] for _, adapter, item in plan.origins]


async def _call(step: Step, built: dict[Adapter | None, t.Any]) -> t.Any:
    args: list[t.Any] = []
    kwargs: dict[str, t.Any] = {}
    for need, adapter, item in step.origins:
        value = item if adapter is None else built[adapter]
        if need.positional:
            args.append(value)
        else:
            kwargs[t.cast("str", need.name)] = value
    result = step.adapter.implementation(*args, **kwargs)
    # a decorator may hide that a function is a coroutine function; a coroutine is never meant as a component
    if step.adapter.is_async or isinstance(result, types.CoroutineType):
        return await result
    return result


def _askers(plan: Plan, step: Step) -> c.Iterator[Asker]:
    """Yield who needs *step*, who needs that one, up to the root."""
    askers = {one.adapter: one.asker for one in plan.steps}
    asker: Asker | None = step.asker
    while asker is not None:
        yield asker
        asker = askers[asker[0]] if asker[0] is not None else None
