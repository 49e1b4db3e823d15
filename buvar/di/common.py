"""What the code of all plans uses, by the names that it has there."""

from __future__ import annotations

import asyncio
import asyncio.tasks
import sys
import typing as t

from buvar import scopes
from buvar.context import buvar_context

from . import build, once, typeform, views

#: who runs it, as the code of a plan asks for it, and what that needs
if sys.version_info >= (3, 12):
    TASK: t.Final = "current_task()"
    _ASKED: t.Final = {"current_task": asyncio.current_task}
else:  # current_task is this, but written in Python, which takes three times as long
    TASK: t.Final = "current_tasks.get(get_running_loop())"
    _ASKED: t.Final = {
        "current_tasks": asyncio.tasks._current_tasks,  # type: ignore[attr-defined]
        "get_running_loop": asyncio.get_running_loop,
    }

#: what all plans use
COMMON: t.Final[dict[str, t.Any]] = {
    **_ASKED,
    "EXITS": scopes.EXITS,
    "CLOSED": scopes.CLOSED,
    "Waiters": once.Waiters,
    "accept": build.accept,
    "accept_now": build.accept_now,
    "at_home": views.at_home,
    "collected": build.collected,
    "current": buvar_context.get,
    "done": once.done,
    "ended": once.ended,
    "fits": typeform.fits,
    "inner": views.inner,
    "homed": build.homed,
    "keep": scopes.keep,
    "open_in_stage": build.open_in_stage,
    "open_in_stage_now": build.open_in_stage_now,
    "over": build.over,
    "over_now": build.over_now,
    "start_now": scopes.start_now,
    "wait": once.wait,
    "yields_nothing": scopes.yields_nothing,
}
