"""Inside: an application that is served to the client of a test without a port.

Each connection is a pair of connected sockets, as socketpair(2) gives it: the client's connector has one end, the
protocol of the application's server the other. Nothing listens, so it works in a sandbox without a network, no port is
ever taken, and nobody else can connect. They are sockets all the same and not buffers in memory, so the transports are
the loop's own: flow control, chunks, keep-alive and web sockets are what they are in production. What waits for nobody
any more is not waited for at the end of a test: a handler whose client leaves is cancelled.

| a request                 | says                                                                                   |
|---------------------------|----------------------------------------------------------------------------------------|
| ``request.remote``        | ``127.0.0.1``, where a local client would be; each connection has a port of its own     |
| ``request.host``          | ``127.0.0.1``, unless the client sends another ``Host``                                |
| ``request.url``           | ``http://127.0.0.1/…``                                                                 |

Handlers run in the context that the server was started in, as with a port, and not in that of the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import itertools
import socket
import typing as t

import aiohttp
import yarl
from aiohttp import test_utils, web

from buvar import context, di, plugin
from buvar.components import Components
from buvar.config import ConfigSource

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp.client_proto import ResponseHandler

    from buvar.staging.loader import PluginRef

Client: t.TypeAlias = "test_utils.TestClient[web.Request, web.Application]"

HOST: t.Final = "127.0.0.1"
#: the port that URLs leave out
PORT: t.Final = 80
#: the first port of a client
FIRST: t.Final = 49152


class Addressed:
    """A *transport* that has the *names* of a TCP connection, which a pair of sockets has not."""

    __slots__ = ("_names", "_transport")

    def __init__(self, transport: asyncio.Transport, names: c.Mapping[str, object]) -> None:
        self._transport = transport
        self._names = names

    def get_extra_info(self, name: str, default: t.Any = None) -> t.Any:
        """Return what the transport knows about itself, or the address."""
        return self._names[name] if name in self._names else self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._transport, name)


class Arrival(asyncio.Protocol):
    """The server's end of a connection: *protocol*, told another address, and a future that is done at the end."""

    def __init__(self, protocol: web.RequestHandler, port: int) -> None:
        self.protocol = protocol
        self.names = {"peername": (HOST, port), "sockname": (HOST, PORT)}
        self.transport: asyncio.Transport | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast("asyncio.Transport", transport)
        self.protocol.connection_made(t.cast("asyncio.Transport", Addressed(self.transport, self.names)))

    def data_received(self, data: bytes) -> None:
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        self.protocol.eof_received()
        return None

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.protocol.connection_lost(exc)
        self.lost.set_result(None)


class Server(test_utils.TestServer):
    """Serves *app* to those who `connect`, and to nobody else."""

    def __init__(self, app: web.Application, **kwargs: t.Any) -> None:
        super().__init__(app, **kwargs)
        self._ports = itertools.count(FIRST)
        self._arrivals: set[Arrival] = set()
        self._home = contextvars.copy_context()

    async def start_server(self, loop: asyncio.AbstractEventLoop | None = None, **kwargs: t.Any) -> None:
        """Start the application. There is no TLS inside of a process: *ssl* is refused."""
        if self.runner is not None:
            return
        if kwargs.get("ssl") is not None:
            raise ValueError("no TLS without a port; ask for the fixture 'buvar_aiohttp_port', or give 'port=True'")
        self._home = contextvars.copy_context()
        self.runner = await self._make_runner(handler_cancellation=True, **kwargs)
        await self.runner.setup()
        self.host, self.port, self.scheme = HOST, PORT, "http"
        self._root = yarl.URL(f"http://{HOST}")

    async def connect(self, factory: c.Callable[[], ResponseHandler]) -> ResponseHandler:
        """Make a connection and return the client's protocol of it, which *factory* makes."""
        if self.runner is None or self.runner.server is None:
            raise aiohttp.ClientConnectionError("the server of this test is closed, or was never started")
        loop = asyncio.get_running_loop()
        arrival = Arrival(self.runner.server(), next(self._ports))
        ours, theirs = socket.socketpair()
        try:
            for each in (ours, theirs):
                each.setblocking(False)
            # its handlers see what they would if the loop had accepted it, and nothing of who connects
            accepting = loop.connect_accepted_socket(lambda: arrival, theirs)
            await loop.create_task(accepting, context=self._home)
            self._arrivals.add(arrival)
            arrival.lost.add_done_callback(lambda _: self._arrivals.discard(arrival))
            _, made = await loop.create_unix_connection(factory, sock=ours)
        except BaseException:
            ours.close()
            if arrival.transport is None:
                theirs.close()
            raise
        return made

    async def close(self) -> None:
        """Stop the application, and wait until all connections are closed."""
        await super().close()
        for each in self._arrivals:
            if each.transport is not None:
                each.transport.abort()
        await asyncio.gather(*(each.lost for each in self._arrivals))


class Connector(aiohttp.BaseConnector):
    """What has a client session connect to *server* alone."""

    def __init__(self, server: Server, **kwargs: t.Any) -> None:
        super().__init__(**kwargs)
        self._server = server

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: t.Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the interface
    ) -> ResponseHandler:
        if req.is_ssl() or req.url.raw_host != HOST or req.url.port != PORT:
            raise aiohttp.ClientConnectionError(
                f"{req.url.origin()} is outside: this client reaches the application under test only, at"
                f" http://{HOST}; another host is said by the header Host, and TLS needs a port"
            )
        return await self._server.connect(self._factory)


def takes_connector(client_class: c.Callable[..., t.Any]) -> bool:
    """Tell whether a class of clients can be given a connector."""
    parameters = inspect.signature(client_class).parameters
    return "connector" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


async def serve(app: web.Application, client_class: t.Any = None, *, port: bool = False, **options: t.Any) -> Client:
    """Start *app* and return a client of it, to be closed; *options* are those of the class.

    With *port* it is served on a local port, and so it is where the class takes no connector.
    """
    client_class = client_class or test_utils.TestClient
    if port or "connector" in options or not takes_connector(client_class):
        client = client_class(test_utils.TestServer(app), **options)
    else:
        server = Server(app)
        client = client_class(server, connector=Connector(server), **options)
    try:
        await client.start_server()
    except BaseException:
        await client.close()
        raise
    return t.cast("Client", client)


@contextlib.asynccontextmanager
async def opened(
    what: tuple[t.Any, ...],
    config: c.Mapping[str, t.Any] | None,
    components: Components | None,
    overrides: c.Mapping[t.Any, t.Any],
    **options: t.Any,
) -> c.AsyncIterator[Client]:
    """Do what `testing.client` says; *options* are those of `serve`."""
    given = what[0] if len(what) == 1 and isinstance(what[0], web.Application | plugin.Stage) else None
    if given is not None and not (config is None and components is None):
        raise TypeError(f"config and components are for plugins that are yet to be loaded, and not for {given!r}")
    stage = None if isinstance(given, web.Application) else given or _stage(config, components)
    async with contextlib.AsyncExitStack() as stack:
        adapters = di.buvar_adapters.get() if stage is None else stage.context.home.adapters
        for key, fake in overrides.items():
            stack.enter_context(adapters.override(key, fake))
        if stage is None:
            app, home = given, context.current_context()
        else:
            home = stage.context
            await _prepare(stage, () if given is stage else what, None if given is stage else stack)
            app = home.get(web.Application)
        run = functools.partial(_run, adapters.current, home)
        client = await run(serve, app, **options)
        stack.push_async_callback(run, client.close)
        yield client


def _stage(config: c.Mapping[str, t.Any] | None, components: Components | None) -> plugin.Stage:
    passed = Components() if components is None else components
    if config is not None or passed.get(ConfigSource, default=None) is None:
        passed = passed.push()
        passed.add(ConfigSource(dict(config or {})))
    return plugin.Stage(passed, asyncio.get_running_loop())


async def _prepare(
    stage: plugin.Stage, plugins: tuple[PluginRef, ...], stack: contextlib.AsyncExitStack | None
) -> None:
    """Load *plugins* as a start does, with its check; with *stack* the stage is torn down at its end."""
    run = functools.partial(_run, stage.context.home.adapters.current, stage.context)
    if stack is None:
        await run(stage.loader, "buvar_aiohttp")
        return

    async def tear_down() -> None:
        stage.cancel.set()  # a plugin that works on its own learns of the end
        stage.plugins.close()
        await run(stage._teardown)

    stack.push_async_callback(tear_down)
    await run(stage._load, (*plugins, "buvar_aiohttp"))


async def _run(
    current: c.Callable[[Components], contextlib.AbstractContextManager[None]],
    home: Components,
    function: c.Callable[..., c.Awaitable[t.Any]],
    *args: t.Any,
    **kwargs: t.Any,
) -> t.Any:
    with current(home):
        return await function(*args, **kwargs)
