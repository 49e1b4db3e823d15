"""The supervisor: keeps workers alive, replaces them without a gap, and never lets one be forgotten.

It has no event loop, no threads, and never runs a plugin's code. One selector waits for signals (`buvar.forking.inbox`)
and for what workers say; after each wake-up the dead are reaped, who hangs or is overdue is killed, and what is missing
is forked. It has one aim and works towards it: in each slot one worker of this generation that is ready, nobody else.

| what happens                                 | what the supervisor does                                             |
|----------------------------------------------|----------------------------------------------------------------------|
| a worker dies that was ready                 | replaces it at once; in growing pauses if that happens over and over |
| a worker dies before it was ready            | tries again in growing, jittered pauses                              |
| … and no worker was ever ready               | stops with that worker's error, exit code 1 (2 for wrong use)        |
| a worker says that its work is done          | leaves its slot empty; ends when all are                             |
| a worker does not turn its loop any more     | has it tell its stacks, kills and replaces it                        |
| a worker has done, lived or taken enough     | forks another one, and asks it to finish when that one is ready      |
| nobody leads                                 | has one worker run what runs only once: `buvar.forking.leadership`   |
| INT, TERM                                    | closes the listeners, asks all to finish, kills after the timeout    |
| a second INT, not within half a second       | kills                                                                |
| a second TERM                                | asks again, which cuts the workers' grace short                      |
| HUP                                          | reloads, if no worker handles it: see `buvar.forking.reload`         |
| a fork server dies                           | reloads                                                              |
| TTIN, TTOU                                   | has one worker more, or one less                                     |
| HUP, QUIT, ABRT, WINCH, USR1, USR2           | forwards them                                                        |
| the supervisor dies                          | workers get TERM from the kernel and end of file on their channel    |
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
import typing as t

import structlog

from buvar.errors import EXIT_FAILED, EXIT_USAGE
from buvar.forking import obituary, status
from buvar.forking import worker as workers
from buvar.forking.answers import Answers
from buvar.forking.board import State as WorkerState
from buvar.forking.channel import FAILED
from buvar.forking.crew import HANDLED, Crew, Target
from buvar.forking.inbox import Inbox
from buvar.forking.leadership import Leadership
from buvar.forking.options import Options as Options
from buvar.forking.reload import Reload
from buvar.forking.slot import Slot
from buvar.forking.sockets import Sockets
from buvar.log import lossy

if t.TYPE_CHECKING:
    from buvar.forking.forkserver import Plan
    from buvar.forking.worker import Worker

log = structlog.get_logger(__name__)

#: seconds within which a second INT is the echo of the first, as a terminal and a process manager both send it
ECHO = 0.5
#: seconds that a worker must have been ready for its death not to count as a failed start
SETTLED = 2.0
#: how a worker ends that was asked to; the signal is that of one which had no handler yet
PEACEFUL = frozenset({0, -signal.SIGTERM})
#: seconds after which the supervisor looks around, even if nothing happened
TICK = 1.0


class Supervisor:
    """Keeps *number* workers that each call *target* and exit with the code that it returns.

    They accept from *sockets*, which are closed when the supervisor begins to stop.
    """

    def __init__(
        self,
        number: int,
        target: Target,
        *,
        sockets: Sockets | None = None,
        options: Options | None = None,
    ) -> None:
        self.number = number
        self.exit_code = 0
        options = options or Options()
        self.stopping = False
        self.sockets = Sockets() if sockets is None else sockets
        self.crew = Crew(target, self.sockets, options, self._listen_to)
        self.leadership = Leadership(self.crew)
        self.host = options.host
        self.reload = Reload(self.crew, options.command, self._begin)
        self.slots = [Slot() for _ in range(number)]
        self._children = dict(options.children)
        self.restarts = 0
        self.started = time.time()
        self._stopped_at = 0.0
        self._ever_ready = False
        self._inbox = Inbox(HANDLED)
        #: since when it has not been held up itself
        self._awake = self._last_look = time.monotonic()

    def run(self) -> int:
        """Supervise until all workers have ended; return the exit code: 0 when all is well."""
        with lossy.output():
            log.info("supervisor started", pid=os.getpid(), workers=self.number, generation=self.crew.generation)
            self._run()
            log.info("supervisor ended", pid=os.getpid(), exit=self.exit_code)
        return self.exit_code

    def _run(self) -> None:
        with self.crew.selector, self._inbox.open(self.crew.selector) as ends:
            self.crew.private += [*(end.close for end in ends), self.host.abandon, self.reload.abandon]
            self.host.serve(self.crew.selector, Answers(self))
            # what there is now is shared with all workers: the collector must not touch, and so copy, its pages
            gc.collect()
            gc.freeze()
            try:
                while self._step():
                    self._wait()
            except BaseException:
                self._kill_all()
                raise
            finally:
                gc.unfreeze()
                self.reload.stop()
                self.host.close()

    def _step(self) -> bool:
        """Do what is to be done now; return whether there is anything left to wait for."""
        self._reap()
        self._on_signals()
        self._look_around()
        self._kill_overdue()
        if not self.stopping:
            self._fill()
            self._retire()
            self.leadership.appoint(self._is_fresh)
            self.reload.step()
        self.host.look(time.monotonic(), self.state, self.number)
        return len(self.crew) > 0 or not (self.stopping or all(slot.done for slot in self.slots))

    @property
    def state(self) -> str:
        """How the service is, as `buvar.forking.status` has it."""
        if self.stopping:
            return status.STOPPING
        if self.reload.going_on:
            return status.RELOADING
        serve = {worker.slot for worker in self.crew if worker.serves}
        begun = self.host.state != status.STARTING or serve.issuperset(range(self.number))
        return status.RUNNING if begun else status.STARTING

    # -- waiting

    def _wait(self) -> None:
        events = self.crew.selector.select(self._patience())
        lossy.catch_up()
        for key, _ in events:
            key.data()
        now = time.monotonic()
        if now - self._last_look > 2 * TICK:  # it was stopped, or had no processor, and maybe all others too
            self._awake = now
        self._last_look = now

    def _patience(self) -> float:
        due = [*self.host.due, *(worker.kill_at for worker in self.crew if worker.kill_at is not None)]
        if not self.stopping:
            due += [slot.not_before for slot in self.slots if not slot.done and slot.not_before]
            due += [self.leadership.not_before, self.reload.not_before]
        now = time.monotonic()
        return max(0.0, min([TICK, *(when - now for when in due if when > now)]))

    # -- signals

    def _on_signals(self) -> None:
        for signum in self._inbox.take():
            if signum in {signal.SIGINT, signal.SIGTERM}:
                self._on_stop(signal.Signals(signum))
            elif signum == signal.SIGHUP and self.reload.wanted:
                self.reload.ask()
            elif signum in {signal.SIGTTIN, signal.SIGTTOU}:
                self._resize(1 if signum == signal.SIGTTIN else -1)
            elif signum in workers.FORWARDED:
                self._forward(signal.Signals(signum))

    def _on_stop(self, signum: signal.Signals) -> None:
        if not self.stopping:
            log.info("stopping", signal=signum.name)
            self.stop(0)
        elif time.monotonic() - self._stopped_at > ECHO:
            log.warning("stopping now", signal=signum.name)
            if signum == signal.SIGINT:
                self._kill_all()
            else:
                self._forward(signum)

    def _forward(self, signum: signal.Signals) -> None:
        log.debug("forwarding a signal", signal=signum.name)
        for worker in self.crew:
            worker.send_signal(signum)

    def _resize(self, change: int) -> None:
        if self.stopping or not self.number + change:
            return
        self.number += change
        log.info("changing the number of workers", workers=self.number)
        if change > 0:
            self.slots.append(Slot())
        else:
            self.slots.pop()
            # before its worker takes the last of its queue
            self.sockets.remove_slot(self.number)
            for worker in self.crew.of_slot(self.number):
                self._terminate(worker)

    def stop(self, code: int) -> None:
        """Begin to stop: the listeners first, so that new clients are refused and not queued for nobody."""
        if self.stopping:
            return
        self.stopping = True
        self._stopped_at = time.monotonic()
        self.exit_code = code
        self.sockets.remove()
        self.reload.stop()
        for worker in self.crew:
            self._terminate(worker)

    def _terminate(self, worker: Worker) -> None:
        worker.terminate(time.monotonic() + self.crew.options.shutdown_timeout)

    def _kill_all(self) -> None:
        for worker in self.crew:
            worker.kill_at = time.monotonic()
        self._kill_overdue()

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for worker in self.crew:
            if worker.kill_at is not None and now >= worker.kill_at:
                log.warning("killing worker", worker=worker.pid, slot=worker.slot)
                worker.kill_at = now + TICK
                worker.send_signal(signal.SIGKILL)
                if self.stopping:
                    self.exit_code = self.exit_code or EXIT_FAILED
                if not worker.pid:  # its fork server owes it; if it comes after all it finds that nobody wants it
                    self.reload.kill_server(worker.generation)
                    worker.channel.abandon()
                    self._listen_to(worker)

    # -- workers

    def _begin(self, plan: Plan) -> None:
        """Have the workers of a new generation, which follow a *plan* of their own."""
        self.crew.options = self.crew.options.follow(plan)
        for slot in range(plan.workers, self.number):
            self.sockets.remove_slot(slot)
        self.number = plan.workers
        self.slots = [Slot() for _ in range(plan.workers)]
        self._fill()
        self._retire()

    def _fill(self) -> None:
        """Fork what is missing and may be forked now; one that replaces another only when no other such one boots."""
        now = time.monotonic()
        replacing = any(self._is_replacing(worker) for worker in self.crew)
        for index, slot in enumerate(self.slots):
            there = self.crew.of_slot(index)
            if slot.done or now < slot.not_before or any(map(self._is_fresh, there)) or (there and replacing):
                continue
            if not self.crew.can_fork:
                return
            replacing = replacing or bool(there)
            try:
                self.crew.fork(index)
            except OSError as error:  # no memory, process or descriptor is left; the workers that there are serve on
                self._on_cannot_fork(index, error)

    def _on_cannot_fork(self, index: int, error: OSError) -> None:
        if self._ever_ready:
            pause = self.slots[index].strike(time.monotonic(), at_once=False)
            log.error("cannot fork, trying again", slot=index, error=str(error), pause=round(pause, 1))
        else:
            log.error("cannot fork, stopping", slot=index, error=str(error))
            self.stop(EXIT_FAILED)

    def _is_fresh(self, worker: Worker) -> bool:
        return worker.generation == self.crew.generation and worker.tired is None

    def _is_replacing(self, worker: Worker) -> bool:
        return worker.state is WorkerState.BOOTING and len(self.crew.of_slot(worker.slot)) > 1

    def _retire(self) -> None:
        """Ask those to finish whose place another one has that is ready, and who have no place any more."""
        ready = {worker.slot for worker in self.crew if worker.serves and self._is_fresh(worker)}
        ready |= {index for index, slot in enumerate(self.slots) if slot.done}
        whole = ready.issuperset(range(self.number))
        for worker in self.crew:
            superfluous = whole if worker.slot >= self.number else worker.slot in ready and not self._is_fresh(worker)
            if superfluous and worker.lives and worker is not self.reload.canary:
                log.debug("retiring worker", worker=worker.pid, slot=worker.slot, reason=worker.tired)
                self._terminate(worker)

    def _look_around(self) -> None:
        """See who hangs, and who has done enough."""
        now = time.monotonic()
        for worker in self.crew:
            if worker.serves and worker.tired is None and self._is_fresh(worker):
                worker.tired = worker.limits.tired(worker, now)
            silence = worker.limits.silence(worker, now, self._awake)
            if silence is not None and not worker.aborted:
                who = {"worker": worker.pid, "slot": worker.slot}
                log.error("worker hangs", **who, seconds=round(silence, 1), stopped=worker.abort())

    # -- what workers say, and their ends

    def _listen_to(self, worker: Worker) -> None:
        for message in worker.channel.read():
            if not worker.pid:
                self.crew.introduce(worker, message.pop("pid", 0))
            if message.pop("ready", False):
                self._on_ready(worker)
            if (led := message.pop("led", None)) is not None:
                self.leadership.end(worker, failed=led == FAILED)
            worker.ended = message.pop("ended", worker.ended)
            worker.words.update(message)
        if worker.channel.closed:
            self.crew.mute(worker)  # its exit comes by itself
            if not worker.pid and worker in self.crew:  # it was never forked, and none comes
                self._on_exit(worker, EXIT_FAILED if worker.lives else 0)

    def _on_ready(self, worker: Worker) -> None:
        if worker.generation == self.crew.generation:
            self._ever_ready = True
        worker.ready_at = time.monotonic()
        if worker.lives:
            worker.state = worker.row.state = WorkerState.READY
        log.info("worker ready", worker=worker.pid, slot=worker.slot, seconds=round(worker.ready_at - worker.born, 3))

    def _reap(self) -> None:
        """Bury the dead, strangers too: as process 1 we are everybody's parent."""
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                pid, code = reaped[0], os.waitstatus_to_exitcode(reaped[1])
                self._on_signals()  # who dies of a signal to the whole group dies because the supervisor stops
                for nameless in (each for each in self.crew if not each.pid):  # it may be one of these
                    self._listen_to(nameless)
                if (worker := self.crew.of_pid(pid)) is not None:
                    self._listen_to(worker)  # the last words
                    self._on_exit(worker, code)
                elif pid in self._children:
                    self._children.pop(pid)(code)
                else:
                    self.reload.on_exit(pid, code, tracebacks=self.crew.options.tracebacks)

    def _on_exit(self, worker: Worker, code: int) -> None:
        self.leadership.end(worker, failed=code not in PEACEFUL)
        self.crew.bury(worker)
        who = obituary.epitaph(worker, code)
        words = obituary.last_words(worker, tracebacks=self.crew.options.tracebacks)
        if self.stopping:
            self._on_stopped(worker, code, {**who, **words})
        elif self.reload.has_lost(worker, who, words):
            pass
        elif not worker.lives or worker.slot >= self.number:
            tell = log.debug if code in PEACEFUL else log.error
            tell("worker stopped" if code in PEACEFUL else "worker failed while stopping", **who, **words)
        elif worker.ended and code == 0:
            self.slots[worker.slot].done = True
            log.info("worker finished", **who)
        elif not self._ever_ready:
            log.error("worker failed to start, stopping", **who, **words)
            self.stop(EXIT_USAGE if code == EXIT_USAGE else EXIT_FAILED)
        else:
            self._replace(worker, {**who, "ready": worker.was_ready}, words)

    def _on_stopped(self, worker: Worker, code: int, facts: dict[str, t.Any]) -> None:
        if code in PEACEFUL:
            log.debug("worker stopped", **facts)
            return
        # told already: that it was killed, or that a sibling failed to start
        told = self.exit_code and (code == -signal.SIGKILL or not worker.was_ready)
        tell = log.debug if told else log.error
        tell("worker failed while stopping", **facts)
        self.exit_code = self.exit_code or EXIT_FAILED

    def _replace(self, worker: Worker, who: dict[str, t.Any], words: dict[str, t.Any]) -> None:
        now = time.monotonic()
        slot = self.slots[worker.slot]
        self.restarts += 1
        if worker.ready_at is not None and now - worker.ready_at > SETTLED:
            slot.strikes = 0
        mine = worker.generation == self.crew.generation
        pause = slot.strike(now, at_once=worker.was_ready) if mine else 0.0
        log.error("worker died, replacing it", **who, pause=round(pause, 1), **words)
