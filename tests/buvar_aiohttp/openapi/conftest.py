"""The service that is described, and its document."""

import importlib
import pathlib
import sys

import pytest

from buvar import context, plugin
from buvar_aiohttp import http, openapi, testing


@pytest.fixture
def shop(monkeypatch):
    """The module with the service that has a handler for every kind of parameter and result."""
    monkeypatch.syspath_prepend(pathlib.Path(__file__).parent)
    yield importlib.import_module("shop")
    del sys.modules["shop"]


@pytest.fixture
def describe():
    """Describe a service of these handlers: ``await describe(*handlers, title=…)``; *prepares* are further plugins."""

    async def describe(*handlers, prepares=(), prefix="", **settings):
        async def prepare(load: plugin.Loader):
            context.add(openapi.OpenApiConfig(**settings))
            await load("buvar_aiohttp.openapi", *prepares)
            http.mount(*handlers, prefix=prefix)

        async with testing.client(prepare) as client, client.get("/openapi.json") as response:
            assert response.status == 200
            return await response.json()

    return describe


@pytest.fixture
def operation(describe):
    """Return what the document says of one handler, at its only path and method."""

    async def operation(handler, **options):
        document = await describe(handler, **options)
        ((path, item),) = document["paths"].items()
        ((method, told),) = item.items()
        return {"path": path, "method": method, "components": document["components"], **told}

    return operation
