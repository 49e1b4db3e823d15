"""The HTTP benchmark as one writes it by hand for aiohttp, with msgspec: ``http_bare.py <port>``."""

from __future__ import annotations

import functools
import os
import sys

import msgspec
import uvloop
from aiohttp import web
from http_shop import TEXT, Store, Unit
from http_structs import Item, Order

STORE = web.AppKey("store", Store)

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
json = functools.partial(web.Response, content_type="application/json")


async def text(request: web.Request) -> web.Response:
    return web.Response(text=TEXT)


async def item(request: web.Request) -> web.Response:
    try:
        number = int(request.match_info["number"])
        limit = int(request.query["limit"])
    except (KeyError, ValueError) as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    unit = Unit(request.app[STORE])
    name, price, like = unit.find(number, limit)
    return json(body=encode(Item(number, name, price, limit, like)))


async def order(request: web.Request) -> web.Response:
    try:
        got = decode_order(await request.read())
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return json(body=encode(got))


async def mark(request: web.Request) -> web.Response:
    """Have who counts instructions begin a new stretch."""
    os.getppid()
    return web.Response()


def make() -> web.Application:
    made = web.Application()
    made[STORE] = Store()
    made.router.add_get("/text", text)
    made.router.add_get("/items/{number}", item)
    made.router.add_post("/orders", order)
    made.router.add_get("/mark", mark)
    return made


if __name__ == "__main__":
    web.run_app(
        make(), host="127.0.0.1", port=int(sys.argv[1]), loop=uvloop.new_event_loop(), access_log=None, print=None
    )
