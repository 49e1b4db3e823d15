"""The control socket: over it the supervisor tells what it is and is told what to do, by those who may.

A client connects, sends one JSON object on a line (at most 64 KiB), is sent one JSON object on a line, and is closed.
The supervisor has one selector and no time: nothing here waits. What a client has sent and what it is still to get is
kept until the selector calls again; who takes longer than 5 seconds is dropped.

| what happens                         | what is done                                                      |
|--------------------------------------|-------------------------------------------------------------------|
| what was sent is no such line        | the answer is ``{"error": …}``                                    |
| the answer cannot be made            | the same, and a log line                                          |
| a client sends or reads too slowly   | it is dropped                                                     |
| there are 16 clients                 | others are closed at once, and may come again                     |
| no file descriptor is left           | nobody is accepted for a second; who waits in the queue waits on  |
| the peer is another user, not root   | it is closed at once, with a log line; on Linux, elsewhere the    |
|                                      | permissions of the file have to do                                |
"""

from __future__ import annotations

import collections.abc as c
import functools
import json
import os
import pathlib
import selectors
import socket
import struct
import sys
import time
import typing as t

import attrs
import structlog

from buvar import errors
from buvar.errors import SocketError
from buvar.forking import places
from buvar.forking.places import default_path as default_path
from buvar.forking.sockets import Socket
from buvar.forking.uri import SocketURI

log = structlog.get_logger(__name__)

Request: t.TypeAlias = c.Mapping[str, t.Any]
Answer: t.TypeAlias = c.Callable[[Request], c.Mapping[str, t.Any]]

#: how many clients there can be at a time
CLIENTS: t.Final = 16
#: how many connections may wait to be accepted
BACKLOG: t.Final = 64
#: the longest request, in bytes
LONGEST: t.Final = 65536
#: seconds that a client has to send its request, and again to read the answer
PATIENCE: t.Final = 5.0
#: seconds without accepting, after it has failed
PAUSE: t.Final = 1.0
#: the longest path of a unix socket, in bytes; the system's field has one more for a NUL
LONGEST_PATH: t.Final = 107 if sys.platform == "linux" else 103
#: pid, uid and gid, as ``SO_PEERCRED`` gives them
CREDENTIALS: t.Final = "3i"


def listen(path: str | os.PathLike[str]) -> Socket:
    """Bind a control socket to *path*, so that only this user (and root) can connect, and listen.

    A file that a dead process left is replaced. Raises `errors.SocketError` where somebody listens, where there is
    another kind of file, and where the path cannot be had or is too long. `Socket.remove` removes the file again.
    """
    name = os.fsencode(pathlib.Path(path).absolute())
    if len(name) > LONGEST_PATH:
        reason = f"the path has {len(name)} bytes, a socket's has {LONGEST_PATH} at most; choose a shorter one"
        raise SocketError(os.fspath(path), reason)
    listener = Socket(str(SocketURI("unix", path=os.fsdecode(name))), BACKLOG)
    former = os.umask(0o177)  # from the first moment on: chmod would come too late
    try:
        listener.bind()
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(former)
    return listener


def listen_by_default(pid: int, environ: c.Mapping[str, str]) -> Socket | None:
    """Bind the control socket of supervisor *pid* where nothing was configured (see `default_path`).

    Nobody asked for it, so a service does not fail to start for it: the reason is logged, and None returned.
    """
    path = default_path(pid, environ)
    try:
        places.make(path.parent)
        return listen(path)
    except (OSError, errors.UsageError) as error:
        log.warning("no control socket", path=str(path), error=errors.summary(error))
        return None


@attrs.define(eq=False)
class Client:
    """A connection: what of its request has come, what of its answer is still to go, and when it is dropped.

    Only one of the two is ever there: the request is read to its end, then the answer is made.
    """

    connection: socket.socket
    deadline: float
    incoming: bytearray = attrs.field(factory=bytearray)
    outgoing: memoryview | None = None


class Control:
    """Serves a control socket from somebody's selector; what is registered there has a callable without arguments.

    *answer* is called with each request, as ``{"do": "status"}``, and returns what is to be sent, at once. What it
    raises is the answer ``{"error": …}``. It must not close the control.

    Who waits for the selector does so until `due` at most, and calls `tick` afterwards.
    """

    def __init__(self, listener: socket.socket, selector: selectors.BaseSelector, answer: Answer) -> None:
        self.listener = listener
        self._selector = selector
        self._answer = answer
        self._clients: dict[Client, None] = {}
        self._accept_at: float | None = None
        self._failing = False
        listener.setblocking(False)
        self._watch()

    @property
    def due(self) -> float | None:
        """When `tick` is to be called next, in seconds of `time.monotonic`; None while there is no need."""
        times = [client.deadline for client in self._clients]
        if self._accept_at is not None:
            times.append(self._accept_at)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Drop who is too slow, and accept again after a pause. *now* is `time.monotonic`."""
        for client in [client for client in self._clients if now >= client.deadline]:
            log.debug("control client is too slow, dropped", waiting="read" if client.outgoing else "send")
            self._drop(client)
        if self._accept_at is not None and now >= self._accept_at:
            try:
                self._watch()
                self._accept_at = None
            except OSError:  # the selector is full
                self._accept_at = now + PAUSE

    def close(self) -> None:
        """Leave the selector, and close the listener and all clients. Does nothing the second time."""
        if self.listener.fileno() != -1 and self._accept_at is None:
            self._selector.unregister(self.listener)
        self._accept_at = None
        for client in [*self._clients]:
            self._drop(client)
        self.listener.close()

    def abandon(self) -> None:
        """Close what a forked child has inherited; the selector is its parent's, and goes on with all of it."""
        for each in (self.listener, *(client.connection for client in self._clients)):
            each.close()
        self._clients.clear()
        self._accept_at = None

    # -- accepting

    def _watch(self) -> None:
        self._selector.register(self.listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        # a bounded number, so that no crowd keeps the supervisor from its work
        for _ in range(CLIENTS):
            try:
                connection, _ = self.listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._failing = False
            self._welcome(connection)

    def _pause(self, error: OSError) -> None:
        """Look away: a queue of which nobody can be accepted stays readable, and would be told of again and again."""
        if self.listener.fileno() == -1:  # closed since the selector returned
            return
        if not self._failing:
            log.warning("cannot accept on the control socket, trying again", error=str(error), pause=PAUSE)
        self._failing = True
        self._selector.unregister(self.listener)
        self._accept_at = time.monotonic() + PAUSE

    def _welcome(self, connection: socket.socket) -> None:
        client = Client(connection, time.monotonic() + PATIENCE)
        try:
            if len(self._clients) >= CLIENTS or not _may_ask(connection):
                connection.close()
                return
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, functools.partial(self._read, client))
        except OSError as error:  # the selector is full too
            log.warning("cannot serve a control client", error=str(error))
            connection.close()
            return
        self._clients[client] = None

    # -- clients

    def _read(self, client: Client) -> None:
        try:
            chunk = client.connection.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:  # it is gone; or it was closed here, after the selector had returned
            self._drop(client)
            return
        client.incoming += chunk
        if b"\n" in chunk or (client.incoming and not chunk):
            self._reply(client, _parse(bytes(client.incoming.partition(b"\n")[0])))
        elif not chunk:
            self._drop(client)
        elif len(client.incoming) > LONGEST:
            self._reply(client, _TOO_LONG)

    def _reply(self, client: Client, request: Request | str) -> None:
        answer = self._ask(request) if not isinstance(request, str) else _error(request)
        client.incoming.clear()
        client.outgoing = memoryview(answer)
        client.deadline = time.monotonic() + PATIENCE
        self._write(client)
        if client in self._clients:
            write = functools.partial(self._write, client)
            self._selector.modify(client.connection, selectors.EVENT_WRITE, write)

    def _ask(self, request: Request) -> bytes:
        try:
            return json.dumps(self._answer(request)).encode() + b"\n"
        except Exception as error:
            what = str(request.get("do"))[:80]
            if isinstance(error, errors.UsageError):
                log.warning("control request refused", request=what, error=str(error))
            else:
                log.exception("control request failed", request=what)
            return _error(errors.summary(error))

    def _write(self, client: Client) -> None:
        if client.outgoing is None:
            return
        try:
            client.outgoing = client.outgoing[client.connection.send(client.outgoing) :]
        except BlockingIOError:
            return
        except OSError:  # it is gone, or closed already
            self._drop(client)
            return
        if not client.outgoing:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            del self._clients[client]
            self._selector.unregister(client.connection)
            client.connection.close()


_TOO_LONG: t.Final = f"the request is longer than {LONGEST} bytes"


def _error(text: str) -> bytes:
    return json.dumps({"error": text}).encode() + b"\n"


def _parse(line: bytes) -> Request | str:
    """Return the request that a line is, or what is wrong with it."""
    if len(line) > LONGEST:
        return _TOO_LONG
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    return request if isinstance(request, dict) else 'the request is no JSON object; send a line like {"do": "status"}'


def _may_ask(connection: socket.socket) -> bool:
    """Tell whether the peer is this user or root, where the system knows."""
    if sys.platform != "linux":
        return True
    size = struct.calcsize(CREDENTIALS)
    pid, uid, _ = struct.unpack(CREDENTIALS, connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid in {0, os.geteuid()}:
        return True
    log.warning("control client is another user, closed", client=pid, uid=uid)
    return False
