"""Results: the response for what a handler returns.

| a handler returns                     | the response                                                            |
|---------------------------------------|-------------------------------------------------------------------------|
| a ``StreamResponse`` of aiohttp        | that one                                                                |
| ``None``                              | 204, without a body                                                     |
| ``str``, ``bytes``                    | that, as ``text/plain`` in UTF-8, as ``application/octet-stream``        |
| `Response`                            | its value, with its status and headers                                  |
| anything else                         | JSON                                                                    |
| (an async generator) `Event` objects  | server-sent events                                                      |
| (an async generator) str or bytes     | a stream of them                                                        |
| (an async generator) anything else    | a stream of JSON, one in each line (``application/x-ndjson``)           |
"""

from __future__ import annotations

import asyncio
import enum
import math
import re
import typing as t

import attrs
import msgspec
from aiohttp import hdrs, web

from buvar.components import missing

from . import ending
from .answers import Answer

if t.TYPE_CHECKING:
    import collections.abc as c

T_co = t.TypeVar("T_co", covariant=True)

JSON: t.Final = "application/json"
TEXT: t.Final = "text/plain; charset=utf-8"
BYTES: t.Final = "application/octet-stream"
EVENTS: t.Final = "text/event-stream"
LINES: t.Final = "application/x-ndjson"


@attrs.frozen
class Response(t.Generic[T_co]):
    """A result with a *status* and *headers*; without a status it is that of the route, 200 by default."""

    value: T_co = t.cast("t.Any", None)
    status: int | None = attrs.field(default=None, kw_only=True)
    headers: c.Mapping[str, str] = attrs.field(factory=dict, kw_only=True)


@attrs.frozen
class Event:
    """A server-sent event: *data* is a text as it is, anything else as JSON. *retry* is in seconds."""

    data: t.Any = None
    event: str | None = attrs.field(default=None, kw_only=True)
    id: str | None = attrs.field(default=None, kw_only=True)
    retry: float | None = attrs.field(default=None, kw_only=True)
    comment: str | None = attrs.field(default=None, kw_only=True)

    def encode(self) -> bytes:
        """Return the event as it is sent. Raises ValueError for a line break or a time that there cannot be."""
        lines = []
        if self.comment is not None:
            lines += [f": {line}" for line in _lines(self.comment)]
        for field, text in (("event", self.event), ("id", self.id)):
            if text is not None:
                if any(sign in text for sign in "\r\n\0"):
                    raise ValueError(f"the {field} of an event is one line, not {text!r}")
                lines.append(f"{field}: {text}")
        if self.retry is not None:
            if not 0 <= self.retry < math.inf:
                raise ValueError(f"the retry of an event is a number of seconds, not {self.retry}")
            lines.append(f"retry: {round(self.retry * 1000)}")
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else encode(self.data).decode()
            lines += [f"data: {line}" for line in _lines(text)]
        return ("\n".join(lines) + "\n\n").encode()


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _stand_in(value: t.Any) -> t.Any:
    """Return what stands in JSON for what msgspec does not know: what its method ``__json__`` returns."""
    if hasattr(value, "__json__"):
        return value.__json__()
    name = type(value).__qualname__
    raise TypeError(f"{name} cannot be written as JSON; make it an attrs class, or give it a method __json__")


#: what aiohttp refuses in a header when it sends it
_UNSENDABLE: t.Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BYTES: t.Final = frozenset({bytes, bytearray, memoryview})

_encoder: t.Final = msgspec.json.Encoder(enc_hook=_stand_in)
#: return an object as JSON
encode: t.Final = _encoder.encode


def respond(value: t.Any, status: int = 200) -> web.StreamResponse:
    """Return the response for *value*, with *status* where the value does not say one."""
    kind = value.__class__
    if kind is str:
        return Answer(value.encode(), TEXT, status)
    bases = kind.__mro__
    if web.StreamResponse in bases:
        return t.cast("web.StreamResponse", value)
    if value is None:
        return web.Response(status=204 if status == 200 else status)
    if kind is Response:
        return _with_headers(value, status)
    if str in bases and enum.Enum not in bases:
        return Answer(str.__str__(value).encode(), TEXT, status)
    if kind in _BYTES or bytes in bases:
        return Answer(bytes(value), BYTES, status)
    return Answer(encode(value), JSON, status)


def _with_headers(result: Response[t.Any], status: int) -> web.StreamResponse:
    if isinstance(result.value, web.StreamResponse | Response):
        raise TypeError("the value of an http.Response is itself a response; set its status and headers on that")
    made = respond(result.value, status if result.status is None else result.status)
    if result.value is None and result.status is not None:
        made.set_status(result.status)
    for name, value in result.headers.items():
        if _UNSENDABLE.search(f"{name}{value}"):  # told now: what the request did can still be undone
            raise ValueError(f"the header {name!r} cannot be sent, since there is a control character in it")
    made.headers.update(result.headers)
    return made


async def stream(
    request: web.Request, items: c.AsyncGenerator[t.Any, None], status: int = 200, empty: str = BYTES
) -> web.StreamResponse:
    """Send what *items* yields, and return the response that was sent; *empty* is its media type if that is nothing.

    What fails before the first item is an error like that of any handler. Raises ConnectionResetError where the client
    leaves, also while *items* waits for the next one.
    """
    sending = request[ending.KEY] = ending.Stream()
    try:
        return await _send(request, items, status, empty, sending)
    except asyncio.CancelledError:
        if not sending.has_left or sending.task is None:
            raise
        sending.task.uncancel()
        raise ConnectionResetError("the client has left") from None
    finally:
        sending.done = True
        await items.aclose()


async def _send(
    request: web.Request, items: c.AsyncGenerator[t.Any, None], status: int, empty: str, sending: ending.Stream
) -> web.StreamResponse:
    first = await anext(items, missing)
    media_type = empty if first is missing else _media_type(first)
    response = web.StreamResponse(status=status, headers={hdrs.CONTENT_TYPE: media_type})
    if media_type == EVENTS:
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
    await response.prepare(request)
    if first is not missing and request.method != hdrs.METH_HEAD:
        if isinstance(first, Event):
            ending.add(request, sending)
        try:
            await response.write(_chunk(first))
            async for each in items:
                await response.write(_chunk(each))
        except asyncio.CancelledError:
            if not sending.is_over or sending.task is None:
                raise
            sending.task.uncancel()  # the server stops: the stream ends well
    sending.done = True
    await response.write_eof()
    return response


def _media_type(item: t.Any) -> str:
    if isinstance(item, Event):
        return EVENTS
    if isinstance(item, str):
        return TEXT
    return BYTES if isinstance(item, bytes | bytearray) else LINES


def _chunk(item: t.Any) -> bytes:
    if isinstance(item, Event):
        return item.encode()
    if isinstance(item, str):
        return item.encode()
    return bytes(item) if isinstance(item, bytes | bytearray) else encode(item) + b"\n"
