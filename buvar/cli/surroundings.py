"""What a start needs of the machine by what ``[buvar]`` says, looked after without anything being bound or changed."""

from __future__ import annotations

import functools
import importlib.util
import os
import typing as t

import attrs

from buvar import errors, names
from buvar.diagnostic import Diagnostic
from buvar.forking import uri as uris
from buvar.forking.identity import User
from buvar.staging import codes

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.cli.settings import Settings

CODE: t.Final = "BV113"
UVLOOP: t.Final = "uvloop is not installed; pip install 'buvar[uvloop]', or choose --loop asyncio"


def look(found: Settings) -> c.Iterator[Diagnostic]:
    """Yield an error for each of the settings that the machine is not made for."""
    needs: list[c.Callable[[], object]] = [functools.partial(_socket, uri) for uri in found.sockets]
    needs += [functools.partial(names.resolve, name) for name in found.preload]
    needs += [lambda: User.resolve(found.user, found.group), lambda: _pid_file(found.pid_file)]
    needs += [lambda: _loop(found.loop)]
    for need in needs:
        try:
            need()
        except Exception as error:
            yield from (attrs.evolve(each, code=CODE) for each in codes.diagnose(error))


def _socket(text: str) -> None:
    uri = uris.parse(text)
    if uri.scheme == "unix":
        folder = os.path.dirname(uri.path)  # noqa: PTH120 - the path of a URI is a text
        _writable(folder, lambda reason: errors.SocketError(text, reason))


def _pid_file(path: str | None) -> None:
    if path is not None:
        folder = os.path.dirname(path) or "."  # noqa: PTH120
        _writable(folder, lambda reason: errors.PidFileError(path, reason))


def _writable(folder: str, error: c.Callable[[str], Exception]) -> None:
    if not os.path.isdir(folder):  # noqa: PTH112
        raise error(f"there is no folder {folder}; create it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise error(f"nothing can be made in the folder {folder}; give this user the right to")


def _loop(name: str) -> None:
    if name == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise errors.UsageError(UVLOOP)
