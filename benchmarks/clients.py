"""Clients that do not retry, and count every request that is not answered, with how it failed.

A request is lost by one of these kinds:

| kind           | what happened                                                            |
|----------------|--------------------------------------------------------------------------|
| refused        | nobody listened                                                          |
| reset          | the connection was reset, or had been when the request was written       |
| no answer      | the connection ended before the first byte of an answer                  |
| short answer   | it ended in the middle of one                                            |
| status 503, …  | the answer was complete, but not 200                                     |
| wrong answer   | it was no HTTP, had no length, or did not tell the worker's pid          |
| timeout        | there was no complete answer in time                                     |
| EMFILE, …      | any other error of the system; then the client is at its limits          |

Each client asks a path that tells the worker that answers. A connection that the server had closed before the next
request was written on it is no loss: the client looks before it writes, and makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import random
import socket
import time
import typing as t

import attrs

from . import rounds

if t.TYPE_CHECKING:
    import collections.abc as c

HOST = "127.0.0.1"
#: seconds that a request may take, its connection included
TIMEOUT = 10.0
#: seconds that a client pauses after a loss: so an outage costs as many requests as clients would make in it
REST = 0.01
#: seconds in which all clients have begun: who connect all at once may all be accepted by one worker
BEGINNING = 0.2
#: how errors of the system are called
KINDS = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset", errno.ECONNABORTED: "reset"}


class Lost(Exception):
    """A request that was not answered; *kind* is how."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@attrs.frozen
class Kind:
    """A kind of client: so many *connections* at a time, each for one request or, to *keep* it, for many.

    Between two requests a client waits between the two seconds of *pause*. A *path* that takes its time has requests
    be in the server's hands also where the server is faster than its clients.
    """

    name: str
    connections: int
    keep: bool = False
    pause: tuple[float, float] = (0.0, 0.0)
    path: str = "/pid"


@attrs.frozen
class Failure:
    """A request that was lost: its *kind*, the *port* of its client and when that connected (0: never), when it was."""

    kind: str
    port: int
    opened: float
    at: float


@attrs.define
class Tally:
    """What became of the requests. *first* and *last* are when each worker, by its pid, answered."""

    asked: int = 0
    answered: int = 0
    failures: list[Failure] = attrs.field(factory=list)
    first: dict[int, float] = attrs.field(factory=dict)
    last: dict[int, float] = attrs.field(factory=dict)

    def answer(self, pid: int) -> None:
        now = time.perf_counter()
        self.answered += 1
        self.first.setdefault(pid, now)
        self.last[pid] = now

    def losses(
        self, apart_from: c.Iterable[int] = (), made_between: tuple[float, float] = (math.inf, math.inf)
    ) -> rounds.Losses:
        """Return what was lost, *apart_from* one request on each of the connections from these ports.

        What was lost on a connection that was *made_between* these times does not count either.
        """
        excused = set(apart_from)
        kinds: dict[str, int] = {}
        for failure in self.failures:
            if failure.port in excused:
                excused.remove(failure.port)
            elif not made_between[0] <= failure.opened < made_between[1]:
                kinds[failure.kind] = kinds.get(failure.kind, 0) + 1
        return rounds.Losses(self.asked, kinds)


class Connection:
    """A connection to a server on *port* of this machine."""

    def __init__(self, port: int) -> None:
        self.server = port
        self.port = 0
        self.opened = 0.0
        self.socket = socket.socket()
        self.socket.setblocking(False)

    async def open(self) -> None:
        """Connect. Raises OSError when that fails."""
        await asyncio.get_running_loop().sock_connect(self.socket, (HOST, self.server))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]
        self.opened = time.perf_counter()

    def is_over(self) -> bool:
        """Tell whether the server has closed it, or says what nobody asked for."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # reset while it was idle
        return True

    def close(self) -> None:
        self.socket.close()

    async def ask(self, path: str = "/pid", *, keep: bool = False) -> tuple[str, bool]:
        """Return the text of the answer, and whether the connection may be kept. Raises `Lost` and OSError."""
        loop = asyncio.get_running_loop()
        ending = "" if keep else "Connection: close\r\n"
        await loop.sock_sendall(self.socket, f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{ending}\r\n".encode())
        received = b""
        while (answer := parse(received)) is None:
            more = await loop.sock_recv(self.socket, 65536)
            if not more:
                raise Lost("short answer" if received else "no answer")
            received += more
        return answer


def parse(received: bytes) -> tuple[str, bool] | None:
    """Return the text of an answer and whether its connection may be kept, or None when it is not complete.

    Raises `Lost` when it is not what was asked for.
    """
    head, ended, body = received.partition(b"\r\n\r\n")
    if not b"HTTP/1.1 ".startswith(head[:9]):
        raise Lost("wrong answer")
    if not ended:
        return None
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "")
    if not length.isdigit() or len(body) > int(length):
        raise Lost("wrong answer")
    if len(body) < int(length):
        return None
    if (code := status.split(" ")[1]) != "200":
        raise Lost(f"status {code}")
    return body.decode("latin-1"), headers.get("connection", "").lower() != "close"


@contextlib.contextmanager
def telling() -> c.Iterator[None]:
    """Turn errors of the system into `Lost`."""
    try:
        yield
    except TimeoutError:
        raise Lost("timeout") from None
    except OSError as error:
        number = error.errno or 0
        raise Lost(KINDS.get(number, errno.errorcode.get(number, "unknown"))) from error


class Load:
    """Clients of one *kind*, which ask the server on *port* until `over` is set; *tally* tells what became of it."""

    def __init__(self, port: int, kind: Kind, *, timeout: float = TIMEOUT) -> None:
        self.port = port
        self.kind = kind
        self.timeout = timeout
        self.tally = Tally()
        self.over = False

    @contextlib.asynccontextmanager
    async def running(self) -> c.AsyncIterator[Tally]:
        """Ask meanwhile; at the end each client waits for its last answer."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.kind.connections):
                group.create_task(self._client())
            try:
                yield self.tally
            finally:
                self.over = True

    async def _client(self) -> None:
        connection: Connection | None = None
        await asyncio.sleep(random.uniform(0, BEGINNING))
        try:
            while not self.over:
                connection = await self._turn(connection)
        finally:
            if connection is not None:
                connection.close()

    async def _turn(self, connection: Connection | None) -> Connection | None:
        """Make one request; return the connection for the next one, if there is one."""
        if self.kind.pause[1]:
            await asyncio.sleep(random.uniform(*self.kind.pause))
        if connection is not None and connection.is_over():
            connection.close()
            connection = None
        self.tally.asked += 1
        kept = False
        used = connection
        try:
            with telling():
                async with asyncio.timeout(self.timeout):
                    if used is None:
                        used = Connection(self.port)
                        await used.open()
                    text, kept = await used.ask(self.kind.path, keep=self.kind.keep)
            if not text.isdigit():
                raise Lost("wrong answer")
            self.tally.answer(int(text))
        except Lost as lost:
            kept = False
            port, opened = (used.port, used.opened) if used else (0, 0.0)
            self.tally.failures.append(Failure(lost.kind, port, opened, time.perf_counter()))
            await asyncio.sleep(REST)
        if used is not None and not (kept and self.kind.keep):
            used.close()
            used = None
        return used
