"""Hello, world as a plugin, for our buvar and for upstream's."""

from __future__ import annotations

import application
from aiohttp import web

from buvar import context, plugin


async def prepare(load: plugin.Loader):  # upstream takes a "-> None" for a component that is asked for
    await load("buvar_aiohttp")
    application.add_routes(context.get(web.Application))
