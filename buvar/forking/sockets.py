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

from buvar.errors import SocketError
from buvar.forking import uri as uris

if t.TYPE_CHECKING:
    import collections.abc as c

#: the first file descriptor that a service manager passes, by the convention of ``sd_listen_fds(3)``
LISTEN_FDS_START = 3


class Socket(socket.socket):
    """A listening socket, made from a URI (see `buvar.forking.uri`).

    ``Socket("tcp://:8080").bind()`` binds and listens; *backlog* is the length of the queue of connections that wait to
    be accepted. Two sockets are equal when their canonical URIs are.
    """

    def __init__(self, uri: str, backlog: int = 2048) -> None:
        self.uri = uris.parse(uri)
        self.backlog = backlog
        # whose the file of a unix socket is: the process that bound it, and device and inode
        self._file: tuple[int, int, int] | None = None
        if self.uri.scheme == "fd":
            self._take_over(self.uri.fd)
        else:
            self._create(self.uri.family)

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
        try:
            if self.uri.scheme == "unix":
                self._bind_path()
            elif self.uri.scheme == "tcp":
                self._bind_host()
            super().listen(self.backlog)
        except OSError as error:
            if isinstance(error, SocketError):
                raise
            raise SocketError(str(self), _why(error)) from None

    def _bind_host(self) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


class Sockets(dict[str, Socket]):
    """Sockets by their canonical URI. ``with Sockets("tcp://:8080").bind():`` they are bound inside of the block."""

    def __init__(self, *sockets: str, backlog: int = 2048) -> None:
        made: dict[str, Socket] = {}
        try:
            # the same URI twice is one socket
            for key, uri in {str(uris.parse(uri)): uri for uri in sockets}.items():
                made[key] = Socket(uri, backlog)
        except BaseException:
            for each in made.values():
                each.close()
            raise
        super().__init__(made)

    @contextlib.contextmanager
    def bind(self) -> c.Iterator[Sockets]:
        """Bind all, and at the end close all and remove their files; a fork that leaves the block closes nothing."""
        owner = os.getpid()
        try:
            for each in self.values():
                each.bind()
            yield self
        finally:
            if os.getpid() == owner:
                self.remove()

    def remove(self) -> None:
        """Close all sockets and remove their files."""
        for each in self.values():
            each.remove()


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
