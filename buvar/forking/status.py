"""The status document: what a supervisor and its workers are at one moment, as plain JSON.

The supervisor makes one out of what it knows (`SupervisorFacts`) and of its board, and sends it over the control
socket; `read` makes the same of it again at the other end. New fields may come; those that there are stay.
"""

from __future__ import annotations

import collections.abc as c
import functools
import typing as t

import attrs

from buvar.forking.board import WorkerStatus
from buvar.forking.health import memory

#: the state of a supervisor: before all of its workers have been ready once, and after that
STARTING: t.Final = "starting"
RUNNING: t.Final = "running"
RELOADING: t.Final = "reloading"
STOPPING: t.Final = "stopping"


@attrs.frozen(kw_only=True)
class SocketFacts:
    """A socket: the *uri* that was asked for, and the *address* that it is bound to."""

    uri: str
    address: str


@attrs.frozen(kw_only=True)
class LastReload:
    """How the last reload that is over went.

    *at* is when it began (unix time), *seconds* how long it took, *generation* the one that it was to bring. When it
    was aborted, *ok* is false and *error* says why, in all the lines that a failed start writes.
    """

    at: float
    generation: int
    ok: bool
    seconds: float
    error: str | None = None


@attrs.frozen(kw_only=True)
class SupervisorFacts:
    """What a supervisor knows of itself.

    *command* is its argv, *folder* where it was started, *started* when (unix time; a reload does not change it).
    *generation* is that of new workers, *wanted* how many workers there should be, *restarts* how many were replaced
    because they died or hung. *state* is ``starting``, ``running``, ``reloading`` or ``stopping``. *fork_server* is the
    pid of who forks the workers; None where the supervisor does it itself, before the first reload.
    """

    pid: int
    version: str
    command: list[str]
    folder: str
    started: float
    generation: int
    state: str
    wanted: int
    sockets: list[SocketFacts] = attrs.Factory(list)
    restarts: int = 0
    fork_server: int | None = None
    last_reload: LastReload | None = None


@attrs.frozen(kw_only=True)
class WorkerFacts:
    """A worker at one moment; times in seconds.

    *age* is since it was forked, *ready_after* how long it took to be ready (None: it is not yet), *beat_age* since its
    loop last turned. *memory* is what it has resident, in bytes, shared pages included; None where that is not known.
    """

    pid: int
    slot: int
    generation: int
    state: str
    age: float
    ready_after: float | None
    beat_age: float
    requests: int
    connections: int
    memory: int | None
    leader: bool


@attrs.frozen(kw_only=True)
class Status:
    """The whole document: the supervisor, and its workers by slot."""

    supervisor: SupervisorFacts
    workers: list[WorkerFacts]

    def document(self) -> dict[str, t.Any]:
        """Return it as plain dicts, lists, texts and numbers."""
        return attrs.asdict(self)


def status(
    supervisor: SupervisorFacts,
    board: c.Iterable[WorkerStatus],
    now: float,
    measure: c.Callable[[int], int | None] = memory,
) -> Status:
    """Return what supervisor and workers are at *now*, of the clock of the *board*: `time.monotonic`."""
    return Status(supervisor=supervisor, workers=workers(board, now, measure))


def workers(
    board: c.Iterable[WorkerStatus], now: float, measure: c.Callable[[int], int | None] = memory
) -> list[WorkerFacts]:
    """Return what the workers of a *board* are at *now*, of its clock: `time.monotonic`."""
    return [_worker(each, now, measure(each.pid)) for each in board]


def _worker(row: WorkerStatus, now: float, memory: int | None) -> WorkerFacts:
    return WorkerFacts(
        pid=row.pid,
        slot=row.slot,
        generation=row.generation,
        state=row.state,
        age=_span(row.born, now),
        ready_after=None if row.ready is None else _span(row.born, row.ready),
        beat_age=_span(row.beat, now),
        requests=row.requests,
        connections=row.connections,
        memory=memory,
        leader=row.leader,
    )


def _span(since: float, until: float) -> float:
    # a worker may have written its cell after we looked at the clock
    return max(0.0, round(until - since, 3))


def read(document: c.Mapping[str, t.Any]) -> Status:
    """Return the status that a document is; what it has besides is left out. Raises ValueError when it is none."""
    try:
        return _reader()(dict(document))
    except Exception as error:
        raise ValueError("not the status of a service, as this version of buvar knows it") from error


@functools.cache
def _reader() -> c.Callable[[dict[str, t.Any]], Status]:
    import cattrs  # the supervisor only writes

    converter = cattrs.Converter()
    return lambda document: converter.structure(document, Status)
