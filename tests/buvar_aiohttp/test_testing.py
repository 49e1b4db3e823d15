"""The fixtures for aiohttp are tested from outside: each test runs pytest in a process and a folder of its own."""

import importlib.metadata
import itertools
import os
import textwrap

import pytest

pytestmark = pytest.mark.slow

INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
# where buvar lies beside the tests and is not installed, pytest does not find its plugins by itself
INSTALLED = bool(importlib.metadata.entry_points(group="pytest11", name="buvar"))
OURS = ("-p", "buvar.testing", "-p", "buvar_aiohttp.testing")

PLUGIN = """
import aiohttp.web
from buvar import context, plugin

async def prepare(load: plugin.Loader):
    await load("buvar_aiohttp")
    context.add("from the plugin")
    context.get(aiohttp.web.Application).router.add_get("/", hello)

async def hello(request):
    assert context.get(aiohttp.web.Request) is request
    return aiohttp.web.Response(text=context.get(str))
"""


@pytest.fixture
def inner(pytester, monkeypatch):
    """Run pytest over a file with this text, with or without pytest-aiohttp; mode None: without pytest-asyncio too.

    Only the plugins in question are loaded, all others take long to import; *others* None: those that pytest finds.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.fspath(pytester.path), *([] if INSTALLED else [root])]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(the_site=PLUGIN)

    def run(text, *arguments, mode="auto", others=("asyncio", "aiohttp")):
        pytester.makeini("[pytest]\nfilterwarnings = error" if mode is None else INI.format(mode=mode))
        pytester.makepyfile(test_inner=textwrap.dedent(text))
        plugins = () if INSTALLED and others is None else OURS
        if others is not None:
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            plugins += tuple(f"-ppytest_{name}.plugin" for name in others if mode is not None)
        return pytester.runpytest_subprocess("-W", "error", "--strict-markers", *plugins, *arguments)

    return run


ASYNC = """
import aiohttp.web
import pytest
from buvar import context

pytestmark = pytest.mark.asyncio

@pytest.mark.buvar_plugins("the_site")
async def test_get(buvar_aiohttp_client):
    response = await buvar_aiohttp_client.get("/")
    assert response.status == 200
    assert await response.text() == "from the plugin"
    assert (await buvar_aiohttp_client.get("/nowhere")).status == 404

@pytest.mark.buvar_plugins("the_site")
async def test_app(buvar_aiohttp_app, buvar_aiohttp_client):
    assert context.get(aiohttp.web.Application) is buvar_aiohttp_app
    assert buvar_aiohttp_client.app is buvar_aiohttp_app
    assert context.get(aiohttp.ClientSession)

async def test_without_plugins(buvar_aiohttp_client):
    assert (await buvar_aiohttp_client.get("/")).status == 404
"""


@pytest.mark.parametrize(
    ("mode", "others"),
    [
        *itertools.product(["auto", "strict"], [("asyncio", "aiohttp"), ("asyncio",)]),
        ("auto", None),
    ],
)
def test_the_client_talks_to_the_application(inner, mode, others):
    """Handlers run in the context of their plugin, with and without pytest-aiohttp; no plugins, no routes."""
    inner(ASYNC, mode=mode, others=others).assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", ["auto", None])
def test_a_plain_test_uses_the_loop_of_the_stage(inner, mode):
    """A test that is not async completes its requests on the loop of the stage, and needs no other plugin for it."""
    inner(
        """
        import pytest

        @pytest.mark.buvar_plugins("the_site")
        def test_get(buvar_aiohttp_client, buvar_stage_loop):
            async def text():
                async with buvar_aiohttp_client.get("/") as response:
                    return await response.text()

            assert buvar_stage_loop.run_until_complete(text()) == "from the plugin"
        """,
        mode=mode,
    ).assert_outcomes(passed=1)


def test_the_loop_of_a_wider_scope(inner):
    """Tests that share a loop have clients on it, each for an application of its own."""
    inner(
        """
        import pytest

        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest.mark.parametrize("number", range(2))
        @pytest.mark.buvar_plugins("the_site")
        async def test_get(number, buvar_aiohttp_client, buvar_aiohttp_app):
            assert (await buvar_aiohttp_client.get("/")).status == 200
        """,
        mode="strict",
    ).assert_outcomes(passed=2)


def test_pytest_aiohttps_own_fixtures(inner):
    """The client is of the class that the test asks pytest-aiohttp for; its factory takes our application too."""
    inner(
        """
        import aiohttp.test_utils
        import pytest

        class OwnClient(aiohttp.test_utils.TestClient): ...

        @pytest.fixture
        def aiohttp_client_cls():
            return OwnClient

        @pytest.mark.buvar_plugins("the_site")
        async def test_class(buvar_aiohttp_client):
            assert isinstance(buvar_aiohttp_client, OwnClient)

        @pytest.mark.buvar_plugins("the_site")
        async def test_factory(buvar_aiohttp_app, aiohttp_client):
            client = await aiohttp_client(buvar_aiohttp_app)
            assert await (await client.get("/")).text() == "from the plugin"
        """
    ).assert_outcomes(passed=2)


PORT = """
import asyncio
import aiohttp.test_utils
import psutil
import pytest
import urllib.request

class Narrow(aiohttp.test_utils.TestClient):
    def __init__(self, server):
        super().__init__(server)

def listening():
    return [each.laddr.port for each in psutil.Process().net_connections("inet") if each.status == "LISTEN"]

@pytest.mark.buvar_plugins("the_site")
async def test_no_port(buvar_aiohttp_client):
    assert listening() == []
    assert (await buvar_aiohttp_client.get("/")).status == 200

@pytest.mark.buvar_plugins("the_site")
async def test_port(buvar_aiohttp_client, buvar_aiohttp_port):
    assert listening() == [buvar_aiohttp_port] == [buvar_aiohttp_client.port]
    assert await (await buvar_aiohttp_client.get("/")).text() == "from the plugin"

    def read():
        with urllib.request.urlopen(f"http://127.0.0.1:{buvar_aiohttp_port}/") as response:
            return response.read()

    assert await asyncio.to_thread(read) == b"from the plugin"

@pytest.mark.usefixtures("buvar_aiohttp_port")
async def test_use(buvar_aiohttp_client):
    assert listening() == [buvar_aiohttp_client.port]

class TestNarrow:
    @pytest.fixture
    def aiohttp_client_cls(self):
        return Narrow

    @pytest.mark.buvar_plugins("the_site")
    async def test_narrow(self, buvar_aiohttp_client):
        assert type(buvar_aiohttp_client) is Narrow
        assert listening() == [buvar_aiohttp_client.port]
        assert (await buvar_aiohttp_client.get("/")).status == 200
"""


def test_a_port_is_asked_for(inner):
    """The application listens on a port only where a test asks for it, or its class of clients cannot do without."""
    inner(PORT).assert_outcomes(passed=4)


OVERRIDE = """
import aiohttp.web
import pytest
from buvar import context, di, plugin
from buvar_aiohttp import testing

pytestmark = pytest.mark.asyncio
built = []

class Mailer:
    def __init__(self):
        built.append(self)

    def send(self):
        return "sent"

class Fake(Mailer):
    def __init__(self): ...

    def send(self):
        return "faked"

async def prepare(load: plugin.Loader):
    await load("buvar_aiohttp")
    di.singleton(Mailer)
    kept = await di.nject(Mailer)

    async def send(request):
        return aiohttp.web.Response(text=f"{kept.send()} {(await di.nject(Mailer)).send()}")

    context.get(aiohttp.web.Application).router.add_get("/send", send)

async def sent(client):
    async with client.get("/send") as response:
        return await response.text()

@pytest.fixture
def mailer(buvar_override):
    return buvar_override(Mailer, Fake())

@pytest.mark.buvar_plugins("test_inner")
async def test_by_fixture(buvar_aiohttp_client, mailer):
    assert await sent(buvar_aiohttp_client) == "faked faked"
    assert built == []

async def test_in_the_test(buvar_override, buvar_stage, buvar_load):
    buvar_override(Mailer, Fake())
    await buvar_load("test_inner")
    async with testing.client(buvar_stage) as client:
        assert await sent(client) == "faked faked"
    assert built == []

@pytest.mark.buvar_plugins("test_inner")
async def test_when_built(buvar_aiohttp_client, buvar_override):
    buvar_override(Mailer, Fake())
    assert await sent(buvar_aiohttp_client) == "sent faked"
    assert len(built) == 1
    built.clear()

async def test_without_fixtures(buvar_adapters_setup_contextvars):
    async with testing.client("test_inner", overrides={Mailer: Fake()}) as client:
        assert await sent(client) == "faked faked"
    assert built == []

@pytest.mark.buvar_plugins("test_inner")
async def test_nothing_is_left(buvar_aiohttp_client):
    assert await sent(buvar_aiohttp_client) == "sent sent"
"""


@pytest.mark.parametrize(("mode", "others"), [("auto", ("asyncio", "aiohttp")), ("strict", ("asyncio",))])
def test_what_is_injected_is_overridden(inner, mode, others):
    """A fake is injected into handlers, and the real thing is not even built where it is overridden in time."""
    inner(OVERRIDE, mode=mode, others=others).assert_outcomes(passed=5)


def test_the_client_needs_no_other_plugin(inner):
    """Without pytest-asyncio, and without any fixture, the client works on a loop that the test runs itself."""
    inner(
        """
        import asyncio
        from buvar_aiohttp import testing

        async def get():
            async with testing.client("the_site") as client:
                return await (await client.get("/")).text()

        def test_get():
            assert asyncio.run(get()) == "from the plugin"
        """,
        mode=None,
    ).assert_outcomes(passed=1)


ASYNC_FIXTURE = """
import pytest
import pytest_asyncio
from buvar_aiohttp import testing

@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client():
    async with testing.client("the_site") as made:
        yield made

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", range(2))
async def test_get(client, number):
    assert (await client.get("/")).status == 200
"""


def test_a_fixture_of_ones_own(inner):
    """A client lives in an async fixture of any scope, which is left in another task than it was entered in."""
    inner(ASYNC_FIXTURE, mode="strict", others=("asyncio",)).assert_outcomes(passed=2)


def test_a_handler_that_fails_is_a_500(inner):
    """An error in a handler is the client's answer and not the end of the test; all is closed afterwards."""
    inner(
        """
        import aiohttp.web
        import pytest
        from buvar import context, plugin

        async def prepare(load: plugin.Loader):
            await load("buvar_aiohttp")
            context.get(aiohttp.web.Application).router.add_get("/", fails)

        async def fails(request):
            raise OSError("broken")

        @pytest.mark.buvar_plugins("test_inner")
        async def test_get(buvar_aiohttp_client):
            assert (await buvar_aiohttp_client.get("/")).status == 500
        """
    ).assert_outcomes(passed=1)


def test_an_application_that_does_not_start_is_an_error_of_the_set_up(inner):
    """The error is the one of its start-up, and nothing stays open."""
    result = inner(
        """
        import aiohttp.web
        import pytest
        from buvar import context, plugin

        async def prepare(load: plugin.Loader):
            await load("buvar_aiohttp")
            context.get(aiohttp.web.Application).on_startup.append(fails)

        async def fails(app):
            raise OSError("cannot start")

        @pytest.mark.buvar_plugins("test_inner")
        async def test_never_run(buvar_aiohttp_client):
            raise AssertionError
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E *OSError: cannot start"])
