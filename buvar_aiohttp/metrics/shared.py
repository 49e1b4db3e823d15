"""What is shared: values that all workers of a supervisor write and each of them can read, in files that they map.

This is the multiprocess mode of `prometheus_client`: a value that is counted is in the file at once, so nothing is lost
with a worker that is killed, nobody is asked when metrics are read, and a worker that hangs keeps no one waiting.
Asking each worker over a socket would do neither, and would lose what a dead worker had counted. As that mode comes, it
names files by the pid: each worker that there ever was leaves some. Here it is changed in these points:

| what                                   | how it is here                                                             |
|----------------------------------------|----------------------------------------------------------------------------|
| a file is named by                     | the worker's row of the board: who gets the row of a dead one counts on     |
| the folder is named by                 | the board, which lives as long as the supervisor: a reload keeps all counts |
| gauges are of workers that             | are in service: a worker begins with none, and takes its own away          |
| metrics that were made before          | are moved into the files, with what they have counted                      |
| the folder goes                        | with the last worker of a service that stops; else at the next start       |
| a process that a worker forks          | counts in a file of its own, and has no gauges                             |
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import stat
import tempfile
import time
import typing as t

import attrs
import structlog
from prometheus_client import Counter, Gauge, Histogram, Summary, values

from buvar import errors
from buvar.forking.board import State

if t.TYPE_CHECKING:
    import collections.abc as c

    from prometheus_client import CollectorRegistry

    from buvar.forking.board import Board, Row

log = structlog.get_logger(__name__)

#: where `prometheus_client` looks for the folder
VARIABLE: t.Final = "PROMETHEUS_MULTIPROC_DIR"
#: where files are memory, and writing to them never waits for a disk
MEMORY: t.Final = "/dev/shm"  # noqa: S108 - what is made in it is ours alone
_NAME: t.Final = re.compile(r"buvar-metrics-(\d+)-\d+")
_VALUES: t.Final = ("_value", "_sum", "_count", "_buckets")


def base(folder: str | None, environ: c.Mapping[str, str]) -> pathlib.Path:
    """Return where folders of values are: in the one that is configured, or in memory, or with temporary files."""
    if chosen := folder or environ.get(VARIABLE):
        return pathlib.Path(chosen).absolute()
    return pathlib.Path(MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else tempfile.gettempdir())


@attrs.define(eq=False)
class Shared:
    """The folder of the workers of one supervisor, as the worker in *row* sees it."""

    path: pathlib.Path
    row: Row
    board: Board
    _lock: int = attrs.field(default=-1, init=False)

    @classmethod
    def of(cls, base: pathlib.Path, supervisor: int, row: Row, board: Board) -> t.Self:
        """Return what the workers of *supervisor*, a pid, share."""
        return cls(base / f"buvar-metrics-{supervisor}-{os.fstat(board.fd).st_ino}", row, board)

    def enter(self) -> None:
        """Make the folder, if there is none, and remove those that nobody needs any more.

        Raises `errors.ConfigError` where it cannot be made, or is not safe.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise PermissionError(0, "it is not this user's own")
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError as error:
            problem = f"cannot use the folder {self.path}: {error.strerror}; name another one, or make room there"
            raise errors.ConfigError(errors.ConfigProblem("metrics.folder", problem)) from None
        self._drop_gauges()
        _sweep(self.path.parent)

    def leave(self) -> None:
        """Take the gauges of this worker away; with the last worker of a service that stops, all goes."""
        stops = self.row.state is State.STOPPING
        self._drop_gauges()
        os.close(self._lock)
        if stops:  # else somebody takes this one's place, and counts on
            _remove(self.path)

    def _drop_gauges(self) -> None:
        for each in self.path.glob(f"gauge_*_{self.row.index}.db"):
            each.unlink(missing_ok=True)

    @property
    def latency(self) -> str:
        """The file for the latencies of this worker, which nobody else writes to, nor any `Histogram`."""
        return str(self.path / f"histogram_{self.row.index}-http.db")

    def adopt(self, registry: CollectorRegistry) -> None:
        """Have all metrics of this process share their values, from now on; those of *registry* that there are, too."""
        os.environ[VARIABLE] = str(self.path)
        index, own = str(self.row.index), os.getpid()

        def identify() -> str:
            pid = os.getpid()
            return index if pid == own else f"{index}-{pid}"

        # what `prometheus_client` says to do, where pids are not what tells processes from each other
        library: t.Any = values
        library.ValueClass = library.MultiProcessValue(identify)
        for each in {*registry._collector_to_names}:
            if isinstance(each, Counter | Gauge | Histogram | Summary):
                _move(each)

    def files(self) -> list[str]:
        """Return the files to read: gauges of workers in service alone."""
        live = {str(row.index) for row in self.rows()}
        return [str(each) for each in self.path.glob("*.db") if _is_wanted(each, live)]

    def rows(self) -> list[Row]:
        """Return the rows of the workers that are in service, or on their way out of it."""
        return [each for each in (self.row, *self.board.others(self.row)) if _has_served(each)]


def _has_served(row: Row) -> bool:
    try:
        return row.state in {State.READY, State.STOPPING}
    except ValueError:  # the row was given back just now
        return False


def _is_wanted(file: pathlib.Path, live: set[str]) -> bool:
    kind, _, index = file.stem.rpartition("_")
    try:
        return file.stat().st_size > 0 and (not kind.startswith("gauge") or index in live)
    except FileNotFoundError:
        return False


def _move(metric: t.Any) -> None:
    """Have a metric, and those of its labels, begin anew, with what they have counted."""
    for each in [metric] if metric._is_observable() else list(metric._metrics.values()):
        before = _values_of(each)
        each._metric_init()
        for old, new in zip(before, _values_of(each), strict=True):
            if isinstance(each, Gauge):
                new.set(old.get(), timestamp=time.time())
            else:
                new.inc(old.get())


def _values_of(metric: t.Any) -> list[t.Any]:
    held = [getattr(metric, name) for name in _VALUES if hasattr(metric, name)]
    return [value for each in held for value in (each if isinstance(each, list) else [each])]


def _sweep(base: pathlib.Path) -> None:
    """Remove the folders of supervisors that are gone, and whose workers are."""
    for each in base.glob("buvar-metrics-*-*"):
        found = _NAME.fullmatch(each.name)
        if found is not None and not _is_alive(int(found[1])):
            _remove(each)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


def _remove(folder: pathlib.Path) -> None:
    """Remove a folder in which no worker counts, if it is this user's."""
    with contextlib.suppress(OSError):  # another one's, or another worker is faster
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
