"""What a type checker knows of typed handlers: mypy reads this file, and it runs."""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs
from aiohttp import web

from buvar_aiohttp import http


@attrs.frozen
class Item:
    id: int


@http.get("/items/{number}", tags="items", raises={404: "no such item"})
async def show(number: int, limit: int = 3) -> Item:
    return Item(number)


@http.post("/items", status=201, max_body=100)
@http.put("/items")
async def create(item: Item, token: t.Annotated[str, http.Header("X-Token")]) -> http.Response[Item]:
    return http.Response(item, headers={"Location": f"/items/{item.id}"})


@http.get("/events")
async def events() -> c.AsyncIterator[http.Event]:
    yield http.Event({"a": 1}, event="x")


@http.websocket("/talk", origins=["https://example.org"], timeout=3)
async def talk(socket: web.WebSocketResponse) -> None: ...


async def signed_in(call: http.Call, request: web.Request) -> web.StreamResponse:
    response = await call(number=5)
    t.assert_type(response, web.StreamResponse)
    return response


@http.controller("/items", around=[signed_in], lifetime="singleton")
class Items:
    def __init__(self, name: str) -> None:
        self.name = name

    @http.delete("/{number}", around=[signed_in])
    async def remove(self, number: int) -> None: ...


async def test_decorated_functions_keep_their_types() -> None:
    """A handler is called, with its own parameters, and returns what it says."""
    t.assert_type(await show(5, limit=2), Item)
    made = await create(Item(1), token="x")
    t.assert_type(made, http.Response[Item])
    t.assert_type(made.value, Item)
    async for each in events():
        t.assert_type(each, http.Event)


async def test_decorated_classes_keep_their_types() -> None:
    """A controller is made, and its methods are called, as those of any class."""
    items = Items("x")
    t.assert_type(items, Items)
    t.assert_type(items.name, str)
    kind: type[Items] = Items
    assert kind is Items
    await items.remove(5)


async def test_wrong_calls_are_errors() -> None:
    """A type checker refuses what a handler does not take; each ignore would be an error itself if it did not."""
    if t.TYPE_CHECKING:
        await show("x")  # type: ignore[arg-type]
        await show(5, wrong=1)  # type: ignore[call-arg]
        http.get("/", timout=3)  # type: ignore[call-arg]
        http.get("/", unknown="x")  # type: ignore[arg-type]
        http.mount(show, prefix=1)  # type: ignore[arg-type]


def test_responses_are_generic() -> None:
    """The class of the value is a parameter, and one of a subclass will do."""
    t.assert_type(http.Response("x", status=201), http.Response[str])
    wider: http.Response[object] = http.Response(5)
    assert wider.value == 5


def test_a_problem_is_an_error() -> None:
    """It is raised with its status, and takes any members."""
    problem = http.Problem(409, "paid", order=5, errors=[http.Fault("query", "it is missing", "a")])
    t.assert_type(problem.status, int)
    t.assert_type(problem.detail, str | None)
    assert isinstance(problem, Exception)


def test_groups() -> None:
    """A group is one of handlers, controllers and groups."""
    t.assert_type(http.group(show, Items, http.group(create), prefix="/api"), http.Group)
