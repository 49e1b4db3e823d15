"""Without a port an application is served as with one, but for who can connect."""

import asyncio
import contextvars
import gc
import io
import os

import aiohttp
import psutil
import pytest
import uvloop
from aiohttp import test_utils, web

from buvar import Components, ConfigSource, context, di, errors, plugin
from buvar_aiohttp import inside, testing

SIZE = 5_000_000


async def warm_up():
    """Have the loop open what it opens when it first does something."""
    async with testing.client(web.Application()) as client:
        assert (await client.get("/")).status == 404


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """Run a coroutine on a loop of either kind, and look that nothing stays open."""
    process = psutil.Process()
    with asyncio.Runner(loop_factory=request.param) as runner:
        runner.run(warm_up())
        gc.collect()
        before = process.num_fds()

        def run(coroutine):
            runner.run(coroutine)
            gc.collect()  # what was not closed warns, and warnings are errors
            assert process.num_fds() <= before

        yield run


async def where(request):
    return web.json_response({"remote": request.remote, "host": request.host, "url": str(request.url)})


async def peer(request):
    return web.json_response([request.transport.get_extra_info(name) for name in ("peername", "sockname")])


async def echo(request):
    return web.Response(body=await request.read())


async def websocket(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data * 2)
    return socket


async def redirect(request):
    raise web.HTTPFound(request.query["to"])


@pytest.fixture
def app():
    made = web.Application(client_max_size=2 * SIZE)
    for path, handler in {"/": where, "/peer": peer, "/websocket": websocket, "/redirect": redirect}.items():
        made.router.add_get(path, handler)
    made.router.add_post("/", echo)
    return made


def test_nothing_listens(run, app):
    """There is no internet socket while a request is answered, and none that listens."""

    async def look(request):
        return web.json_response([str(each) for each in psutil.Process().net_connections("inet")])

    app.router.add_get("/look", look)

    async def body():
        async with testing.client(app) as client:
            assert await (await client.get("/look")).json() == []

    run(body())


def test_a_request_looks_like_a_local_ones(run, app):
    """Its remote address, host and URL are those that a local client has, and its transport says the same."""

    async def body():
        async with testing.client(app) as client:
            found = await (await client.get("/?a=1")).json()
            assert found == {"remote": "127.0.0.1", "host": "127.0.0.1", "url": "http://127.0.0.1/?a=1"}
            assert await (await client.get("/peer")).json() == [["127.0.0.1", 49152], ["127.0.0.1", 80]]
            assert (await (await client.get("/", headers={"Host": "shop.example"})).json())["host"] == "shop.example"
            assert str(client.make_url("/x")) == "http://127.0.0.1/x"
            assert (client.host, client.port, client.app) == ("127.0.0.1", 80, app)

    run(body())


def test_connections_are_kept_alive(run, app):
    """Requests that follow each other share a connection, those at the same time do not."""

    async def body():
        both = asyncio.Barrier(2)

        async def wait(request):
            await both.wait()
            return await peer(request)

        app.router.add_get("/wait", wait)
        async with testing.client(app) as client:

            async def port(path):
                async with client.get(path) as response:
                    return (await response.json())[0][1]

            assert [await port("/peer") for _ in range(3)] == [49152] * 3
            assert sorted(await asyncio.gather(port("/wait"), port("/wait"))) == [49152, 49153]

    run(body())


def test_flow_control_is_real(run, app):
    """Who writes waits for who reads, in both directions."""

    async def body():
        full = asyncio.Event()

        async def stream(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(SIZE // 1000):
                writing = asyncio.ensure_future(response.write(b"x" * 1000))
                await asyncio.sleep(0)
                if request.protocol.writing_paused:
                    full.set()
                await writing
            return response

        app.router.add_get("/stream", stream)
        async with testing.client(app) as client:
            response = await client.get("/stream")
            await full.wait()
            assert len(await response.read()) == SIZE // 1000 * 1000
            assert await (await client.post("/", data=io.BytesIO(b"y" * SIZE))).read() == b"y" * SIZE

            async def chunks():
                for _ in range(100):
                    yield b"z" * 1000

            assert await (await client.post("/", data=chunks())).read() == b"z" * 100_000

    run(body())


def test_web_sockets(run, app):
    """A web socket goes both ways, and its end is seen by both."""

    async def body():
        async with testing.client(app) as client, client.ws_connect("/websocket") as socket:
            await socket.send_str("ab")
            assert await socket.receive_str() == "abab"
            await socket.close()
            assert socket.close_code == 1000

    run(body())


def test_a_client_that_leaves_is_noticed(run, app):
    """The handler of a client that leaves is cancelled."""

    async def body():
        entered, left = asyncio.Event(), asyncio.Event()

        async def wait(request):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        app.router.add_get("/wait", wait)
        async with testing.client(app) as client:
            asking = asyncio.ensure_future(client.get("/wait").__aenter__())
            await entered.wait()
            asking.cancel()
            await left.wait()

    run(body())


def test_files_are_sent(run, app, tmp_path):
    """Files go out, whatever way the loop has for them."""
    (tmp_path / "file").write_bytes(os.urandom(SIZE))
    app.router.add_static("/static", tmp_path)

    async def body():
        async with testing.client(app) as client:
            found = await (await client.get("/static/file")).read()
            assert found == (tmp_path / "file").read_bytes()

    run(body())


@pytest.mark.parametrize("to", ["http://example.org/", "https://127.0.0.1/", "http://127.0.0.1:8080/"])
def test_what_is_outside_is_not_reached(run, app, to):
    """A redirect to anywhere else is an error that says so, and leads neither out nor back into the application."""

    async def body():
        async with testing.client(app) as client:
            with pytest.raises(aiohttp.ClientConnectionError, match="is outside: this client reaches the application"):
                await client.get("/redirect", params={"to": to})
            async with client.get("/redirect", params={"to": "http://127.0.0.1/"}) as response:
                assert response.status == 200

    run(body())


def test_handlers_do_not_see_the_clients_context(run, app):
    """Handlers run in the context that the server was started in."""

    async def body():
        variable = contextvars.ContextVar("variable", default="default")

        async def look(request):
            return web.Response(text=variable.get())

        app.router.add_get("/look", look)
        variable.set("before")
        async with testing.client(app) as client:
            variable.set("after")
            assert await (await client.get("/look")).text() == "before"

    run(body())


def test_the_application_starts_and_stops_once(run, app):
    """All signals of the application are sent once, also where the client is closed twice."""
    told = []

    async def body():
        for name in ("on_startup", "on_shutdown", "on_cleanup"):

            async def tell(_, name=name):
                told.append(name)

            getattr(app, name).append(tell)
        async with testing.client(app) as client:
            await client.start_server()
            assert told == ["on_startup"]
            await client.close()
        assert told == ["on_startup", "on_shutdown", "on_cleanup"]

    run(body())


def test_all_is_closed_at_the_end(run, app):
    """Web sockets, and responses that nobody read, are closed with the client; who asks then is told."""

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)

    app.router.add_get("/stream", stream)

    async def body():
        async with testing.client(app) as client:
            session = client.session
            await client.get("/stream")
            await client.ws_connect("/websocket")
            server = client.server
        with pytest.raises(aiohttp.ClientConnectionError, match="the server of this test is closed"):
            await server.connect(asyncio.Protocol)
        assert session.closed

    run(body())


def test_what_does_not_start_is_closed(run, app):
    """An application that does not start raises its error, and nothing stays open."""

    async def fail(_):
        raise OSError("cannot start")

    app.on_startup.append(fail)

    async def body():
        with pytest.raises(OSError, match="cannot start"):
            async with testing.client(app):
                raise AssertionError

    run(body())


def test_a_port_can_be_had(run, app):
    """With a port the application listens on it, and others than the client can connect."""

    async def body():
        async with testing.client(app, port=True) as client:
            assert client.port not in {None, 80}
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.0 200 OK")
            writer.close()
            await writer.wait_closed()

    run(body())


def test_tls_needs_a_port(run, app):
    """A server without a port refuses to speak TLS."""

    async def body():
        with pytest.raises(ValueError, match="no TLS without a port"):
            await inside.Server(app).start_server(ssl=object())

    run(body())


class Narrow(test_utils.TestClient):
    def __init__(self, server):
        super().__init__(server, headers={"X-Narrow": "yes"})


class Wide(test_utils.TestClient):
    def __init__(self, server, **kwargs):
        super().__init__(server, **{"headers": {"X-Wide": "yes"}, **kwargs})


def test_classes_of_clients(run, app):
    """A client is of the class that is asked for; where the class takes no connector, it has a port."""

    async def body():
        async with testing.client(app, client_class=Wide, cookies={"a": "1"}) as client:
            assert (type(client), client.port) == (Wide, 80)
            assert (await client.get("/")).request_info.headers["Cookie"] == "a=1"
        async with testing.client(app, client_class=Narrow) as client:
            assert type(client) is Narrow
            assert client.port != 80
            assert (await client.get("/")).status == 200

    run(body())


# -- plugins


class Mailer:
    built = 0

    def __init__(self):
        Mailer.built += 1

    def send(self):
        return "sent"


class FakeMailer(Mailer):
    def __init__(self):
        pass

    def send(self):
        return "faked"


class Letters:
    def __init__(self, mailer: Mailer):
        self.mailer = mailer


torn_down = []


async def shop(load: plugin.Loader, teardown: plugin.Teardown):
    await load("buvar_aiohttp")
    di.singleton(Mailer)
    di.singleton(Letters)
    context.add("from the plugin")
    kept = await di.nject(Letters)

    async def send(request):
        assert context.get(web.Request) is request
        letters = await di.nject(Letters)
        return web.json_response([kept.mailer.send(), letters.mailer.send(), context.get(str)])

    context.get(web.Application).router.add_get("/send", send)
    teardown.add(lambda: torn_down.append("shop"))
    yield asyncio.sleep(0)


@pytest.fixture(autouse=True)
def adapters(buvar_adapters_setup_contextvars):
    """Keep what the plugin registers in the test."""
    torn_down.clear()
    Mailer.built = 0


def test_plugins_are_prepared_and_torn_down(run):
    """Plugins are loaded for the block, and torn down at its end, also after a failure."""

    async def body():
        async with testing.client(shop) as client:
            assert await (await client.get("/send")).json() == ["sent", "sent", "from the plugin"]
            assert (torn_down, Mailer.built) == ([], 1)
            assert context.get(str, default=None) is None
        assert torn_down == ["shop"]
        with pytest.raises(KeyError):
            async with testing.client(shop):
                raise KeyError
        assert torn_down == ["shop"] * 2

    run(body())


def test_overrides_come_before_anything_is_built(run):
    """What is overridden is never built, not even by a plugin that asks for it while it prepares."""

    async def body():
        async with testing.client(shop, overrides={Mailer: FakeMailer()}) as client:
            assert (await (await client.get("/send")).json())[:2] == ["faked", "faked"]
            assert Mailer.built == 0
        async with testing.client(shop) as client:
            assert (await (await client.get("/send")).json())[:2] == ["sent", "sent"]

    run(body())


def test_plugins_get_configuration_and_components(run):
    """Plugins find the configuration and the components that are passed; what was passed stays as it was."""
    found = []

    async def look(source: ConfigSource):
        found.append((source.get("shop"), context.get(int, default=None)))

    async def body():
        async with testing.client(look, config={"shop": {"currency": "EUR"}}):
            pass
        components = Components()
        components.add(7)
        async with testing.client(look, components=components):
            pass
        components.add(ConfigSource({"shop": "own"}))
        async with testing.client(look, components=components):
            pass
        async with testing.client(look, components=components, config={"shop": "other"}):
            pass
        assert found == [({"currency": "EUR"}, None), (None, 7), ("own", 7), ("other", 7)]
        assert components.get(ConfigSource)["shop"] == "own"

    run(body())


def test_a_stage_is_served_as_it_stands(run):
    """Of a stage that has loaded its plugins the application is served, and the stage is not torn down."""

    async def body():
        stage = plugin.Stage(loop=asyncio.get_running_loop())
        with stage.context.home.adapters.current(stage.context):
            await stage.loader(shop)
        async with testing.client(stage, overrides={Mailer: FakeMailer()}) as client:
            assert await (await client.get("/send")).json() == ["sent", "faked", "from the plugin"]
        async with testing.client(stage) as client:
            assert (await (await client.get("/send")).json())[1] == "sent"
        assert torn_down == []
        stage.plugins.close()
        with stage.context.home.adapters.current(stage.context):
            await stage.teardown.wait()

    run(body())


@pytest.mark.parametrize("options", [{"config": {}}, {"components": Components()}])
def test_what_is_loaded_already_takes_no_configuration(run, app, options):
    """Configuration or components for an application that is there already are an error and not ignored."""

    async def body():
        with pytest.raises(TypeError, match="config and components are for plugins that are yet to be loaded"):
            async with testing.client(app, **options):
                raise AssertionError

    run(body())


def test_plugins_that_fail_are_torn_down(run):
    """A plugin that fails raises its own error; those before it are torn down."""

    async def fails():
        raise OSError("no database")

    async def body():
        with pytest.raises(OSError, match="no database"):
            async with testing.client(shop, fails):
                raise AssertionError
        assert torn_down == ["shop"]

    run(body())


def test_plugins_are_checked(run):
    """What a start would refuse, the client refuses."""

    class Missing:
        pass

    async def needs():
        di.require(Missing)

    async def body():
        with pytest.raises((errors.BuvarError, ExceptionGroup)):
            async with testing.client(needs):
                raise AssertionError

    run(body())
