"""The application and the client session: components that other plugins add their routes to, or make requests with."""

from __future__ import annotations

import functools
import typing as t
import weakref

import aiohttp
from aiohttp import web

from buvar import context, di, diagnostic, plugin
from buvar import routes as listings

from . import connections, homes, routing
from .http import after, ending, mounting
from .routing import routes

if t.TYPE_CHECKING:
    import collections.abc as c


async def prepare_app(load: plugin.Loader) -> None:
    """Add the ``aiohttp.web.Application``; plugins add routes to it while they prepare."""
    await load("buvar.plugins.bg")
    di.scoped(after.of)
    app = context.add(web.Application())
    object.__setattr__(app, "_router", routing.Router())  # before anything is added; to pass it is deprecated
    # not a middleware: the first one costs each request more than the scope does
    object.__setattr__(app, "_make_handler", connections.serving(app))
    app[ending.OPEN] = weakref.WeakSet()
    homes.settle(app)
    app.on_shutdown.append(ending.close_all)
    context.add(diagnostic.Check("buvar_aiohttp.routes", functools.partial(routes.look, app)))
    context.add(diagnostic.Check("buvar_aiohttp.handlers", mounting.check))
    context.add(listings.Listing("buvar_aiohttp", functools.partial(_listed, app)))


def _listed(app: web.Application) -> c.Iterable[listings.Route]:
    from .routing import listing  # only for who lists them

    return listing.tell(app)


async def prepare_client_session(teardown: plugin.Teardown) -> None:
    """Add an ``aiohttp.ClientSession`` that all plugins share; it is closed at teardown."""
    session = context.add(aiohttp.ClientSession())
    teardown.add(session.close)
