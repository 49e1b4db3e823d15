"""The HTTP benchmark as one writes it for buvar: a plugin."""

from __future__ import annotations

import collections.abc as c
import os
import typing as t

from aiohttp import web
from http_shop import TEXT, Store, Unit
from http_structs import Item, Order

from buvar import context, di, plugin
from buvar_aiohttp import http


@http.get("/text")
async def text() -> str:
    return TEXT


@http.get("/items/{number}")
async def item(number: int, limit: int, store: Store, unit: Unit) -> Item:
    assert unit.store is store
    name, price, like = unit.find(number, limit)
    return Item(number, name, price, limit, like)


@http.post("/orders")
async def order(order: Order) -> Order:
    return order


@http.get("/around")
async def wrapped() -> str:
    return TEXT


def make_around() -> c.Callable[..., c.Awaitable[t.Any]]:
    """Return a function that wraps calls, and another one each time."""

    async def around(call: http.Call, request: web.Request) -> web.StreamResponse:
        return await call()

    return around


async def mark(request: web.Request) -> web.Response:
    """Have who counts instructions begin a new stretch."""
    os.getppid()
    return web.Response()


async def prepare(load: plugin.Loader) -> None:
    await load("buvar_aiohttp")
    di.singleton(Store)
    di.scoped(Unit)
    http.mount(text, item, order)
    http.mount(wrapped, around=[make_around() for _ in range(5)])
    context.get(web.Application).router.add_get("/mark", mark)
