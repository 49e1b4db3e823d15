"""Output that is dropped where nobody reads it, instead of waited for: for a process that must never stand still.

To write to a pipe, a socket or a terminal waits while it is full, and that is for ever where its reader has stopped
reading. A supervisor that waits replaces no worker and hears no signal. So it drops what finds no room and counts it;
when there is room again, a line tells how many were lost. A line that was begun is finished before all else.

Whether a file waits is a flag that all share who have inherited it: it stays as it is. The same pipe or terminal is
opened once more, with a flag of its own. Where that cannot be (a socket, a pipe of another user), `poll` tells whether
there is room for a piece. Files on a disk do not wait, and are left alone.

For a process without threads: there is no lock.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import select
import stat
import sys
import typing as t

import structlog

from .streams import StdioToLog

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger(__name__)


class LossyStream(io.TextIOBase):
    """Stands in for *stream*, a text file: each call writes whole lines, at once or not at all; nothing is buffered."""

    def __init__(self, stream: t.TextIO) -> None:
        self.stream = stream
        self.lost = 0
        self._begun = ""
        self._rest = b""
        self._fd: int | None = _reopen(stream.fileno())
        self._shared = self._fd == stream.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def write(self, text: str) -> int:
        """Write the lines that are complete, or lose them; keep the rest until the next call or `flush`."""
        if self._fd is None:  # somebody holds it still
            return self.stream.write(text)
        lines, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self._write(lines + newline)
        return len(text)

    def flush(self) -> None:
        """Write what does not end with a newline, too."""
        begun, self._begun = self._begun, ""
        if begun:
            self._write(begun)

    def catch_up(self) -> None:
        """Finish the line that was begun and log how many were lost, as far as there is room now."""
        self.flush()
        if self._advance() and self.lost and self._has_room():
            lost, self.lost = self.lost, 0
            log.warning("log lines lost, nobody read them", lost=lost)
            if self.lost:  # that line, which is none of those
                self.lost = lost

    def _write(self, text: str) -> None:
        # to log anything from here would be to log while logging, which not every logger takes
        if not self._put(text.encode(self.stream.encoding or "utf-8", "backslashreplace")):
            self.lost += 1

    def _put(self, data: bytes) -> bool:
        """Begin to write *data*, and return whether that could be; what is left of it comes before all else."""
        if not self._advance():
            return False
        self._rest = data
        if not self._advance() and len(self._rest) == len(data):
            self._rest = b""
            return False
        return True

    def _advance(self) -> bool:
        """Write what is left, as far as there is room, and return whether that was all."""
        try:
            while self._rest and self._fd is not None and (not self._shared or self._has_room()):
                # on a file that waits, a piece for which there is room wherever poll says that there is any
                piece = self._rest[: select.PIPE_BUF] if self._shared else self._rest
                self._rest = self._rest[os.write(self._fd, piece) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody will ever read it
            return False
        return not self._rest

    def _has_room(self) -> bool:
        return [event for _, event in self._poll.poll(0)] == [select.POLLOUT]  # and no error besides

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the real stream."""
        return self.stream.fileno()

    @property
    def buffer(self) -> t.Any:
        """Where bytes are written to the real stream; that waits."""
        return self.stream.buffer

    def close(self) -> None:
        """Let go of what was opened; the stream that this stands in for stays open."""
        if self._fd is not None and not self._shared:
            os.close(self._fd)
        self._fd = None


def _reopen(fd: int) -> int:
    """Return a descriptor of the same pipe or terminal that does not wait, or *fd* where there can be none."""
    with contextlib.suppress(OSError):
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return fd


@contextlib.contextmanager
def output() -> c.Iterator[None]:
    """Drop what finds no room, inside of the block: what is logged, and what is written to stdout and stderr.

    What is buffered is written before, which may wait. A process that is forked inside calls `restore`.
    """
    made: dict[int, LossyStream] = {}
    for holder, name in _places():
        stream = getattr(holder, name)
        if id(stream) not in made and _waits(stream):
            with contextlib.suppress(OSError):
                stream.flush()
            made[id(stream)] = LossyStream(stream)
        if id(stream) in made:
            setattr(holder, name, made[id(stream)])
    try:
        yield
    finally:
        if made:
            catch_up()
            restore()


def catch_up() -> None:
    """Log how many lines were lost, where there is room for that now; call it now and then inside of `output`."""
    for holder, name in _places():
        if isinstance(stream := getattr(holder, name), LossyStream):
            stream.catch_up()


def restore() -> None:
    """Take the stand-ins away: who writes waits again. Nothing is written: in a forked child it would come twice."""
    for holder, name in _places():
        if isinstance(stream := getattr(holder, name), LossyStream):
            setattr(holder, name, stream.stream)
            stream.close()


def _places() -> c.Iterator[tuple[t.Any, str]]:
    """Return each attribute that holds a stream to write to; those of `sys` first, since handlers may look there."""
    for holder, name in itertools.chain([(sys, "stdout"), (sys, "stderr")], _handlers()):
        stream = getattr(holder, name)
        yield (stream, "stream") if isinstance(stream, StdioToLog) else (holder, name)


def _handlers() -> c.Iterator[tuple[logging.StreamHandler[t.Any], str]]:
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):  # not each has: some hold the place of a parent
            if isinstance(handler, logging.StreamHandler):
                yield handler, "stream"


def _waits(stream: t.Any) -> bool:
    """Tell whether to write to the stream may wait for a reader."""
    if isinstance(stream, LossyStream):
        return False
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # none, one in memory, one that is closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)
