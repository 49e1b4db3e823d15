"""What the tests of the edges share: an application with a route of each kind, and a client that shows all it gets."""

import contextlib

import aiohttp
import attrs
import pytest
from aiohttp import web

from buvar import context

TEXT = "tea " * 1000


@attrs.frozen
class Answer:
    """A response, its body as it was sent."""

    status: int
    headers: object
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    def vary(self):
        return {name.strip().lower() for name in self.headers.get("Vary", "").split(",")} - {""}


class Asker:
    def __init__(self, session):
        self.session = session
        self.url = session._base_url

    async def __call__(self, path="/", method="GET", headers=(), **options):
        sent = {"Accept-Encoding": "identity", **dict(headers)}
        async with self.session.request(
            method, path, headers={k: v for k, v in sent.items() if v is not None}, allow_redirects=False, **options
        ) as response:
            return Answer(response.status, response.headers, await response.read())


async def routes():
    async def origin(request):
        return web.json_response({"remote": request.remote, "scheme": request.scheme, "host": request.host})

    async def text(request):
        return web.Response(text=TEXT[: int(request.match_info["size"])], headers=request.query)

    async def stream(request):
        response = web.StreamResponse(headers=request.query)
        await response.prepare(request)
        await response.write(b"tea")
        await response.write(b"pot")
        return response

    async def fail(request):
        raise ValueError("secret")

    async def upload(request):
        return web.Response(text=str(len(await request.read())))

    async def socket(request):
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.send_str((await response.receive_str()).upper())
        return response

    app = context.get(web.Application)
    app.router.add_get("/", origin)
    app.router.add_get("/text/{size}", text)
    app.router.add_get("/stream", stream)
    app.router.add_get("/fail", fail)
    app.router.add_post("/upload", upload)
    app.router.add_get("/socket", socket)


@pytest.fixture
def edged(served):
    """Serve an application within edges: ``async with edged(plugin, …, hosts=[…]) as ask:``."""

    @contextlib.asynccontextmanager
    async def serve(*plugins, **config):
        async with served(routes, *plugins, **config) as session:
            options = {"cookie_jar": aiohttp.DummyCookieJar(), "auto_decompress": False}
            async with aiohttp.ClientSession(session._base_url, **options) as raw:
                yield Asker(raw)

    return serve
