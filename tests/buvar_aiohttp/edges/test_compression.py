"""Compression: what is worth it is compressed as its client wants it, and nothing else is."""

import asyncio
import gzip
import zlib

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from buvar import config, context, errors
from buvar_aiohttp import AioHttpConfig
from buvar_aiohttp.edges.compression import Compression, Edge

GZIP = {"Accept-Encoding": "gzip"}
TEXT = "tea " * 1000


@pytest.fixture
def compressing(edged):
    return lambda *plugins, **options: edged(*plugins, compression=Compression(**options))


def encoding(answer):
    return answer.headers.get("Content-Encoding")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("deflate, gzip", "gzip"),
        ("deflate;q=1.0, gzip;q=0.5", "deflate"),
        ("GZIP ; Q=0.3", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "gzip"),
        ("*;q=0.1, gzip;q=0", "deflate"),
        ("br, zstd", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000, deflate;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=nonsense", None),
        ("notgzip", None),
        ("", None),
        (None, None),
    ],
)
async def test_the_client_says_which_encoding_it_likes(compressing, accepted, expected):
    """Quality values count, 0 means never; of equals the first that is configured is taken."""
    async with compressing() as ask:
        answer = await ask("/text/4000", headers={"Accept-Encoding": accepted}, skip_auto_headers=["Accept-Encoding"])
        assert (encoding(answer), answer.vary()) == (expected, {"accept-encoding"})
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        open_ = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[expected]
        assert open_(answer.body).decode() == TEXT


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/text/1023", {}),
        ("/text/4000", {"Content-Type": "image/png"}),
        ("/text/4000", {"Content-Type": "text/event-stream"}),
        ("/text/4000", {"Content-Encoding": "br"}),
        ("/text/4000", {"Content-Range": "bytes 0-3999/8000"}),
        ("/text/4000", {"Cache-Control": "public, No-Transform"}),
        ("/stream", {"Content-Type": "text/event-stream; charset=utf-8"}),
        ("/stream", {}),
    ],
)
async def test_what_is_not_worth_it_or_may_not_be_is_left_alone(compressing, path, headers):
    """Small bodies, other types, events, what is encoded, a part, or not to be changed, is sent as it is."""
    async with compressing() as ask:
        answer = await ask(path, headers=GZIP, params=headers)
        assert encoding(answer) == headers.get("Content-Encoding")
        assert answer.vary() == set()
        assert answer.text in {"teapot", TEXT, TEXT[:1023]}


@pytest.mark.parametrize(
    "kind", ["text/css", "application/json", "application/problem+json", "image/svg+xml", "TEXT/x;a=b"]
)
async def test_types_are_compared_without_parameters(compressing, kind):
    """Text, JSON, XML and what builds on them is compressed, in any case, with any parameter."""
    async with compressing() as ask:
        assert encoding(await ask("/text/4000", headers=GZIP, params={"Content-Type": kind})) == "gzip"


async def test_errors_are_compressed_too(compressing):
    """A 404 is a response as any other."""
    async with compressing(min_size=0) as ask:
        answer = await ask("/nowhere", headers=GZIP)
        assert (answer.status, encoding(answer)) == (404, "gzip")
        assert b"Not Found" in gzip.decompress(answer.body)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_a_body_has_no_encoding(compressing, status):
    """Nothing is made of nothing; 304 says that the response it stands for varies."""

    async def plugin():
        async def empty(request):
            return web.Response(status=status)

        context.get(web.Application).router.add_get("/empty", empty)

    async with compressing(plugin, min_size=0) as ask:
        answer = await ask("/empty", headers=GZIP)
        assert (answer.status, encoding(answer), answer.body) == (status, None, b"")
        assert answer.vary() == ({"accept-encoding"} if status == 304 else set())


@pytest.mark.parametrize("path", ["/text/4000", "/static/tea.txt"])
async def test_head_has_the_headers_of_get(compressing, path, tmp_path):
    """HEAD says what GET would say, but for the length, and nothing follows on the connection."""
    async with compressing(static(tmp_path)) as ask:
        get, head = [await ask(path, method, GZIP) for method in ("GET", "HEAD")]
        volatile = {"content-length", "transfer-encoding", "date"}
        same = [{k: v for k, v in each.headers.items() if k.lower() not in volatile} for each in (get, head)]
        assert same[0] == same[1]
        assert (head.body, encoding(head)) == (b"", "gzip")
        assert "Content-Length" not in head.headers
        assert (await ask(path)).text == TEXT


def static(folder):
    (folder / "tea.txt").write_text(TEXT)

    async def plugin():
        context.get(web.Application).router.add_static("/static", folder)

    return plugin


async def test_files_are_compressed_and_parts_of_them_are_not(compressing, tmp_path):
    """A file has a weak tag when it is compressed, by which it is known again; a part is what it was."""
    async with compressing(static(tmp_path)) as ask:
        plain = await ask("/static/tea.txt")
        answer = await ask("/static/tea.txt", headers=GZIP)
        assert gzip.decompress(answer.body).decode() == plain.text == TEXT
        assert answer.headers["ETag"] == f"W/{plain.headers['ETag']}"
        assert "Accept-Ranges" not in answer.headers
        again = await ask("/static/tea.txt", headers={**GZIP, "If-None-Match": answer.headers["ETag"]})
        assert (again.status, again.vary()) == (304, {"accept-encoding"})
        part = await ask("/static/tea.txt", headers={**GZIP, "Range": "bytes=4-6"})
        assert (part.status, encoding(part), part.text) == (206, None, "tea")


async def test_a_file_that_is_compressed_already_is_sent_as_it_is(compressing, tmp_path):
    """Beside a file there may be its compressed twin, which aiohttp sends in its place."""
    (tmp_path / "tea.txt.gz").write_bytes(twin := gzip.compress(TEXT.encode()))
    async with compressing(static(tmp_path)) as ask:
        answer = await ask("/static/tea.txt", headers=GZIP)
        assert (answer.body, encoding(answer)) == (twin, "gzip")


@pytest.mark.parametrize("length", [None, "6"])
async def test_a_stream_is_compressed_piece_by_piece(compressing, length):
    """What a handler writes can be read at once, before it writes more, also where it told the length beforehand."""
    read = asyncio.Event()

    async def plugin():
        async def stream(request):
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            if length:
                response.headers["Content-Length"] = length
            await response.prepare(request)
            await response.write(b"tea")
            loop = asyncio.get_running_loop()
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(read.wait(), test_loop), loop=loop)
            await response.write(b"pot")
            return response

        context.get(web.Application).router.add_get("/slow", stream)

    test_loop = asyncio.get_running_loop()
    async with compressing(plugin, min_size=0) as ask, ask.session.get("/slow", headers=GZIP) as response:
        reader = zlib.decompressobj(31)
        assert response.headers["Content-Encoding"] == "gzip"
        assert "Content-Length" not in response.headers
        text = b""
        while text != b"tea":
            text += reader.decompress(await response.content.readany())
        read.set()
        assert reader.decompress(await response.content.read()) == b"pot"
        assert reader.eof


async def test_what_a_handler_compresses_itself_is_not_compressed_again(compressing):
    """aiohttp's own ``enable_compression`` is left to do it."""

    async def plugin():
        async def own(request):
            response = web.Response(text=TEXT)
            response.enable_compression(web.ContentCoding.deflate)
            return response

        context.get(web.Application).router.add_get("/own", own)

    async with compressing(plugin) as ask:
        answer = await ask("/own", headers=GZIP)
        assert (encoding(answer), zlib.decompress(answer.body).decode()) == ("deflate", TEXT)


@pytest.mark.parametrize("path", ["/text/4000", "/stream?Content-Type=text/plain"])
async def test_a_client_of_http_1_0_can_read_it(compressing, path):
    """A stream has no chunks in HTTP/1.0, and is sent as it is; a whole body is compressed."""
    async with compressing() as ask:
        reader, writer = await asyncio.open_connection(ask.url.host, ask.url.port)
        writer.write(f"GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if b"Content-Encoding: gzip" in head:
            body = gzip.decompress(body)
        assert body.decode() in {TEXT, "teapot"}
        assert b"chunked" not in head


async def test_without_it_nothing_is_compressed(edged):
    """Compression is off unless it is configured."""
    async with edged() as ask:
        answer = await ask("/text/4000", headers=GZIP)
        assert (encoding(answer), answer.vary(), answer.text) == (None, set(), TEXT)


@given(st.text() | st.lists(st.sampled_from(["gzip", "*", ";q=", "0.5", ",", " ", "identity", "deflate"])).map("".join))
def test_any_header_is_understood_somehow(text):
    """Whatever a client sends, an encoding that is offered is chosen, or none."""
    found = Edge(Compression()).choose(text)
    assert found is None or found.value in {"gzip", "deflate"}


def load(**table):
    return config.ConfigSource({"aiohttp": {"compression": table}}).load(AioHttpConfig, "aiohttp").compression


def test_an_empty_table_turns_it_on():
    """[aiohttp.compression] with nothing in it has all defaults."""
    assert load() == Compression()
    assert load(min_size=1, types=["text/plain"], encodings=["deflate"]) == Compression(1, ["text/plain"], ["deflate"])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"min_size": -1}, "aiohttp.compression.min_size: -1 is not at least 0"),
        ({"types": ["json"]}, "aiohttp.compression.types: 'json': expected a type as 'text/*'"),
        ({"encodings": []}, "aiohttp.compression.encodings: expected at least one of 'gzip' and 'deflate'"),
        ({"encodings": ["br"]}, "aiohttp.compression.encodings[0]: expected one of 'gzip', 'deflate', got 'br'"),
    ],
)
def test_what_does_not_fit_is_told(table, problem):
    """A wrong value names its key."""
    with pytest.raises(errors.ConfigError) as caught:
        load(**table)
    assert str(caught.value) == problem
