"""Few or many routes of every shape, for our look-up: the plugins ``http_routes:few`` and ``http_routes:many``."""

from __future__ import annotations

import typing as t

import http_buvar
from aiohttp import web

from buvar import context, plugin
from buvar_aiohttp import http

if t.TYPE_CHECKING:
    import collections.abc as c


async def few(load: plugin.Loader) -> None:
    await prepare(load, 10)


async def many(load: plugin.Loader) -> None:
    await prepare(load, 10_000)


async def prepare(load: plugin.Loader, routes: int) -> None:
    await load("buvar_aiohttp")
    http.mount(http_buvar.text, *(route for number in range(routes // 5) for route in make_routes(number)))
    context.get(web.Application).router.add_get("/mark", http_buvar.mark)


def make_routes(number: int) -> tuple[c.Callable[..., t.Any], ...]:
    """Return a route of each shape, which tells its *number*."""

    @http.get(f"/static/{number}/leaf")
    async def static() -> str:
        return f"static {number}"

    @http.get(f"/tail{number}/{{name}}")
    async def tail(name: str) -> str:
        return f"tail {number}"

    @http.get(f"/middle/{{name}}/leaf{number}")
    async def middle(name: str) -> str:
        return f"middle {number}"

    @http.get(f"/{{tenant}}/things{number}/{{name}}")
    async def tenant(tenant: str, name: str) -> str:
        return f"tenant {number}"

    @http.get(f"/pattern{number}/{{name:[a-z]+}}")
    async def pattern(name: str) -> str:
        return f"pattern {number}"

    return static, tail, middle, tenant, pattern
