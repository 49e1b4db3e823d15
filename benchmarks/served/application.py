"""Hello, world as an aiohttp application, for gunicorn and for the server by hand."""

from __future__ import annotations

from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world")


def make() -> web.Application:
    made = web.Application()
    made.router.add_get("/", hello)
    return made


async def factory() -> web.Application:
    """Make the application in the worker, as gunicorn's worker for aiohttp takes it."""
    return make()
