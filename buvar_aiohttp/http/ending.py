"""Ending: web sockets and streams of events, which have no end of their own, end when the server stops.

They also end when the client leaves: who waits for what to send next, and writes nothing, would not learn of that. The
handler of a web socket has some time to end by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import typing as t
import weakref

import attrs
from aiohttp import WSCloseCode, web


class Closing(t.Protocol):
    """What is closed as a web socket is."""

    async def close(self, *, code: int, message: bytes) -> t.Any:
        """Close it."""


#: what is open
OPEN: t.Final = web.AppKey("open", weakref.WeakSet[Closing])


def add(request: web.Request, what: Closing) -> None:
    """Have *what*, which *request* opened, closed when the server stops."""
    found = request.config_dict.get(OPEN)
    if found is not None:
        found.add(what)


@attrs.define(eq=False)
class Stream:
    """What ends a stream, by cancelling the task that sends it, until it is *done*."""

    task: asyncio.Task[t.Any] | None = attrs.field(factory=asyncio.current_task)
    #: why it was ended: the server stops, or the client has left
    is_over: bool = False
    has_left: bool = False
    done: bool = False

    async def close(self, *, code: int, message: bytes) -> None:
        """End the stream well."""
        self.is_over = True
        self._cancel()

    def leave(self) -> None:
        """End the stream, since nobody is there any more to read it."""
        self.has_left = True
        self._cancel()

    def _cancel(self) -> None:
        if self.task is not None and not self.done:
            self.done = True
            self.task.cancel()


#: seconds that the handler of a web socket whose client has left may take to notice, and to end by itself
GRACE: t.Final = 10.0


class Talk(Stream):
    """What ends the handler of a web socket whose client has left, if it does not end by itself for a while."""

    def leave(self) -> None:
        """End the handler, if it is still there after `GRACE` seconds: it waits for something else than its client."""
        self.has_left = True
        asyncio.get_running_loop().call_later(GRACE, self._cancel)


#: where a request keeps the stream that it is answered with, or the talk that it became
KEY: t.Final = web.RequestKey("buvar.stream", Stream)


async def close_all(app: web.Application) -> None:
    """Close what is open: the server stops."""
    still = app[OPEN]
    for each in list(still):
        with contextlib.suppress(ConnectionError):
            await each.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
