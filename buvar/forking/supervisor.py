"""The supervisor: keeps workers alive.

It has no event loop, no threads, and never runs a plugin's code. Signal handlers note the signal; their wake-up bytes
come out of a socket pair. One selector waits for that and for the workers' channels; after each wake-up the dead are
reaped, the overdue killed, and what is missing forked.

| what happens                                 | what the supervisor does                                             |
|----------------------------------------------|----------------------------------------------------------------------|
| a worker dies that was ready                 | replaces it at once; in growing pauses if that happens over and over |
| a worker dies before it was ready            | tries again in growing, jittered pauses                              |
| … and no worker was ever ready               | stops with that worker's error, exit code 1 (2 for wrong use)        |
| a worker says that its work is done          | leaves its slot empty; ends when all are                             |
| INT, TERM                                    | closes the listeners, asks all to finish, kills after the timeout    |
| a second INT, not within half a second       | kills                                                                |
| a second TERM                                | asks again, which cuts the workers' grace short                      |
| HUP, QUIT, ABRT, WINCH, USR1, USR2           | forwards them                                                        |
| the supervisor dies                          | workers get TERM from the kernel and end of file on their channel    |
"""

from __future__ import annotations

import contextlib
import enum
import gc
import os
import random
import selectors
import signal
import socket
import time
import typing as t

import attrs
import structlog

from buvar.errors import EXIT_FAILED, EXIT_USAGE, exit_code, facts
from buvar.forking import worker as workers
from buvar.forking.worker import Report, Worker

if t.TYPE_CHECKING:
    import collections.abc as c
    import types

log = structlog.get_logger(__name__)

Target: t.TypeAlias = "c.Callable[[int, Report], int]"

#: signals that the supervisor handles
HANDLED = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, *workers.HARMLESS})

#: seconds within which a second INT is the echo of the first, as a terminal and a process manager both send it
ECHO = 0.5
#: seconds that a worker must have been ready for its death not to count as a failed start
SETTLED = 2.0
#: the pauses between failed starts, in seconds: the first, and the longest
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: how often the pause is doubled; it is longest before that
DOUBLINGS = 10
#: seconds after which the supervisor looks around, even if nothing happened
TICK = 1.0


class State(enum.Enum):
    """What the supervisor is about."""

    RUNNING = "running"
    STOPPING = "stopping"


@attrs.define
class Slot:
    """The place of one worker: who has it, how often in a row its workers failed, when the next may be forked."""

    worker: Worker | None = None
    strikes: int = 0
    not_before: float = 0.0
    done: bool = False

    def strike(self, now: float, *, at_once: bool) -> float:
        """Count a failure and return the pause that follows it, in seconds."""
        self.strikes += 1
        doublings = min(DOUBLINGS, self.strikes - (2 if at_once else 1))
        pause = 0.0 if doublings < 0 else min(LONGEST_PAUSE, FIRST_PAUSE * 2**doublings) * random.uniform(0.8, 1.2)  # noqa: S311
        self.not_before = now + pause
        return pause


class Supervisor:
    """Forks *number* workers that each call ``target(slot, report)`` and exit with the code that it returns.

    *close* is called once, when the supervisor begins to stop: it closes the listening sockets. *shutdown_timeout* is
    how long workers may take to finish, in seconds. With *tracebacks* the errors of failed workers are logged whole.
    """

    def __init__(
        self,
        number: int,
        target: Target,
        *,
        close: c.Callable[[], None] = lambda: None,
        shutdown_timeout: float = 90.0,
        tracebacks: bool = True,
    ) -> None:
        self.number = number
        self.exit_code = 0
        self._target = target
        self._close = close
        self._shutdown_timeout = shutdown_timeout
        self._tracebacks = tracebacks
        self._state = State.RUNNING
        self._stopped_at = 0.0
        self._ever_ready = False
        self._came: dict[int, None] = {}
        self._slots = [Slot() for _ in range(number)]

    @property
    def workers(self) -> list[Worker]:
        """The workers that are alive, or not reaped yet."""
        return [slot.worker for slot in self._slots if slot.worker is not None]

    def run(self) -> int:
        """Supervise until all workers have ended; return the exit code: 0 when all is well."""
        log.info("supervisor started", pid=os.getpid(), workers=self.number)
        with selectors.DefaultSelector() as self._selector, self._wake_up():
            # what there is now is shared with all workers: the collector must not touch, and so copy, its pages
            gc.collect()
            gc.freeze()
            try:
                while self._fill():
                    self._wait()
                    self._reap()
                    self._kill_overdue()
            except BaseException:
                self._kill_all()
                raise
            finally:
                gc.unfreeze()
        log.info("supervisor ended", pid=os.getpid(), exit=self.exit_code)
        return self.exit_code

    # -- waiting

    @contextlib.contextmanager
    def _wake_up(self) -> c.Iterator[None]:
        """Turn signals into bytes to read, and give the handlers back at the end."""
        self._inbox, self._outbox = socket.socketpair()
        with self._inbox, self._outbox:
            for end in (self._inbox, self._outbox):
                end.setblocking(False)
            self._selector.register(self._inbox, selectors.EVENT_READ)
            with workers.handling(dict.fromkeys(HANDLED, self._note)):
                former_fd = signal.set_wakeup_fd(self._outbox.fileno(), warn_on_full_buffer=False)
                try:
                    yield
                finally:
                    signal.set_wakeup_fd(former_fd)

    def _wait(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._inbox:
                self._inbox.recv(4096)
            else:
                self._listen_to(key.data)
        self._on_signals()

    def _patience(self) -> float:
        now = time.monotonic()
        due = [worker.kill_at for worker in self.workers if worker.kill_at is not None]
        if self._state is State.RUNNING:
            due += [slot.not_before for slot in self._slots if slot.worker is None and not slot.done]
        return max(0.0, min([TICK, *(when - now for when in due)]))

    # -- signals

    def _note(self, signum: int, frame: types.FrameType | None) -> None:
        # a storm of one signal is one signal; and no signal is lost when the socket is full of wake-up bytes
        self._came[signum] = None

    def _on_signals(self) -> None:
        came, self._came = self._came, {}
        for signum in came:
            if signum in {signal.SIGINT, signal.SIGTERM}:
                self._on_stop(signal.Signals(signum))
            elif signum in workers.FORWARDED:
                self._forward(signal.Signals(signum))

    def _on_stop(self, signum: signal.Signals) -> None:
        if self._state is State.RUNNING:
            log.info("stopping", signal=signum.name)
            self._stop(0)
        elif time.monotonic() - self._stopped_at > ECHO:
            log.warning("stopping now", signal=signum.name)
            if signum == signal.SIGINT:
                self._kill_all()
            else:
                self._forward(signum)

    def _forward(self, signum: signal.Signals) -> None:
        log.debug("forwarding a signal", signal=signum.name)
        for worker in self.workers:
            worker.send_signal(signum)

    def _stop(self, code: int) -> None:
        """Begin to stop: the listeners first, so that new clients are refused and not queued for nobody."""
        if self._state is State.STOPPING:
            return
        self._state = State.STOPPING
        self._stopped_at = time.monotonic()
        self.exit_code = code
        self._close()
        for worker in self.workers:
            worker.terminate(self._stopped_at + self._shutdown_timeout)

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.kill_at = time.monotonic()
        self._kill_overdue()

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for worker in self.workers:
            if worker.kill_at is not None and now >= worker.kill_at:
                log.warning("killing worker", worker=worker.pid, slot=worker.slot)
                worker.kill_at = now + TICK
                worker.send_signal(signal.SIGKILL)
                self.exit_code = self.exit_code or EXIT_FAILED

    # -- forking

    def _fill(self) -> bool:
        """Fork what is missing and may be forked now; return whether there is anything left to wait for."""
        now = time.monotonic()
        for index, slot in enumerate(self._slots):
            vacant = slot.worker is None and not slot.done and now >= slot.not_before
            if vacant and self._state is State.RUNNING:
                self._occupy(index, slot)
        if self._state is State.RUNNING:
            return not all(slot.done for slot in self._slots)
        return bool(self.workers)

    def _occupy(self, index: int, slot: Slot) -> None:
        try:
            slot.worker = self._fork(index)
        except OSError as error:  # no memory, process or file descriptor is left; the workers that there are serve on
            if self._ever_ready:
                pause = slot.strike(time.monotonic(), at_once=False)
                log.error("cannot fork, trying again", slot=index, error=str(error), pause=round(pause, 1))
            else:
                log.error("cannot fork, stopping", slot=index, error=str(error))
                self._stop(EXIT_FAILED)

    def _fork(self, index: int) -> Worker:
        ours, theirs = socket.socketpair()
        try:
            pid = self._split(lambda: self._work(index, ours, theirs))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        worker = Worker(pid, index, ours)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        log.debug("worker forked", worker=pid, slot=index)
        return worker

    def _split(self, work: c.Callable[[], int]) -> int:
        """Fork, and return the child's pid; the child does its *work* and never returns."""
        parent = os.getpid()
        workers.flush()  # or the worker would print what is buffered once more
        # no handler may run in the child before its signals are set up
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            pid = os.fork()
            if not pid:
                workers.become_worker(parent, work)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid

    def _work(self, index: int, ours: socket.socket, theirs: socket.socket) -> int:
        """Be the worker: let go of all that is the supervisor's, then do what a worker does."""
        # a sibling's channel kept open here would hide the supervisor's end from that sibling
        for end in (ours, self._inbox, self._outbox, *(worker.channel for worker in self.workers)):
            end.close()
        self._selector.close()
        report = Report(theirs)
        try:
            return self._target(index, report)
        except BaseException as error:  # whatever it is, the supervisor tells of it
            report.failed(error)
            return exit_code(error)

    # -- workers' lives

    def _listen_to(self, worker: Worker) -> None:
        for report in worker.read():
            if report.pop("ready", False):
                self._on_ready(worker)
            worker.ended = report.pop("ended", worker.ended)
            worker.words.update(report)
        if worker.hung_up and worker.channel.fileno() in self._selector.get_map():
            self._selector.unregister(worker.channel)  # it would be readable for ever; its exit comes by itself

    def _on_ready(self, worker: Worker) -> None:
        worker.was_ready = self._ever_ready = True
        worker.ready_at = time.monotonic()
        if worker.state is workers.State.BOOTING:
            worker.state = workers.State.READY
        log.info("worker ready", worker=worker.pid, slot=worker.slot, seconds=round(worker.ready_at - worker.born, 3))

    def _reap(self) -> None:
        """Bury the dead, strangers too: as process 1 we are everybody's parent."""
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = reaped
                self._on_signals()  # who dies of a signal to the whole group dies because the supervisor stops
                for slot in self._slots:
                    if slot.worker is not None and slot.worker.pid == pid:
                        self._on_exit(slot, slot.worker, os.waitstatus_to_exitcode(status))

    def _on_exit(self, slot: Slot, worker: Worker, code: int) -> None:
        worker.hung_up = True
        self._listen_to(worker)  # the last words
        worker.channel.close()
        slot.worker = None
        if self._state is State.STOPPING:
            self._on_stopped(worker, code)
        elif worker.ended and code == 0:
            slot.done = True
            log.info("worker finished", **_epitaph(worker, code))
        elif not self._ever_ready:
            log.error("worker failed to start, stopping", **_epitaph(worker, code), **self._last_words(worker))
            self._stop(EXIT_USAGE if code == EXIT_USAGE else EXIT_FAILED)
        else:
            self._replace(slot, worker, code)

    def _on_stopped(self, worker: Worker, code: int) -> None:
        if code in {0, -signal.SIGTERM}:
            log.debug("worker stopped", **_epitaph(worker, code))
            return
        # told already: that it was killed, or that a sibling failed to start
        told = self.exit_code and (code == -signal.SIGKILL or not worker.was_ready)
        tell = log.debug if told else log.error
        tell("worker failed while stopping", **_epitaph(worker, code), **self._last_words(worker))
        self.exit_code = self.exit_code or EXIT_FAILED

    def _replace(self, slot: Slot, worker: Worker, code: int) -> None:
        now = time.monotonic()
        if worker.ready_at is not None and now - worker.ready_at > SETTLED:
            slot.strikes = 0
        pause = slot.strike(now, at_once=worker.was_ready)
        facts = {**_epitaph(worker, code), "ready": worker.was_ready, "pause": round(pause, 1)}
        log.error("worker died, replacing it", **facts, **self._last_words(worker))

    def _last_words(self, worker: Worker) -> dict[str, str]:
        if "error" not in worker.words:
            return {}
        return facts(worker.words["error"], worker.words["exception"] if self._tracebacks else "")


def _epitaph(worker: Worker, code: int) -> dict[str, t.Any]:
    ending = {"signal": _signal_name(-code)} if code < 0 else {"exit": code}
    return {"worker": worker.pid, "slot": worker.slot, **ending}


def _signal_name(signum: int) -> str:
    # most of the real-time signals have none
    return signal.Signals(signum).name if signum in set(signal.Signals) else f"SIG{signum}"
