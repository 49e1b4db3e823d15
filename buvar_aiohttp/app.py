"""The application and the client session: components that other plugins add their routes to, or make requests with."""

from __future__ import annotations

import typing as t

import aiohttp
from aiohttp import web

from buvar import context, plugin

if t.TYPE_CHECKING:
    from aiohttp.typedefs import Handler

# answers what no route matches: redirects to the same path with a slash at its end, or with fewer slashes in it
_normalize_path = web.normalize_path_middleware()


@web.middleware
async def request_scope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Make each request a scope of its own, with the request as a component of it."""
    async with context.scope("request") as components:
        # on the path of each request: filed, but not recorded as an addition, and not under each of its ten bases
        components.stack[0].unnamed[web.Request] = request
        if request.match_info.http_exception is None:
            return await handler(request)
        return await _normalize_path(request, handler)


async def prepare_app() -> None:
    """Add the ``aiohttp.web.Application``; plugins add routes to it while they prepare."""
    context.add(web.Application(middlewares=[request_scope]))


async def prepare_client_session(teardown: plugin.Teardown) -> None:
    """Add an ``aiohttp.ClientSession`` that all plugins share; it is closed at teardown."""
    session = context.add(aiohttp.ClientSession())
    teardown.add(session.close)
