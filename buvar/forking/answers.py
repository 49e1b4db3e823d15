"""What the supervisor answers at its control socket."""

from __future__ import annotations

import os
import time
import typing as t

from buvar.errors import UsageError
from buvar.forking import status
from buvar.forking.handover import Command

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.crew import Crew
    from buvar.forking.reload import Reload
    from buvar.forking.sockets import Sockets


class Supervised(t.Protocol):
    """What is known of a supervisor, and what it can be told."""

    number: int
    restarts: int
    started: float
    crew: Crew
    reload: Reload
    sockets: Sockets

    @property
    def state(self) -> str: ...
    def stop(self, code: int) -> None: ...


class Answers:
    """Answers for *supervisor*."""

    def __init__(self, supervisor: Supervised) -> None:
        self._supervisor = supervisor
        #: what the service is, also where it is not reloaded
        self._command = Command.current()

    def __call__(self, request: c.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Do what *request* asks for, and return how all was before. Raises `errors.UsageError` for what cannot be."""
        what = request.get("do")
        if what not in {"status", "reload", "stop"}:
            raise UsageError(f"cannot do {what!r}; ask for status, reload or stop")
        if what == "reload" and not self._supervisor.reload.wanted:
            raise UsageError("its workers handle HUP themselves, so it is not reloaded; stop it and start it again")
        before = status.status(self._facts(), self._supervisor.crew.board, time.monotonic()).document()
        if what == "reload":
            self._supervisor.reload.ask()
        elif what == "stop":
            self._supervisor.stop(0)
        return before

    def _facts(self) -> status.SupervisorFacts:
        about = self._supervisor
        bound = {} if about.state == status.STOPPING else about.sockets
        return status.SupervisorFacts(
            pid=os.getpid(),
            version=_version(),
            command=masked(self._command.arguments),
            folder=self._command.folder,
            started=about.started,
            generation=about.crew.generation,
            state=about.state,
            wanted=about.number,
            sockets=[status.SocketFacts(uri=uri, address=str(each.address)) for uri, each in bound.items()],
            restarts=about.restarts,
            fork_server=None if about.crew.server is None else about.crew.server.pid,
            last_reload=about.reload.last,
        )


def _version() -> str:
    import importlib.metadata  # a supervisor that is never asked need not have it

    try:
        return importlib.metadata.version("buvar")
    except importlib.metadata.PackageNotFoundError:  # it runs from its sources
        return "unknown"


def masked(arguments: t.Iterable[str]) -> list[str]:
    """Return a command line without what ``--set key=value`` sets: it may be a secret."""
    shown: list[str] = []
    for text in arguments:
        option, _, rest = text.partition("=")
        if shown and shown[-1] == "--set" and rest:
            shown.append(f"{option}=***")
        elif option == "--set" and "=" in rest:
            shown.append(f"--set={rest.partition('=')[0]}=***")
        else:
            shown.append(text)
    return shown
