"""Parameters are taken from a request and converted; all that is wrong with a request is told at once."""

import datetime as dt
import decimal
import enum
import gzip
import io
import json
import math
import typing as t
import uuid

import aiohttp
import attrs
import hypothesis
import hypothesis.strategies as st
import msgspec
import pytest
import yarl
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from buvar import di
from buvar_aiohttp import http
from buvar_aiohttp.http import bind, sources


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


def handler_of(tp, path="/", method="GET", **options):
    """Return a handler that takes a parameter *x* and answers its repr."""

    async def handler(x):
        return repr(x)

    handler.__annotations__["x"] = tp
    return http.route(method, path, **options)(handler)


CONVERTED = [
    (int, "5", 5),
    (int, "-0", 0),
    (int, "9" * 19, int("9" * 19)),
    (float, "1.5", 1.5),
    (float, "nan", math.nan),
    (float, "-inf", -math.inf),
    (bool, "true", True),
    (bool, "0", False),
    (str, "", ""),
    (str, "%20a+b%2B", " a b+"),
    (str, "null", "null"),
    (str | None, "null", "null"),
    (int | str, "5", "5"),
    (bytes, "YWI%3D", b"ab"),
    (decimal.Decimal, "1e400", decimal.Decimal("1e400")),
    (uuid.UUID, str(uuid.UUID(int=10)), uuid.UUID(int=10)),
    (dt.date, "2020-01-02", dt.date(2020, 1, 2)),
    (dt.time, "03:04:05", dt.time(3, 4, 5)),
    (dt.timedelta, "PT1S", dt.timedelta(seconds=1)),
    (dt.datetime, "2020-01-02T03:04:05Z", dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
    (dt.datetime, "2020-01-02T03:04:05", dt.datetime(2020, 1, 2, 3, 4, 5)),
    (
        dt.datetime,
        "2020-01-02T03:04:05%2B02:00",
        dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    ),
    (Color, "red", Color.RED),
    (Level, "3", Level.HIGH),
    (t.Literal["a", 1], "1", 1),
    (t.NewType("Id", int), "7", 7),
    (t.Annotated[int, msgspec.Meta(ge=3)], "3", 3),
    (list[int], "1&x=2", [1, 2]),
    (tuple[str, ...], "1&x=2", ("1", "2")),
    (tuple[int, str], "1&x=2", (1, "2")),
    (set[int], "1&x=1", {1}),
    (frozenset[Color], "red", frozenset({Color.RED})),
]


async def test_texts_are_converted(api):
    """Each kind of scalar, and each kind of list of them, is made of the texts of a query."""
    handlers = [handler_of(tp, f"/{number}") for number, (tp, _, _) in enumerate(CONVERTED)]
    async with api(*handlers) as client:
        for number, (tp, text, value) in enumerate(CONVERTED):
            answer = await client.get(f"/{number}?x={text}")
            assert (answer.status, answer.text) == (200, repr(value)), tp


REFUSED = [
    (int, ""), (int, "x"), (int, "1.5"), (int, "9" * 5000), (int, "%205"), (int, "null"), (int | None, "null"),
    (float, "1e400"),
    (bool, "yes"), (bool, ""), (uuid.UUID, "1"), (dt.date, "2020-13-01"), (dt.date, ""), (dt.datetime, "9" * 40),
    (dt.datetime, "2020-01-01T00:00:00%2B99:99"), (dt.timedelta, "P999999999999D"), (Color, "blue"), (Level, "4"),
    (t.Literal["a"], "b"), (t.Annotated[int, msgspec.Meta(ge=3)], "2"), (list[int], "1&x=z"), (tuple[int, str], "1"),
    (t.Annotated[list[int], msgspec.Meta(max_length=1)], "1&x=2"), (decimal.Decimal, "x"), (int, "1&x=2"),
    (t.Annotated[dt.datetime, msgspec.Meta(tz=True)], "2020-01-01T00:00:00"),
]  # fmt: skip


async def test_texts_that_are_not_of_the_type_are_refused(api):
    """A value of the wrong type, out of range or given twice is 422, and the document says of which parameter."""
    handlers = [handler_of(tp, f"/{number}") for number, (tp, _) in enumerate(REFUSED)]
    async with api(*handlers) as client:
        for number, (tp, text) in enumerate(REFUSED):
            answer = await client.get(f"/{number}?x={text}")
            assert (answer.status, answer.faults) == (422, {("query", "x")}), (tp, text)
        assert client.events() == []


@http.get("/things/{number}")
async def thing(
    number: int,
    limit: int = 3,
    tag: list[str] = (),
    *,
    after: dt.date | None,
    x_token: t.Annotated[str | None, http.Header] = None,
    size: t.Annotated[int, http.Cookie] = 1,
) -> list:
    return [number, limit, tag, after, x_token, size]


async def test_defaults(api):
    """What the request says nothing of is its default, or None."""
    async with api(thing) as client:
        assert (await client.get("/things/5")).json == [5, 3, [], None, None, 1]
        answer = await client.get(
            "/things/5?limit=1&tag=a&tag=b&after=2020-01-02", headers={"X-Token": "k"}, cookies={"size": "7"}
        )
        assert answer.json == [5, 1, ["a", "b"], "2020-01-02", "k", 7]


async def test_all_faults_are_told_at_once(api):
    """Path, query, header and cookie are looked at, and what is unknown has a hint."""
    async with api(thing) as client:
        answer = await client.get("/things/x?limit=z&limt=1&after=q&after=r", cookies={"size": "big"})
        assert answer.status == 422
        assert answer.faults == {
            ("path", "number"), ("query", "limit"), ("query", "limt"), ("query", "after"), ("cookie", "size"),
        }  # fmt: skip
        told = {each["name"]: each["detail"] for each in answer.json["errors"]}
        assert told["after"] == "it is given 2 times"
        assert "did you mean 'limit'?" in told["limt"]


async def test_one_fault_is_the_detail(api):
    """Where one thing is wrong, the detail says it."""
    async with api(thing) as client:
        answer = await client.get("/things/1?limit=z")
        assert answer.json["detail"] == "query parameter 'limit': Expected `int`, got `str`"


async def test_sources_are_strict(api):
    """A header never comes from the query, nor a query parameter from a header, a cookie or the body."""

    @http.get("/")
    async def handler(token: t.Annotated[str | None, http.Header] = None, limit: int = 1) -> list:
        return [token, limit]

    async with api(handler) as client:
        assert (await client.get("/?token=x")).faults == {("query", "token")}
        answer = await client.get("/", headers={"limit": "2"}, cookies={"limit": "3", "token": "x"})
        assert answer.json == [None, 1]


async def test_unknown_parameters_may_be_ignored(api):
    """With unknown="ignore" they are; one that is known may still be given only once."""

    @http.get("/", unknown="ignore")
    async def handler(limit: int = 1) -> int:
        return limit

    @http.get("/none", unknown="ignore")
    async def none() -> str:
        return "fine"

    @http.get("/strict")
    async def strict() -> str:
        return "fine"

    async with api(handler, none, strict) as client:
        assert (await client.get("/?limt=2&limit=5")).json == 5
        assert (await client.get("/?limit=2&limit=5")).faults == {("query", "limit")}
        assert (await client.get("/none?a=b")).text == "fine"
        assert (await client.get("/strict?a=b")).faults == {("query", "a")}
        assert (await client.get("/strict?")).text == "fine"


async def test_headers(api):
    """A header has its name with - for _; all of them make a list, and one that is given twice is no single value."""

    @http.get("/")
    async def handler(
        x_number: t.Annotated[int, http.Header],
        x_tag: t.Annotated[list[str], http.Header] = (),
        agent: t.Annotated[str, http.Header("user-agent")] = "",
    ) -> list:
        return [x_number, x_tag, agent]

    async with api(handler) as client:
        headers = [("x-number", "1"), ("X-Tag", "a"), ("X-Tag", "b"), ("User-Agent", "me")]
        assert (await client.get("/", headers=headers)).json == [1, ["a", "b"], "me"]
        twice = await client.get("/", headers=[("X-Number", "1"), ("X-Number", "2")])
        assert twice.faults == {("header", "X-Number")}
        assert (await client.get("/")).json["errors"] == [
            {"in": "header", "name": "X-Number", "detail": "it is missing"}
        ]


async def test_headers_and_cookies_that_are_no_text(api):
    """Bytes that are no UTF-8 are refused, whatever the type."""

    @http.get("/header")
    async def header(x: t.Annotated[str, http.Header]) -> str:
        return x

    @http.get("/number")
    async def number(x: t.Annotated[int, http.Header]) -> int:
        return x

    @http.get("/many")
    async def many(x: t.Annotated[list[str], http.Header]) -> list:
        return x

    @http.get("/cookie")
    async def cookie(x: t.Annotated[str, http.Cookie]) -> str:
        return x

    async with api(header, number, many, cookie) as client:
        for path in ("header", "number", "many", "cookie"):
            request = b"GET /%b HTTP/1.1\r\nHost: x\r\nX: \xff\r\nCookie: x=\xff\r\nConnection: close\r\n\r\n"
            told = await client.raw(request % path.encode())
            assert told.startswith(b"HTTP/1.1 422 "), told
            assert b"no UTF-8" in told
        told = await client.raw("GET /header HTTP/1.1\r\nHost: x\r\nX: hé\r\nConnection: close\r\n\r\n".encode())
        assert told.endswith("hé".encode())
        assert client.events() == []


BAD_TARGETS = [b"/things/%zz", b"/things/%", b"/things/1?limit=%f", b"/things/%ff", b"/things/1?tag=%c3%28"]


async def test_bad_percent_encoding_is_refused(api):
    """What stands for no text is 400, in the path and in the query; nothing is guessed."""

    async with api(thing) as client:
        for target in BAD_TARGETS:
            told = await client.raw(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
            assert told.startswith(b"HTTP/1.1 400 "), (target, told)
            assert b"application/problem+json" in told
        told = await client.raw(b"GET /things/1?tag=%C3%A9%2525 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert told.endswith('[1,3,["é%25"],null,null,1]'.encode())


async def test_what_is_no_http_is_a_problem(api):
    """Whatever bytes come, the answer is a problem of the client or none, and nothing of the service fails."""
    garbage = [
        b"GET /\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /things/\xff?\xff=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX y: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET //// HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ]
    async with api(thing) as client:
        for data in garbage:
            told = await client.raw(data)
            assert told.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (data, told)
            assert b"application/problem+json" in told
        assert client.events() == []


# bodies


class Line(msgspec.Struct):
    price: t.Annotated[float, msgspec.Meta(gt=0)]
    count: int = 1


@attrs.frozen
class Order:
    name: str
    lines: list[Line]
    when: dt.date | None = None


@http.post("/orders")
async def order(order: Order, dry: bool = False) -> list:
    return [order, dry]


@http.post("/maybe")
async def maybe(order: Order | None = None) -> object:
    return http.Response(order)


@http.post("/any")
async def anything(body: t.Annotated[t.Any, http.Body]) -> str:
    return repr(body)


JSON = {"Content-Type": "application/json"}


async def test_json_bodies(api):
    """A body of JSON becomes the class, by any media type that is JSON; one that is optional may be left out."""
    async with api(order, maybe) as client:
        given = {"name": "n", "lines": [{"price": 1}]}
        made = {"name": "n", "lines": [{"price": 1.0, "count": 1}], "when": None}
        assert (await client.post("/orders?dry=true", given)).json == [made, True]
        for media_type in ("application/json; charset=utf-8", "application/vnd.api+json"):
            headers = {"Content-Type": media_type}
            assert (await client.ask("POST", "/orders", data=json.dumps(given), headers=headers)).status == 200
        assert (await client.post("/maybe")).status == 204
        assert (await client.ask("POST", "/maybe", data=b"null", headers=JSON)).status == 204
        assert (await client.ask("POST", "/maybe", data=b"", headers=JSON)).status == 204
        assert (await client.post("/maybe", given)).json == made


async def test_all_faults_of_a_body_are_told_with_their_paths(api):
    """The faults of the query and of each part of the body are told together."""
    async with api(order) as client:
        answer = await client.post("/orders?dry=x", {"lines": [{"price": 0}, {"price": 1, "count": "y"}], "when": "z"})
        assert answer.status == 422
        assert answer.faults == {
            ("query", "dry"), ("body", "$"), ("body", "$.lines[0].price"), ("body", "$.lines[1].count"),
            ("body", "$.when"),
        }  # fmt: skip


MALFORMED = [
    b"", b"{", b"{nope", b"\xff", b'{"name": "\xff", "lines": []}', b"[" * 100_000, b"NaN", b"{} {}", b'"\\ud800"',
    b'{"x":' * 100_000, "{}".encode("utf-16"), b"\xef\xbb\xbf{}",
]  # fmt: skip


async def test_malformed_json_is_refused(api):
    """What is no JSON is 400, however deep or long it is, and tells nothing else."""
    async with api(order, anything) as client:
        for path in ("/orders", "/any"):
            for body in MALFORMED:
                answer = await client.ask("POST", path, data=body, headers=JSON)
                assert answer.status == 400, (path, body[:10], answer.text)
                assert answer.type == "application/problem+json"
                assert answer.json["detail"].startswith("the body is")
        deep = b'{"name": "n", "lines": [], "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        assert (await client.ask("POST", "/orders", data=deep, headers=JSON)).status == 400
        assert client.events() == []
        assert (await client.post("/orders", {"name": "n", "lines": []})).status == 200


async def test_malformed_json_does_not_hide_what_else_is_wrong(api):
    """The status is 400, and the faults of the query are told beside."""
    async with api(order) as client:
        answer = await client.ask("POST", "/orders?dry=x", data=b"{", headers=JSON)
        assert (answer.status, answer.faults) == (400, {("query", "dry")})


async def test_of_duplicate_keys_the_last_counts(api):
    """As in all of Python's JSON."""
    async with api(anything) as client:
        assert (await client.ask("POST", "/any", data=b'{"a":1,"a":2}', headers=JSON)).text == "{'a': 2}"


async def test_a_body_says_that_it_is_json(api):
    """Another media type, or none, is 415, which says what is taken."""
    async with api(order) as client:
        for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
            answer = await client.ask("POST", "/orders", data=b"{}", headers=headers)
            assert (answer.status, answer.headers["Accept-Post"]) == (415, "application/json")
        answer = await client.ask("POST", "/orders", data=b"{}", skip_auto_headers=["Content-Type"])
        assert answer.status == 415
        assert answer.json["detail"] == "the body has no Content-Type; send it as application/json"


async def test_raw_bodies(api):
    """Bytes and str are the body as it is, with their constraints, whatever its media type."""
    taken = {
        "/bytes": t.Annotated[bytes, http.Body],
        "/str": t.Annotated[str, http.Body],
        "/short": t.Annotated[bytes, http.Body, msgspec.Meta(max_length=2)],
        "/maybe": t.Annotated[bytes | None, http.Body],
    }
    async with api(*(handler_of(tp, path, "POST") for path, tp in taken.items())) as client:
        for path, body, told in [
            ("/bytes", b"\xff\0", "b'\\xff\\x00'"), ("/bytes", b"", "b''"), ("/str", b"h\xc3\xa9", "'hé'"),
            ("/short", b"ab", "b'ab'"), ("/maybe", b"{}", "b'{}'"), ("/maybe", b"", "None"),
        ]:  # fmt: skip
            answer = await client.ask("POST", path, data=body, headers={"Content-Type": "text/plain"})
            assert (answer.status, answer.text) == (200, told), path
        assert (await client.ask("POST", "/str", data=b"\xff")).status == 400
        assert (await client.ask("POST", "/short", data=b"abc")).faults == {("body", "$")}


@pytest.mark.parametrize("kind", ["length", "chunks", "compressed", "large"])
async def test_bodies_have_a_limit(api, kind):
    """A body that is longer than its route takes is 413, with a length or in chunks, also when it was compressed."""
    small = handler_of(t.Annotated[bytes, http.Body], "/small", "POST", max_body=10)
    large = handler_of(t.Annotated[bytes, http.Body], "/large", "POST", max_body=3_000_000)

    async def chunks():
        for _ in range(3):
            yield b"12345"

    options = {
        "length": {"data": b"1" * 11},
        "chunks": {"data": chunks()},
        "compressed": {"data": gzip.compress(b"1" * 10**6), "headers": {"Content-Encoding": "gzip"}},
        "large": {"data": io.BytesIO(b"1" * 2_000_000)},
    }
    async with api(small, large) as client:
        assert (await client.ask("POST", "/small", data=b"1" * 10)).status == 200
        answer = await client.ask("POST", "/small", **options[kind])
        assert (answer.status, answer.json["detail"]) == (413, "the body is longer than 10 bytes")
        if kind == "large":
            assert (await client.ask("POST", "/large", data=io.BytesIO(b"1" * 2_000_000))).status == 200
        assert client.events() == []


async def test_bodies_have_a_limit_where_none_is_said(api):
    """It is that of the application, a mebibyte."""
    async with api(order) as client:
        answer = await client.ask("POST", "/orders", data=io.BytesIO(b" " * 2**21), headers=JSON)
        assert (answer.status, answer.json["detail"]) == (413, "the body is longer than 1048576 bytes")


async def test_compressed_bodies(api):
    """They are read as what they were before; what is no such encoding is the client's fault."""
    async with api(order) as client:
        body = gzip.compress(json.dumps({"name": "n", "lines": []}).encode())
        headers = {**JSON, "Content-Encoding": "gzip"}
        assert (await client.ask("POST", "/orders", data=body, headers=headers)).status == 200
        for broken in (b"no gzip at all", body[:-12]):
            head = "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            told = await client.raw(
                f"{head}Connection: close\r\nContent-Length: {len(broken)}\r\n\r\n".encode() + broken
            )
            assert told.startswith(b"HTTP/1.1 400 "), (broken, told)
            assert b"application/problem+json" in told
        assert client.events() == []


async def test_get_takes_no_body(api):
    """What comes with a GET that takes none is passed over, and the connection goes on."""
    async with api(thing) as client:
        assert (await client.ask("GET", "/things/1", data=b"body", headers=JSON)).status == 200
        assert (await client.get("/things/2")).status == 200


# forms and files


@http.post("/form")
async def form(
    name: t.Annotated[str, http.Form],
    number: t.Annotated[int, http.Form] = 1,
    tag: t.Annotated[list[str], http.Form] = (),
) -> list:
    return [name, number, tag]


@http.post("/file")
async def file(
    data: t.Annotated[bytes, http.File(max_size=5, types="text/*")],
    field: t.Annotated[web.FileField | None, http.File] = None,
    many: t.Annotated[list[bytes], http.File(max_size=2)] = (),
    fields: t.Annotated[tuple[web.FileField, ...], http.File] = (),
) -> list:
    return [
        data.decode(),
        field and [field.filename, field.content_type, field.file.read().decode()],
        [each.decode() for each in many],
        [each.filename for each in fields],
    ]


def multipart(*fields):
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value, options in fields:
        made.add_field(name, value, **options)
    return made


async def test_forms(api):
    """Fields come from a form, urlencoded or multipart, and are converted; what is wrong is told as with a query."""
    async with api(form) as client:
        fields = [("name", "n é"), ("number", "4"), ("tag", "a"), ("tag", "b")]
        for data in (aiohttp.FormData(fields), multipart(*((*each, {}) for each in fields))):
            assert (await client.ask("POST", "/form", data=data)).json == ["n é", 4, ["a", "b"]]
        answer = await client.ask("POST", "/form", data={"number": "x", "nme": "n"})
        assert (answer.status, answer.faults) == (422, {("form", "name"), ("form", "number"), ("form", "nme")})
        twice = aiohttp.FormData([("name", "a"), ("name", "b")])
        assert (await client.ask("POST", "/form", data=twice)).faults == {("form", "name")}
        assert (await client.ask("POST", "/form")).faults == {("form", "name")}
        answer = await client.post("/form", {"name": "n"})
        assert answer.status == 415
        assert answer.headers["Accept-Post"] == "application/x-www-form-urlencoded, multipart/form-data"
        assert (await client.ask("POST", "/form?name=n", data={"name": "n"})).faults == {("query", "name")}


async def test_a_file_is_no_text(api):
    """A file for a field that is a text, and a text for a file, are refused; neither reaches the handler."""
    async with api(form, file) as client:
        for options in ({"filename": "x.txt"}, {"content_type": "application/octet-stream"}):
            answer = await client.ask("POST", "/form", data=multipart(("name", "n", options)))
            assert (answer.status, answer.faults) == (422, {("form", "name")}), options
        answer = await client.ask("POST", "/file", data=multipart(("data", "n", {})))
        assert answer.json["errors"][0]["detail"] == "it is a text; send it as a file, with a filename"


async def test_files(api):
    """A file is bytes or a field with its name and type, or a list of these."""
    async with api(file) as client:
        options = {"filename": "e.txt", "content_type": "text/plain"}
        data = multipart(("data", b"12345", options))
        assert (await client.ask("POST", "/file", data=data)).json == ["12345", None, [], []]
        data = multipart(*((name, b"12", options) for name in ("data", "field", "many", "many", "fields", "fields")))
        answer = await client.ask("POST", "/file", data=data)
        assert answer.json == ["12", ["e.txt", "text/plain", "12"], ["12", "12"], ["e.txt", "e.txt"]]


async def test_files_that_are_not_taken(api):
    """A file that is too long or of another type is told, each of several."""
    async with api(file) as client:
        options = {"filename": "x", "content_type": "image/png"}
        data = multipart(("data", b"123456", options), *(("many", b"123", options) for _ in range(2)))
        answer = await client.ask("POST", "/file", data=data)
        assert answer.status == 422
        assert [each["detail"] for each in answer.json["errors"]] == [
            "it is image/png, and has to be text/*",
            "it has 3 bytes, and may have 2",
            "it has 3 bytes, and may have 2",
        ]


async def test_broken_forms_are_refused(api):
    """A multipart body without boundary, without end, or with an encoding that there is not, is 400."""
    urlencoded, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
    name = b'Content-Disposition: form-data; name="name"\r\n'
    bodies = [
        ("multipart/form-data", b"x"),
        (multipart, b"nonsense"),
        (multipart, b"--x\r\n" + name + b"\r\nhalf"),
        (multipart, b"--x\r\n\r\nno name\r\n--x--\r\n"),
        (multipart, b"--x\r\n" + name + b"\r\n\xff\r\n--x--\r\n"),
        (multipart, b"--x\r\nContent-Type: text/plain; charset=nowhere\r\n" + name + b"\r\na\r\n--x--\r\n"),
        (multipart, b"--x\r\nContent-Transfer-Encoding: base64\r\n" + name + b"\r\n!!!a\r\n--x--\r\n"),
        (multipart, b"--x\r\n" + name.replace(b'"name"', b'"\xff"') + b"\r\na\r\n--x--\r\n"),
        (multipart, b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n" + name + b"\r\n--y--\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 100, b"--" + b"x" * 100 + b"\r\n"),
        (urlencoded, b"name=\xff"),
        (urlencoded + "; charset=nowhere", b"name=x"),
    ]  # fmt: skip
    async with api(form) as client:
        for media_type, body in bodies:
            answer = await client.ask("POST", "/form", data=body, headers={"Content-Type": media_type})
            assert (answer.status, answer.type) in {
                (400, "application/problem+json"), (422, "application/problem+json"),
            }, (media_type, body, answer.text)  # fmt: skip
        assert client.events() == []


async def test_a_body_that_ends_too_early_is_no_error_of_the_service(api):
    """A client that leaves in the middle of its body is not logged as a failure."""
    async with api(order, form) as client:
        for path, media_type in (("/orders", "application/json"), ("/form", "multipart/form-data; boundary=x")):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: 100\r\n\r\n{{"
            reader, writer = await client.connect()
            writer.write(head.encode())
            writer.write_eof()
            await reader.read()
            writer.close()
        assert (await client.post("/orders", {"name": "n", "lines": []})).status == 200
        assert client.events() == []


# a naive reference, which takes a list of texts for each name

TYPES = [int, bool, str, float, Color, int | None, list[int], list[str], set[int], t.Annotated[int, msgspec.Meta(ge=0)]]
NAMES = ["a", "b", "c", "long_name"]
TEXTS = st.one_of(st.sampled_from(["", "1", "-1", "true", "red", "null", "x", "1.5", "é"]), st.text(max_size=3))


@attrs.frozen
class Expected:
    name: str
    tp: object
    default: object
    is_many: bool


@st.composite
def expectations(draw):
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        tp = draw(st.sampled_from(TYPES))
        default = draw(st.sampled_from([None, sources.missing]))
        found.append(Expected(name, tp, default, t.get_origin(tp) in {list, set}))
    return found


def naive(expected, given, unknown, separator=None):
    """Return the values, and the names of what is wrong; with a *separator* one text may be several of a list."""
    values, wrong = {}, set()
    for each in expected:
        texts = [value for key, value in given if key == each.name]
        if not texts:
            if each.default is sources.missing and each.tp != int | None:
                wrong.add(each.name)
            values[each.name] = None
        elif len(texts) > 1 and not each.is_many:
            wrong.add(each.name)
        else:
            if each.is_many and separator is not None:
                texts = [item.strip() for text in texts for item in text.split(separator) if item.strip()]
            try:
                values[each.name] = msgspec.convert(texts if each.is_many else texts[0], each.tp, strict=False)
            except msgspec.ValidationError:
                wrong.add(each.name)
    if unknown == "refuse":
        wrong |= {key for key, _ in given} - {each.name for each in expected}
    return values, wrong


def bound(marker, expected, unknown):
    """Return the step that binds *expected* and returns what it gave to its handler."""

    async def handler(**given):
        return web.Response(text=repr(given))

    bindings = tuple(
        sources.Binding(each.name, each.tp, marker(each.name), each.default, True, each.is_many) for each in expected
    )
    return bind.compile_endpoint(handler, bindings, di.Adapters(), bind.Options(unknown=unknown))


def run(coroutine):
    """Return what a coroutine that waits for nothing returns."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


@hypothesis.given(expectations(), st.lists(st.tuples(st.sampled_from([*NAMES, "other"]), TEXTS)), st.data())
def test_a_query_is_bound_as_a_naive_reference_binds_it(expected, given, data):
    """For any parameters and any query, the values are the same, or the faults are of the same parameters."""
    unknown = data.draw(st.sampled_from(["refuse", "ignore"]))
    given = [(key, value.encode(errors="ignore").decode()) for key, value in given]
    request = make_mocked_request("GET", str(yarl.URL("/").with_query(given)))
    values, wrong = naive(expected, given, unknown)
    check_bound(bound(http.Query, expected, unknown), request, values, wrong, "query")


@hypothesis.given(expectations(), st.lists(st.tuples(st.sampled_from(NAMES), TEXTS)))
def test_headers_are_bound_as_a_naive_reference_binds_them(expected, given):
    """The same holds for headers, of which nobody minds the unknown ones."""
    given = [(key, "".join(each for each in value if each.isprintable() and each != '"')) for key, value in given]
    request = make_mocked_request("GET", "/", headers=CIMultiDict(given))
    values, wrong = naive(expected, given, "ignore", ",")
    check_bound(bound(http.Header, expected, "refuse"), request, values, wrong, "header")


def check_bound(step, request, values, wrong, source):
    if not wrong:
        assert run(step(request)).text == repr(values)
        return
    with pytest.raises(http.Problem) as caught:
        run(step(request))
    assert caught.value.status == 422
    assert {each.name for each in caught.value.errors} == wrong
    assert {each.source for each in caught.value.errors} == {source}
