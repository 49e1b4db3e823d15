"""Where a parameter comes from is read from its annotation; what cannot be bound is refused where it is mounted."""

import collections.abc as c
import dataclasses
import datetime as dt
import decimal
import enum
import sys
import typing as t
import uuid

import attrs
import msgspec
import pytest
from aiohttp import web

from buvar import context, di, errors, plugin
from buvar_aiohttp import http
from buvar_aiohttp.http import sources

UserId = t.NewType("UserId", int)
Named = t.Annotated[str, http.Header("X-Named")]
Positive = t.Annotated[int, msgspec.Meta(gt=0)]


class Color(enum.Enum):
    RED = "red"


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


@attrs.frozen
class Item:
    name: str


@dataclasses.dataclass
class Point:
    x: int


class Record(msgspec.Struct):
    y: int


T = t.TypeVar("T")


class Page(msgspec.Struct, t.Generic[T]):
    items: list[T]


class Store:
    pass


def sources_of(handler, path=(), method="POST", **options):
    """Return where each parameter comes from, and what it is called there, where nothing is provided but a Store."""
    with context.child():
        context.add(Store())
        found = sources.read(handler, path, method, **options).decide(context.current_context(), di.Adapters())
    return {each.name: each.source and (each.source, each.key) for each in found}


def told(handler, path=(), method="POST"):
    with pytest.raises((ExceptionGroup, errors.DeclarationError)) as caught:
        sources.read(handler, path, method)
    return [str(each) for each in leaves(caught.value)]


SCALARS = [
    str, int, float, bool, bytes, decimal.Decimal, uuid.UUID, dt.datetime, dt.date, dt.time, dt.timedelta, Color,
    UserId, Positive, t.Literal["a", 1], int | None, t.Optional[str], int | float, t.Union[int, None, dt.date],
    t.Annotated[int | None, msgspec.Meta(description="d")],
]  # fmt: skip
LISTS = [
    list[int], tuple[str, ...], set[Color], frozenset[UserId], c.Sequence[int], c.Collection[str], list[int] | None,
    list[int | None], t.Annotated[list[Positive], msgspec.Meta(max_length=3)], t.List[int],
]  # fmt: skip


@pytest.mark.parametrize("tp", SCALARS + LISTS, ids=str)
def test_scalars_and_lists_of_them_come_from_the_query(tp):
    """A type that is written as one text, or a list, tuple or set of such, is a parameter of the query."""

    async def handler(x: tp): ...

    assert sources_of(handler) == {"x": ("query", "x")}
    assert sources.read(handler, (), "GET").bindings[0].many == (tp in LISTS)


def test_what_is_named_in_the_path_comes_from_there():
    """The name of a part of the path beats all that its type would say, with an annotation or without."""

    async def handler(x, y: int, z: t.Any, w: t.Annotated[int, http.Query]): ...

    found = sources_of(handler, {"x", "y", "z", "w"})
    assert found == {"x": ("path", "x"), "y": ("path", "y"), "z": ("path", "z"), "w": ("query", "w")}


@pytest.mark.parametrize("tp", [Item, Point, Record, Page[int], Item | None, Item | Record])
def test_a_class_of_data_that_nothing_provides_is_the_body(tp):
    """Where the method has a body, that is; with GET it is injected, and so missing."""

    async def handler(x: tp): ...

    assert sources_of(handler) == {"x": ("body", "x")}
    assert sources_of(handler, method="GET") == {"x": None}


def test_all_else_is_injected():
    """A class that is no data, one that is provided, an interface, and what a marker of injection stands beside."""

    @attrs.frozen
    class Settings: ...

    async def handler(
        store: Store,
        settings: Settings,
        built: Point,
        request: web.Request,
        name: t.Annotated[str, di.Name("region")],
        names: t.Annotated[list[str], di.All],
        things: list[Store],
        call: c.Callable[[], int],
    ): ...

    def build() -> Point: ...

    adapters = di.Adapters()
    adapters.register(build)
    with context.child():
        context.add(Settings())
        found = sources.read(handler, (), "POST").decide(context.current_context(), adapters)
    assert {each.source for each in found} == {None}


def test_markers_say_it_outright():
    """Each marker, as a class or an object, says where a parameter comes from, and may say another name."""

    async def handler(
        item_id: t.Annotated[int, http.Path("id")],
        q: t.Annotated[str, http.Query("search")],
        x_token: t.Annotated[str, http.Header],
        agent: t.Annotated[str, http.Header("User-Agent")],
        theme: t.Annotated[str, http.Cookie()],
        number: t.Annotated[int, http.Form, msgspec.Meta(gt=0)],
        avatar: t.Annotated[bytes, http.File(max_size=5)],
        named: Named,
    ): ...

    assert sources_of(handler, {"id"}) == {
        "item_id": ("path", "id"),
        "q": ("query", "search"),
        "x_token": ("header", "X-Token"),
        "agent": ("header", "User-Agent"),
        "theme": ("cookie", "theme"),
        "number": ("form", "number"),
        "avatar": ("file", "avatar"),
        "named": ("header", "X-Named"),
    }
    (number,) = [each for each in sources.read(handler, {"id"}, "POST").bindings if each.name == "number"]
    assert number.tp == t.Annotated[int, msgspec.Meta(gt=0)]


def test_a_marker_holds_for_what_may_be_none_too():
    """It may stand beside one member of a union, and counts for all of it: never is it passed over."""

    async def handler(a: Named | None, b: t.Optional[t.Annotated[int, http.Cookie, msgspec.Meta(gt=0)]] = None): ...

    found = sources.read(handler, (), "GET").bindings
    assert [(each.source, each.key, each.is_required) for each in found] == [
        ("header", "X-Named", False),
        ("cookie", "b", False),
    ]
    assert [each.tp for each in found] == [str, Positive]  # a text is never None


def test_a_body_may_be_anything_that_is_marked_so():
    """With its marker a list, a dict, a scalar or a class that is provided is the body."""
    for tp in (list[int], dict[str, int], int, Store, t.Any):

        async def handler(x: t.Annotated[tp, http.Body]): ...

        assert sources_of(handler) == {"x": ("body", "x")}


def test_defaults_and_optional_types_need_not_be_said():
    """What has a default, and what may be None, is not required; it may be keyword-only."""

    async def handler(a: int, b: int = 1, *, c: int | None, d: list[int], e: list[int] | None): ...

    found = sources.read(handler, (), "GET").bindings
    assert [each.name for each in found if each.is_required] == ["a", "d"]
    assert [each.name for each in found if each.keyword_only] == ["c", "d", "e"]


def test_annotations_may_be_texts():
    """They are read in the module of the handler, and may name classes of the function that defines it."""

    @attrs.frozen
    class Local: ...

    async def handler(x: "UserId", y: "Item", z: "t.Annotated[int, http.Header]", w: "Local | None" = None): ...

    handler.__annotations__["w"] = Local | None
    assert sources_of(handler, method="GET") == {"x": ("query", "x"), "y": None, "z": ("header", "Z"), "w": None}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is new in 3.12")
def test_aliases_are_looked_through():
    """What a `type` statement names is bound as what it stands for."""
    names = {"http": http, "t": t, "Item": Item}
    code = """
type Id = int
type Ids = list[Id]
type Token = t.Annotated[str, http.Header("X-Token")]
type Agent = t.Annotated[str, http.Header("X-Agent")]
type Thing = Item
type Tree = dict[str, Tree] | list[Tree] | None
async def handler(a: Id, b: Ids, c: Token, d: Thing, e: Id | None, f: Agent | None): ...
async def tree(a: t.Annotated[Tree, http.Body]): ...
async def injected(a: Tree): ...
"""
    exec(code, names)
    assert sources_of(names["handler"]) == {
        "a": ("query", "a"),
        "b": ("query", "b"),
        "c": ("header", "X-Token"),
        "d": ("body", "d"),
        "e": ("query", "e"),
        "f": ("header", "X-Agent"),
    }
    assert sources_of(names["tree"]) == {"a": ("body", "a")}
    assert sources_of(names["injected"]) == {"a": None}


class Controller:
    async def method(self, x: int, store: Store): ...


def test_the_object_of_a_method_is_injected():
    """The first parameter of a method is an object of its class, whatever it is called."""
    assert sources_of(Controller.method, owner=Controller) == {"self": None, "x": ("query", "x"), "store": None}


# refusals


def sync(x: int): ...


async def star(*args: int, **rest: int): ...


async def positional(x: int, /): ...


async def bare(x): ...


async def two_bodies(a: t.Annotated[Item, http.Body], b: t.Annotated[Point, http.Body]): ...


async def body_and_form(a: t.Annotated[Item, http.Body], b: t.Annotated[int, http.Form]): ...


async def not_in_path(x: t.Annotated[int, http.Path]): ...


async def two_markers(x: t.Annotated[int, http.Path, http.Query]): ...


async def twins(a: t.Annotated[int, http.Query("x")], x: int): ...


async def same_header(a: t.Annotated[int, http.Header("x-token")], x_token: t.Annotated[str, http.Header]): ...


async def no_text(x: t.Annotated[Item, http.Query]): ...


async def item_in_path(x: Item): ...


async def nested(x: t.Annotated[list[list[int]], http.Form]): ...


async def hidden(x: list[t.Annotated[str, http.Header]]): ...


async def hidden_in_union(x: t.Annotated[int, http.Path] | t.Annotated[str, http.Query]): ...


async def socket(x: web.WebSocketResponse): ...


async def unknown(x: "Nowhere"): ...  # noqa: F821


async def many_in_path(x: list[int]): ...


async def many_cookies(x: t.Annotated[list[int], http.Cookie]): ...


async def file_of_numbers(x: t.Annotated[int, http.File]): ...


REFUSED = [
    (sync, "it is no coroutine function; write 'async def'"),
    (star, "its parameter *args: int cannot be bound"),
    (positional, "its parameter x: int cannot be bound"),
    (bare, "its parameter 'x' has no annotation"),
    (two_bodies, "its parameters 'a' and 'b' are the body; only one can be"),
    (body_and_form, "its parameters come from the body and from a form"),
    (not_in_path, "its parameter 'x' comes from the path, which has no {x}"),
    (two_markers, "its parameter 'x' comes from path and query; it can only come from one of them"),
    (twins, "its parameters 'a' and 'x' are the same query 'x'"),
    (same_header, "its parameters 'a' and 'x_token' are the same header"),
    (no_text, "its parameter 'x' comes from the query, and no"),
    (nested, "its parameter 'x' comes from the form, and no list[list[int]] is made of a text"),
    (hidden, "its parameter 'x' has Header inside of its type; write Annotated[…, Header]"),
    (hidden_in_union, "its parameter 'x' comes from path and query"),
    (socket, "its parameter 'x' is a web socket; write @http.websocket"),
    (unknown, "Nowhere"),
]


@pytest.mark.parametrize(("handler", "reason"), REFUSED, ids=[each.__name__ for each, _ in REFUSED])
def test_what_cannot_be_bound_is_refused(handler, reason):
    """The error says which handler it is, with its place, and what is wrong with it."""
    (first, *_) = told(handler)
    assert reason in first
    assert handler.__name__ in first
    assert f"{__file__}:{handler.__code__.co_firstlineno}" in first


def test_several_values_come_from_what_can_have_them():
    """A part of the path and a cookie are there once, so that they are no list."""
    assert "'x' is a list[int], and a path has one value" in told(many_in_path, {"x"})[0]
    assert "Item is made of a text" in told(item_in_path, {"x"})[0]
    assert "a cookie has one value" in told(many_cookies)[0]


def test_all_that_is_wrong_is_told_at_once():
    """Each parameter that cannot be bound has an error of its own."""

    async def handler(a, *rest: int, b: t.Annotated[int, http.Path]): ...

    assert [text.partition("its parameter ")[2][:4] for text in told(handler)] == ["'a' ", "*res", "'b' "]


def test_two_handlers_are_told_together(buvar_aiohttp_app):
    """What is mounted together is refused together, and then nothing of it is mounted."""

    @http.get("/a")
    def one(): ...

    @http.get("/b")
    async def two(x): ...

    @http.get("/c")
    async def fine(): ...

    before = len(buvar_aiohttp_app.router.routes())
    with pytest.raises(ExceptionGroup) as caught:
        http.mount(fine, one, two)
    assert len(caught.value.exceptions) == 2
    assert all(isinstance(each, errors.DeclarationError) for each in caught.value.exceptions)
    assert len(buvar_aiohttp_app.router.routes()) == before


class Odd:
    """Nothing that msgspec reads."""


@attrs.frozen
class Deep:
    odd: Odd


@attrs.frozen
class Unknown:
    x: "Nowhere"  # noqa: F821 - that is the point


@pytest.mark.parametrize("tp", [t.Annotated[Odd, http.Body], Deep, Unknown, t.Annotated[Mixed, http.Query], Mixed])
def test_types_that_no_request_has_are_refused_before_the_run(tp):
    """What no body and no text can be is told when all plugins are prepared, with the place of the handler."""

    @http.post("/")
    async def handler(x: tp): ...

    async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
        await load("buvar_aiohttp.app:prepare_app")
        http.mount(handler)
        cancel.set()

    with pytest.raises((ExceptionGroup, errors.BuvarError)) as caught:
        plugin.stage(prepare)
    text = "".join(str(each) for each in leaves(caught.value))
    assert f"{__file__}:{handler.__code__.co_firstlineno}" in text
    assert "its parameter 'x' comes from" in text


@pytest.mark.parametrize("tp", [int, list[int], str, dict[str, bytes]])
def test_a_file_is_bytes_or_a_field(tp):
    """A file of another type is refused before the run."""

    @http.post("/")
    async def handler(x: t.Annotated[tp, http.File]): ...

    async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
        await load("buvar_aiohttp.app:prepare_app")
        http.mount(handler)
        cancel.set()

    with pytest.raises((ExceptionGroup, errors.BuvarError)) as caught:
        plugin.stage(prepare)
    assert "'x'" in "".join(str(each) for each in leaves(caught.value))


def leaves(error):
    if isinstance(error, ExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
