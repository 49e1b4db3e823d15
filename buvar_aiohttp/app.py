"""The application and the client session: components that other plugins add their routes to, or make requests with."""

from __future__ import annotations

import typing as t

import aiohttp
from aiohttp import web

from buvar import context, plugin

if t.TYPE_CHECKING:
    from aiohttp.typedefs import Handler

# redirects what no route matches to the same path with a slash at its end, or with fewer slashes in it, if that is one
_normalize_path = web.normalize_path_middleware()


def scoped(handle: Handler) -> Handler:
    """Return *handle* so that each request is a scope of its own, with the request as a component of it."""
    current = context.buvar_context

    async def handle_in_scope(request: web.Request) -> web.StreamResponse:
        # what `context.scope` does, written out; the request is filed, but not recorded as an addition, nor under its
        # ten bases: each request passes here, and the rest of its way takes but forty times as long
        components = current.get().push()
        components.put(web.Request, request)
        token = current.set(components)
        try:
            return await handle(request)
        except web.HTTPException as error:
            if error is not request.match_info.http_exception:
                raise
            return await _normalize_path(request, _raise(error))
        finally:
            current.reset(token)

    return handle_in_scope


def _raise(error: web.HTTPException) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raise error

    return handle


async def prepare_app() -> None:
    """Add the ``aiohttp.web.Application``; plugins add routes to it while they prepare."""
    app = context.add(web.Application())
    # not a middleware: the first one costs each request more than the scope does
    object.__setattr__(app, "_handle", scoped(app._handle))


async def prepare_client_session(teardown: plugin.Teardown) -> None:
    """Add an ``aiohttp.ClientSession`` that all plugins share; it is closed at teardown."""
    session = context.add(aiohttp.ClientSession())
    teardown.add(session.close)
