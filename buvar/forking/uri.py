"""Socket URIs: ``tcp://host:port``, ``tcp://[::1]:port``, ``unix:///path?mode=660`` and ``fd://3``.

Each has one canonical form, its ``str``, under which the socket is a component. An empty host means all IPv4 addresses,
``tcp://[::]:80`` all of both kinds.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import typing as t
import urllib.parse

import attrs

from buvar.errors import SocketURIError

EXAMPLES = "write tcp://127.0.0.1:8080, tcp://[::]:8080, unix:///run/service.sock or fd://3"

#: what urllib would take out of a URI without a word
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NETLOC = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<name>[^\[\]:@]*))(?::(?P<port>[^:]*))?")
HOST_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]*")
#: the largest C int
LARGEST_FD = 2**31 - 1


@attrs.frozen
class SocketURI:
    """A parsed socket URI.

    *scheme* is ``tcp``, ``unix`` or ``fd``; *host* and *port* belong to the first, *path* (absolute) and *mode* (the
    permissions of the socket file, None: what the umask leaves) to the second, *fd* to the third.
    """

    scheme: t.Literal["tcp", "unix", "fd"]
    host: str = ""
    port: int = 0
    path: str = ""
    mode: int | None = None
    fd: int = -1

    def __str__(self) -> str:
        if self.scheme == "tcp":
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"tcp://{host}:{self.port}"
        if self.scheme == "unix":
            return f"unix://{urllib.parse.quote(os.fsencode(self.path))}"
        return f"fd://{self.fd}"

    @property
    def family(self) -> socket.AddressFamily:
        """The address family that a socket of this URI has."""
        if self.scheme == "unix":
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def gethost(self) -> str:
        """Return the host, as the URI objects of upstream did."""
        return self.host

    def getport(self) -> int:
        """Return the port, as the URI objects of upstream did."""
        return self.port

    def getpath(self) -> str:
        """Return the path, as the URI objects of upstream did."""
        return self.path


def parse(text: str) -> SocketURI:
    """Parse *text*. Raises `errors.SocketURIError` (a TypeError and a ValueError) that says what is wrong with it."""
    if not _is_line(text):
        raise SocketURIError(text, f"it is no text, or holds a control character; {EXAMPLES}")
    try:
        parts = urllib.parse.urlsplit(text)
        if parts.scheme == "tcp":
            return _tcp(text, parts)
        if parts.scheme == "unix":
            return _unix(text, parts)
        if parts.scheme == "fd":
            return _fd(text, parts)
    except SocketURIError:
        raise
    except ValueError as error:
        raise SocketURIError(text, f"{error}; {EXAMPLES}") from None
    raise SocketURIError(text, f"the scheme {parts.scheme!r} is not tcp, unix or fd; {EXAMPLES}")


def _is_line(text: object) -> bool:
    return isinstance(text, str) and not CONTROL.search(text)


def _tcp(text: str, parts: urllib.parse.SplitResult) -> SocketURI:
    found = NETLOC.fullmatch(parts.netloc)
    if found is None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise SocketURIError(text, f"a tcp address is a host (IPv6 in brackets) and a port, nothing else; {EXAMPLES}")
    if not found["port"]:
        raise SocketURIError(text, f"the port is missing; {EXAMPLES}")
    six, name = found["six"], found["name"]
    host = _host_name(text, name) if six is None else str(ipaddress.IPv6Address(six))
    if parts.port is None:  # urllib checks its digits and its range
        raise SocketURIError(text, f"{found['port']!r} is no port; {EXAMPLES}")
    return SocketURI("tcp", host=host, port=parts.port)


def _host_name(text: str, name: str) -> str:
    if not name:
        return "0.0.0.0"  # noqa: S104 - an empty host means all, by contract
    host = name.encode("idna").decode().lower()
    if not HOST_NAME.fullmatch(host):
        raise SocketURIError(text, f"{name!r} is no name or address of a host; {EXAMPLES}")
    return host


def _unix(text: str, parts: urllib.parse.SplitResult) -> SocketURI:
    name = urllib.parse.unquote_to_bytes(os.fsencode(parts.path))
    if parts.netloc or not name.startswith(b"/") or name.endswith(b"/"):
        raise SocketURIError(
            text, f"the path must be absolute and name a file: unix:///path (three slashes); {EXAMPLES}"
        )
    if b"\0" in name or len(name) > 107:  # sun_path has 108 bytes, the last one is a NUL
        raise SocketURIError(text, "the path is longer than 107 bytes or holds a NUL; use a shorter one")
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    mode = query.pop("mode", None)
    if query or parts.fragment:
        raise SocketURIError(text, f"only 'mode' may follow the path, not {', '.join(query) or parts.fragment!r}")
    return SocketURI("unix", path=os.fsdecode(name), mode=None if mode is None else _mode(text, mode))


def _mode(text: str, mode: str) -> int:
    if not mode or not set(mode) <= set("01234567") or int(mode, 8) > 0o777:
        raise SocketURIError(text, f"mode={mode} is no octal permission; write mode=660")
    return int(mode, 8)


def _fd(text: str, parts: urllib.parse.SplitResult) -> SocketURI:
    if not (parts.netloc.isascii() and parts.netloc.isdigit()) or parts.path or parts.query or parts.fragment:
        raise SocketURIError(text, f"a file descriptor is a number; {EXAMPLES}")
    fd = int(parts.netloc)
    if fd > LARGEST_FD:
        raise SocketURIError(text, f"no file descriptor is as large as that; {EXAMPLES}")
    return SocketURI("fd", fd=fd)


def of_address(family: int, address: t.Any) -> SocketURI:
    """Return the URI of what ``getsockname`` says of a socket of *family*."""
    if family == socket.AF_UNIX:
        return SocketURI("unix", path=os.fsdecode(address))
    return SocketURI("tcp", host=address[0], port=address[1])
