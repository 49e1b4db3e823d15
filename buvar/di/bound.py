"""Bound requests: what is asked for by the same names again and again, with no look at the names."""

from __future__ import annotations

import typing as t

from buvar.components import Mark

if t.TYPE_CHECKING:
    import collections.abc as c

    from .injected import Injected
    from .plan import AsyncPlan

#: stands first in the key of a request with dependencies given by keyword, before the target and their names
KEYWORDS: t.Final = Mark("keywords")

T_co = t.TypeVar("T_co", covariant=True)


class Bound(t.Protocol[T_co]):
    """A request that waits for nothing but the dependencies that its caller gives, in order or by name."""

    def __call__(self, *args: t.Any, **kwargs: t.Any) -> c.Coroutine[t.Any, t.Any, T_co]: ...


_TEXT: t.Final = """\
def bound({parameters}):
    _plan_ = _plans_.get(_request_)
    if _plan_ is None:
        return _ask_(_request_, _targets_, {{{keywords}}})
    return _plan_({parameters})
"""


def bind(
    ask: c.Callable[..., c.Coroutine[t.Any, t.Any, t.Any]],
    plans: dict[t.Hashable, AsyncPlan],
    target: t.Any,
    names: tuple[str, ...],
) -> Bound[t.Any]:
    """Return a function with the parameters *names* for *target*: by the plan for it, or else by *ask*."""
    text = _TEXT.format(
        parameters=", ".join(names),
        keywords=", ".join(f"{name!r}: {name}" for name in names),
    )
    known: dict[str, t.Any] = {
        "_plans_": plans,
        "_request_": Mark(f"bound {names}"),  # faster to find than the target and the names
        "_ask_": ask,
        "_targets_": (target,),
    }
    exec(text, known)  # noqa: S102 - the parameters have the names that are asked for
    return t.cast("Bound[t.Any]", known["bound"])


def bind_injected(
    ask: c.Callable[..., c.Coroutine[t.Any, t.Any, t.Any]], plans: dict[t.Hashable, AsyncPlan], injected: Injected
) -> c.Callable[[], c.Coroutine[t.Any, t.Any, t.Any]]:
    """Return a function that gives the objects for *injected*, in order; the very object where there is one only."""
    request = Mark(f"injected into {injected}")
    get = plans.get

    def bound() -> c.Coroutine[t.Any, t.Any, t.Any]:
        plan = get(request)
        return ask(request, injected.parameters, {}, injected.function) if plan is None else plan()

    return bound
