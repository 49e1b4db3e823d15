"""Health: which workers hang, and which are to be replaced since they have done or taken enough."""

from __future__ import annotations

import os
import pathlib
import typing as t

import attrs

from buvar.forking.board import State

if t.TYPE_CHECKING:
    from buvar.forking.board import Row


class Patient(t.Protocol):
    """What is known of a worker: see `buvar.forking.worker.Worker`."""

    pid: int
    row: Row
    state: State
    born: float
    ready_at: float | None
    pace: float


def _at_least_0(_: object, attribute: attrs.Attribute[t.Any], value: float | None) -> None:
    if value is not None and not value >= 0:
        raise ValueError(f"{attribute.name} must be 0, for no limit, or more: {value}", attribute)


@attrs.frozen(kw_only=True)
class Limits:
    """When a worker is given up, and when it is replaced, once another one is ready; 0: never."""

    #: seconds that the loop of a worker may be blocked, also while it drains
    hang: float = attrs.field(default=30.0, validator=_at_least_0)
    #: the same for a worker that is not ready yet (None: ten more than its plugins may take to prepare)
    boot: float | None = attrs.field(default=None, validator=_at_least_0)
    #: requests after which it is replaced
    requests: int = attrs.field(default=0, validator=_at_least_0)
    #: seconds after which it is replaced
    lifetime: float = attrs.field(default=0.0, validator=_at_least_0)
    #: bytes that it may take (what is resident, shared pages too) before it is replaced
    memory: int = attrs.field(default=0, validator=_at_least_0)
    #: by up to which fraction each of these is less, so that not all workers are replaced at once
    jitter: float = attrs.field(default=0.1, validator=[_at_least_0, attrs.validators.le(1)])

    @property
    def beat(self) -> float:
        """How often a worker's loop shows that it turns, in seconds."""
        return min(1.0, self.hang / 4) if self.hang else 1.0

    def silence(self, worker: Patient, now: float, awake: float) -> float | None:
        """Return for how many seconds *worker* has not shown that it lives, if that is too long.

        *awake* is since when the supervisor has not been held up itself: as long as that, nobody can be blamed.
        """
        limit = self.boot if worker.state is State.BOOTING else self.hang
        silent = now - max(worker.row.beaten, worker.born, awake)
        return silent if limit and silent > limit else None

    def is_stuck(self, canary: Patient, now: float) -> bool:
        """Tell whether a worker that a reload waits for takes too long, however its loop turns."""
        return bool(self.boot and canary.state is State.BOOTING and now - canary.born > self.boot)

    def tired(self, worker: Patient, now: float) -> str | None:
        """Return why *worker* is to be replaced, if it is."""
        factor = 1 - self.jitter * worker.pace
        if self.requests and worker.row.requests >= self.requests * factor:
            return f"{worker.row.requests} requests"
        if self.lifetime and worker.ready_at is not None and now - worker.ready_at >= self.lifetime * factor:
            return f"{now - worker.ready_at:.0f} s"
        if self.memory and (taken := memory(worker.pid) or 0) >= self.memory * factor:
            return f"{taken / 2**20:.0f} MiB"
        return None


def memory(pid: int) -> int | None:
    """Return how many bytes of memory a process has resident; None where the system does not tell."""
    try:
        _, resident, *_ = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return None
    return int(resident) * os.sysconf("SC_PAGE_SIZE")


def is_stopped(pid: int) -> bool:
    """Tell whether a process was stopped by a signal, and so does nothing at all."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] in (["T"], ["t"])
