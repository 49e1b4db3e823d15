"""Ending: what has no end of its own, web sockets and streams of events, ends when the server stops."""

from __future__ import annotations

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
    """What ends a stream of events when the server stops: such a stream has no end of its own."""

    request: web.Request
    is_over: bool = False

    def __attrs_post_init__(self) -> None:
        add(self.request, self)

    async def close(self, *, code: int, message: bytes) -> None:
        """End the stream."""
        self.is_over = True
        if self.request.task is not None:
            self.request.task.cancel()


async def close_all(app: web.Application) -> None:
    """Close what is open: the server stops."""
    still = app[OPEN]
    for each in list(still):
        with contextlib.suppress(ConnectionError):
            await each.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
