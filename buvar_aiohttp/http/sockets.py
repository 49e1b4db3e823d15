"""Web sockets: a handler that is given the open socket, with its parameters bound and injected as those of any other.

::

    @http.websocket("/rooms/{name}")
    async def talk(socket: web.WebSocketResponse, name: str, rooms: Rooms) -> None:
        async for message in socket:
            await rooms.of(name).tell(message.data)

What is wrong with the request is answered before the socket opens. A page of another site is refused, since a browser
sends the cookies of this one with its request, unless *origins* says that it may. The socket is closed when the handler
returns (1000), fails (1011), or the server stops (1001).
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextlib
import typing as t
import urllib.parse

import attrs
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from . import ending
from .problems import Problem
from .routes import Options, Spec, mark

F = t.TypeVar("F", bound=c.Callable[..., t.Any])


@attrs.frozen
class SocketOptions:
    """What a web socket may be; see `websocket`."""

    origins: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    heartbeat: float | None = 30.0
    max_message: int = 4 * 2**20


def websocket(
    path: str,
    *,
    origins: c.Iterable[str] = (),
    protocols: c.Iterable[str] = (),
    heartbeat: float | None = 30.0,
    max_message: int = 4 * 2**20,
    **options: t.Unpack[Options],
) -> c.Callable[[F], F]:
    """Have a function talk over web sockets at *path*; it takes one as an ``aiohttp.web.WebSocketResponse``.

    *origins* are the other sites, as ``"https://example.org"``, whose pages may open one; ``"*"`` is any. *protocols*
    are what can be spoken. A client that does not answer a ping, one in *heartbeat* seconds, is given up. A message has
    at most *max_message* bytes.
    """
    socket = SocketOptions(tuple(origins), tuple(protocols), heartbeat, max_message)
    spec = Spec(method="GET", path=path, socket=socket, **t.cast("t.Any", options))
    return lambda function: mark(function, spec)


def check(request: web.Request, options: SocketOptions) -> None:
    """Raise `Problem` for a request that opens no web socket, or that a page of a foreign site sends."""
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Problem(426, "this is a web socket", headers={hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade"})
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or "*" in options.origins or origin in options.origins:
        return
    if _authority(origin) != request.host.lower():  # which a trusted proxy may have told
        raise Problem(403, f"pages of {origin[:100]} may not open this web socket")


def _authority(origin: str) -> str | None:
    try:
        return urllib.parse.urlsplit(origin).netloc.lower()
    except ValueError:
        return None


class Socket(web.WebSocketResponse):
    """A web socket over which is iterated until it is closed, also where its client sends what is no message."""

    async def __anext__(self) -> t.Any:
        message = await super().__anext__()
        if message.type is WSMsgType.ERROR:
            raise StopAsyncIteration
        return message


async def opened(request: web.Request, options: SocketOptions) -> web.WebSocketResponse:
    """Return the web socket that *request* asks for."""
    socket = Socket(protocols=options.protocols, heartbeat=options.heartbeat, max_msg_size=options.max_message)
    try:
        await socket.prepare(request)
    except web.HTTPBadRequest as error:
        raise Problem(400, error.text) from None
    ending.add(request, socket)
    return socket


async def talked(
    request: web.Request, socket: web.WebSocketResponse, talk: c.Coroutine[t.Any, t.Any, t.Any]
) -> web.WebSocketResponse:
    """Return *socket*, closed, when the handler is through.

    Raises what the handler raises, and ConnectionResetError where it had to be ended, since the client has left.
    """
    talking = request[ending.KEY] = ending.Talk()
    try:
        await talk
    except asyncio.CancelledError:
        if not talking.has_left or talking.task is None:
            raise
        talking.task.uncancel()
        raise ConnectionResetError("the client has left") from None
    except Exception:
        with contextlib.suppress(ConnectionError):
            await socket.close(code=WSCloseCode.INTERNAL_ERROR)
        raise
    finally:
        talking.done = True
    await socket.close()
    return socket
