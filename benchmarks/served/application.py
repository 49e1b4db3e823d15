"""Hello, world as an aiohttp application, for gunicorn and for the server by hand, with what tells of the worker."""

from __future__ import annotations

import asyncio
import os
import time

from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world")


async def pid(request: web.Request) -> web.Response:
    """Tell who answers."""
    return web.Response(text=str(os.getpid()))


async def slow(request: web.Request) -> web.Response:
    """Tell who answers, after the seconds in the query."""
    await asyncio.sleep(float(request.query_string))
    return await pid(request)


async def block(request: web.Request) -> web.Response:
    """Tell who answers, after having blocked the loop for the seconds in the query."""
    time.sleep(float(request.query_string))
    return await pid(request)


def add_routes(app: web.Application) -> None:
    for path, handler in {"/": hello, "/pid": pid, "/slow": slow, "/block": block}.items():
        app.router.add_get(path, handler)


def make() -> web.Application:
    made = web.Application()
    add_routes(made)
    return made


async def factory() -> web.Application:
    """Make the application in the worker, as gunicorn's worker for aiohttp takes it."""
    return make()
