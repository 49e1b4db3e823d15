"""Hello, world in bare ASGI, for uvicorn."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

BODY = b"Hello, world"
HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: dict[str, t.Any], receive: c.Callable[..., t.Any], send: c.Callable[..., t.Any]) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
