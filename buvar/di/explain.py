"""Explaining: why nothing provides what was asked for, told by the path from there to who asked."""

from __future__ import annotations

import itertools
import typing as t

import attrs

from buvar import errors

from . import signature, supply, typeform

if t.TYPE_CHECKING:
    import collections.abc as c

    from .adapter import Adapter
    from .signature import Parameter

#: so many levels of "none of these can be built" are told one inside the other
_LEVELS: t.Final = 4


def failure(offer: supply.Supply, needs: c.Iterable[Parameter], function: t.Any) -> errors.ResolveError:
    """Return the error for the first of *needs* that cannot be met; *function* has them, None for a bare request."""
    needs = tuple(needs)
    roots = [candidate for need in needs for candidate in offer.candidates(need)]
    story = _Story(offer, offer.satisfiable(roots))
    need = next(need for need in needs if not story.can_meet(need))
    asker = () if function is None else (_step(signature.label(function), need, signature.place_of(function)),)
    return story.tell(need, asker, {}, 0)


def note(adapter: Adapter, askers: c.Iterable[tuple[Adapter | None, Parameter]], function: t.Any) -> str:
    """Return the note for an error that *adapter* itself raised: who it is, where, and who needed it."""
    path = [typeform.show(adapter.return_type)]
    for asker, need in askers:
        if asker is not None or function is not None:
            path.append(str(_step(signature.label(function) if asker is None else asker.label, need, None)))
    where = f" ({adapter.place})" if adapter.place is not None else ""
    return f"raised by the adapter {adapter.label}{where}, building {' <- '.join(path)}"


def _step(name: str, need: Parameter, place: errors.Place | None) -> errors.Step:
    return errors.Step(f"{name}({need.name})", place)


@attrs.frozen
class _Story:
    offer: supply.Supply
    satisfied: set[Adapter]
    told: set[Adapter] = attrs.field(factory=set)

    def can_meet(self, need: Parameter) -> bool:
        return self.offer.has(need) or not self.satisfied.isdisjoint(self.offer.candidates(need))

    def tell(
        self, need: Parameter, below: tuple[errors.Step, ...], way: dict[Adapter, Parameter], level: int
    ) -> errors.ResolveError:
        """Follow the one thing that is not to be had; *below* are the steps that led here, the nearest first."""
        steps = list(reversed(below))
        while len(candidates := self._untold(need, way)) == 1:
            adapter = candidates[0]
            if adapter in way:
                return self._circle(adapter, need, steps, way)
            way[adapter], step = self._enter(adapter)
            steps.append(step)
            need = way[adapter]
        if candidates:
            reason = "none of its adapters can be satisfied"
            return self._error(need, steps, reason, self._causes(need, candidates, way, level))
        return self._error(need, steps, self._why_missing(need))

    def _untold(self, need: Parameter, way: dict[Adapter, Parameter]) -> list[Adapter]:
        return [one for one in self.offer.candidates(need) if one in way or one not in self.told]

    def _enter(self, adapter: Adapter) -> tuple[Parameter, errors.Step]:
        self.told.add(adapter)
        lacking = next(need for need in adapter.parameters if not self.can_meet(need))
        return lacking, _step(adapter.label, lacking, adapter.place)

    def _causes(
        self, need: Parameter, candidates: list[Adapter], way: dict[Adapter, Parameter], level: int
    ) -> c.Iterator[errors.ResolveError]:
        if level == _LEVELS:
            return
        for adapter in candidates:
            if adapter in way:
                yield self._circle(adapter, need, [], way)
            elif adapter in self.told:  # by the cause before this one
                yield self._error(need, [], f"{adapter.label} cannot be called, as told above")
            else:
                lacking, step = self._enter(adapter)
                yield self.tell(lacking, (step,), {**way, adapter: lacking}, level + 1)

    def _circle(
        self, adapter: Adapter, need: Parameter, steps: list[errors.Step], way: dict[Adapter, Parameter]
    ) -> errors.ResolveError:
        inside = itertools.dropwhile(lambda one: one[0] is not adapter, way.items())
        around = reversed([f"{one.label}({lacking.name})" for one, lacking in inside])
        names = [typeform.show(need.form.tp), *around]
        advice = "add a component or another adapter for one of them, or give a parameter a default"
        return self._error(need, steps, f"a circle, {' <- '.join(names)}; {advice}")

    def _error(
        self,
        need: Parameter,
        steps: list[errors.Step],
        reason: str,
        causes: c.Iterable[errors.ResolveError] = (),
    ) -> errors.ResolveError:
        head = typeform.show(need.form.tp) if need.form.keys else str(need.name or typeform.show(need.form.tp))
        path = (errors.Step(head), *reversed(steps))
        return errors.ResolveError(need.form.tp, reason, path, tuple(causes))

    def _why_missing(self, need: Parameter) -> str:
        if self.offer.candidates(need):
            return "it cannot be built, as told above"
        if not need.form.keys:
            return "its type says nothing to find it by; annotate it, give it a default, or give it by keyword"
        if need.name is not None and need.name in self.offer.given:
            given = errors.describe(type(self.offer.given[need.name]))
            return f"the given dependency {need.name!r} is a {given}, and nothing else provides it"
        return f"no component and no adapter provides {_describe(need.form.tp)}{self._hint(need)}"

    def _hint(self, need: Parameter) -> str:
        names = {name for key in need.form.keys for name in self.offer.components.find(key)}
        if names:
            return f"; there are components of that type named {', '.join(sorted(map(repr, names)))}"
        known = {typeform.show(adapter.return_type): adapter.return_type for adapter in self.offer.index}
        near = errors.nearest(typeform.show(need.form.tp), known)
        return f"; did you mean {_describe(known[near])}?" if near is not None else ""


def _describe(tp: t.Any) -> str:
    return errors.describe(tp) if isinstance(tp, type) else str(tp)
