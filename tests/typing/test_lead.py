"""What type checkers know about leadership: this is checked, not run."""

from __future__ import annotations

import collections.abc as c
import typing as t

from buvar import plugin


async def work() -> int:
    return 1


async def prepare(lead: plugin.Lead) -> c.AsyncIterator[c.Awaitable[int]]:
    t.assert_type(lead.is_set(), bool)
    t.assert_type(await lead.wait(), bool)
    yield work()
    yield plugin.leader(work())


async def prepare_some() -> list[c.Awaitable[t.Any]]:
    return [work(), plugin.leader(work())]


plugin.leader(work)  # type: ignore[arg-type]
plugin.leader(None)  # type: ignore[arg-type]
plugin.leader([work()])  # type: ignore[arg-type]
plugin.stage(prepare, prepare_some)
