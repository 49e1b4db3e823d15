"""The handover: what a process gets that runs the service's command again, to fork the workers of a new generation.

What is open comes as inherited file descriptors, and their meaning by one environment variable.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
import typing as t

import attrs

from buvar.errors import UsageError
from buvar.forking.sockets import Listener

if t.TYPE_CHECKING:
    import collections.abc as c

VARIABLE: t.Final = "BUVAR_HANDOVER"
#: the version of what supervisor, fork servers and workers say to each other, and of the board: up with each change
PROTOCOL: t.Final = 1


@attrs.frozen(kw_only=True)
class Handover:
    """What goes to process *pid*, whose parent is the *supervisor*.

    *generation* is the one that it makes. *board* and *channel* are descriptors, *listeners* the sockets that there
    are, which need not be bound again. *protocol* is what the supervisor speaks, which may be an older version.
    """

    pid: int
    supervisor: int
    generation: int
    board: int
    channel: int
    listeners: list[Listener] = attrs.Factory(list)
    protocol: int = PROTOCOL

    def check(self) -> None:
        """Raise `errors.UsageError` where the supervisor does not understand what this process would say."""
        if self.protocol != PROTOCOL:
            raise UsageError("buvar itself was replaced by a version that the running one cannot reload; restart it")

    @property
    def fds(self) -> list[int]:
        """All descriptors that are handed over."""
        return [self.board, self.channel, *(each.fd for each in self.listeners)]


@attrs.frozen
class Command:
    """The command that runs in this process, and the folder it is to run in."""

    arguments: tuple[str, ...]
    folder: str

    @classmethod
    def current(cls) -> Command:
        """Return the command of this process."""
        return cls((sys.executable, *sys.orig_argv[1:]), _folder())

    def execute(self, handover: Handover) -> t.NoReturn:
        """Become the command, with *handover*. Raises OSError when that cannot be."""
        for fd in handover.fds:
            os.set_inheritable(fd, True)
        os.chdir(self.folder)
        environ = {**os.environ, VARIABLE: json.dumps(attrs.asdict(handover))}
        os.execve(self.arguments[0], self.arguments, environ)  # noqa: S606 - no shell is wanted


def _folder() -> str:
    """Return the current folder as it was named: where a link leads may change with a new release."""
    here, named = pathlib.Path.cwd(), os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        if named and here.samefile(named):
            return named
    return str(here)


def look(environ: c.Mapping[str, str]) -> Handover | None:
    """Return what was handed over to this process, and that it has not received yet, if anything was."""
    text = environ.get(VARIABLE)
    if text is None:
        return None
    facts = json.loads(text)
    if facts["pid"] != os.getpid():  # it is for our parent, which has not got so far
        return None
    return Handover(**{**facts, "listeners": [Listener.read(**each) for each in facts["listeners"]]})


def receive(environ: c.MutableMapping[str, str]) -> Handover | None:
    """Take from *environ* what was handed over to this process, if anything was."""
    handover = look(environ)
    if handover is None:
        return None
    del environ[VARIABLE]
    for fd in handover.fds:
        os.set_inheritable(fd, False)
    return handover
