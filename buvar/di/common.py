"""What the code of all plans uses, by the names that it has there."""

from __future__ import annotations

import asyncio
import typing as t

from buvar import scopes
from buvar.context import buvar_context

from . import build, once, typeform, views

#: what all plans use
COMMON: t.Final = {
    "EXITS": scopes.EXITS,
    "CLOSED": scopes.CLOSED,
    "Waiters": once.Waiters,
    "accept": build.accept,
    "accept_now": build.accept_now,
    "at_home": views.at_home,
    "collected": build.collected,
    "current": buvar_context.get,
    "current_task": asyncio.current_task,
    "done": once.done,
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
