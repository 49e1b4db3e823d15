"""Parameters that are lists, files and forms: what a client may send is taken, and what it may not is refused."""

import asyncio
import collections.abc as c
import typing as t

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import errors, plugin
from buvar_aiohttp import http, testing
from buvar_aiohttp.http import faults, refusal, sources


@http.post("/files")
async def files(files: t.Annotated[list[web.FileField], http.File(types="image/*")] = []) -> list[str]:
    return [each.filename for each in files]


@http.get("/numbers")
async def numbers(x_numbers: t.Annotated[list[int], http.Header]) -> list[int]:
    return x_numbers


@http.get("/nothing/{kind}")
async def events(kind: str) -> c.AsyncIterator[http.Event]:
    return
    yield http.Event()


@http.get("/nothing/lines")
async def lines() -> c.AsyncIterator[dict[str, int]]:
    return
    yield {}


@http.get("/nothing/text")
async def text() -> c.AsyncGenerator[str, None]:
    return
    yield ""


@http.get("/nothing/untold")
async def untold():
    return
    yield 1


async def prepare(load: plugin.Loader):
    await load("buvar_aiohttp")
    http.mount(files, numbers, events, lines, text, untold)


@pytest.fixture
async def session(served):
    async with served(prepare) as session:
        yield session


def form(*parts):
    made = aiohttp.FormData()
    for name, media_type in parts:
        made.add_field("files", b"x", filename=name, content_type=media_type)
    return made


async def test_a_list_of_files_has_all_of_them(session):
    """A parameter that is a list of files gets each file of its name, and each is looked at."""
    async with session.post("/files", data=form(("a.png", "image/png"), ("b.gif", "image/gif"))) as response:
        assert await response.json() == ["a.png", "b.gif"]
    async with session.post("/files", data=form(("a.png", "image/png"), ("b.txt", "text/plain"))) as response:
        assert response.status == 422
        assert "it is text/plain" in await response.text()


@pytest.mark.parametrize("values", [["1, 2", "3"], ["1", "2", "3"], ["1,2 ,, 3"]])
async def test_a_list_in_a_header_is_one_line_or_several(session, values):
    """Whether the items have a line each or commas between them is the same, as proxies may change one to the other."""
    async with session.get("/numbers", headers=[("X-Numbers", value) for value in values]) as response:
        assert await response.json() == [1, 2, 3]


async def test_a_wrong_item_in_a_header_is_told(session):
    """An item that does not fit is told with its place in the list."""
    async with session.get("/numbers", headers={"X-Numbers": "1,x"}) as response:
        assert response.status == 422
        assert "$[1]" in (await response.json())["errors"][0]["detail"]


@given(st.lists(st.text(st.sampled_from('ab ,"\\'))))
def test_a_comma_between_quotes_belongs_to_its_item(values):
    """Nothing but commas outside of quotes, and spaces beside them, is lost of a header that is a list."""
    items = refusal.split(values)
    assert all(items)
    assert [each for each in items if "," in each and '"' not in each] == []
    assert "".join(items).replace(" ", "").replace(",", "") == "".join(values).replace(" ", "").replace(",", "")


def test_items_of_a_header():
    """Quotes hold an item together, to the end of the line where they are not closed."""
    assert refusal.split(['a, "b, c" ,d', '"e, f']) == ["a", '"b, c"', "d", '"e, f']


def test_a_cookie_is_no_list():
    """A handler that takes a cookie as a list stops the start: a cookie has one value."""

    async def handler(session: t.Annotated[list[str], http.Cookie]) -> None: ...

    with pytest.raises(ExceptionGroup) as raised:
        sources.read(handler, (), "GET")
    (error,) = raised.value.exceptions
    assert isinstance(error, errors.DeclarationError)
    assert "'session' is a list[str], and a cookie has one value" in str(error)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("events", "text/event-stream"),
        ("lines", "application/x-ndjson"),
        ("text", "text/plain; charset=utf-8"),
        ("untold", "application/octet-stream"),
    ],
)
async def test_a_stream_of_nothing_is_of_its_type(session, path, media_type):
    """A handler that yields nothing answers with the media type that its annotation tells."""
    async with session.get(f"/nothing/{path}") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, media_type)
        assert await response.read() == b""
        assert response.headers.get("Cache-Control") == ("no-store" if path == "events" else None)


HEAD = 'Content-Disposition: form-data; name="files"; filename="a"'
PIECES = [
    "--x",
    "--x--",
    "\r\n",
    "\n",
    ":",
    HEAD,
    "Content-Type: image/png",
    "Content-Transfer-Encoding: base64",
    "=",
    "ü",
]
PIECES += [
    "Content-Type: text/plain; charset=none",
    "Content-Encoding: deflate",
    "Content-Length: -1",
    "\0",
    "a" * 9000,
]


# aiohttp warns of file names that it cannot read, and leaves files of a broken form to be closed when they are deleted
@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning:aiohttp.multipart", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=20))
@settings(max_examples=20, deadline=None)
def test_a_broken_form_is_no_error_of_the_service(bodies):
    """Whatever stands between the boundaries of a form, it is taken, or refused as the client's fault."""

    async def send():
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        async with testing.client(prepare) as client:
            for body in bodies:
                async with client.post(
                    "/files", data=f"--x\r\n{body}\r\n--x--\r\n".encode(), headers=headers
                ) as response:
                    assert response.status in {200, 400, 422}, body

    asyncio.run(send())


async def test_a_broken_form_is_refused(session):
    """A part with headers that are none is the client's fault, and is told so."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    async with session.post("/files", data=b"--x\r\nno header--x--\r\n", headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["detail"].startswith("the body is no form: ")


async def test_a_form_of_too_many_fields_says_so(session):
    """It is their number that is refused, where the form is short."""
    body = b"&".join(b"f%d=1" % number for number in range(1001))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with session.post("/files", data=body, headers=headers) as response:
        told = await response.json()
    assert (told["status"], told["detail"]) == (413, "the form has more than 1000 fields")


async def test_of_unknown_parameters_some_are_told(session):
    """A client that sends any number of them gets no answer that is many times as long."""
    async with session.get("/nothing/text?" + "&".join(f"{number:x}" for number in range(1500))) as response:
        told = await response.json()
    assert (told["status"], len(told["errors"])) == (422, faults.LIMIT)
