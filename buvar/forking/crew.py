"""The crew: the workers that there are, and how they are made.

Nothing is decided here: when a worker is made, told to stop or killed is the supervisor's business.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import typing as t

import structlog

from buvar.errors import EXIT_FAILED
from buvar.forking import channel as channels
from buvar.forking import forkserver, sockets
from buvar.forking import worker as workers
from buvar.forking.board import Board
from buvar.forking.channel import Channel
from buvar.forking.forkserver import ForkServer
from buvar.forking.handover import Command, Handover
from buvar.forking.worker import Post, Report, Worker
from buvar.log import lossy

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.health import Limits
    from buvar.forking.options import Options
    from buvar.forking.sockets import Socket, Sockets

log = structlog.get_logger(__name__)

Target: t.TypeAlias = "c.Callable[[Post, Report], int]"

#: signals that the supervisor handles
HANDLED = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, *workers.HARMLESS})


class Crew:
    """The workers. Each of the first generation calls *target* and exits with the code that it returns.

    They accept from *sockets*, and are treated by *options*. When a worker says something, *listen* is called with it.
    """

    def __init__(
        self,
        target: Target,
        sockets: Sockets,
        options: Options,
        listen: c.Callable[[Worker], None],
    ) -> None:
        self.generation = 1
        self.board = Board()
        self.sockets = sockets
        self.selector = selectors.DefaultSelector()
        #: who forks the workers of this generation; without one the supervisor itself does
        self.server: ForkServer | None = None
        #: how a worker lets go of what is the supervisor's alone
        self.private: list[c.Callable[[], None]] = []
        self._workers: list[Worker] = []
        self._target = target
        self.options = options
        self._listen = listen

    def __iter__(self) -> c.Iterator[Worker]:
        """List the workers that are alive, or not reaped yet."""
        return iter(list(self._workers))

    def __len__(self) -> int:
        return len(self._workers)

    def of_slot(self, slot: int) -> list[Worker]:
        """Return the workers of a slot that were not told to stop."""
        return [each for each in self if each.slot == slot and each.lives]

    def of_pid(self, pid: int) -> Worker | None:
        """Return the worker that is the process *pid*."""
        return next((each for each in self if each.pid == pid), None)

    # -- workers

    @property
    def can_fork(self) -> bool:
        """Whether a worker can be made now; if not, there is no fork server, or it is not able yet."""
        return self.generation == 1 or (self.server is not None and self.server.plan is not None)

    def fork(self, slot: int) -> Worker:
        """Make a worker of this generation for *slot*. Raises OSError when there is no room for one."""
        mine = self.sockets.of_slot(slot)  # bound by the supervisor, which keeps it for the next worker of the slot
        if self.server is None:
            return self._enlist(slot, self.generation, self.options.limits, self._fork)
        worker = self.fork_by(self.server, slot, mine)
        if self.server.spent:
            self.dismiss(self.server)
        return worker

    def fork_by(self, server: ForkServer, slot: int, mine: c.Mapping[str, Socket]) -> Worker:
        """Have *server* make a worker for *slot*, which accepts from the sockets that are *mine*. Raises OSError."""

        def ask(post: Post, ours: Channel, theirs: socket.socket) -> int:
            server.fork(slot, post.row.index, theirs.fileno(), sockets.listeners(mine))
            return 0

        limits = self.options.limits if server.plan is None else server.plan.limits
        return self._enlist(slot, server.generation, limits, ask)

    def _enlist(
        self, slot: int, generation: int, limits: Limits, make: c.Callable[[Post, Channel, socket.socket], int]
    ) -> Worker:
        """Enlist the worker that is made by *make*, which returns its pid, or 0 where that is not known yet."""
        row = self.board.take(slot, generation)
        ours, theirs = channels.pair()
        channel = Channel(ours)
        try:
            row.pid = make(Post(slot, generation, row, self.board, os.getpid()), channel, theirs)
        except OSError:
            channel.close()
            row.clear()
            raise
        finally:
            theirs.close()
        worker = Worker(0, slot, generation, row, channel, limits)
        self._workers.append(worker)
        self.introduce(worker, row.pid)
        self.selector.register(channel, selectors.EVENT_READ, lambda: self._listen(worker))
        return worker

    def _fork(self, post: Post, ours: Channel, theirs: socket.socket) -> int:
        return self._split(lambda: self._work(post, ours, theirs), theirs.fileno())

    def _split(self, work: c.Callable[[], int], channel: int) -> int:
        """Fork, and return the child's pid; the child does its *work* and never returns."""
        parent = os.getpid()
        workers.flush()  # or the worker would print what is buffered once more
        # no handler may run in the child before its signals are set up
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            pid = os.fork()
            if not pid:
                workers.become_worker(parent, work, channel)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid

    def _work(self, post: Post, ours: Channel, theirs: socket.socket) -> int:
        """Be the worker: let go of all that is the supervisor's, then do what a worker does."""
        # a sibling's channel kept open here would hide the supervisor's end from that sibling
        for let_go in self.private:
            let_go()
        for each in (ours, *(worker.channel for worker in self)):
            each.close()
        self.selector.close()
        self.sockets.keep(post.slot)
        lossy.restore()
        report = Report(Channel(theirs))
        return workers.on_duty(post, report, self.options.become_user, lambda: self._target(post, report))

    def introduce(self, worker: Worker, pid: int) -> None:
        """Note the process of a worker, if it is known; one that was asked to finish before is asked again."""
        worker.pid = worker.row.pid = pid
        if pid:
            log.debug("worker forked", worker=pid, slot=worker.slot)
        if not worker.lives:
            worker.send_signal(signal.SIGTERM)

    def mute(self, worker: Worker) -> None:
        """Listen no more to a worker whose channel is closed: it would be readable for ever."""
        self._unregister(worker.channel)

    def bury(self, worker: Worker) -> None:
        """Forget a worker that was reaped."""
        self.mute(worker)
        worker.channel.close()
        worker.row.clear()
        self._workers.remove(worker)

    # -- fork servers

    def start(self, command: Command, generation: int) -> ForkServer:
        """Have *command* run again, as a fork server of *generation*. Raises OSError."""
        forkserver.adopt_orphans()
        ours, theirs = channels.pair()
        try:
            pid = self._split(lambda: self._execute(command, generation, theirs), theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        log.debug("fork server started", process=pid, generation=generation)
        server = ForkServer(pid, generation, Channel(ours))
        self.selector.register(server.channel, selectors.EVENT_READ, lambda: self._hear(server))
        return server

    def _execute(self, command: Command, generation: int, theirs: socket.socket) -> int:
        handover = Handover(
            pid=os.getpid(),
            supervisor=os.getppid(),
            generation=generation,
            board=self.board.fd,
            channel=theirs.fileno(),
            listeners=sockets.listeners(self.sockets),
        )
        # until the command handles signals itself, only TERM is for it; what is ignored stays so
        for signum in (*workers.HARMLESS, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)
        try:
            command.execute(handover)
        except OSError as error:
            forkserver.fail(handover, error)
            return EXIT_FAILED

    def _hear(self, server: ForkServer) -> None:
        server.listen()
        if server.channel.closed:
            self._unregister(server.channel)  # its exit comes by itself

    def dismiss(self, server: ForkServer) -> None:
        """End a fork server, and forget it."""
        self._unregister(server.channel)
        server.end()
        if self.server is server:
            self.server = None

    def _unregister(self, channel: Channel) -> None:
        with contextlib.suppress(KeyError, ValueError):  # it is closed already
            self.selector.unregister(channel)
