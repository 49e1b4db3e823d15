"""The HTTP benchmark as one writes it by hand for Starlette, with msgspec."""

from __future__ import annotations

import functools
import typing as t

import msgspec
from http_shop import TEXT, Store, Unit
from http_structs import Item, Order
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if t.TYPE_CHECKING:
    from starlette.requests import Request

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
json = functools.partial(Response, media_type="application/json")


async def text(request: Request) -> Response:
    return PlainTextResponse(TEXT)


async def item(request: Request) -> Response:
    try:
        number = int(request.path_params["number"])
        limit = int(request.query_params["limit"])
    except (KeyError, ValueError) as error:
        return PlainTextResponse(str(error), status_code=400)
    unit = Unit(request.app.state.store)
    name, price, like = unit.find(number, limit)
    return json(encode(Item(number, name, price, limit, like)))


async def order(request: Request) -> Response:
    try:
        got = decode_order(await request.body())
    except msgspec.DecodeError as error:
        return PlainTextResponse(str(error), status_code=400)
    return json(encode(got))


app = Starlette(
    routes=[Route("/text", text), Route("/items/{number}", item), Route("/orders", order, methods=["POST"])],
)
app.state.store = Store()
