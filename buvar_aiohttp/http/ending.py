"""Ending: web sockets and streams of events, which have no end of their own, end when the server stops.

A stream also ends when its client leaves: one that waits for what it is to send next writes nothing by which it would
learn of that.
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


#: where a request keeps the stream that it is answered with
KEY: t.Final = web.RequestKey("buvar.stream", Stream)


async def close_all(app: web.Application) -> None:
    """Close what is open: the server stops."""
    still = app[OPEN]
    for each in list(still):
        with contextlib.suppress(ConnectionError):
            await each.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
