"""The acceptor: it takes connections from a listening socket and has each one served.

It does what asyncio's and uvloop's own servers do, and three things that they do not. A connection that another worker
had better take is left to it for a moment (`Restraint`). To stop, nothing is lost: what waits in the queue is taken,
and who waits for `adopted` knows that all of it has become a connection. And where nothing can be accepted, since file
descriptors have run out, connections stay in the queue, and are taken as soon as there are some again.

| what happens                                     | what the acceptor does                                         |
|--------------------------------------------------|----------------------------------------------------------------|
| a connection comes                               | takes it, and up to three more, then lets the loop turn        |
| … and this worker has more than its share        | looks each millisecond whether a sibling took it, then takes it |
| the client is gone before it was accepted        | goes on with the next one                                      |
| file descriptors or memory have run out          | logs it once, tries again ten times a second                   |
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import ssl
import typing as t

import attrs
import structlog
from aiohttp import web

from .connections import Server

if t.TYPE_CHECKING:
    import collections.abc as c

    from .fairness import Restraint

log = structlog.get_logger(__name__)

#: how many connections one worker accepts at a time before its loop turns, and its siblings have their turn
BATCH: t.Final = 4
#: seconds between two looks whether a sibling has taken what was left to it
LOOK: t.Final = 0.001
#: seconds until the next try where the system could not give a connection
RETRY: t.Final = 0.1
#: errors of the connection that was next in the queue, by ``accept(2)``: it is gone
GONE: t.Final = frozenset({
    errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
})  # fmt: skip


@attrs.define(eq=False)
class Acceptor:
    """Accepts connections from *sock*, which listens, for *server*; with *tls* they speak TLS.

    Without *restraint* each connection is taken at once. A server that is not one of ours counts no connections.
    """

    sock: socket.socket
    server: web.Server
    tls: ssl.SSLContext | None = None
    restraint: Restraint | None = None
    #: the connections that are accepted, and on their way to be served: in a TLS handshake, for instance
    adopting: set[asyncio.Task[t.Any]] = attrs.field(factory=set, init=False)
    _counting: Server | None = attrs.field(init=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _held: float = attrs.field(default=0.0, init=False)
    _is_short: bool = attrs.field(default=False, init=False)
    _poll: select.poll = attrs.field(factory=select.poll, init=False)

    @_counting.default
    def _find_counting(self) -> Server | None:
        return self.server if isinstance(self.server, Server) else None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The socket; none, once it is closed."""
        return (self.sock,) if self.is_serving() else ()

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return self.sock.fileno() >= 0

    def start(self) -> None:
        """Begin to accept."""
        self.sock.setblocking(False)
        self._poll.register(self.sock, select.POLLIN)
        if self._counting is not None:
            self._counting.listens(1)
        self._resume()

    def close(self) -> None:
        """Accept what waits in the queue, then close the socket."""
        if not self.is_serving():
            return
        self._pause()
        if self._counting is not None:
            self._counting.listens(-1)
        try:
            while self._take():
                pass
        except OSError as error:
            log.error("connections are left in the queue", error=str(error))
        self.sock.close()

    async def adopted(self, seconds: float) -> None:
        """Wait, that many *seconds* at most, until what was accepted is among the connections of the server."""
        if self.adopting:
            await asyncio.wait(self.adopting, timeout=seconds)

    def abandon(self) -> None:
        """Close what was accepted, and is not among the connections of the server yet."""
        for each in self.adopting:
            each.cancel()

    # -- accepting

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self.sock, self._accept)

    def _pause(self, seconds: float | None = None, then: c.Callable[[], None] | None = None) -> None:
        """Do not accept; and *then*, so many *seconds* later, go on."""
        self._loop.remove_reader(self.sock)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None or then is None else self._loop.call_later(seconds, then)

    def _accept(self) -> None:
        try:
            for _ in range(BATCH):
                if self.restraint is not None and self.restraint.patience():
                    self._held = self._loop.time()
                    self._pause(LOOK, self._look)
                    return
                if not self._take():
                    return
        except OSError as error:
            self._retry(error)

    def _look(self) -> None:
        """Look whether a sibling has taken what was left to it; if none does, take it."""
        assert self.restraint is not None, "nothing is left to siblings without it"
        patience = self.restraint.patience() if self._poll.poll(0) else 0.0
        held = self._loop.time() - self._held
        if not patience:
            self.restraint.helped()
        elif held < patience:
            self._timer = self._loop.call_later(LOOK, self._look)
            return
        else:
            self.restraint.in_vain(held)
            try:
                self._take()
            except OSError as error:
                self._retry(error)
                return
        self._resume()

    def _take(self) -> bool:
        """Accept a connection; tell whether there was one. Raises OSError where the system cannot give one."""
        try:
            connection, _ = self.sock.accept()
        except BlockingIOError:
            self._is_short = False
            return False
        except OSError as error:
            if error.errno not in GONE:
                raise
            return True
        connection.setblocking(False)
        self._adopt(connection)
        return True

    def _retry(self, error: OSError) -> None:
        if not self._is_short:
            self._is_short = True
            log.error("cannot accept connections, trying again", error=str(error), advice=_advice(error))
        self._pause(RETRY, self._resume)

    def _adopt(self, connection: socket.socket) -> None:
        protocol = self.server()
        if self._counting is not None:
            self._counting.opened(protocol)
        adopting = self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self.tls)
        task = self._loop.create_task(adopting)
        self.adopting.add(task)

        def adopted(_: object) -> None:
            self.adopting.discard(task)
            # a client that left again is no news
            if (task.cancelled() or task.exception() is not None) and self._counting is not None:
                self._counting.closed(protocol)

        task.add_done_callback(adopted)


def _advice(error: OSError) -> str:
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return "allow more open files: 'ulimit -n', or LimitNOFILE= in a unit of systemd"
    return "look at the memory of this machine"


class Site(web.SockSite):
    """A listening socket of a runner, whose connections an `Acceptor` takes."""

    __slots__ = ("acceptor",)

    def __init__(
        self, runner: web.BaseRunner, sock: socket.socket, *, restraint: Restraint | None = None, **kwargs: t.Any
    ) -> None:
        super().__init__(runner, sock, **kwargs)
        assert runner.server is not None, "the runner is set up before its sites"
        self.acceptor = Acceptor(sock, runner.server, self._ssl_context, restraint)

    async def start(self) -> None:
        """Listen, and begin to accept."""
        await web.BaseSite.start(self)
        self._sock.listen(self._backlog)
        self.acceptor.start()
        self._server = t.cast("asyncio.AbstractServer", self.acceptor)  # a runner closes it, and asks for its sockets
