"""Hello, world as a plugin, for our buvar and for upstream's."""

from __future__ import annotations

from aiohttp import web

from buvar import context, plugin


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world")


async def prepare(load: plugin.Loader):  # upstream takes a "-> None" for a component that is asked for
    await load("buvar_aiohttp")
    context.get(web.Application).router.add_get("/", hello)
