"""The fork server: a process that runs the service's command again, and forks the workers of a new generation.

A supervisor that has imported an application can only fork workers with the code that it has imported. So a reload
starts the command once more. It comes as far as `buvar.fork.stage`, tells its *plan*, which is what the code and the
configuration say now, with the sockets that it had to bind; and forks a worker each time that it is asked to. The
supervisor itself never runs the new code: whatever that does, the supervisor and those who serve are not touched.

A worker is forked twice over, and the process in between ends at once. The supervisor adopts it then, as a *subreaper*
(``prctl(2)``), and so it is the supervisor's child as those of the first generation are: it outlives its fork server
and dies with its supervisor. Where there are no subreapers a fork server becomes the worker itself, and the supervisor
starts another one for the next.

| who         | says                                                                                            |
|-------------|-------------------------------------------------------------------------------------------------|
| fork server | ``plan``, with ``listeners``: the sockets that it has bound, which come along                   |
| fork server | ``error``, ``exception``: its last words                                                        |
| supervisor  | ``slot``, ``row``, ``listeners``: a worker is wanted; its channel and the listeners come along  |
| in between  | ``pid``, on the channel of the worker that it has forked                                        |
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
import typing as t

import attrs

from buvar.errors import summary
from buvar.forking import worker as workers
from buvar.forking.channel import PATIENCE, Channel
from buvar.forking.health import Limits
from buvar.forking.sockets import Accept, Listener, Socket
from buvar.forking.worker import Post, Report

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.board import Board
    from buvar.forking.handover import Handover

#: whether a process can adopt the orphans among its descendants
SUBREAPER = sys.platform == "linux"
#: ``prctl(2)``: the option that says so
PR_SET_CHILD_SUBREAPER: t.Final = 36
#: seconds between two looks at whether the supervisor has adopted this process
ADOPTION: t.Final = 0.0005


@attrs.frozen(kw_only=True)
class Plan:
    """What a generation is to be, as its code and configuration say; see `buvar.fork.stage` for what it means.

    *sockets* are their URIs. A generation that handles HUP itself is not *reloadable*.
    """

    workers: int
    sockets: list[str]
    backlog: int
    accept: Accept
    shutdown_timeout: float
    tracebacks: bool
    limits: Limits
    reloadable: bool

    @classmethod
    def read(cls, facts: dict[str, t.Any]) -> t.Self:
        """Return the plan that `attrs.asdict` and JSON have made *facts* of."""
        return cls(**{**facts, "limits": Limits(**facts["limits"])})


@attrs.define(eq=False)
class ForkServer:
    """A fork server as the supervisor sees it; *born* is of `time.monotonic`, in seconds.

    It has no *plan* before it is able to fork. *listeners* are the sockets that it has bound. It is *spent* when it has
    become a worker itself, or was reaped: its pid is not its own any more.
    """

    pid: int
    generation: int
    channel: Channel
    plan: Plan | None = None
    listeners: list[Listener] = attrs.Factory(list)
    words: dict[str, str] = attrs.Factory(dict)
    born: float = attrs.Factory(time.monotonic)
    spent: bool = False

    def listen(self) -> None:
        """Take what it says."""
        for message in self.channel.read():
            if "plan" in message:
                try:
                    self._take(message.pop("plan"), message.pop("listeners"))
                except Exception as error:  # whatever it sends, it does no harm here
                    self.words["error"] = f"the supervisor cannot follow the new generation: {summary(error)}"
                    self.words["exception"] = ""
                    self.kill()
            self.words.update(message)

    def _take(self, plan: dict[str, t.Any], told: list[tuple[str, c.Sequence[int] | None]]) -> None:
        fds, self.channel.fds = self.channel.fds, []
        self.listeners = [_owned(Listener.read(uri, fd, file)) for fd, (uri, file) in zip(fds, told, strict=False)]
        if len(fds) < len(told):
            raise OSError("it has no room for another file descriptor; allow more open files: 'ulimit -n'")
        self.plan = Plan.read(plan)

    def fork(self, slot: int, row: int, channel: int, listeners: c.Sequence[Listener]) -> None:
        """Have a worker made. Raises OSError when it cannot be asked."""
        fds = [channel, *(each.fd for each in listeners)]
        if not self.channel.send(fds=fds, slot=slot, row=row, listeners=[each.uri for each in listeners]):
            raise OSError(f"the fork server (process {self.pid}) takes no request")
        self.spent = not SUBREAPER

    def hand_over(self) -> list[Listener]:
        """Return the sockets that it has bound; who takes them has to close them."""
        listeners, self.listeners = self.listeners, []
        return listeners

    def kill(self) -> None:
        """Kill it, if it is not spent: what it was asked for and has not done is off."""
        if not self.spent:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it, which has nothing to put in order, and close what it has sent."""
        self.kill()
        self.listen()  # sockets may have come that nobody knows of yet
        for each in self.hand_over():
            Socket.inherited(each.uri, each.fd, file=each.file).remove()
        self.channel.close()


def _owned(listener: Listener) -> Listener:
    """Return *listener* with a file that this process is to remove."""
    file = listener.file
    return listener if file is None else attrs.evolve(listener, file=(os.getpid(), *file[1:]))


def adopt_orphans() -> None:
    """Make this process the parent of all orphans among its descendants. Raises OSError where that cannot be."""
    if SUBREAPER:
        workers.prctl(PR_SET_CHILD_SUBREAPER, 1)


# -- in the fork server


@attrs.frozen
class Request:
    """A worker that is wanted for *slot*; its channel, and what it listens on."""

    slot: int
    row: int
    channel: int
    listeners: list[Listener]

    @property
    def fds(self) -> list[int]:
        """All descriptors that it holds."""
        return [self.channel, *(each.fd for each in self.listeners)]


def serve(handover: Handover, board: Board, work: c.Callable[[Post, Report, list[Listener]], int]) -> int:
    """Fork a worker, which does its *work*, for each request, until the supervisor is gone; return the exit code."""
    channel = Channel(socket.socket(fileno=handover.channel))
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while not channel.closed:
            selector.select()
            for request in _requests(channel):

                def main(request: Request = request) -> t.NoReturn:
                    selector.close()
                    channel.close()
                    _become_worker(request, handover, board, work)

                if SUBREAPER:
                    _fork_twice(main, request)
                else:
                    main()
    return 0


def _requests(channel: Channel) -> c.Iterator[Request]:
    for message in channel.read():
        uris = message["listeners"]
        fds = [channel.fds.pop(0) for _ in range(1 + len(uris))]
        listeners = [Listener(uri, fd) for uri, fd in zip(uris, fds[1:], strict=True)]
        yield Request(message["slot"], message["row"], fds[0], listeners)


def _fork_twice(main: c.Callable[[], t.NoReturn], request: Request) -> None:
    workers.flush()  # or the worker would print what is buffered once more
    try:
        between = os.fork()
        if not between:
            _fork_once(main, request)
        os.waitpid(between, 0)
    except OSError as error:
        _fail(request.channel, error)
    finally:
        for fd in request.fds:
            os.close(fd)


def _fork_once(main: c.Callable[[], t.NoReturn], request: Request) -> t.NoReturn:
    """Be the process in between."""
    try:
        me = os.getpid()
        if pid := os.fork():
            with _speaking(request.channel) as channel:
                Report(channel).born(pid)
        else:
            while os.getppid() == me:
                time.sleep(ADOPTION)
            main()
    except OSError as error:
        _fail(request.channel, error)
    finally:
        os._exit(0)


@contextlib.contextmanager
def _speaking(fd: int) -> c.Iterator[Channel]:
    """Have a channel for the time of a block; *fd* stays open."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        yield Channel(sock)


def _fail(fd: int, error: BaseException) -> None:
    with _speaking(fd) as channel:
        Report(channel).failed(error)


def _become_worker(
    request: Request, handover: Handover, board: Board, work: c.Callable[[Post, Report, list[Listener]], int]
) -> t.NoReturn:
    post = Post(request.slot, handover.generation, board.row(request.row), board, handover.supervisor)
    report = Report(Channel(socket.socket(fileno=request.channel)))
    if not SUBREAPER:
        report.born(os.getpid())
    workers.become_worker(handover.supervisor, lambda: work(post, report, request.listeners), request.channel)


@contextlib.contextmanager
def telling(handover: Handover | None) -> c.Iterator[None]:
    """Tell the supervisor what is raised in the block, if there was a *handover*."""
    try:
        yield
    except BaseException as error:
        if handover is not None:
            fail(handover, error)
        raise


def fail(handover: Handover, error: BaseException) -> None:
    """Say why the command cannot come as far as to fork."""
    _fail(handover.channel, error)


def tell_plan(handover: Handover, plan: Plan, bound: c.Sequence[Listener]) -> None:
    """Say what the generation is to be; the sockets that were *bound* go to the supervisor."""
    told = [(each.uri, each.file) for each in bound]
    with _speaking(handover.channel) as channel:
        channel.send(patience=PATIENCE, fds=[each.fd for each in bound], plan=attrs.asdict(plan), listeners=told)
