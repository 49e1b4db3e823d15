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
import functools
import socket
import ssl
import typing as t

import attrs
import structlog
from aiohttp import web

from buvar import context, di, fork, plugin
from buvar.forking import uri as uris
from buvar.forking.board import Board, Row

from . import connections, edges, listeners
from .acceptor import Site
from .app import prepare_app
from .config import AioHttpConfig
from .fairness import Restraint

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.web_protocol import RequestHandler

    from buvar.staging.ready import Hold

log = structlog.get_logger(__name__)

#: seconds between two looks at the connections while they drain
POLL = 0.01
#: seconds in which all workers that are told to stop have closed their sockets
SIBLINGS = 0.05
#: seconds that a TLS handshake may still take when the server stops
HANDSHAKE = 0.25
#: seconds that handlers may take to obey their cancellation
OBEY_TIMEOUT = 1.0


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
    _sites: list[Site] = attrs.field(factory=list, init=False)

    async def run(self, hold: Hold) -> None:
        """Serve, then drain. *hold* is released when the server listens on all of its sockets.

        Raises `errors.ConfigError` and `errors.SocketError` when there is no socket to listen on.
        """
        tls = self.config.load_ssl()
        async with listeners.bound(self.config) as sockets:
            try:
                await self.runner.setup()
                restraint = self._meet_siblings()
                for sock in sockets:
                    await self._listen(sock, tls, restraint if listeners.is_shared(sock) else None)
                hold.release()
                await self.cancel.wait()
                await self._drain()
            finally:
                await self._close()

    def _meet_siblings(self) -> Restraint | None:
        """Let the siblings know what this worker has to do; return what makes it leave connections to them."""
        row, everybody = context.get(Row, default=None), context.get(Board, default=None)
        server = self.runner.server
        if row is None or everybody is None or not isinstance(server, connections.Server):
            return None
        server.row = row
        row.on_beat(server.note_requests)
        return Restraint(server, row, everybody)

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None, restraint: Restraint | None) -> None:
        site = Site(self.runner, sock, restraint=restraint, ssl_context=tls, backlog=self.config.backlog)
        await site.start()
        self._sites.append(site)
        address = uris.of_address(sock.family, sock.getsockname())
        log.info("http server listens", address=str(address), tls=tls is not None)

    async def _drain(self) -> None:
        server = self.runner.server
        assert server is not None, "the runner is set up"
        loop = asyncio.get_running_loop()
        began = loop.time()
        # who is told that the connection ends makes a new one at once; a socket that just closes would reset that
        pause = SIBLINGS if self._has_siblings() else 0.0
        await self._stop_accepting()
        announce = _announcer(server)
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

    async def _stop_accepting(self) -> None:
        """Accept what waits in the queues, close the sockets, and wait until all that is among the connections."""
        for site in self.runner.sites:
            await site.stop()
        for site in self._sites:
            await site.acceptor.adopted(HANDSHAKE)

    def _is_orphaned(self) -> bool:
        """Tell whether the supervisor is gone: who is idle then is not waited for, whoever comes next binds soon."""
        who = context.get(fork.Fork, default=None)
        return who is not None and who.orphaned

    def _has_siblings(self) -> bool:
        who = context.get(fork.Fork, default=None)
        return who is not None and who.is_child

    def _is_over(self, waited: float) -> bool:
        """Tell whether no connection is idle; when lingering is over, none is any more."""
        idle = [each for each in self.runner.connections if _is_idle(each)]
        if waited < self.config.linger and not self._is_orphaned():
            return not idle
        for each in idle:
            each.force_close()
        return True

    async def _close(self) -> None:
        """Cancel what is still going on, and clean up."""
        for site in self.runner.sites:
            await site.stop()
        for each in self._sites:
            each.acceptor.abandon()
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
    app = context.get(web.Application)
    edges.settle(app, config)
    runner = Runner(
        app,
        **edges.server_options(config),
        handle_signals=config.handle_signals,
        # the server waits for requests itself: aiohttp does not read bodies any more when it does
        shutdown_timeout=OBEY_TIMEOUT,
    )
    context.add(runner)
    context.add(plugin.Check("buvar_aiohttp.listeners", functools.partial(listeners.look, config)))
    yield Server(config, runner, cancel).run(ready.hold("http server"))
