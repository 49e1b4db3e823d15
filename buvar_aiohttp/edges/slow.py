"""Slow clients: who keeps the server waiting within a request, for too long, is answered 408 and let go.

A look at all connections, a few times within the timeout, notes on which of them the server waits for the client, and
for how long; requests themselves pay nothing for it. A client is waited for

| where                          | since                                   | then                                 |
|--------------------------------|-----------------------------------------|--------------------------------------|
| it has sent nothing yet        | it connected                            | the connection is closed             |
| the head of a request is begun | its first byte                          | 408, then it is closed               |
| a body is not at its end       | its last byte, while somebody can read  | reading it raises a 408, then closed |

Between requests, ``keepalive_timeout`` counts. Who sends a head byte by byte is not better off than who sends nothing.
"""

from __future__ import annotations

import typing as t

import attrs
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

#: how often the connections are looked at within the timeout, and seconds between two looks at most
LOOKS: t.Final = 4
LONGEST: t.Final = 5.0
_TEXT: t.Final = "the request was not complete in time"


class Watched(web.RequestHandler):
    """A connection that notes whether the head of a request has begun: mix it in before the class of connections."""

    __slots__ = ("begun",)

    def data_received(self, data: bytes) -> None:
        """Take *data*."""
        super().data_received(data)
        if not self._messages and self._waiter is not None:
            #: after how many requests a head began; it is complete if there were more since
            self.begun = self._request_count


Waits: t.TypeAlias = "tuple[str, int, int]"


@attrs.define(eq=False)
class Watch:
    """Lets clients go that keep one of *connections* waiting for so many *seconds*."""

    seconds: float
    connections: c.Callable[[], c.Iterable[t.Any]]
    loop: asyncio.AbstractEventLoop
    _since: dict[t.Any, tuple[Waits, float]] = attrs.field(factory=dict, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def start(self) -> None:
        """Look at the connections from now on, until there are none."""
        if self._timer is None:
            self._timer = self.loop.call_later(min(self.seconds / LOOKS, LONGEST), self._look)

    def _look(self) -> None:
        self._timer = None
        now, before, self._since = self.loop.time(), self._since, {}
        connections = list(self.connections())
        for each in connections:
            waits = waits_for(each)
            if waits is not None:
                former, since = before.get(each, (None, now))
                since = since if former == waits else now
                self._since[each] = waits, since
                if now - since >= self.seconds:
                    let_go(each, waits)
        if connections:
            self.start()


def waits_for(connection: t.Any) -> Waits | None:
    """Return what *connection* waits for its client with, and how far that is; None if it does not."""
    count: int = connection._request_count
    request = connection._current_request
    if request is not None:
        payload = request._payload
        paused = connection._reading_paused or connection._upgraded
        return None if paused or payload.is_eof() else ("body", count, payload.total_bytes)
    if connection._waiter is None or connection._waiter.done():
        return None
    if getattr(connection, "begun", None) == count:
        return "head", count, 0
    return None if count else ("first", 0, 0)


def let_go(connection: t.Any, waits: Waits) -> None:
    """Answer 408 on *connection*, if anything was asked, and have it closed."""
    if waits[0] == "first":
        connection.force_close()
    elif waits[0] == "head":
        # as the parser's own errors are answered
        error = _ErrInfo(status=408, exc=HttpProcessingError(code=408, message=_TEXT), message=_TEXT)
        connection._messages.append((error, EMPTY_PAYLOAD))
        connection._waiter.set_result(None)
    else:
        request = connection._current_request
        connection._lingering_time = 0.0  # what it still sends is not waited for
        request._message = request._message._replace(should_close=True)
        request._payload.set_exception(web.HTTPRequestTimeout(text=_TEXT))
