"""The pytest plugin of `buvar_aiohttp`: the application of the plugins under test, and a client that talks to it.

::

    @pytest.mark.buvar_plugins("shop.api")
    async def test_products(buvar_aiohttp_client):
        response = await buvar_aiohttp_client.get("/products")
        assert response.status == 200

The client needs no port; a test that asks for `buvar_aiohttp_port` has one. `client` is for tests and scripts that have
no fixtures.

Nothing is imported for tests that do not use the fixtures.
"""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    import collections.abc as c
    import contextlib

    from aiohttp import web

    from buvar import plugin
    from buvar.components import Components
    from buvar.staging.loader import PluginRef

    from .inside import Client


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
) -> c.Iterator[Client]:
    """A client of the application, which is served in the context of the plugins, without a port.

    It is of the class that the fixture ``aiohttp_client_cls`` gives, where there is one (pytest-aiohttp has it). A test
    that asks for `buvar_aiohttp_port` has the application served on a local port; so has one whose class of clients
    cannot be given a connector.
    """
    from buvar import testing

    from . import inside

    complete = testing.wrap_in_buvar_plugin_context(buvar_plugin_context, buvar_stage.loop.run_until_complete)
    port = "buvar_aiohttp_port" in request.fixturenames
    client = complete(inside.serve(buvar_aiohttp_app, _client_class(request), port=port))
    yield client
    complete(client.close())


@pytest.fixture
def buvar_aiohttp_port(buvar_aiohttp_client: Client) -> int:
    """The local port on which the application is served, for what is no client in the process of the test."""
    port = buvar_aiohttp_client.port
    assert port is not None, "it is served as long as the test runs"
    return port


def _client_class(request: pytest.FixtureRequest) -> t.Any:
    try:
        return request.getfixturevalue("aiohttp_client_cls")
    except pytest.FixtureLookupError:
        return None


def client(
    *what: web.Application | plugin.Stage | PluginRef,
    config: c.Mapping[str, t.Any] | None = None,
    components: Components | None = None,
    overrides: c.Mapping[t.Any, t.Any] | None = None,
    port: bool = False,
    client_class: c.Callable[..., Client] | None = None,
    **options: t.Any,
) -> contextlib.AbstractAsyncContextManager[Client]:
    """Return an async context manager: a client of *what* while its block runs, without fixtures.

    *what* are plugins, by default none but `buvar_aiohttp`, which are prepared and checked as at a start, with *config*
    and *components*, and torn down at the end; their tasks are not run. Or it is one stage, whose plugins are loaded
    already and which stays as it is, or one application, which is served as it stands.

    *overrides* has fakes by what they are injected for, before anything is built; see `di.override`. *port* has it
    served on a local port. *client_class* is ``aiohttp.test_utils.TestClient`` or one like it, which gets *options*:
    ``headers``, ``cookies``, ``timeout`` and what else an ``aiohttp.ClientSession`` takes.

    Raises what a start of the plugins raises, TypeError for *config* or *components* without plugins to load.
    """
    from . import inside

    serving = {"client_class": client_class, "port": port, **options}
    return inside.opened(what, config, components, overrides or {}, **serving)
