"""The pytest plugin of `buvar_aiohttp`: the application of the plugins under test, and a client that talks to it.

::

    @pytest.mark.buvar_plugins("shop.api")
    async def test_products(buvar_aiohttp_client):
        response = await buvar_aiohttp_client.get("/products")
        assert response.status == 200

Nothing is imported for tests that do not use the fixtures.
"""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp import test_utils, web

    from buvar import plugin
    from buvar.components import Components


@pytest.fixture
def buvar_aiohttp_app(buvar_plugin_context: Components, buvar_stage: plugin.Stage) -> web.Application:
    """The application of the plugins under test; `buvar_aiohttp` is loaded if none of them did."""
    from aiohttp import web

    buvar_stage.load("buvar_aiohttp")
    return buvar_plugin_context.get(web.Application)


@pytest.fixture
def buvar_aiohttp_client(
    request: pytest.FixtureRequest,
    buvar_aiohttp_app: web.Application,
    buvar_plugin_context: Components,
    buvar_stage: plugin.Stage,
) -> c.Iterator[test_utils.TestClient[web.Request, web.Application]]:
    """A client of the application, which is served on a local port in the context of the plugins.

    It is of the class that the fixture ``aiohttp_client_cls`` gives, where there is one (pytest-aiohttp has it).
    """
    from buvar import testing

    complete = testing.wrap_in_buvar_plugin_context(buvar_plugin_context, buvar_stage.loop.run_until_complete)
    client = complete(_serve(_client_class(request), buvar_aiohttp_app))
    yield client
    complete(client.close())


def _client_class(request: pytest.FixtureRequest) -> t.Any:
    from aiohttp import test_utils

    try:
        return request.getfixturevalue("aiohttp_client_cls")
    except pytest.FixtureLookupError:
        return test_utils.TestClient


async def _serve(client_class: t.Any, app: web.Application) -> t.Any:
    from aiohttp import test_utils

    client = client_class(test_utils.TestServer(app))
    try:
        await client.start_server()
    except BaseException:
        await client.close()
        raise
    return client
