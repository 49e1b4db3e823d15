"""Slow clients: who keeps the server waiting for a request, or within one, for too long is answered 408 and let go.

A look at all connections, a few times within the timeout, notes on which of them the server waits for its client, and
for how long: so requests pay nothing for it. A client is waited for

| where                               | since                                  | then                                |
|-------------------------------------|----------------------------------------|-------------------------------------|
| the head of its first request lacks | it connected                           | 408, and the connection is closed   |
| a body is not at its end            | its last byte, while somebody may read | reading it raises a 408; closed      |
| it reads nothing of what it is sent | what it last read                      | the connection is cut               |
| a further head lacks                | the last response                      | ``keepalive_timeout`` has it closed |

However a head trickles in, its time does not begin anew; and who begins a further one has no more of the server than
who sends nothing.
"""

from __future__ import annotations

import typing as t

import attrs
import structlog

from buvar_aiohttp.http import problems

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

log = structlog.get_logger(__name__)

#: how often the connections are looked at within the timeout, and seconds between two looks at most
LOOKS: t.Final = 4
LONGEST: t.Final = 5.0
_TEXT: t.Final = "the request was not complete in time"
_BODY: t.Final = t.cast("bytes", problems.Problem(408, _TEXT).response().body)
#: what is answered where there is no request yet that could be answered
_RESPONSE: t.Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_BODY), _BODY)
)

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
                if now - since < self.seconds:
                    self._since[each] = waits, since
                elif waits[0] == "answer":
                    cut(each)
                else:
                    let_go(each)
        if connections:
            self.start()


def waits_for(connection: t.Any) -> Waits | None:
    """Return what *connection* waits for its client with, and how far that is; None if it does not."""
    count: int = connection._request_count
    request = connection._current_request
    buffered = 0 if connection.transport is None else connection.transport.get_write_buffer_size()
    if buffered:  # what the client has not read is more than the system keeps for it
        sent = 0 if request is None else request.writer.output_size
        return "answer", count, sent - buffered
    if request is not None:
        payload = request._payload
        paused = connection._reading_paused or connection._upgraded
        return None if paused or payload.is_eof() or payload.exception() else ("body", count, payload.total_bytes)
    idle = connection._waiter is not None and not connection._waiter.done()
    return ("head", 0, 0) if idle and not count else None


def let_go(connection: t.Any) -> None:
    """Answer 408 on *connection*, and have it closed."""
    request = connection._current_request
    if request is None:
        log.info("a request was not complete in time", remote=_remote(connection.peername))
        connection.transport.write(_RESPONSE)
        connection.force_close()
    else:
        connection._lingering_time = 0.0  # what it still sends is not waited for
        request._message = request._message._replace(should_close=True)
        request._payload.set_exception(problems.Problem(408, _TEXT))


def cut(connection: t.Any) -> None:
    """Cut *connection*: whoever writes to it learns that its client has left."""
    log.info("a client did not read its answer in time", remote=_remote(connection.peername))
    connection.transport.abort()


def _remote(peername: t.Any) -> str | None:
    return str(peername[0]) if isinstance(peername, tuple) else None
