"""Sockets that are bound before the fork and shared by all workers.

A `Socket` listens from `bind` on, in the process that bound it and in all that are forked from it. It is not inherited
by programs that those start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import socket
import stat
import typing as t

import attrs
import structlog

from buvar.errors import SocketError
from buvar.forking import uri as uris

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger("buvar.fork")

#: the first file descriptor that a service manager passes, by the convention of ``sd_listen_fds(3)``
LISTEN_FDS_START = 3

#: the file of a unix socket: the process that removes it, device and inode
File: t.TypeAlias = tuple[int, int, int]

#: how workers share the connections that come
Accept: t.TypeAlias = t.Literal["shared", "slots"]


class Socket(socket.socket):
    """A listening socket, made from a URI (see `buvar.forking.uri`).

    ``Socket("tcp://:8080").bind()`` binds and listens; *backlog* is the length of the queue of connections that wait to
    be accepted. Two sockets are equal when their canonical URIs are.
    """

    def __init__(self, uri: str, backlog: int = 2048, *, reuse_port: bool = False) -> None:
        self.uri = uris.parse(uri)
        self.backlog = backlog
        self.reuse_port = reuse_port
        # whose the file of a unix socket is: the process that bound it, and device and inode
        self._file: File | None = None
        self._bound = False
        if self.uri.scheme == "fd":
            self._take_over(self.uri.fd)
        else:
            self._create(self.uri.family)

    @classmethod
    def inherited(cls, uri: str, fd: int, backlog: int = 2048, file: File | None = None) -> t.Self:
        """Return the socket of *uri* that was bound before, and is the descriptor *fd* of this process.

        Who is the process of *file* removes it: that which bound the socket, unless it has given it away.
        """
        self = cls.__new__(cls)
        self.uri = uris.parse(uri)
        self.backlog = backlog
        self._file = file
        self._bound = True
        self._take_over(fd)
        # as it was bound, so it stays
        tcp = self.uri.scheme == "tcp"
        self.reuse_port = tcp and bool(self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
        return self

    @property
    def file(self) -> File | None:
        """The file of a unix socket: the process that removes it, device and inode."""
        return self._file

    def give_away(self) -> None:
        """Leave it to another process to remove the file."""
        self._file = None

    def _create(self, family: socket.AddressFamily) -> None:
        try:
            super().__init__(family, socket.SOCK_STREAM)
        except OSError as error:
            raise SocketError(str(self.uri), f"{_why(error)}; does this machine have that kind of address?") from None

    def _take_over(self, fd: int) -> None:
        try:
            super().__init__(fileno=fd)
        except OSError as error:
            raise SocketError(str(self.uri), f"{_why(error)}; is the descriptor passed to this process?") from None
        if self.type != socket.SOCK_STREAM or self.family not in {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}:
            self.detach()
            raise SocketError(str(self.uri), "it is no tcp or unix stream socket")
        self.set_inheritable(False)

    @property
    def address(self) -> uris.SocketURI:
        """The URI of the address that the socket is really bound to: it has the port that was found for port 0."""
        return uris.of_address(self.family, self.getsockname())

    def bind(self, address: t.Any = None) -> None:
        """Bind to the address of the URI and listen. Raises `errors.SocketError`, as for an address in use."""
        if address is not None:
            raise TypeError(f"the socket binds to its URI, {self}, not to {address!r}")
        if self._bound:
            return
        try:
            if self.uri.scheme == "unix":
                self._bind_path()
            elif self.uri.scheme == "tcp":
                self._bind_host()
            super().listen(self.backlog)
            self._bound = True
        except OSError as error:
            if isinstance(error, SocketError):
                raise
            raise SocketError(str(self), _why(error)) from None

    def _bind_host(self) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.reuse_port:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if self.family == socket.AF_INET6:
            # "all addresses" means both kinds; any other address is of one kind
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(self.uri.host != "::"))
        super().bind((self.uri.host, self.uri.port))

    def _bind_path(self) -> None:
        path = pathlib.Path(self.uri.path)
        self._remove_stale(path)
        super().bind(str(path))
        found = path.lstat()
        self._file = (os.getpid(), found.st_dev, found.st_ino)
        if self.uri.mode is not None:
            path.chmod(self.uri.mode)

    def _remove_stale(self, path: pathlib.Path) -> None:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise SocketError(
                str(self), "there is a file of that name that is no socket; move it, or choose another path"
            )
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
            except OSError:
                pass  # it may be alive and full: leave it alone
        raise SocketError(str(self), "another process listens on it; stop that one, or choose another path")

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing: the socket listens since it was bound, and a server must not shrink its queue."""

    def dup(self) -> socket.socket:  # type: ignore[override]
        """Return a plain socket that shares the file description."""
        return socket.socket(fileno=os.dup(self.fileno()))

    def remove(self) -> None:
        """Close the socket and, in the process that bound it, remove its file, if it still is its own."""
        # the file first: once the socket is closed another process may take the path over
        if self._file is not None:
            with contextlib.suppress(OSError):  # it is gone already, or out of reach
                self._remove_file(pathlib.Path(self.uri.path), self._file)
            self._file = None
        self.close()

    def _remove_file(self, path: pathlib.Path, made: tuple[int, int, int]) -> None:
        found = path.lstat()
        if made == (os.getpid(), found.st_dev, found.st_ino):
            path.unlink()

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Socket) and str(self) == str(other)

    def __str__(self) -> str:
        return str(self.uri)


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use; stop the process that has it, or choose another port"
    if error.errno == errno.EACCES:
        return "permission denied; ports below 1024 need the right to bind them, socket files the right to their folder"
    if error.errno == errno.ENOENT:
        return "the folder of the socket file does not exist; make it, or choose another path"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; choose one of its own, or tcp://:port for all"
    if isinstance(error, socket.gaierror):
        return f"the host is not known ({error.strerror}); correct its name, or write its address"
    return f"{error.strerror or error}"


@attrs.frozen
class Listener:
    """A socket that listens, as it is told to another process that gets its descriptor *fd*.

    *file* is that of a unix socket.
    """

    uri: str
    fd: int
    file: File | None = None

    @classmethod
    def read(cls, uri: str, fd: int, file: c.Sequence[int] | None = None) -> t.Self:
        """Return what JSON has made a list of."""
        return cls(uri, fd, None if file is None else (file[0], file[1], file[2]))


class Sockets(dict[str, Socket]):
    """Sockets by their canonical URI. ``with Sockets("tcp://:8080").bind():`` they are bound inside of the block.

    How workers *accept*: ``"shared"``, all from one queue; ``"slots"``, each slot from its own, where the address is
    of TCP. Sockets that are *inherited* are not bound again.
    """

    def __init__(
        self,
        *sockets: str,
        backlog: int = 2048,
        accept: Accept = "shared",
        inherited: c.Iterable[Listener] = (),
    ) -> None:
        self._backlog = backlog
        self._accept = accept
        self._inherited = {each.uri: each for each in inherited}
        # those of the slots behind the first one
        self._others: dict[tuple[str, int], Socket] = {}
        made: dict[str, Socket] = {}
        try:
            # the same URI twice is one socket
            for key, uri in {str(uris.parse(uri)): uri for uri in sockets}.items():
                made[key] = self._make(key, uri)
        except BaseException:
            for each in made.values():
                each.close()
            raise
        super().__init__(made)

    @property
    def unwanted(self) -> list[Listener]:
        """Those that were inherited, and that nobody asks for any more."""
        return [each for key, each in self._inherited.items() if key not in self]

    def _make(self, key: str, uri: str, slot: int = 0) -> Socket:
        if slot == 0 and key in self._inherited:
            return self._inherit(self._inherited[key])
        made = Socket(uri, self._backlog)
        made.reuse_port = (slot > 0 or self._accept == "slots") and made.uri.scheme == "tcp"
        return made

    def _inherit(self, told: Listener) -> Socket:
        return Socket.inherited(told.uri, told.fd, self._backlog, told.file)

    @contextlib.contextmanager
    def bind(self) -> c.Iterator[Sockets]:
        """Bind all, and at the end close all and remove their files; a fork that leaves the block closes nothing."""
        owner = os.getpid()
        try:
            for key, each in self.items():
                if each.reuse_port and key not in self._inherited:
                    _refuse_taken(each)
                each.bind()
            yield self
        finally:
            if os.getpid() == owner:
                self.remove()

    def of_slot(self, slot: int) -> dict[str, Socket]:
        """Return the sockets that the worker of a slot accepts from; those that are missing are bound."""
        return {key: self._of_slot(key, first, slot) for key, first in self.items()}

    def _of_slot(self, key: str, first: Socket, slot: int) -> Socket:
        if slot == 0 or not first.reuse_port:
            return first
        if (key, slot) not in self._others:
            made = self._make(key, str(first.address), slot)
            try:
                made.bind()
            except BaseException:
                made.close()
                raise
            made.uri = first.uri
            self._others[key, slot] = made
        return self._others[key, slot]

    def keep(self, slot: int) -> None:
        """Close, in the worker of a slot, what belongs to others: their queues shall end when they end."""
        mine = set(map(id, self.of_slot(slot).values()))
        for each in (*self.values(), *self._others.values()):
            if id(each) not in mine:
                each.close()

    def remove_slot(self, slot: int) -> None:
        """Close the sockets of a slot that there is no more."""
        for key in [key for key in self._others if key[1] == slot]:
            self._others.pop(key).close()

    @property
    def new(self) -> list[Listener]:
        """Those that were not inherited."""
        return [each for each in listeners(self) if each.uri not in self._inherited]

    def give_away(self) -> None:
        """Leave it to another process to remove the files."""
        for each in self.values():
            each.give_away()

    def successors(self, wanted: c.Iterable[str], bound: c.Iterable[Listener]) -> dict[str, Socket]:
        """Return the sockets that are *wanted* next: those that there are, and those that a fork server has *bound*."""
        new = {each.uri: self._inherit(each) for each in bound}
        return {key: new[key] if key in new else self[key] for key in wanted}

    def succeed(self, successors: dict[str, Socket], *, backlog: int, accept: Accept) -> None:
        """Have *successors* instead; what is not among them is closed, and its files are removed."""
        for key in self.keys() - successors.keys():
            self.pop(key).remove()
            for other in [other for other in self._others if other[0] == key]:
                self._others.pop(other).close()
        self.update(successors)
        self._backlog, self._accept = backlog, accept

    def discard(self, sockets: c.Mapping[str, Socket]) -> None:
        """Close those of *sockets* that are not among these, and remove their files."""
        for key in sockets.keys() - self.keys():
            sockets[key].remove()

    def remove(self) -> None:
        """Close all sockets and remove their files."""
        for each in (*self.values(), *self._others.values()):
            each.remove()


def announce(sockets: c.Mapping[str, Socket]) -> None:
    """Log where a service listens."""
    for uri, each in sockets.items():
        log.info("listening", socket=uri, address=str(each.address))


def listeners(sockets: c.Mapping[str, Socket]) -> list[Listener]:
    """Tell of sockets to another process."""
    return [Listener(key, each.fileno(), each.file) for key, each in sockets.items()]


def _refuse_taken(wanted: Socket) -> None:
    """Refuse an address that another service listens on: it would be shared with that one, and nobody would know."""
    with Socket(str(wanted)) as probe:
        probe.bind()


def address_of(uri: str) -> uris.SocketURI:
    """Return the address that the socket of an ``fd://`` URI is bound to. Raises `errors.SocketError` if it is none."""
    with Socket.inherited(uri, os.dup(uris.parse(uri).fd)) as passed:
        return passed.address


def passed_fds(environ: c.MutableMapping[str, str], pid: int) -> list[str]:
    """Take from *environ* the sockets that a service manager passed to process *pid*, as ``fd://`` URIs.

    The variables ``LISTEN_PID``, ``LISTEN_FDS`` and ``LISTEN_FDNAMES`` (``sd_listen_fds(3)``) are removed, so that no
    child takes them for its own. Those that are meant for another process are left alone.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return []
    count = environ.get("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if not (count.isascii() and count.isdigit()):
        raise SocketError("LISTEN_FDS", f"{count!r} is no number of file descriptors")
    return [f"fd://{LISTEN_FDS_START + index}" for index in range(int(count))]
