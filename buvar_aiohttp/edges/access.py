"""The access log: a line for each response, with fields, through the same chain as all other lines.

No query is logged, since secrets come in queries; the path is logged as it was sent, percent-encoded. What else a
client sends is escaped where it does not print, so that nobody can write lines, or to a terminal, through the log.
"""

from __future__ import annotations

import sys
import typing as t

import structlog
from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger

from buvar_aiohttp.http import problems

from . import request_id

if t.TYPE_CHECKING:
    import logging

#: a longer one is cut: it tells nothing more
_AGENT_LENGTH: t.Final = 256


def printable(text: str) -> str:
    """Return *text* with escapes for what does not print: control characters, half characters, line separators."""
    return text if text.isprintable() else ascii(text)[1:-1]


class AccessLog(AbstractAccessLogger):
    """Logs responses when they are sent, or when their clients have left."""

    __slots__ = ("_log",)

    def __init__(self, logger: logging.Logger, log_format: str = "") -> None:
        super().__init__(logger, log_format)
        self._log = structlog.wrap_logger(logger)

    @property
    def enabled(self) -> bool:
        """Whether anybody would see it: requests are not even timed otherwise."""
        return self.logger.isEnabledFor(20)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log *response*, which took so many seconds of *time*."""
        fields: dict[str, t.Any] = {
            "method": request.method,
            "path": self._path(request),
            "status": response.status,
            "seconds": round(time, 6),
            "bytes": response.body_length,
            "remote": request.remote,
        }
        if (agent := request.headers.get(hdrs.USER_AGENT)) is not None:
            fields["user_agent"] = printable(agent[:_AGENT_LENGTH])
        if (text := request.get(request_id.KEY)) is not None:
            fields["request_id"] = text
        error = sys.exception()
        if error is not None and not isinstance(error, web.HTTPException | problems.Problem):
            fields["error"] = type(error).__qualname__
        self._log.info("request", **fields)

    def _path(self, request: web.BaseRequest) -> str:
        return request.rel_url.raw_path


class AccessLogWithQuery(AccessLog):
    """The same, with the query."""

    __slots__ = ()

    def _path(self, request: web.BaseRequest) -> str:
        return request.rel_url.raw_path_qs
