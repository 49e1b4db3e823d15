"""Limits: bodies and heads that are too long are refused, whatever they hold."""

import asyncio

import pytest
from aiohttp import web

from buvar import context


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
async def test_a_body_has_a_longest_length(edged, size, status):
    """One byte more than ``max_body`` is answered 413, also where no length was told beforehand."""

    async def pieces():
        yield b"x" * size

    async with edged(max_body=10) as ask:
        assert (await ask("/upload", "POST", data=b"x" * size)).status == status
        assert (await ask("/upload", "POST", data=pieces())).status == status


async def test_a_body_that_unpacks_to_more_is_refused(edged):
    """What counts is the body that a handler would get, not what was sent."""
    async with edged(max_body=100_000) as ask:
        answer = await ask("/upload", "POST", data=b"x" * 1_000_000, compress="gzip")
        assert answer.status == 413


async def test_a_handler_that_reads_piece_by_piece_takes_any_length(edged):
    """``max_body`` is for bodies that are read as a whole."""

    async def plugin():
        async def count(request):
            return web.Response(text=str(sum([len(piece) async for piece in request.content.iter_any()])))

        context.get(web.Application).router.add_post("/count", count)

    async with edged(plugin, max_body=10) as ask:
        assert (await ask("/count", "POST", data=b"x" * 1000)).text == "1000"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/", {}, 200), ("/?" + "x" * 300, {}, 400), ("/", {"X-A": "x" * 500}, 400), ("/", {"X-A": "x" * 300}, 200)],
)
async def test_lines_and_headers_have_a_longest_length(edged, path, headers, status):
    """``max_line_size`` is for the first line, ``max_field_size`` for each header."""
    async with edged(max_line_size=200, max_field_size=400) as ask:
        assert (await ask(path, headers=headers)).status == status


async def test_no_client_writes_headers_of_a_response(edged):
    """What a handler takes from a request into a header cannot end the header; it is answered 500."""
    async with edged() as ask:
        reader, writer = await asyncio.open_connection(ask.url.host, ask.url.port)
        writer.write(b"GET /text/1?X-A=b%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 500")
        assert b"Set-Cookie" not in answer
        writer.close()


@pytest.mark.parametrize("line", [b"X-A: b\rSet-Cookie: a", b"X-A: b\0c", b"X A: b", b" X-A: b", b"Content-Length: -1"])
async def test_headers_that_are_none_are_refused(edged, line):
    """Control characters in a header, and what two readers could read in two ways, are answered 400."""
    async with edged() as ask:
        reader, writer = await asyncio.open_connection(ask.url.host, ask.url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n")
        assert (await reader.read()).split(b" ")[1] == b"400"
        writer.close()
