"""Answers: the responses that nearly all results become, made and sent in fewer steps than aiohttp's own.

What is sent is the same, byte for byte: where there is more to it than a few bytes for a client that speaks HTTP/1.1,
aiohttp does it.
"""

from __future__ import annotations

import typing as t

from aiohttp import HttpVersion11, compression_utils, hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE
from multidict import CIMultiDict

if t.TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter


class Answer(web.Response):
    """A response of bytes: it is not looked at what else it could be."""

    _zlib_executor_size = compression_utils.MAX_SYNC_CHUNK_SIZE
    _zlib_executor = None

    def __init__(self, body: bytes, media_type: str, status: int) -> None:
        headers = CIMultiDict[str]()
        headers[hdrs.CONTENT_TYPE] = media_type
        web.StreamResponse.__init__(self, status=status, _real_headers=headers)
        self._body = body

    async def _start(self, request: web.BaseRequest) -> AbstractStreamWriter:
        headers, body = self._headers, self._body
        if (
            request.version != HttpVersion11
            or self._must_be_empty_body
            or self._chunked
            or self._compression
            or self._cookies
            or body.__class__ is not bytes
            or hdrs.CONTENT_LENGTH in headers
            or hdrs.TRANSFER_ENCODING in headers
        ):
            return await super()._start(request)
        # what `Response._start` and the four coroutines below it do then
        self._req = request
        writer = self._payload_writer = request._payload_writer
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        writer.length = len(body)
        headers[hdrs.CONTENT_LENGTH] = str(writer.length)
        if hdrs.CONTENT_TYPE not in headers and writer.length:
            headers[hdrs.CONTENT_TYPE] = "application/octet-stream"
        if hdrs.DATE not in headers:
            headers[hdrs.DATE] = rfc822_formatted_time()
        if hdrs.SERVER not in headers:
            headers[hdrs.SERVER] = SERVER_SOFTWARE
        if not self._keep_alive and hdrs.CONNECTION not in headers:
            headers[hdrs.CONNECTION] = "close"
        await request._prepare_hook(self)
        await writer.write_headers(f"HTTP/1.1 {self._status} {self._reason}", headers)
        return writer
