"""After: work that a request leaves for the time after its response.

A handler or an adapter asks for `After` and adds to it::

    async def create(order: Order, orders: Orders, after: http.After) -> Order:
        after.add(mail, order)
        return await orders.add(order)

When the response has left, each function that was added runs in the worker as a background job, in the context of the
plugins and in a scope of its own, in which its parameters that are not given are injected. Where the request fails, no
work is left: what was added is forgotten.
"""

from __future__ import annotations

import functools
import typing as t

from aiohttp import web

from buvar import context, di
from buvar.components import Components
from buvar.di import resolve
from buvar.plugins import bg

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Home

_current: t.Final = context.buvar_context.get


class After:
    """The work that a request has left so far."""

    __slots__ = ("_jobs", "_work")

    def __init__(self, jobs: bg.Jobs) -> None:
        self._jobs = jobs
        self._work: list[tuple[Home, functools.partial[c.Coroutine[t.Any, t.Any, t.Any]]]] = []

    def add(
        self, function: c.Callable[..., c.Coroutine[t.Any, t.Any, t.Any]], /, *args: t.Any, **kwargs: t.Any
    ) -> None:
        """Call the coroutine *function* with these arguments after the response."""
        self._work.append((_current().home, functools.partial(function, *args, **kwargs)))

    def __len__(self) -> int:
        return len(self._work)

    def __bool__(self) -> t.Literal[True]:
        return True  # it is one, also when there is nothing to do

    def start(self) -> None:
        """Start the work, as background jobs."""
        work, self._work = self._work, []
        for home, function in work:
            self._jobs.add(_run(home, function))


#: where a request keeps it
KEY: t.Final = web.RequestKey("buvar.after", After)


def of(request: web.Request, jobs: bg.Jobs) -> After:
    """Return what *request* leaves for the time after its response."""
    made = After(jobs)
    request[KEY] = made
    return made


async def _run(home: Home, function: functools.partial[c.Coroutine[t.Any, t.Any, t.Any]]) -> None:
    adapters = home.adapters or di.buvar_adapters.get()
    with adapters.current(Components.of(home.base, None, home)):
        async with context.scope("after the response"):
            await function(**await resolve.arguments(adapters, function))
