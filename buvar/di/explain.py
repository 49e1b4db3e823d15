"""Explaining: why nothing provides what was asked for, told by the path from there to who asked."""

from __future__ import annotations

import itertools
import typing as t

import attrs

from buvar import errors
from buvar.components import merge

from . import signature, supply, typeform
from .views import CALL, Level, View

if t.TYPE_CHECKING:
    import collections.abc as c

    from .adapter import Adapter
    from .decide import Asker, Decision, Step
    from .signature import Parameter
    from .supply import Node

#: so many levels of "none of these can be built" are told one inside the other
_LEVELS: t.Final = 4
_TOLD: t.Final = "it cannot be built, as told above"
#: who lacks what, the error that tells it, and all adapters of the circle, where it is one
Failure: t.TypeAlias = "tuple[Asker, errors.ResolveError, frozenset[Adapter]]"


def failure(offer: supply.Supply, needs: c.Iterable[Parameter], function: t.Any) -> errors.ResolveError:
    """Return the error for the first of *needs* that cannot be met; *function* has them, None for a bare request."""
    return next(failures(offer, needs, function))[1]


def failures(
    offer: supply.Supply, needs: c.Iterable[Parameter], function: t.Any, view: View = CALL
) -> c.Iterator[Failure]:
    """Yield a failure for each of *needs* that cannot be met, and for all else that an adapter on the way lacks."""
    needs = tuple(needs)
    satisfied = offer.satisfiable(node for need in needs for node in offer.nodes(need, view))
    for need in needs:
        story = _Story(offer, satisfied)
        if not story.can_meet(need, view):
            asker = () if function is None else (_step(signature.label(function), need, signature.place_of(function)),)
            yield from story.tell_all(need, view, asker, {}, 0)


def why_not_kept(offer: supply.Supply, node: Node) -> str | None:
    """Return why what *node* builds cannot be kept where it has to be, None when it can."""
    adapter, level = node.adapter, node.level
    if adapter.lifetime == "scoped":
        if level is Level.STAGE:
            return "it is scoped, and what needs it is a singleton, which outlives each scope; make that one scoped too"
        if not offer.has_scope:
            return "it is scoped, and no scope is open; ask for it inside of: async with context.scope(…)"
    if adapter.opens and offer.closer is None and (level is Level.STAGE or not offer.has_scope):
        return "it is a generator, and nothing here would finalise it; open a scope, or ask for it in a stage"
    return None


def step_failure(decision: Decision, step: Step, reason: str, function: t.Any) -> errors.ResolveError:
    """Return the error for *step*, which was decided and cannot be done for that *reason*."""
    adapter = step.node.adapter
    path = [errors.Step(typeform.show(adapter.return_type), adapter.place), *_path(decision.askers(step), function)]
    return errors.ResolveError(adapter.return_type, reason, path, kind="lifetime")


def _path(askers: c.Iterable[Asker], function: t.Any) -> c.Iterator[errors.Step]:
    for asker, need in askers:
        if asker is not None and asker.adapter.gate is not None:
            continue  # nobody wrote it
        if asker is not None:
            yield _step(asker.adapter.label, need, asker.adapter.place)
        elif function is not None:
            yield _step(signature.label(function), need, signature.place_of(function))


def ambiguity(
    decision: Decision, need: Parameter, step: Step | None, rivals: c.Sequence[Node], function: t.Any
) -> errors.ResolveError:
    """Return the error for a need of *step* (None: of what is asked for) that each of *rivals* would meet as well."""
    named = [f"{node.adapter.label}{f' ({node.adapter.place})' if node.adapter.place else ''}" for node in rivals]
    reason = (
        f"ambiguous: {', '.join(named)} all could be taken, and none of them is preferred; ask for one of their types, "
        "register one with replace=True, or one that returns the very type"
    )
    askers: c.Iterable[Asker] = ((None, need),) if step is None else ((step.node, need), *decision.askers(step))
    path = (errors.Step(typeform.show(need.form.tp)), *_path(askers, function))
    return errors.ResolveError(need.form.tp, reason, path, kind="ambiguous")


def note(adapter: Adapter, askers: c.Iterable[Asker], function: t.Any) -> str:
    """Return the note for an error that *adapter* itself raised: who it is, where, and who needed it."""
    path = [typeform.show(adapter.return_type), *(step.name for step in _path(askers, function))]
    where = f" ({adapter.place})" if adapter.place is not None else ""
    return f"raised by the adapter {adapter.label}{where}, building {' <- '.join(path)}"


def _step(name: str, need: Parameter, place: errors.Place | None) -> errors.Step:
    return errors.Step(f"{name}({need.name})", place)


@attrs.frozen
class _Passed:
    """Something that *node* lacks too, and the way there: the first *depth* of *steps*, the first *length* of *way*."""

    node: Node
    need: Parameter
    steps: list[errors.Step]
    depth: int
    way: dict[Node, Parameter]
    length: int


@attrs.frozen
class _Story:
    offer: supply.Supply
    satisfied: set[Node]
    told: set[Node] = attrs.field(factory=set)
    #: what else adapters lack on the way that is followed
    passed: list[_Passed] = attrs.field(factory=list)
    #: who is on a circle, by the error that tells it
    rings: dict[errors.ResolveError, frozenset[Adapter]] = attrs.field(factory=dict)

    def tell_all(
        self, need: Parameter, at: View, below: tuple[errors.Step, ...], way: dict[Node, Parameter], depth: int
    ) -> c.Iterator[Failure]:
        """Yield the failures of all below *need*; what an adapter lacks is told once."""
        before, asked = len(self.passed), (None, need)
        error = self.tell(need, at, below, way, depth)
        yield next(reversed(way.items()), asked), error, self._ring(error)
        while len(self.passed) > before:
            passed = self.passed.pop()
            way = {**dict(itertools.islice(passed.way.items(), passed.length)), passed.node: passed.need}
            error = self._tell_passed(passed, way, depth)
            if error.reason != _TOLD:
                yield next(reversed(way.items())), error, self._ring(error)

    def _ring(self, error: errors.ResolveError) -> frozenset[Adapter]:
        return self.rings.get(error, frozenset())

    def can_meet(self, need: Parameter, view: View) -> bool:
        return self.offer.has(need, view) or not self.satisfied.isdisjoint(self.offer.nodes(need, view))

    def tell(
        self, need: Parameter, at: View, below: tuple[errors.Step, ...], way: dict[Node, Parameter], depth: int
    ) -> errors.ResolveError:
        """Follow the one thing that is not to be had; *below* are the steps that led here, the nearest first."""
        steps = list(reversed(below))
        while len(candidates := self._untold(need, at, way)) == 1:
            node = candidates[0]
            if node in way:
                return self._circle(node, need, steps, way)
            if reason := why_not_kept(self.offer, node):  # then it is beside the point what it lacks
                return self._error(need, steps, reason, place=node.adapter.place, kind="lifetime")
            lacking, *more = self._lacking(node)
            self.passed.extend(_Passed(node, other, steps, len(steps), way, len(way)) for other in reversed(more))
            way[node] = lacking
            steps += _path([(node, lacking)], None)
            need, at = lacking, self.offer.inside(node)
        if candidates:
            reason = "none of its adapters can be satisfied"
            return self._error(need, steps, reason, self._causes(need, candidates, way, depth))
        return self._error(need, steps, self._why_missing(need, at))

    def _tell_passed(self, passed: _Passed, way: dict[Node, Parameter], depth: int) -> errors.ResolveError:
        node, need = passed.node, passed.need
        below = (*_path([(node, need)], None), *reversed(passed.steps[: passed.depth]))
        return self.tell(need, self.offer.inside(node), below, way, depth)

    def _untold(self, need: Parameter, at: View, way: dict[Node, Parameter]) -> list[Node]:
        return [one for one in self.offer.nodes(need, at) if one in way or one not in self.told]

    def _lacking(self, node: Node) -> list[Parameter]:
        self.told.add(node)
        inside = self.offer.inside(node)
        return [need for need in self.offer.needs(node) if not self.can_meet(need, inside)]

    def _causes(
        self, need: Parameter, candidates: list[Node], way: dict[Node, Parameter], depth: int
    ) -> c.Iterator[errors.ResolveError]:
        if depth == _LEVELS:
            return
        for node in candidates:
            if node in way:
                yield self._circle(node, need, [], way)
            elif node in self.told:  # by the cause before this one
                yield self._error(need, [], f"{node.adapter.label} cannot be called, as told above")
            else:
                for lacking in self._lacking(node):
                    path = tuple(_path([(node, lacking)], None))
                    further = {**way, node: lacking}
                    told = self.tell_all(lacking, self.offer.inside(node), path, further, depth + 1)
                    yield from (error for _, error, _ in told)

    def _circle(
        self, node: Node, need: Parameter, steps: list[errors.Step], way: dict[Node, Parameter]
    ) -> errors.ResolveError:
        inside = list(itertools.dropwhile(lambda one: one[0] != node, way.items()))
        around = [step.name for one, lacking in inside for step in _path([(one, lacking)], None)]
        names = [typeform.show(need.form.tp), *reversed(around)]
        # the path to it is told before, and may be the circle itself
        circle = "" if around == [step.name for step in steps] else f", {' <- '.join(names)}"
        advice = "add a component or another adapter for one of them, or give a parameter a default"
        error = self._error(need, steps, f"a circle{circle}; {advice}", kind="circle")
        self.rings[error] = frozenset(one.adapter for one, _ in inside)
        return error

    def _error(
        self,
        need: Parameter,
        steps: list[errors.Step],
        reason: str,
        causes: c.Iterable[errors.ResolveError] = (),
        place: errors.Place | None = None,
        kind: errors.ResolveFault = "missing",
    ) -> errors.ResolveError:
        head = typeform.show(need.form.tp) if need.form.keys else str(need.name or typeform.show(need.form.tp))
        path = (errors.Step(head, place), *reversed(steps))
        return errors.ResolveError(need.form.tp, reason, path, tuple(causes), kind)

    def _why_missing(self, need: Parameter, at: View) -> str:
        if self.offer.candidates(need, at):
            return _TOLD
        if not need.form.keys:
            return "its type says nothing to find it by; annotate it, give it a default, or give it by keyword"
        if need.pick is not None:
            return f"no component {_describe(need.form.tp)} is named {need.pick!r}{self._hint(need, at)}"
        if at.is_of_call and need.name is not None and need.name in self.offer.given:
            given = errors.describe(type(self.offer.given[need.name]))
            return f"the given dependency {need.name!r} is a {given}, and nothing else provides it"
        if at.level is not Level.CALL and self.offer.find(need, View(Level.CALL, at.home)) is not None:
            keeper = "the stage" if at.level is Level.STAGE else "the scope"
            return (
                f"what needs it is kept by {keeper}, which has none of its own: what the call has, or an inner layer, "
                f"may end before {keeper} does; add it to the context of {keeper}"
            )
        return f"no component and no adapter provides {_describe(need.form.tp)}{self._hint(need, at)}"

    def _hint(self, need: Parameter, at: View) -> str:
        names = {name for key in need.form.keys for name in merge(self.offer.views.maps(at), key)}
        said = f"; there are components of that type named {', '.join(sorted(map(repr, names)))}" if names else ""
        # what has the name of the parameter would be taken, and after it what has none
        wanted = (need.name, None) if need.pick is None else (need.pick,)
        said += (at.home or self.offer.components.home).explain(need.form.keys, wanted)
        if said or need.pick is not None:
            return said
        if getattr(need.form.tp, "_is_protocol", False) and not typeform.may_be_alike(need.form.tp):
            return (
                "; it is a Protocol without @runtime_checkable, or with members that are no methods, so that only what "
                "derives from it, or is registered as it, answers"
            )
        known = {typeform.show(adapter.return_type): adapter.return_type for adapter in self.offer.index_at(at.home)}
        near = errors.nearest(typeform.show(need.form.tp), known)
        return f"; did you mean {_describe(known[near])}?" if near is not None else ""


def _describe(tp: t.Any) -> str:
    return errors.describe(tp) if isinstance(tp, type) else str(tp)
