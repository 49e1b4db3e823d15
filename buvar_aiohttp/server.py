"""The server: it serves the application until the stage is cancelled, and then drains.

Draining, nothing is dropped that a client was promised:

1. What has connected is accepted, then the sockets are closed: new clients are refused, or get another worker.
2. Each response says ``Connection: close`` now. Connections that are idle get some time for the one request that their
   client may just be sending.
3. ``on_shutdown`` tells those who hold connections for long, such as web sockets, as soon as no connection is idle.
4. Requests that are not answered when the time is over, or when the stage is in a hurry, are cancelled.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import contextlib
import socket
import ssl
import typing as t

import attrs
import structlog
from aiohttp import web

from buvar import context, di, fork, plugin
from buvar.forking import uri as uris

from . import listeners
from .app import prepare_app
from .config import AioHttpConfig

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.web_protocol import RequestHandler

    from buvar.staging.ready import Hold

log = structlog.get_logger(__name__)

#: how many connections one worker accepts at a time before the others have their turn, where asyncio lets us choose
ACCEPTS = 4
#: seconds between two looks at the connections while they drain
POLL = 0.01
#: seconds in which all workers that are told to stop have closed their sockets
SIBLINGS = 0.05
#: seconds that a TLS handshake may still take when the server stops
HANDSHAKE = 0.25
#: seconds that handlers may take to obey their cancellation
OBEY_TIMEOUT = 1.0


class Site(web.SockSite):
    """A listening socket of the server. To stop it loses no connection that has been made: see `adopting`."""

    def __init__(self, runner: web.BaseRunner, sock: socket.socket, **kwargs: t.Any) -> None:
        super().__init__(runner, sock, **kwargs)
        #: the connections that were accepted by `stop`, on their way to be served
        self.adopting: list[asyncio.Future[t.Any]] = []

    async def stop(self) -> None:
        """Accept what waits in the queue, then close the socket."""
        if self._server is None:
            return await super().stop()
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.selector_events.BaseSelectorEventLoop):
            # a connection that was accepted, but has no transport yet, would be lost
            loop.remove_reader(self._sock)
            await _turns()
        waiting = list(_accepted(self._sock))
        await super().stop()
        self.adopting = [self._adopt(loop, each) for each in waiting]
        return None

    def _adopt(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> asyncio.Future[t.Any]:
        factory = self._runner.server
        assert factory is not None, "the runner is set up before its sites, and cleaned up after them"
        adopting = loop.connect_accepted_socket(factory, connection, ssl=self._ssl_context)
        future = asyncio.ensure_future(adopting)
        future.add_done_callback(_forget)
        return future


async def _turns() -> None:
    """Let what was accepted just now become a connection that the runner knows."""
    for _ in range(2):
        await asyncio.sleep(0)


def _accepted(sock: socket.socket) -> c.Iterator[socket.socket]:
    with contextlib.suppress(OSError):  # BlockingIOError: the queue is empty
        while True:
            connection, _ = sock.accept()
            connection.setblocking(False)
            yield connection


def _forget(adopting: asyncio.Future[t.Any]) -> None:
    if not adopting.cancelled():
        adopting.exception()  # a client that left again is no news


class Runner(web.AppRunner):
    """A runner that tells ``on_shutdown`` only once, since draining tells it before the clean-up does."""

    __slots__ = ("_told",)

    def __init__(self, app: web.Application, **kwargs: t.Any) -> None:
        super().__init__(app, **kwargs)
        self._told = False

    async def shutdown(self) -> None:
        """Tell ``on_shutdown``, if nobody has."""
        if not self._told:
            self._told = True
            await super().shutdown()

    @property
    def requests(self) -> list[RequestHandler]:
        """The connections on which something is going on."""
        return [each for each in self.connections if not _is_idle(each)]

    @property
    def connections(self) -> list[RequestHandler]:
        """All connections that are open."""
        return [] if self.server is None else self.server.connections


def _is_idle(connection: RequestHandler) -> bool:
    """Tell whether a connection waits for its next request, or for its first one."""
    return connection._waiter is not None and not connection._waiter.done()


def _task_of(connection: RequestHandler) -> asyncio.Task[None] | None:
    """Return the task that serves a connection; when its client has left, only the request still knows it."""
    request = connection._current_request
    return connection._task_handler if request is None else request.task


def _announcer(server: web.Server) -> c.Callable[[], None]:
    """Return a function that has the connections of *server* end with the next response, which says so.

    Each response that is still to be prepared is then made as if its request had asked for that.
    ``on_response_prepare`` could do it too, but costs each request, all the time that the server does not stop.
    """
    make = server.request_factory

    def make_closing(message: RawRequestMessage, *args: t.Any) -> web.BaseRequest:
        return make(message._replace(should_close=True), *args)

    def announce() -> None:
        for connection in server.connections:
            if connection._request_factory is not make_closing:
                connection._request_factory = make_closing
                if (request := connection._current_request) is not None:
                    request._message = request._message._replace(should_close=True)

    return announce


@attrs.define(eq=False)
class Server:
    """Serves the application of *runner* as *config* says, until *cancel* is set."""

    config: AioHttpConfig
    runner: Runner
    cancel: asyncio.Event

    async def run(self, hold: Hold) -> None:
        """Serve, then drain. *hold* is released when the server listens on all of its sockets.

        Raises `errors.ConfigError` and `errors.SocketError` when there is no socket to listen on.
        """
        tls = self.config.load_ssl()
        async with listeners.bound(self.config) as sockets:
            try:
                await self.runner.setup()
                for sock in sockets:
                    await self._listen(sock, tls)
                hold.release()
                await self.cancel.wait()
                await self._drain()
            finally:
                await self._close()

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        backlog = self.config.backlog
        if isinstance(sock, fork.Socket):
            # asyncio accepts that often in a row, the queue is as it was bound; uvloop sets the queue again
            by_asyncio = isinstance(asyncio.get_running_loop(), asyncio.selector_events.BaseSelectorEventLoop)
            backlog = ACCEPTS if by_asyncio else sock.backlog
        await Site(self.runner, sock, ssl_context=tls, backlog=backlog).start()
        address = uris.of_address(sock.family, sock.getsockname())
        log.info("http server listens", address=str(address), tls=tls is not None)

    async def _drain(self) -> None:
        server = self.runner.server
        assert server is not None, "the runner is set up"
        loop = asyncio.get_running_loop()
        began = loop.time()
        # who is told that the connection ends makes a new one at once; a socket that just closes would reset that
        pause = SIBLINGS if self._has_siblings() else 0.0
        sites = t.cast("set[Site]", self.runner.sites)
        for site in sites:
            await site.stop()
        announce = _announcer(server)
        await self._await_accepted(sites)
        telling: asyncio.Task[None] | None = None
        try:
            while server.connections:
                waited = loop.time() - began
                if waited >= pause:
                    announce()
                if self._is_over(waited) and telling is None:
                    telling = asyncio.create_task(self.runner.shutdown(), name="on_shutdown")
                if waited >= self.config.shutdown_timeout:
                    break
                await asyncio.sleep(POLL)
            if telling is not None:
                await telling
        finally:
            if telling is not None:
                telling.cancel()

    async def _await_accepted(self, sites: set[Site]) -> None:
        """Wait until what was accepted last is among the connections."""
        await _turns()
        if adopting := [each for site in sites for each in site.adopting]:
            await asyncio.wait(adopting, timeout=HANDSHAKE)
        if self.config.ssl is not None or self.config.ssl_context is not None:
            await asyncio.sleep(HANDSHAKE)

    def _has_siblings(self) -> bool:
        who = context.get(fork.Fork, default=None)
        return who is not None and who.is_child

    def _is_over(self, waited: float) -> bool:
        """Tell whether no connection is idle; when lingering is over, none is any more."""
        idle = [each for each in self.runner.connections if _is_idle(each)]
        if waited < self.config.linger:
            return not idle
        for each in idle:
            each.force_close()
        return True

    async def _close(self) -> None:
        """Cancel what is still going on, and clean up."""
        for site in self.runner.sites:
            await site.stop()
        await self._cancel_requests()
        await self.runner.cleanup()
        log.info("http server stopped")

    async def _cancel_requests(self) -> None:
        tasks = {task for each in self.runner.requests if (task := _task_of(each)) is not None}
        if tasks:
            log.warning("cancelling requests that are not answered yet", requests=len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=OBEY_TIMEOUT)


async def prepare_server(
    load: plugin.Loader, cancel: plugin.Cancel, ready: plugin.Ready
) -> c.AsyncIterator[c.Awaitable[None]]:
    """Load the application and serve it as `AioHttpConfig` says: a component, or the section ``aiohttp``."""
    await load("buvar.config", prepare_app)
    config = await di.nject(AioHttpConfig)
    runner = Runner(
        context.get(web.Application),
        access_log=config.access_log,
        handle_signals=config.handle_signals,
        # the server waits for requests itself: aiohttp does not read bodies any more when it does
        shutdown_timeout=OBEY_TIMEOUT,
    )
    context.add(runner)
    yield Server(config, runner, cancel).run(ready.hold("http server"))
