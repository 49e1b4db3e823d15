"""A worker: what the supervisor knows of it, and how the forked process starts and ends.

Both talk over a socket pair, the channel: the worker sends one JSON object a line (`Report`); end of file tells either
side that the other one is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
import typing as t

import attrs

from buvar.errors import EXIT_FAILED, exit_code, explain

if t.TYPE_CHECKING:
    import collections.abc as c

#: signals that the supervisor forwards, and that do nothing in a worker where no handler is
FORWARDED = (signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT, signal.SIGWINCH, signal.SIGUSR1, signal.SIGUSR2)

#: signals that do nothing where no handler is; TTIN and TTOU would stop the process, by default
HARMLESS = (*FORWARDED, signal.SIGTTIN, signal.SIGTTOU)

#: ``prctl(2)``: the signal that a process gets when its parent dies
PR_SET_PDEATHSIG = 1


class State(enum.Enum):
    """Where a worker is in its life."""

    BOOTING = "booting"
    READY = "ready"
    STOPPING = "stopping"


@attrs.define(eq=False)
class Worker:
    """A worker as the supervisor sees it; times are those of `time.monotonic`, in seconds."""

    pid: int
    slot: int
    channel: socket.socket
    state: State = State.BOOTING
    was_ready: bool = False
    ended: bool = False
    born: float = attrs.field(factory=time.monotonic)
    ready_at: float | None = None
    kill_at: float | None = None
    words: dict[str, str] = attrs.field(factory=dict)
    hung_up: bool = False
    _buffer: bytes = b""

    def read(self) -> c.Iterator[dict[str, t.Any]]:
        """Return the reports that have come since the last call. Reads what there is, and does not wait."""
        try:
            while chunk := self.channel.recv(65536):
                self._buffer += chunk
            self.hung_up = True
        except BlockingIOError:
            pass
        except OSError:  # the worker is gone: its exit tells that
            self.hung_up = True
        *lines, self._buffer = self._buffer.split(b"\n")
        return (json.loads(line) for line in lines)

    def send_signal(self, signum: int) -> None:
        """Send a signal; the pid is the worker's own until it is reaped."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def terminate(self, kill_at: float) -> None:
        """Ask the worker to finish; it is to be killed at *kill_at*."""
        self.state = State.STOPPING
        self.kill_at = kill_at
        self.send_signal(signal.SIGTERM)


class Report:
    """The worker's end of the channel."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(False)

    def fileno(self) -> int:
        """Return the file descriptor, to watch for the end of the supervisor."""
        return self._channel.fileno()

    def supervisor_gone(self) -> bool:
        """Tell whether there is an end of file to read: the supervisor sends nothing, ever."""
        try:
            return not self._channel.recv(1)
        except BlockingIOError:
            return False
        except OSError:  # it died with reports unread
            return True

    def _send(self, **facts: t.Any) -> None:
        # a full channel must not hold a worker for ever
        self._channel.settimeout(1.0)
        with contextlib.suppress(OSError):  # the supervisor is gone: there is nobody to tell
            self._channel.sendall(json.dumps(facts).encode() + b"\n")
        self._channel.setblocking(False)

    def ready(self) -> None:
        """Say that this worker serves."""
        self._send(ready=True)

    def ended(self) -> None:
        """Say that the work is done: all tasks have ended by themselves, so no other worker need take the place."""
        self._send(ended=True)

    def failed(self, error: BaseException) -> None:
        """Send the last words: the error in a line or few, and its traceback."""
        self._send(error=explain(error), exception="".join(traceback.format_exception(error)))


def become_worker(parent: int, main: c.Callable[[], int]) -> t.NoReturn:
    """Run *main* in this forked process and exit with the code that it returns; never return, whatever happens.

    *parent* is the supervisor's pid. Signals are still blocked when this is called.
    """
    code = EXIT_FAILED
    try:
        _reset_signals()
        _die_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        code = main()
    except SystemExit as error:
        code = exit_code(error)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            logging.shutdown()
        flush()
        try:
            os._exit(code & 0xFF)  # as the system takes it: a number too large for it would raise here
        finally:
            os._exit(EXIT_FAILED)  # it was no number at all


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGTERM, signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(signum, signal.SIG_DFL)
    # INT is a terminal's, sent to the whole group: the supervisor decides. A handler that does nothing is not inherited
    # by programs that the worker starts, as SIG_IGN would be.
    for signum in (signal.SIGINT, *FORWARDED):
        signal.signal(signum, do_nothing)


def do_nothing(*_: object) -> None:
    """Handle a signal by letting it pass."""


@contextlib.contextmanager
def handling(handlers: c.Mapping[int, c.Callable[..., object]]) -> c.Iterator[None]:
    """Handle signals with *handlers* inside of the block; afterwards the former handlers are back."""
    former = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield
    finally:
        for signum, before in former.items():
            signal.signal(signum, before if before is not None else signal.SIG_DFL)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the signal was asked for
        os._exit(EXIT_FAILED)


def flush() -> None:
    """Write out what is buffered for stdout and stderr, if there is anybody to take it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or a pipe that nobody reads any more
            stream.flush()
