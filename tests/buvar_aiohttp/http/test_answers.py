"""An answer is sent as the response of aiohttp's is that has the same in it, byte for byte."""

import asyncio
import itertools
import re

import pytest
from aiohttp import web

from buvar import context
from buvar_aiohttp.http.answers import Answer

BODIES = {"text": b"Hello, world", "empty": b"", "large": b"x" * 100_000}
CHANGES = {
    "none": lambda response: None,
    "cookie": lambda response: response.set_cookie("a", "b"),
    "chunked": lambda response: response.enable_chunked_encoding(),
    "compressed": lambda response: response.enable_compression(web.ContentCoding.gzip),
    "closing": lambda response: response.force_close(),
    "length": lambda response: response.headers.update({"Content-Length": "12"}),
    "headers": lambda response: response.headers.update({"Server": "x", "Date": "now", "Connection": "x", "X-A": "b"}),
    "typeless": lambda response: response.headers.popall("Content-Type"),
    "renamed": lambda response: response.set_status(response.status, "Whatever"),
}
HEADS = [
    (method, version, connection)
    for method, version, connection in itertools.product(
        ("GET", "HEAD", "POST"), ("1.0", "1.1"), ("", "Connection: close\r\n", "Connection: keep-alive\r\n")
    )
]


@pytest.fixture
async def ask(api):
    """Ask for the same in both ways; return the bytes of the two."""

    async def respond(request):
        kind, body, status, change = (request.match_info[name] for name in ("kind", "body", "status", "change"))
        content = BODIES[body]
        if kind == "answer":
            made = Answer(content, "text/plain; charset=utf-8", int(status))
        else:
            made = web.Response(body=content, headers={"Content-Type": "text/plain; charset=utf-8"}, status=int(status))
        CHANGES[change](made)
        return made

    async def mark(request, response):
        response.headers["X-Prepared"] = ", ".join(sorted(response.headers))

    async def prepare():
        app = context.get(web.Application)
        app.router.add_route("*", "/{kind}/{body}/{status}/{change}", respond)
        app.on_response_prepare.append(mark)

    async with api(plugins=[prepare]) as client:

        async def ask(what, method, version, connection):
            found = []
            for kind in ("answer", "response"):
                reader, writer = await client.connect()
                head = f"{method} /{kind}/{what} HTTP/{version}\r\nHost: x\r\n{connection}\r\n"
                # what follows shows whether the connection stays open
                writer.write(head.encode() + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                read = await asyncio.wait_for(reader.read(), 20)
                writer.close()
                found.append(re.sub(rb'Date: .*? GMT|"request_id":"\w+"', b"", read))
            return found

        yield ask


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("status", [200, 201, 204, 304, 404])
async def test_it_is_sent_as_aiohttp_sends_it(ask, change, status):
    """Whatever is asked, by which version of HTTP, and whatever was changed: status line, headers, body, connection."""
    for body in BODIES if status == 200 else ("text",):
        for head in HEADS:
            answer, response = await ask(f"{body}/{status}/{change}", *head)
            assert answer == response, (body, head)
            assert answer.startswith(b"HTTP/1.")
