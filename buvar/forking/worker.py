"""A worker: what the supervisor knows of it, and how the forked process starts and ends."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import random
import signal
import sys
import time
import traceback
import typing as t

import attrs

from buvar.errors import EXIT_FAILED, exit_code, explain
from buvar.forking.board import Board, Row, State
from buvar.forking.channel import FAILED, PATIENCE, Channel
from buvar.forking.health import Limits, is_stopped

if t.TYPE_CHECKING:
    import collections.abc as c

#: signals that the supervisor forwards, and that do nothing in a worker where no handler is
FORWARDED = (signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT, signal.SIGWINCH, signal.SIGUSR1, signal.SIGUSR2)

#: signals that do nothing where no handler is; TTIN and TTOU would stop the process, by default
HARMLESS = (*FORWARDED, signal.SIGTTIN, signal.SIGTTOU)

#: the signal that has a worker write its stacks to its channel, whatever it is doing; there is none but on Linux
STACKS: int | None = getattr(signal, "SIGRTMAX", None)

#: seconds that a worker which hangs has to tell its stacks before it is killed
LAST_WORDS = 0.5

#: ``prctl(2)``: the signal that a process gets when its parent dies
PR_SET_PDEATHSIG = 1


@attrs.frozen
class Post:
    """Where a worker stands: its *slot*, its *generation*, its *row* of the *board*, its *supervisor*'s pid."""

    slot: int
    generation: int
    row: Row
    board: Board
    supervisor: int


@attrs.define(eq=False)
class Worker:
    """A worker as the supervisor sees it; times are those of `time.monotonic`, in seconds.

    *pid* is 0 until it is known, where a fork server makes the worker. *limits* are those of its generation. *tired*
    says why it is to be replaced, when it is. Who has *led* does not lead again. *pace* tells it from its siblings
    where all would be replaced at once.
    """

    pid: int
    slot: int
    generation: int
    row: Row
    channel: Channel
    limits: Limits = attrs.Factory(Limits)
    state: State = State.BOOTING
    ended: bool = False
    led: bool = False
    born: float = attrs.field(factory=time.monotonic)
    ready_at: float | None = None
    kill_at: float | None = None
    aborted: bool = False
    tired: str | None = None
    pace: float = attrs.field(factory=random.random)
    words: dict[str, str] = attrs.field(factory=dict)

    @property
    def was_ready(self) -> bool:
        """Whether it is ready, or was."""
        return self.ready_at is not None

    @property
    def lives(self) -> bool:
        """Whether it serves, or will: it was not told to stop."""
        return self.state is not State.STOPPING

    @property
    def serves(self) -> bool:
        """Whether it is ready, and was not told to stop."""
        return self.state is State.READY

    def send_signal(self, signum: int) -> None:
        """Send a signal, if the worker's process is known; the pid is its own until it is reaped."""
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, signum)

    def abort(self) -> bool:
        """Have a worker that hangs tell its stacks, and be killed soon; tell whether it was stopped, and cannot."""
        self.aborted, stopped = True, is_stopped(self.pid)
        if STACKS is not None and not stopped:
            self.send_signal(STACKS)
        self.kill_at = time.monotonic() + LAST_WORDS
        return stopped

    def terminate(self, kill_at: float) -> None:
        """Ask the worker to finish; it is to be killed at *kill_at*, or when it was to be killed before that."""
        self.state = self.row.state = State.STOPPING
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        self.send_signal(signal.SIGTERM)
        # a plugin may have blocked the signal; said first, this would have the signal meet a worker at its end
        self.channel.send(stop=True)


class Report:
    """The worker's side: what it tells its supervisor, and what that tells it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def fileno(self) -> int:
        """Return the file descriptor, to watch for the messages and for the end of the supervisor."""
        return self._channel.fileno()

    @property
    def supervisor_gone(self) -> bool:
        """Whether there is nobody any more who could be told."""
        return self._channel.closed

    def read(self) -> c.Iterator[dict[str, t.Any]]:
        """Return what the supervisor has said since the last call."""
        return self._channel.read()

    def _send(self, **facts: t.Any) -> None:
        self._channel.send(patience=PATIENCE, **facts)

    def born(self, pid: int) -> None:
        """Say which process this worker is, to a supervisor that has not forked it itself."""
        self._send(pid=pid)

    def ready(self) -> None:
        """Say that this worker serves."""
        self._send(ready=True)

    def ended(self) -> None:
        """Say that the work is done: all tasks have ended by themselves, so no other worker need take the place."""
        self._send(ended=True)

    def led(self, *, failed: bool = False) -> None:
        """Say that another worker may run what runs only once: all of that has ended here."""
        self._send(led=FAILED if failed else True)

    def failed(self, error: BaseException) -> None:
        """Send the last words: the error in a line or few, and its traceback."""
        self._send(error=explain(error), exception="".join(traceback.format_exception(error)))


def on_duty(post: Post, report: Report, become_user: c.Callable[[], None], main: c.Callable[[], int]) -> int:
    """Become the user that workers are and do *main*, in a forked process; return the exit code."""
    try:
        become_user()
        die_with(post.supervisor)
        return main()
    except BaseException as error:  # whatever it is, the supervisor tells of it
        report.failed(error)
        return exit_code(error)


def become_worker(parent: int, main: c.Callable[[], int], channel: int) -> t.NoReturn:
    """Run *main* in this forked process and exit with the code that it returns; never return, whatever happens.

    *parent* is the supervisor's pid. Its stacks the process writes to the descriptor *channel*. Signals may still be
    blocked when this is called.
    """
    code = EXIT_FAILED
    try:
        _show_stacks(channel)
        reset_signals()
        die_with(parent)
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


def _show_stacks(channel: int) -> None:
    # when it crashes, and when the supervisor asks: where Python code does not run any more, this still does
    faulthandler.enable(channel)
    if STACKS is not None:
        faulthandler.register(STACKS, channel)


def reset_signals() -> None:
    """Handle signals as a worker does that has not made a loop yet."""
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


def die_with(parent: int, signum: int = signal.SIGTERM) -> None:
    """Have the kernel send *signum* to this process when *parent* dies; exit at once if it has died already.

    A change of the user takes that back: say it again then.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may refuse it; the end of the channel tells, too
            prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:  # it died before the signal was asked for
        os._exit(EXIT_FAILED)


def prctl(option: int, value: int) -> None:
    """Set an option of this process, by ``prctl(2)``, which Linux has. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def flush() -> None:
    """Write out what is buffered for stdout and stderr, if there is anybody to take it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or a pipe that nobody reads any more
            stream.flush()
