"""The HTTP benchmark as FastAPI's documentation has one write it."""

import functools
import typing as t

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from http_models import Item, Order
from http_shop import TEXT, Store, Unit

app = FastAPI()


@functools.lru_cache
def make_store() -> Store:
    return Store()


# a coroutine function, since FastAPI has others called by a thread
async def give_store() -> Store:
    return make_store()


async def give_unit(store: t.Annotated[Store, Depends(give_store)]) -> Unit:
    return Unit(store)


@app.get("/text", response_class=PlainTextResponse)
async def text() -> str:
    return TEXT


@app.get("/items/{number}")
async def item(
    number: int,
    limit: int,
    store: t.Annotated[Store, Depends(give_store)],
    unit: t.Annotated[Unit, Depends(give_unit)],
) -> Item:
    assert unit.store is store
    name, price, like = unit.find(number, limit)
    return Item(id=number, name=name, price=price, limit=limit, like=like)


@app.post("/orders")
async def order(order: Order) -> Order:
    return order
