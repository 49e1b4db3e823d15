"""What a handler returns is its response."""

import collections.abc as c
import dataclasses
import datetime as dt
import enum
import math

import attrs
import msgspec
import pytest
from aiohttp import web

from buvar import di
from buvar_aiohttp import http


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.Enum):
    BIG = "big"


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "what it shows"


class Blob(bytes):
    __slots__ = ()


@attrs.frozen
class Item:
    name: str
    when: dt.date = dt.date(2020, 1, 2)


@dataclasses.dataclass
class Point:
    x: int


class Record(msgspec.Struct):
    y: int


class Own:
    def __json__(self):
        return {"own": Point(1)}


# what is returned, and what is sent: status, media type, body
TEXT, BYTES, JSON = "text/plain; charset=utf-8", "application/octet-stream", "application/json"
RESULTS = {
    "none": (None, 204, None, b""),
    "text": ("hé", 200, TEXT, "hé".encode()),
    "empty": ("", 200, TEXT, b""),
    "bytes": (b"\0\xff", 200, BYTES, b"\0\xff"),
    "bytearray": (bytearray(b"ab"), 200, BYTES, b"ab"),
    "memoryview": (memoryview(b"ab"), 200, BYTES, b"ab"),
    "subtext": (Text("what it is"), 200, TEXT, b"what it is"),
    "subbytes": (Blob(b"ab"), 200, BYTES, b"ab"),
    "color": (Color.RED, 200, JSON, b'"red"'),
    "level": (Level.HIGH, 200, JSON, b"3"),
    "kind": (Kind.BIG, 200, JSON, b'"big"'),
    "number": (5, 200, JSON, b"5"),
    "false": (False, 200, JSON, b"false"),
    "nan": ({"a": math.nan, "b": math.inf}, 200, JSON, b'{"a":null,"b":null}'),
    "item": (Item("n"), 200, JSON, b'{"name":"n","when":"2020-01-02"}'),
    "point": ([Point(1)], 200, JSON, b'[{"x":1}]'),
    "record": (Record(2), 200, JSON, b'{"y":2}'),
    "own": (Own(), 200, JSON, b'{"own":{"x":1}}'),
    "status": (http.Response("made", status=201, headers={"X-A": "1"}), 201, TEXT, b"made"),
    "nothing": (http.Response(status=201), 201, None, b""),
    "fine": (http.Response(None, status=200), 200, None, b""),
    "plain": (http.Response(), 204, None, b""),
    "html": (http.Response("<p>", headers={"content-type": "text/html"}), 200, "text/html", b"<p>"),
    "subhtml": (http.Response(Text("<p>"), headers={"Content-Type": "text/html"}), 200, "text/html", b"<p>"),
    "stream": (lambda: web.Response(text="own", status=202), 202, TEXT, b"own"),
}


@http.get("/results/{name}")
async def give(name: str) -> object:
    value = RESULTS[name][0]
    return value() if callable(value) else value


async def test_values_become_responses(api):
    """Each value has its status, media type and body; HEAD has the same without the body."""
    async with api(give) as client:
        for name, (_, status, media_type, body) in RESULTS.items():
            answer = await client.get(f"/results/{name}")
            assert (answer.status, answer.type, answer.body) == (status, media_type, body), name
            bare = await client.ask("HEAD", f"/results/{name}")
            assert (bare.status, bare.type, bare.body) == (status, media_type, b""), name
            if body:
                assert bare.headers["Content-Length"] == answer.headers["Content-Length"], name
        assert (await client.get("/results/status")).headers["X-A"] == "1"


@http.post("/made", status=201)
async def make(value: str | None = None) -> object:
    return value


@http.post("/said", status=201)
async def say() -> http.Response[str]:
    return http.Response("x", status=203)


async def test_the_status_of_the_route(api):
    """A result has the status that the decorator says, unless it says one itself."""
    async with api(make, say) as client:
        assert [(await client.post(path)).status for path in ("/made?value=x", "/made", "/said")] == [201, 201, 203]


class Unknown:
    pass


async def test_what_cannot_be_written_is_a_server_error(api):
    """The client learns an id and nothing else; the log has the same id, once, and says which class it was."""

    @http.get("/")
    async def broken() -> object:
        return [Unknown()]

    @http.get("/text")
    async def surrogate() -> str:
        return "\ud800"

    @http.get("/nested")
    async def nested() -> object:
        return http.Response(web.Response(text="x"))

    async with api(broken, surrogate, nested) as client:
        for path in ("/", "/text", "/nested"):
            client.logs.clear()
            answer = await client.get(path)
            assert answer.status == 500
            assert answer.json == {
                "title": "Internal Server Error",
                "status": 500,
                "request_id": answer.json["request_id"],
            }
            (line,) = client.events()
            assert line["request_id"] == answer.json["request_id"]
            assert line["log_level"] == "error"


INJECTIONS = ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\0b"]


async def test_a_header_that_cannot_be_sent_fails_the_scope(api):
    """It is found before the scope ends: what a client is told has failed is not committed."""
    ended = []

    class Unit: ...

    async def unit() -> c.AsyncIterator[Unit]:
        try:
            yield Unit()
        except ValueError:
            ended.append("rollback")
            raise
        ended.append("commit")

    async def prepare_unit():
        di.scoped(unit)

    @http.get("/")
    async def value(unit: Unit) -> http.Response[str]:
        return http.Response("x", headers={"X-A": INJECTIONS[0]})

    async with api(value, plugins=[prepare_unit]) as client:
        assert (await client.get("/")).status == 500
    assert ended == ["rollback"]


@pytest.mark.parametrize("bad", INJECTIONS)
async def test_headers_cannot_be_split(api, bad):
    """A line break in a header is an error of the server, logged once, and nothing of it is sent."""

    @http.get("/value")
    async def value() -> object:
        return http.Response("x", headers={"X-A": bad})

    @http.get("/none")
    async def none() -> object:
        return http.Response(headers={"X-A": bad})

    @http.get("/name")
    async def name() -> object:
        return http.Response("x", headers={bad: "1"})

    @http.get("/own")
    async def own() -> object:
        return web.Response(text="secret", headers={"X-A": bad})

    @http.get("/problem")
    async def problem() -> None:
        raise http.Problem(409, "secret", headers={"X-A": bad})

    @http.get("/raised")
    async def raised() -> None:
        raise web.HTTPConflict(text="secret", headers={"X-A": bad})

    async with api(value, none, name, own, problem, raised) as client:
        for path in ("/value", "/none", "/name", "/own", "/problem", "/raised"):
            client.logs.clear()
            answer = await client.get(path)
            assert (answer.status, answer.type) == (500, "application/problem+json"), path
            assert "Set-Cookie" not in answer.headers
            assert "X-A" not in answer.headers
            assert b"secret" not in answer.body
            assert [each["request_id"] for each in client.events()] == [answer.json["request_id"]], path


async def test_a_response_without_a_body_does_not_break_the_connection(api):
    """What a handler gives beside a status that has no body is not sent: the next response is whole."""

    @http.get("/{status}")
    async def odd(status: int) -> object:
        return http.Response({"a": 1}, status=status)

    async with api(odd) as client:
        for status in (204, 304, 205):
            data = f"GET /{status} HTTP/1.1\r\nHost: x\r\n\r\nGET /200 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            told = await client.raw(data.encode())
            head, _, rest = told.partition(b"\r\n\r\n")
            assert head.startswith(f"HTTP/1.1 {status}".encode())
            if status != 205:
                assert rest.startswith(b"HTTP/1.1 200 OK\r\n"), told
            assert told.endswith(b'{"a":1}')
