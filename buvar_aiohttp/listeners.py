"""Listeners: the sockets that a server serves on, shared ones or its own.

A socket that was bound before the fork is shared by all workers, and is a component. Any other one the server makes,
binds and removes itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
import typing as t

from buvar import context, errors, fork
from buvar.forking import uri as uris

from .config import SECTION, AioHttpConfig

if t.TYPE_CHECKING:
    import collections.abc as c

ADVICE: t.Final = (
    f"nothing to listen on; set host and port, or path, in [{SECTION}], or have a socket bound that all workers share:"
    " 'buvar run --bind tcp://127.0.0.1:8080', fork.stage(…, sockets=[…])"
)


def shared() -> list[fork.Socket]:
    """Return the sockets that were bound before the fork, each once, though it may be filed under several names."""
    return list({id(each): each for each in context.find(fork.Socket).values()}.values())


def is_shared(sock: socket.socket) -> bool:
    """Tell whether all workers accept from *sock*: not where it was made here, or each slot has one of its own."""
    return any(sock is each for each in shared()) and not getattr(sock, "reuse_port", False)


async def find(config: AioHttpConfig) -> list[socket.socket]:
    """Return the sockets that *config* asks for; those that are not shared are not bound yet.

    Raises `errors.ConfigError` when it asks for none, `errors.SocketError` for one that cannot be.
    """
    if config.sock is not None:
        name = str(config.sock) if isinstance(config.sock, fork.Socket) else None
        return [context.get(fork.Socket, name=name, default=config.sock) if name else config.sock]
    if config.host or config.port is not None:
        return [_choose(await _tcp(config), config)]
    if config.path:
        return [_choose([_unix(config.path)], config)]
    found: list[socket.socket] = [*shared()]
    if not found:
        raise errors.ConfigError(errors.ConfigProblem(SECTION, ADVICE))
    return found


def look(config: AioHttpConfig) -> None:
    """Look, before a service runs, whether it will have anything to listen on; a test has no need of that.

    Raises `errors.ConfigError` when there is nothing.
    """
    asked = config.sock is not None or config.host or config.port is not None or config.path
    if context.get(fork.Fork, default=None) is not None and not asked and not shared():
        raise errors.ConfigError(errors.ConfigProblem(SECTION, ADVICE))


def _unix(path: str) -> uris.SocketURI:
    return uris.SocketURI("unix", path=str(pathlib.Path.cwd() / path))


async def _tcp(config: AioHttpConfig) -> list[uris.SocketURI]:
    """Return the address as it was written, and those that its host stands for, IPv4 first."""
    port = config.port
    if port is None:
        port = 8080 if config.ssl is None and config.ssl_context is None else 8443
    written = uris.SocketURI("tcp", host=config.host or "0.0.0.0", port=port)  # noqa: S104 - no host means all
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(written.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise errors.SocketError(str(written), f"the host is not known: {error.strerror or error}") from None
    addresses = [uris.of_address(family, address) for family, *_, address in infos]
    return [written, *sorted(addresses, key=lambda uri: uri.family != socket.AF_INET)]


def _choose(addresses: list[uris.SocketURI], config: AioHttpConfig) -> socket.socket:
    """Return the shared socket of one of *addresses*, or else an own one: the first that was resolved, if any was."""
    for uri in addresses:
        found = context.get(fork.Socket, name=str(uri), default=None)
        if found is not None:
            return found
    uri = (addresses[1:] or addresses)[0]
    _refuse_collision(uri)
    return fork.Socket(str(uri), config.backlog)


def _refuse_collision(uri: uris.SocketURI) -> None:
    """Refuse an address that each of several workers would bind: only the first one could."""
    who = context.get(fork.Fork, default=None)
    if who is None or not who.is_child or who.workers == 1 or (uri.scheme == "tcp" and uri.port == 0):
        return
    others = ", ".join(map(str, shared())) or "none"
    reason = f"{who.workers} workers cannot each bind it; add it to the sockets that they share (now: {others})"
    raise errors.SocketError(str(uri), reason)


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


@contextlib.asynccontextmanager
async def bound(config: AioHttpConfig) -> c.AsyncIterator[list[socket.socket]]:
    """Bind what is not bound yet; at the end, close that and remove its file."""
    found = await find(config)
    own = [each for each in found if isinstance(each, fork.Socket) and not _listens(each)]
    try:
        for each in own:
            each.bind()
        yield found
    finally:
        for each in own:
            each.remove()
