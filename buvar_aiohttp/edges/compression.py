"""Compression: responses that are worth it are compressed as their clients want it.

It is decided when a response is about to send its headers, so that what a handler streams, a file, and an error are
compressed as well. aiohttp does the work; it knows gzip and deflate. What a stream writes goes out at once.

Not compressed is what has an encoding already, a part of something (206), what may not be changed
(``Cache-Control: no-transform``), server-sent events and web sockets, and what is too small. A response to HEAD has the
headers that GET would give, but no length, which nobody knows. A strong ``ETag`` becomes a weak one: the bytes differ.
"""

from __future__ import annotations

import fnmatch
import functools
import typing as t
import zlib

import attrs
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.compression_utils import ZLibCompressor
from aiohttp.web_response import ContentCoding

from . import checks, headers

if t.TYPE_CHECKING:
    import collections.abc as c

Encoding: t.TypeAlias = t.Literal["gzip", "deflate"]
#: what is sent piece by piece, and looked at as it comes
_EVENTS: t.Final = "text/event-stream"
#: statuses of responses without a body, or with a part of one
_PARTIAL: t.Final = 206
_EMPTY: t.Final = frozenset({204, 205, 304})
_NOT_MODIFIED: t.Final = 304
_FIRST_FINAL: t.Final = 200
TYPES: t.Final = (
    "text/*", "application/json", "application/*+json", "application/javascript", "application/xml",
    "application/*+xml", "application/x-ndjson", "image/svg+xml",
)  # fmt: skip


def _not_empty(_: object, attribute: attrs.Attribute[t.Any], value: c.Sized) -> None:
    if not len(value):
        raise ValueError("expected at least one of 'gzip' and 'deflate'", attribute)


@attrs.frozen
class Compression:
    """Which responses are compressed."""

    #: bytes; what is smaller is not worth it
    min_size: int = attrs.field(default=1024, validator=checks.between(0))
    #: their types, with '*' for any part
    types: list[str] = attrs.field(
        factory=lambda: list(TYPES), validator=checks.each(lambda text: "/" in text, "a type as 'text/*'")
    )
    #: what is offered, the best first
    encodings: list[Encoding] = attrs.field(factory=lambda: ["gzip", "deflate"], validator=_not_empty)


class Flushing(ZLibCompressor):
    """Compresses what a stream writes so that its client can read it at once."""

    async def compress(self, data: t.Any) -> bytes:
        """Return *data* compressed, all of it."""
        return await super().compress(data) + self.flush(zlib.Z_SYNC_FLUSH)


class Edge:
    """Compresses responses."""

    def __init__(self, config: Compression) -> None:
        self.min_size = config.min_size
        self.types = tuple(text.lower() for text in config.types)
        self.encodings = tuple(config.encodings)
        # clients and handlers have few of both
        self.is_type = functools.lru_cache(256)(self._is_type)
        self.choose = functools.lru_cache(256)(self._choose)

    async def finish(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Compress *response*, whose headers are about to be sent."""
        if not self._is_worth_it(response):
            return
        headers.vary(response.headers, hdrs.ACCEPT_ENCODING)
        if response.status == _NOT_MODIFIED:
            return
        coding = self.choose(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        if coding is not None and (request.version >= HttpVersion11 or _body(response) is not None):
            await self._compress(request, response, coding)

    def _is_worth_it(self, response: web.StreamResponse) -> bool:
        """Tell whether *response* would be compressed for a client that wants it."""
        status, said = response.status, response.headers
        if status == _NOT_MODIFIED:
            return True
        if status < _FIRST_FINAL or status == _PARTIAL or status in _EMPTY or hdrs.CONTENT_ENCODING in said:
            return False
        if hdrs.CONTENT_RANGE in said or "no-transform" in said.get(hdrs.CACHE_CONTROL, "").lower():
            return False
        size = said.get(hdrs.CONTENT_LENGTH)
        return (size is None or int(size) >= self.min_size) and self.is_type(said.get(hdrs.CONTENT_TYPE, ""))

    def _is_type(self, text: str) -> bool:
        name = text.partition(";")[0].strip().lower()
        return name != _EVENTS and any(fnmatch.fnmatchcase(name, each) for each in self.types)

    def _choose(self, accepted: str) -> ContentCoding | None:
        """Return what a client that sends ``Accept-Encoding: accepted`` likes best of what is offered."""
        weights = dict(map(_weight, filter(None, map(str.strip, accepted.lower().split(",")))))
        if "x-gzip" in weights:
            weights.setdefault("gzip", weights["x-gzip"])
        others = weights.get("*", 0.0)
        liked = {each: weights.get(each, others) for each in self.encodings}
        best = max(self.encodings, key=liked.__getitem__)
        return None if not liked[best] or liked[best] < weights.get("identity", 0.0) else ContentCoding(best)

    async def _compress(self, request: web.BaseRequest, response: web.StreamResponse, coding: ContentCoding) -> None:
        said = response.headers
        if (etag := said.get(hdrs.ETAG)) is not None and not etag.startswith("W/"):
            said[hdrs.ETAG] = f"W/{etag}"
        said.popall(hdrs.ACCEPT_RANGES, None)
        if request.method == hdrs.METH_HEAD:
            said[hdrs.CONTENT_ENCODING] = coding.value
            said.popall(hdrs.CONTENT_LENGTH, None)
            return
        # what `enable_compression` has aiohttp do, which it would have done just before this
        await response._do_start_compression(coding)
        writer: t.Any = request.writer
        if _body(response) is not None:
            writer.length = response.content_length
            return
        response._compression = True  # a file is not sent by the kernel then
        writer.length = None
        writer.enable_chunking()
        said[hdrs.TRANSFER_ENCODING] = "chunked"
        if not isinstance(response, web.Response | web.FileResponse):
            writer._compress = Flushing(encoding=coding.value)


def _body(response: web.StreamResponse) -> c.Sized | None:
    """Return the body if it is there as a whole."""
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes | bytearray) else None


def _weight(text: str) -> tuple[str, float]:
    """Return an encoding and its quality value, which a client writes as ``gzip;q=0.5``; 0 where it writes nonsense."""
    name, *rest = (part.strip() for part in text.split(";"))
    for each in rest:
        key, _, value = each.partition("=")
        if key.strip() == "q":
            try:
                return name, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return name, 0.0
    return name, 1.0
