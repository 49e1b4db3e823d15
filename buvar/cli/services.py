"""Which running service a verb is for, and how it is asked."""

from __future__ import annotations

import contextlib
import pathlib
import shlex
import typing as t

import attrs

from buvar import errors
from buvar.forking import client
from buvar.forking import status as states

if t.TYPE_CHECKING:
    import collections.abc as c

#: seconds that a service may take to answer
PATIENCE: t.Final = 15.0
#: seconds for an answer that is only wanted to tell several services apart
GLANCE: t.Final = 3.0

NONE = "no service of yours is running under a supervisor (one with a single worker has none)"


@attrs.frozen
class Service:
    """A running service, by its control socket. The methods raise what `client.ask` does."""

    path: str

    def status(self, timeout: float = PATIENCE) -> states.Status:
        """Ask what it is doing."""
        return self._read(self.document(timeout))

    def document(self, timeout: float = PATIENCE) -> dict[str, t.Any]:
        """Ask what it is doing, and return the document as it came."""
        return client.ask(self.path, {"do": "status"}, timeout)

    def tell(self, verb: str) -> states.Status:
        """Ask it to do something, and return its status at that moment."""
        return self._read(client.ask(self.path, {"do": verb}, PATIENCE))

    def _read(self, document: dict[str, t.Any]) -> states.Status:
        try:
            return states.read(document)
        except ValueError as error:
            raise errors.ControlError(self.path, f"the answer is {error}; use the same version") from error


def choose(pid: int | None, control: str | None, environ: c.Mapping[str, str]) -> Service:
    """Return the one service that is meant: by path, by pid, the only one, or the only one of the current folder.

    Raises `errors.NoServiceError`, which lists what there is.
    """
    if pid is not None and control is not None:
        raise errors.UsageError("--pid and --control both say which service; give one of them")
    if control is not None:
        return Service(control)
    running = {number: Service(str(path)) for number, path in client.find(environ).items()}
    if not running:
        raise errors.NoServiceError(f"{NONE}; start one, or name its control socket with --control")
    if pid is not None:
        if pid not in running:
            raise errors.NoServiceError(
                f"no supervisor of yours has the pid {pid}; there is:\n{_list(_glance(running))}"
            )
        return running[pid]
    return _of_this_folder(running)


def _of_this_folder(running: dict[int, Service]) -> Service:
    if len(running) == 1:
        return next(iter(running.values()))
    here, known = str(pathlib.Path.cwd()), _glance(running)
    found = [pid for pid, status in known.items() if status is not None and status.supervisor.folder == here]
    if len(found) != 1:
        count = f"{len(found)} of them" if found else "none of them"
        raise errors.NoServiceError(
            f"{len(running)} services of yours are running, {count} in this folder; say which one with --pid:\n"
            f"{_list(known)}"
        )
    return running[found[0]]


def _glance(running: dict[int, Service]) -> dict[int, states.Status | None]:
    known: dict[int, states.Status | None] = dict.fromkeys(running)
    for pid, service in running.items():
        with contextlib.suppress(errors.BuvarError):  # one that is stuck must not hide the others
            known[pid] = service.status(GLANCE)
    return known


def _list(known: dict[int, states.Status | None]) -> str:
    lines = []
    for pid, status in known.items():
        told = "(does not answer)"
        if status is not None:
            told = f"{printable(status.supervisor.folder)}  {command_line(status)}"
        lines.append(f"  {pid}  {told}")
    return "\n".join(lines)


def command_line(known: states.Status) -> str:
    """Return the command of a service as it would be typed."""
    return printable(shlex.join(known.supervisor.command))


def printable(text: str) -> str:
    """Return *text* with what a terminal would obey, or could not show, written out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
