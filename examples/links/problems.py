"""Errors as JSON problem bodies (RFC 9457): ``{"title": …, "status": …, "detail": …}``."""

from __future__ import annotations

import collections.abc as c
import http
import sqlite3
import typing as t

import aiohttp.web
import attrs
import structlog

import buvar_aiohttp.json
from buvar import context, plugin

from . import database

log = structlog.get_logger(__name__)

Handler: t.TypeAlias = c.Callable[[aiohttp.web.Request], c.Awaitable[aiohttp.web.StreamResponse]]

#: headers of an error of aiohttp that describe its own body
OF_BODY = frozenset({"content-type", "content-length"})


@attrs.frozen(eq=False)
class Problem(Exception):
    """A request that cannot be answered: the status, why in one sentence, and headers that go with it."""

    status: int
    detail: str
    headers: c.Mapping[str, str] = attrs.field(factory=dict)

    def response(self) -> aiohttp.web.Response:
        title = http.HTTPStatus(self.status).phrase
        body = {"title": title, "status": self.status, "detail": self.detail}
        response = buvar_aiohttp.json.response(body, self.status, headers=self.headers)
        response.content_type = "application/problem+json"
        return response


def _of_aiohttp(error: aiohttp.web.HTTPException, request: aiohttp.web.Request) -> Problem:
    details = {
        404: f"there is nothing at {request.path}",
        405: f"{request.method} is not allowed at {request.path}",
    }
    headers = {key: value for key, value in error.headers.items() if key.lower() not in OF_BODY}
    return Problem(error.status, details.get(error.status) or error.text or error.reason, headers)


@aiohttp.web.middleware
async def tell(request: aiohttp.web.Request, handler: Handler) -> aiohttp.web.StreamResponse:
    """Answer with a problem body whatever goes wrong; what is no fault of the client is logged, and not told."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except aiohttp.web.HTTPException as error:
        if error.status < http.HTTPStatus.BAD_REQUEST:
            raise
        return _of_aiohttp(error, request).response()
    except sqlite3.OperationalError as error:
        log.exception("request failed", method=request.method, path=request.path)
        if database.is_busy(error):
            return Problem(503, "the database is busy; try again", {"Retry-After": "1"}).response()
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
    return Problem(500, "the request failed; the log of the service says why").response()


async def prepare(load: plugin.Loader) -> None:
    """Put `tell` around all requests of the application."""
    await load("buvar_aiohttp", "buvar_aiohttp.json")
    context.get(aiohttp.web.Application).middlewares.append(tell)
