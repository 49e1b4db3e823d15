"""The words of forking: `Socket`, `Sockets`, `Fork`, which tells a worker who it is, and `stage`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import typing as t

import attrs
import structlog

from buvar import errors, names
from buvar.components import Components
from buvar.forking import sockets as _sockets
from buvar.forking import supervisor as _supervisor
from buvar.forking import uri as _uri
from buvar.forking import worker as _worker
from buvar.forking.sockets import Socket as Socket
from buvar.forking.sockets import Sockets as Sockets
from buvar.staging import stage as _staging
from buvar.staging.signals import Signals

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

    from buvar.forking.worker import Report
    from buvar.staging.loader import PluginRef

log = structlog.get_logger(__name__)

#: how many more containers a worker makes than it drops before the collector looks at the young ones
_GC_THRESHOLD = 5000

LoopFactory: t.TypeAlias = "c.Callable[[], asyncio.AbstractEventLoop]"


@attrs.define(eq=False)
class Fork:
    """Who a process is: a component in each worker, and in the one process where nothing is forked.

    *number* is how many workers were asked for (0: one for each usable CPU), *slot* the place of this one among them,
    from 0 on. *pid* and *ppid* are this process's and its parent's.
    """

    number: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    slot: int = 0
    pid: int = attrs.field(factory=os.getpid)
    ppid: int = attrs.field(factory=os.getppid)
    is_child: bool = False

    @property
    def workers(self) -> int:
        """How many workers there are: *number*, or one for each CPU that this process may use."""
        return self.number or len(os.sched_getaffinity(0))

    def become_child(self, slot: int) -> None:
        """Note that this process is the worker of *slot* now."""
        self.slot, self.pid, self.ppid, self.is_child = slot, os.getpid(), os.getppid(), True

    def run(self, func: c.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Call *func* in every worker and supervise them; with one worker, call it here and return its result.

        Returns None when all workers ended well. Raises SystemExit with the exit code when they did not.
        """
        if self.workers == 1:
            return func(*args, **kwargs)

        def work(slot: int, report: Report) -> int:
            self.become_child(slot)
            report.ready()
            func(*args, **kwargs)
            report.ended()
            return 0

        _end(_supervisor.Supervisor(self.workers, work).run())
        return None


def _end(code: int) -> None:
    if code:
        raise SystemExit(code)


def _exit_code(stage: _staging.Stage) -> int:
    return (errors.exit_code(stage.failures[0]) or errors.EXIT_FAILED) if stage.failures else 0


@attrs.frozen(kw_only=True)
class _Options:
    """What every stage is made with; see `stage`."""

    components: Components
    signals: type[Signals] | None
    cancel_timeout: float
    start_timeout: float | None
    teardown_timeout: float
    loop_factory: LoopFactory | None

    def make(self, loop: asyncio.AbstractEventLoop | None = None) -> _staging.Stage:
        return _staging.Stage(**attrs.asdict(self, recurse=False), loop=loop)


def _settle() -> None:
    """Keep the garbage collector away from what a worker has when it is ready, and let it come less often.

    What a start leaves mostly stays until the end: to look through it again and again is in vain. See the docs.
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if young:  # 0: somebody has switched it off
        gc.set_threshold(max(young, _GC_THRESHOLD), *older)


def _work(plugins: tuple[PluginRef, ...], options: _Options, report: Report) -> int:
    """Run a stage as a worker does, tell the supervisor how it goes, and raise what it raises."""
    stage = options.make()
    stage.ready.add_callback(_settle)
    stage.ready.add_callback(report.ready)

    def supervisor_gone() -> None:
        if report.supervisor_gone():
            stage.loop.remove_reader(report.fileno())
            log.warning("supervisor is gone, stopping")
            if not stage.stopped:
                stage.stop()

    stage.loop.add_reader(report.fileno(), supervisor_gone)
    stage.run(*plugins)
    if stage.failures:
        report.failed(stage.failures[0])
        return _exit_code(stage)
    if not stage.stopped:
        report.ended()
    return 0


def stage(
    *plugins: PluginRef,
    components: Components | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    forks: int = 0,
    sockets: c.Sequence[str] | None = None,
    signals: type[Signals] | None = None,
    cancel_timeout: float = 60.0,
    start_timeout: float | None = 60.0,
    teardown_timeout: float = 30.0,
    shutdown_timeout: float = 90.0,
    backlog: int = 2048,
    loop_factory: LoopFactory | None = None,
    preload: c.Sequence[str] = (),
    tracebacks: bool = True,
    exits: bool = False,
) -> list[t.Any] | None:
    """Bind *sockets*, fork *forks* workers (0: one for each usable CPU) that run a stage of *plugins*, supervise them.

    With one worker nothing is forked: the stage runs here, and its results are returned. Otherwise returns None when
    all workers ended well, and raises SystemExit with the exit code when they did not; with *exits* one worker does so
    too when a task failed.

    *sockets* are URIs (see `Socket`); what a service manager passes by ``LISTEN_FDS`` comes on top, and in place of a
    socket of the same address. Each is a component `Socket` in every worker, named by its URI and by the URI of the
    address that it is bound to. *shutdown_timeout* is how long workers may take to stop before they are killed, in
    seconds; *backlog* the length of a socket's queue. Loops are made after the fork, by *loop_factory*, or of *loop*'s
    type. *preload* names modules to import before the fork, so that workers share their memory. With *tracebacks* the
    supervisor logs a failed worker's error with its traceback. The rest is as in `buvar.plugin.stage`.

    Raises `errors.SocketError` and `errors.SocketURIError` for sockets that cannot be.
    """
    fork = Fork(forks)
    shared = components if components is not None else Components()
    shared.add(fork)
    with _leaving(), _bound(sockets or (), backlog) as bound:
        for name in preload:
            names.resolve(name)
        _add_sockets(shared, bound)
        for uri, each in bound.items():
            log.info("listening", socket=uri, address=str(each.address))
        make = loop_factory or (type(loop) if loop is not None and fork.workers > 1 else None)
        options = _Options(
            components=shared,
            signals=signals if fork.workers == 1 else _without_int(signals or Signals),
            cancel_timeout=cancel_timeout,
            start_timeout=start_timeout,
            teardown_timeout=teardown_timeout,
            loop_factory=make,
        )
        if fork.workers == 1:
            stage = options.make(loop)
            results = stage.run(*plugins)
            _end(_exit_code(stage) if exits else 0)
            return results

        def work(slot: int, report: Report) -> int:
            fork.become_child(slot)
            return _work(plugins, options, report)

        supervisor = _supervisor.Supervisor(
            fork.workers, work, close=bound.remove, shutdown_timeout=shutdown_timeout, tracebacks=tracebacks
        )
        _end(supervisor.run())
        return None


def _without_int(signals: type[Signals]) -> type[Signals]:
    """Return *signals* for a worker: Ctrl-C reaches the whole group, and what it means the supervisor decides."""
    handlers = tuple(each for each in signals.handlers if each[0] != signal.SIGINT)
    return type(signals.__name__, (signals,), {"handlers": handlers})


@contextlib.contextmanager
def _leaving() -> c.Iterator[None]:
    """Let INT and TERM end the process with code 0 where nobody else handles them: so no file is left behind.

    What a supervisor forwards does nothing where there is no handler, be it one process or several.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    harmless: dict[int, c.Callable[..., object]] = dict.fromkeys(_worker.HARMLESS, _worker.do_nothing)
    with _worker.handling({**harmless, signal.SIGINT: _leave, signal.SIGTERM: _leave}):
        yield


def _leave(*_: object) -> None:
    raise SystemExit(0)


@contextlib.contextmanager
def _bound(uris: c.Sequence[str], backlog: int) -> c.Iterator[Sockets]:
    passed = Sockets(*_sockets.passed_fds(os.environ, os.getpid()), backlog=backlog)
    try:
        # a second socket on one descriptor would close it for the first
        there = {*passed, *(str(each.address) for each in passed.values())}
        bound = Sockets(*(uri for uri in uris if str(_uri.parse(uri)) not in there), backlog=backlog)
    except BaseException:
        passed.remove()
        raise
    bound.update(passed)
    with bound.bind():
        yield bound


def _add_sockets(components: Components, bound: Sockets) -> None:
    for uri, each in bound.items():
        components.add(each, name=uri)
        if (address := str(each.address)) != uri:
            components.add(each, name=address)
