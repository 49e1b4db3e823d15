"""Hello, world in bare ASGI, for uvicorn and granian, with what tells of the worker."""

from __future__ import annotations

import asyncio
import os
import time
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

    Send: t.TypeAlias = c.Callable[..., t.Any]

TYPE = (b"content-type", b"text/plain; charset=utf-8")
BODY = b"Hello, world"
HEADERS = [TYPE, (b"content-length", b"%d" % len(BODY))]


async def app(scope: dict[str, t.Any], receive: c.Callable[..., t.Any], send: Send) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] != "/":
        await tell(scope, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def tell(scope: dict[str, t.Any], send: Send) -> None:
    """Tell who answers; ``/slow`` waits for the seconds in the query before, ``/block`` blocks the loop for them."""
    seconds = float(scope["query_string"] or 0)
    if scope["path"] == "/slow":
        await asyncio.sleep(seconds)
    elif scope["path"] == "/block":
        time.sleep(seconds)
    body = b"%d" % os.getpid()
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [TYPE, length]})
    await send({"type": "http.response.body", "body": body})
