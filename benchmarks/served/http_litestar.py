"""The HTTP benchmark as Litestar's documentation has one write it, with its native bodies: msgspec's."""

from http_shop import TEXT, Store, Unit
from http_structs import Item, Order
from litestar import Litestar, MediaType, get, post
from litestar.di import Provide


async def give_store() -> Store:
    return Store()


async def give_unit(store: Store) -> Unit:
    return Unit(store)


@get("/text", media_type=MediaType.TEXT)
async def text() -> str:
    return TEXT


@get("/items/{number:int}")
async def item(number: int, limit: int, store: Store, unit: Unit) -> Item:
    assert unit.store is store
    name, price, like = unit.find(number, limit)
    return Item(number, name, price, limit, like)


@post("/orders", status_code=200)
async def order(data: Order) -> Order:
    return data


app = Litestar(
    [text, item, order],
    dependencies={"store": Provide(give_store, use_cache=True), "unit": Provide(give_unit)},
    openapi_config=None,
)
