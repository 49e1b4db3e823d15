"""A service with a handler for every kind of parameter and result, which the tests describe and attack."""

import collections.abc as c
import dataclasses
import datetime as dt
import decimal
import enum
import typing as t
import uuid

import attrs
import msgspec
from aiohttp import web

from buvar import context, plugin
from buvar_aiohttp import http

Positive: t.TypeAlias = t.Annotated[int, msgspec.Meta(ge=1, le=1000)]
Name: t.TypeAlias = t.Annotated[str, msgspec.Meta(min_length=1, max_length=40, description="What it is called")]


class Color(enum.Enum):
    """A color that there is."""

    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Item:
    """A thing to buy.

    It has a name.
    """

    name: Name
    amount: Positive = 1
    color: Color = Color.RED
    tags: list[str] = attrs.field(factory=list)
    parts: "list[Item]" = attrs.field(factory=list)
    when: dt.datetime | None = None


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: uuid.UUID
    day: dt.date
    price: t.Annotated[float, msgspec.Meta(gt=0)] | None = None


T = t.TypeVar("T")


class Page(msgspec.Struct, t.Generic[T]):
    items: list[T]
    next: int | None = None


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


@dataclasses.dataclass
class Stored:
    id: int
    item: Item


class Users:
    """What is injected."""


# parameters


@http.get("/items/{number}")
async def show(number: Positive, users: Users, full: bool = False) -> Stored | None:
    """Return an item.

    It is nothing where there is none; `full` tells <b>all</b> of it.
    """
    return Stored(number, Item("tea")) if number % 2 else None


@http.get(r"/years/{year:\d{4}}/{month:0[1-9]|1[0-2]}/{rest:.*}")
async def archive(year: int, month: str, rest: str) -> list[str]:
    return [str(year), month, rest]


@http.get("/search")
async def search(
    q: str,
    size: Positive = 20,
    page: int | None = None,
    color: list[Color] = [],
    ids: t.Annotated[list[int] | None, http.Query("id")] = None,
    kind: t.Literal["a", "b"] = "a",
    since: dt.date | None = None,
    ratio: t.Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.5,
    exact: t.Annotated[bool, http.Query(), msgspec.Meta(description="No guesses")] = True,
) -> Page[Item]:
    return Page([Item(q or "nothing", size)])


@http.get("/headers")
async def headers(
    x_token: t.Annotated[str, http.Header],
    x_count: t.Annotated[int, http.Header] = 0,
    x_id: t.Annotated[uuid.UUID | None, http.Header("X-ID")] = None,
    x_numbers: t.Annotated[list[int], http.Header()] = [],
    session: t.Annotated[str | None, http.Cookie] = None,
    visits: t.Annotated[int, http.Cookie("n-visits")] = 0,
) -> dict[str, t.Annotated[str, msgspec.Meta(max_length=1000)] | int]:
    return {"visits": visits}


# bodies


@http.post("/items", status=201, raises={409: "There is one already."}, tags="items")
async def create(item: Item) -> http.Response[Stored]:
    if item.name == "taken":
        raise http.Problem(409)
    return http.Response(Stored(1, item), headers={"Location": "/items/1"})


@http.put("/strict", max_body=10_000)
async def strict(what: Strict) -> Strict:
    return what


@http.patch("/pets")
async def pets(pet: Cat | Dog) -> Cat | Dog:
    return pet


@http.post("/maybe")
async def maybe(item: t.Annotated[Item | None, http.Body] = None) -> bool:
    return item is not None


@http.post("/numbers")
async def numbers(them: t.Annotated[list[Positive], http.Body]) -> int:
    return sum(them)


@http.post("/raw")
async def raw(content: t.Annotated[bytes, http.Body]) -> bytes:
    return content


@http.post("/text")
async def text(content: t.Annotated[str, http.Body]) -> str:
    return content


@http.post("/form")
async def form(
    name: t.Annotated[Name, http.Form],
    age: t.Annotated[int | None, http.Form] = None,
    likes: t.Annotated[list[str], http.Form] = [],
) -> dict[str, t.Any]:
    return {"name": name}


@http.post("/upload")
async def upload(
    file: t.Annotated[bytes, http.File(max_size=1000)],
    title: t.Annotated[str, http.Form] = "",
    pictures: t.Annotated[list[web.FileField], http.File(types=["image/png", "image/jpeg"])] = [],
) -> int:
    return len(file)


# results


@http.delete("/items/{code}")
async def remove(code: int) -> None: ...


@http.get("/events", timeout=30)
async def events() -> c.AsyncIterator[http.Event]:
    yield http.Event({"n": 1})


@http.get("/lines")
async def lines() -> c.AsyncIterator[Item]:
    yield Item("tea")


@http.get("/nothing")
async def nothing() -> c.AsyncIterator[Item]:
    return
    yield Item("tea")


@http.get("/old", deprecated=True, summary="No longer", raises={302: "Somewhere else"}, unknown="ignore")
async def old() -> web.Response:
    raise web.HTTPFound("/lines")


@http.get("/hidden", hidden=True)
async def hidden() -> str:
    return ""


class Money:
    """What msgspec knows nothing of."""

    def __json__(self):
        return "1 EUR"


@http.get("/money")
async def money() -> dict[str, Money]:
    return {"all": Money()}


@http.get("/price")
async def price(at_most: decimal.Decimal = decimal.Decimal("1.50")) -> decimal.Decimal:
    return at_most


@http.controller("/orders", tags=["orders"])
class Orders:
    def __init__(self, users: Users) -> None: ...

    @http.get("/{number}")
    async def show(self, number: int) -> str:
        """Show an order."""
        return str(number)

    @http.post("/{id}")
    async def pay(
        self, id_: t.Annotated[int, http.Path("id")], when: t.Annotated[dt.datetime, http.Body]
    ) -> dt.datetime:
        return when


ALL = [show, archive, search, headers, create, strict, pets, maybe, numbers, raw, text, form, upload, remove, events]
ALL += [lines, nothing, old, hidden, money, price, Orders]


async def prepare(load: plugin.Loader):
    await load("buvar_aiohttp.openapi")
    context.add(Users())
    http.mount(*ALL)
    below = web.Application()
    http.mount(show, prefix="/v2", app=below)
    context.get(web.Application).add_subapp("/below", below)
