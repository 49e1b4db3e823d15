"""The board: a table in shared memory, a row for each worker, in which it keeps what others may know of it.

The supervisor gives a worker its row when it forks it and takes it back when it has buried it. Only the worker writes
to its row then: its loop notes that it is alive, its servers how much they have to do. Everybody reads: the supervisor,
to see who hangs, and each worker, to see how its siblings are. A cell is written and read at once, without a lock.
"""

from __future__ import annotations

import contextlib
import enum
import mmap
import os
import tempfile
import time
import typing as t

import attrs
import structlog

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger(__name__)

#: how many workers there can be, those that are on their way out counted
ROWS: t.Final = 1024
#: a row is two lines of a processor's cache, so that no worker waits for another one's writing
CELLS: t.Final = 16
CELL_BYTES: t.Final = 8


class State(enum.IntEnum):
    """Where a worker is in its life."""

    BOOTING = 1
    READY = 2
    STOPPING = 3


class Fitness(enum.IntEnum):
    """What a worker's own checks have said of it, the last time that they ran."""

    UNKNOWN = 0
    FIT = 1
    UNFIT = 2


class Cell:
    """What stands where in a row; times are of `time.monotonic_ns`."""

    PID: t.Final = 0
    SLOT: t.Final = 1
    GENERATION: t.Final = 2
    STATE: t.Final = 3
    BORN: t.Final = 4
    READY: t.Final = 5
    BEAT: t.Final = 6
    REQUESTS: t.Final = 7
    CONNECTIONS: t.Final = 8
    LEADER: t.Final = 9
    ACCEPTING: t.Final = 10
    FITNESS: t.Final = 11
    PROBED: t.Final = 12


@attrs.frozen(kw_only=True)
class WorkerStatus:
    """What a worker is at one moment. Times are those of `time.monotonic`, in seconds.

    *ready* is None until it was ready, *beat* is when its loop last turned. *requests* are those that it has begun,
    *connections* those that are open; both are 0 where no server counts them. The *leader* runs what runs only once.
    """

    pid: int
    slot: int
    generation: int
    state: str
    born: float
    ready: float | None
    beat: float
    requests: int
    connections: int
    leader: bool


class Row:
    """The row of one worker."""

    __slots__ = ("_callbacks", "_cells", "index")

    def __init__(self, cells: memoryview, index: int) -> None:
        self._cells = cells
        self._callbacks: list[c.Callable[[], object]] = []
        self.index = index

    def begin(self, slot: int, generation: int) -> None:
        """Take the row for a worker that is about to be forked; its pid is not known yet."""
        self.clear()
        now = time.monotonic_ns()
        for cell, value in (
            (Cell.SLOT, slot),
            (Cell.GENERATION, generation),
            (Cell.STATE, State.BOOTING),
            (Cell.BORN, now),
            (Cell.BEAT, now),
        ):
            self._cells[cell] = value

    def clear(self) -> None:
        """Give the row back."""
        for cell in range(CELLS):
            self._cells[cell] = 0

    @property
    def pid(self) -> int:
        """The worker's process; 0 when there is none."""
        return int(self._cells[Cell.PID])

    @pid.setter
    def pid(self, pid: int) -> None:
        self._cells[Cell.PID] = pid

    @property
    def state(self) -> State:
        """Where the worker is in its life."""
        return State(self._cells[Cell.STATE])

    @state.setter
    def state(self, state: State) -> None:
        self._cells[Cell.STATE] = state
        if state is State.READY:
            self._cells[Cell.READY] = time.monotonic_ns()

    def beat(self) -> None:
        """Note that the loop turns, and call what `on_beat` was given."""
        self._cells[Cell.BEAT] = time.monotonic_ns()
        for callback in self._callbacks:
            try:
                callback()
            except Exception as error:  # the loop turns, whatever else is wrong
                log.error("a callback of the beat failed", callback=callback, exc_info=error)

    def on_beat(self, callback: c.Callable[[], object]) -> None:
        """Call *callback* with each beat of this worker, once a second: to note what is not worth noting each time."""
        self._callbacks.append(callback)

    @property
    def beaten(self) -> float:
        """When the loop last turned, in seconds of `time.monotonic`."""
        return _seconds(self._cells[Cell.BEAT])

    @property
    def requests(self) -> int:
        """How many requests were begun."""
        return int(self._cells[Cell.REQUESTS])

    @requests.setter
    def requests(self, number: int) -> None:
        self._cells[Cell.REQUESTS] = number

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._cells[Cell.CONNECTIONS]

    @connections.setter
    def connections(self, number: int) -> None:
        self._cells[Cell.CONNECTIONS] = number

    @property
    def accepting(self) -> int:
        """On how many sockets connections are accepted."""
        return self._cells[Cell.ACCEPTING]

    @accepting.setter
    def accepting(self, number: int) -> None:
        self._cells[Cell.ACCEPTING] = number

    def accepts(self, since: int) -> bool:
        """Tell whether the worker accepts connections, and its loop has turned *since*, of `time.monotonic_ns`."""
        return self._cells[Cell.ACCEPTING] > 0 and self._cells[Cell.BEAT] >= since

    @property
    def fitness(self) -> Fitness:
        """What the checks of the worker have said, when they last ran."""
        return Fitness(self._cells[Cell.FITNESS])

    @fitness.setter
    def fitness(self, fitness: Fitness) -> None:
        self._cells[Cell.FITNESS] = fitness

    @property
    def probed(self) -> int:
        """When this worker was last asked whether the service is ready, of `time.monotonic_ns`; 0: never."""
        return self._cells[Cell.PROBED]

    @probed.setter
    def probed(self, when: int) -> None:
        self._cells[Cell.PROBED] = when

    @property
    def leader(self) -> bool:
        """Whether it runs what runs only once."""
        return bool(self._cells[Cell.LEADER])

    @leader.setter
    def leader(self, leads: bool) -> None:
        self._cells[Cell.LEADER] = leads

    @property
    def status(self) -> WorkerStatus:
        """What the row says just now."""
        cells = self._cells
        return WorkerStatus(
            pid=cells[Cell.PID],
            slot=cells[Cell.SLOT],
            generation=cells[Cell.GENERATION],
            state=State(cells[Cell.STATE]).name.lower(),
            born=_seconds(cells[Cell.BORN]),
            ready=_seconds(cells[Cell.READY]) if cells[Cell.READY] else None,
            beat=_seconds(cells[Cell.BEAT]),
            requests=cells[Cell.REQUESTS],
            connections=cells[Cell.CONNECTIONS],
            leader=bool(cells[Cell.LEADER]),
        )


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / 1e9


class Board:
    """All rows. *fd* is the shared memory of a board that there is already; without one a new board is made."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _new_memory() if fd is None else fd
        self._map = mmap.mmap(self.fd, ROWS * CELLS * CELL_BYTES)
        self._cells = memoryview(self._map).cast("q")

    def row(self, index: int) -> Row:
        """Return the row of that number."""
        return Row(self._cells[index * CELLS : (index + 1) * CELLS], index)

    def take(self, slot: int, generation: int) -> Row:
        """Return a free row, begun for a worker of *slot*. Raises OSError when all are taken."""
        for index in range(ROWS):
            if not self._cells[index * CELLS + Cell.STATE]:
                row = self.row(index)
                row.begin(slot, generation)
                return row
        raise OSError(f"there are {ROWS} workers already")

    def others(self, row: Row) -> list[Row]:
        """Return the rows of all workers but that of *row*."""
        pids = self._cells[Cell.PID :: CELLS]
        return [self.row(index) for index, pid in enumerate(pids) if pid and index != row.index]

    def __iter__(self) -> c.Iterator[WorkerStatus]:
        """List the workers that there are, by slot, the oldest first."""
        pids = self._cells[Cell.PID :: CELLS]
        taken = [index for index, pid in enumerate(pids) if pid]
        found = []
        for index in taken:
            with contextlib.suppress(ValueError):  # it was given back in between
                found.append(self.row(index).status)
        return iter(sorted(found, key=lambda each: (each.slot, each.born)))

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self.fd)


def _new_memory() -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("buvar-board")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, ROWS * CELLS * CELL_BYTES)
    return fd
