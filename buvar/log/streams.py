"""Where log lines go to, and what stands in for stdout when prints are to be logged."""

from __future__ import annotations

import io
import logging
import sys
import threading
import typing as t

import structlog


class StderrHandler(logging.StreamHandler[t.TextIO]):
    """Writes to what stderr is at that moment (not when it was made), and never to one that leads back to a logger."""

    def __init__(self, stream: t.TextIO | None = None) -> None:
        self._stream = stream
        logging.Handler.__init__(self)

    @property
    def stream(self) -> t.TextIO:
        """The stream to write to."""
        stream = self._stream if self._stream is not None else sys.stderr
        if isinstance(stream, StdioToLog):
            stream = stream.stream
        return stream if stream is not None else io.StringIO()  # a process without stderr

    @stream.setter
    def stream(self, stream: t.TextIO) -> None:
        self._stream = stream


class StdioToLog(io.TextIOBase):
    """A stand-in for ``sys.stdout`` that logs each line that is printed; *stream* is what it stands in for."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, logger: t.Any, log_level: int = logging.INFO, stream: t.TextIO | None = None) -> None:
        self.logger = logger
        self.log_level = log_level
        self.stream = stream
        self._local = threading.local()

    def write(self, text: str) -> int:
        """Log the lines that are complete, and keep the rest until the next call or `flush`."""
        if getattr(self._local, "busy", False):  # logging itself has something to print
            return self.stream.write(text) if self.stream is not None else len(text)
        *lines, self._local.rest = (getattr(self._local, "rest", "") + text).split("\n")
        self._log(lines)
        return len(text)

    def flush(self) -> None:
        """Log what does not end with a newline, too."""
        rest, self._local.rest = getattr(self._local, "rest", ""), ""
        self._log([rest])

    def _log(self, lines: list[str]) -> None:
        self._local.busy = True
        try:
            for line in filter(None, map(str.rstrip, lines)):
                self.logger.log(self.log_level, line)
        finally:
            self._local.busy = False

    def close(self) -> None:
        """Log what is left; the stream that this stands in for stays open."""
        self.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the file descriptor of the real stream, which child processes write to."""
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return self.stream.fileno()

    @property
    def buffer(self) -> t.Any:
        """Where bytes are written, past the log."""
        return self.stream.buffer if self.stream is not None else io.BytesIO()


def redirect(*, to_log: bool) -> None:
    """Put the stand-ins in the place of stdout and stderr, or take them away again."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if to_log and not isinstance(stream, StdioToLog):
            setattr(sys, name, StdioToLog(structlog.get_logger("print"), stream=stream))
        elif not to_log and isinstance(stream, StdioToLog):
            stream.flush()
            setattr(sys, name, stream.stream)
