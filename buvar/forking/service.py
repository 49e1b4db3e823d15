"""A service: a stage in one process, or in many that are supervised, and all that it has in common.

The process that it begins in becomes one of three: the one that runs the stage, where nothing is forked; the
supervisor; or, at a reload, the fork server of a new generation: see `buvar.forking.forkserver`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import threading
import typing as t

import attrs

from buvar import errors, names
from buvar.components import Components
from buvar.forking import duty, forkserver, notify, supervisor, worker
from buvar.forking import sockets as listening
from buvar.forking import uri as uris
from buvar.forking.board import Board
from buvar.forking.forkserver import Plan
from buvar.forking.host import Host, control_socket
from buvar.forking.pidfile import PidFile
from buvar.forking.sockets import Socket, Sockets
from buvar.forking.who import Fork, end
from buvar.staging.stage import Stage

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

    from buvar.forking.handover import Handover
    from buvar.forking.health import Limits
    from buvar.forking.identity import User
    from buvar.forking.sockets import Accept, Listener
    from buvar.forking.worker import Post, Report
    from buvar.staging.loader import PluginRef
    from buvar.staging.signals import Signals


@attrs.frozen(kw_only=True)
class StageOptions:
    """What every stage is made with; see `buvar.fork.stage`."""

    components: Components
    signals: type[Signals] | None
    cancel_timeout: float
    start_timeout: float | None
    teardown_timeout: float
    loop_factory: c.Callable[[], asyncio.AbstractEventLoop] | None

    def make(self, loop: asyncio.AbstractEventLoop | None = None) -> Stage:
        """Make a stage."""
        return Stage(**attrs.asdict(self, recurse=False), loop=loop)


@attrs.frozen(kw_only=True)
class Service:
    """A service of *plugins*; see `buvar.fork.stage` for what the rest means."""

    plugins: tuple[PluginRef, ...]
    fork: Fork
    stage: StageOptions
    sockets: c.Sequence[str]
    backlog: int
    accept: Accept
    preload: c.Sequence[str]
    user: User | None
    handover: Handover | None
    limits: Limits

    @contextlib.contextmanager
    def bound(self) -> c.Iterator[Sockets]:
        """Bind the sockets, give the files of new ones to the user, and import what all workers share."""
        if self.handover is not None:  # what is bound is in nobody's hands until the supervisor has it
            self._import()
        with _bound(self.sockets, self.backlog, self.accept, self.handover) as bound:
            for each in bound.new:
                if self.user is not None and each.file is not None:
                    self.user.own(bound[each.uri].uri.path)
            if self.handover is None:
                self._import()
            yield bound

    def _import(self) -> None:
        for name in self.preload:
            names.resolve(name)

    def become_user(self) -> None:
        """Become the user that workers are, if that is another one."""
        if self.user is not None:
            self.user.become()

    def run_alone(self, loop: asyncio.AbstractEventLoop | None, pid_file: t.Any, *, exits: bool) -> list[t.Any]:
        """Run the stage in this process, and return its results."""
        with leaving(), _pid_file(pid_file), self.bound() as bound:
            listening.announce(bound)
            notifier = notify.Notifier.from_environ(os.environ)
            notify.hide(os.environ)
            self.become_user()
            _add_sockets(self.stage.components, bound)
            stage = self.stage.make(loop)
            if exits:  # the process is for this alone
                stage.ready.add_callback(duty.settle)
            with duty.managed(stage, notifier):
                results = stage.run(*self.plugins)
            end(duty.exit_code(stage) if exits else 0)
            return results

    def supervise(self, options: supervisor.Options, pid_file: t.Any, control: t.Any) -> None:
        """Fork the workers and supervise them. Raises SystemExit if not all ended well."""
        with leaving(), _pid_file(pid_file), self.bound() as bound:
            listening.announce(bound)
            notifier = notify.Notifier.from_environ(os.environ)
            host = Host(notifier, control_socket(control, os.environ))
            with contextlib.closing(host):
                treatment = attrs.evolve(options, host=host, become_user=self.become_user)
                work = functools.partial(self._work_of_slot, bound)
                end(supervisor.Supervisor(self.fork.workers, work, sockets=bound, options=treatment).run())

    def _work_of_slot(self, sockets: Sockets, post: Post, report: Report) -> int:
        return self._work(sockets.of_slot(post.slot), post, report)

    def _work(self, sockets: c.Mapping[str, Socket], post: Post, report: Report) -> int:
        """Be a worker, and return its exit code."""
        self.fork.become_child(post.slot, post.generation)
        notify.hide(os.environ)
        components = self.stage.components
        components.add(post.row)
        components.add(post.board)
        _add_sockets(components, sockets)
        on_orphaned = self.fork.become_orphan
        stage = self.stage.make()
        stage.tells = post.slot == 0
        return duty.Duty(stage, report, post.row, beat=self.limits.beat, on_orphaned=on_orphaned).run(*self.plugins)

    # -- in a fork server

    def serve_forks(self, handover: Handover, options: supervisor.Options, *, supervised: bool) -> t.NoReturn:
        """Be the fork server of a new generation. Does not return."""
        worker.become_worker(
            handover.supervisor, lambda: self._serve_forks(handover, options, supervised), handover.channel
        )

    def _serve_forks(self, handover: Handover, options: supervisor.Options, supervised: bool) -> int:
        worker.die_with(handover.supervisor, signal.SIGKILL)  # one that is stopped hears that too
        try:
            handover.check()
            if not supervised:
                raise errors.UsageError("a reload cannot change to one process; stop the service and start it again")
            with self.bound() as sockets:
                forkserver.tell_plan(handover, self._plan(sockets, options), sockets.new)
                sockets.give_away()
            notify.hide(os.environ)
            gc.collect()
            gc.freeze()
            return forkserver.serve(handover, Board(handover.board), self._work_here)
        except BaseException as error:
            forkserver.fail(handover, error)
            return errors.exit_code(error)

    def _plan(self, sockets: Sockets, options: supervisor.Options) -> Plan:
        return Plan(
            workers=self.fork.workers,
            sockets=list(sockets),
            backlog=self.backlog,
            accept=self.accept,
            shutdown_timeout=options.shutdown_timeout,
            tracebacks=options.tracebacks,
            limits=options.limits,
            reloadable=options.command is not None,
        )

    def _work_here(self, post: Post, report: Report, listeners: list[Listener]) -> int:
        mine = {each.uri: Socket.inherited(each.uri, each.fd, self.backlog) for each in listeners}
        return worker.on_duty(post, report, self.become_user, lambda: self._work(mine, post, report))


@contextlib.contextmanager
def leaving() -> c.Iterator[None]:
    """Let INT and TERM end the process with code 0 where nobody else handles them: so no file is left behind.

    What a supervisor forwards does nothing where there is no handler, be it one process or several.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    harmless: dict[int, c.Callable[..., object]] = dict.fromkeys(worker.HARMLESS, worker.do_nothing)
    with worker.handling({**harmless, signal.SIGINT: _leave, signal.SIGTERM: _leave}):
        yield


def _leave(*_: object) -> None:
    raise SystemExit(0)


def _pid_file(path: str | os.PathLike[str] | None) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if path is None else PidFile(path)


@contextlib.contextmanager
def _bound(wanted: c.Sequence[str], backlog: int, accept: Accept, handover: Handover | None) -> c.Iterator[Sockets]:
    inherited = [] if handover is None else handover.listeners
    passed = [each.uri for each in inherited if each.uri.startswith("fd:")]
    passed += listening.passed_fds(os.environ, os.getpid())
    # a second socket on one descriptor would close it for the first
    there = {*passed, *(str(listening.address_of(each)) for each in passed)}
    wanted = [uri for uri in wanted if str(uris.parse(uri)) not in there]
    bound = Sockets(*passed, *wanted, backlog=backlog, accept=accept, inherited=inherited)
    for each in bound.unwanted:
        os.close(each.fd)
    with bound.bind():
        yield bound


def _add_sockets(components: Components, bound: c.Mapping[str, Socket]) -> None:
    for uri, each in bound.items():
        components.add(each, name=uri)
        if (address := str(each.address)) != uri:
            components.add(each, name=address)
