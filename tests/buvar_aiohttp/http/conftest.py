"""What the tests of typed handlers share: a service of some handlers, and a client that tells all of an answer."""

import asyncio
import contextlib
import json
import urllib.parse

import attrs
import pytest
import structlog
import yarl

from buvar_aiohttp import http


@attrs.frozen
class Answer:
    """A response, read to its end."""

    status: int
    headers: object
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.headers.get("Content-Type")

    @property
    def faults(self):
        """What a problem document says is wrong: source, name or path, detail."""
        assert self.type == "application/problem+json", self.text
        return {(each["in"], each.get("name") or each.get("path")) for each in self.json.get("errors", ())}


class Api:
    """A client of a service that runs, and the log of that."""

    def __init__(self, session, logs):
        self.session = session
        self.logs = logs

    async def ask(self, method, path, **options):
        """Return the answer; the path is sent as it is."""
        async with self.session.request(method, yarl.URL(path, encoded=True), **options) as response:
            return Answer(response.status, response.headers, await response.read())

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, json=None, **options):
        return self.ask("POST", path, json=json, **options)

    async def connect(self):
        """Return reader and writer of a connection of its own."""
        url = urllib.parse.urlsplit(str(self.session._base_url))
        return await asyncio.open_connection(url.hostname, url.port)

    async def raw(self, data):
        """Send bytes, and return all that comes until the server closes the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await reader.read()
        finally:
            writer.close()

    def events(self, event="request failed"):
        return [each for each in self.logs if each["event"] == event]


@pytest.fixture(autouse=True)
def _adapters(buvar_adapters_setup_contextvars):
    """What one test registers no other one finds."""


@pytest.fixture
def api(served):
    """Serve handlers: ``async with api(handler, …) as client:``; *plugins* are loaded before they are mounted."""

    @contextlib.asynccontextmanager
    async def serve(*items, plugins=(), app=(), config=None, **options):
        async def prepare_handlers():
            if app:
                http.around(*app)
            http.mount(*items, **options)

        with structlog.testing.capture_logs() as logs:
            async with served(*plugins, prepare_handlers, **(config or {})) as session:
                yield Api(session, logs)

    return serve
