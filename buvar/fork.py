"""The words of forking: `Socket`, `Sockets`, `Fork`, which tells a worker who it is, `Limits`, and `stage`.

`Board` lists what each worker is (`WorkerStatus`), and `Row` is where a worker keeps that; both are components in it.
"""

from __future__ import annotations

import os
import signal
import typing as t

import attrs

from buvar.components import Components
from buvar.forking import forkserver as _forkserver
from buvar.forking import handover as _handover
from buvar.forking import service as _service
from buvar.forking import supervisor as _supervisor
from buvar.forking.board import Board as Board
from buvar.forking.board import Row as Row
from buvar.forking.board import WorkerStatus as WorkerStatus
from buvar.forking.health import Limits as Limits
from buvar.forking.identity import User as _User
from buvar.forking.sockets import Socket as Socket
from buvar.forking.sockets import Sockets as Sockets
from buvar.forking.who import Fork as Fork
from buvar.staging.signals import Signals

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

    from buvar.forking.sockets import Accept
    from buvar.staging.loader import PluginRef

#: seconds that a worker may take longer to get ready than its plugins may take to prepare
_BOOT_MARGIN = 10.0

LoopFactory: t.TypeAlias = "c.Callable[[], asyncio.AbstractEventLoop]"


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
    accept: Accept = "shared",
    limits: Limits | None = None,
    user: str | int | None = None,
    group: str | int | None = None,
    pid_file: str | os.PathLike[str] | None = None,
    control: str | os.PathLike[str] | bool | None = None,
    supervise: bool = False,
    children: c.Mapping[int, c.Callable[[int], None]] | None = None,
    loop_factory: LoopFactory | None = None,
    preload: c.Sequence[str] = (),
    tracebacks: bool = True,
    exits: bool = False,
) -> list[t.Any] | None:
    """Bind *sockets*, fork *forks* workers (0: one for each usable CPU) that run a stage of *plugins*, supervise them.

    With one worker nothing is forked, unless *supervise*: the stage runs here, and its results are returned. Otherwise
    returns None when all workers ended well, and raises SystemExit with the exit code when they did not; with *exits*
    one worker does so too when a task failed.

    *sockets* are URIs (see `Socket`); what a service manager passes by ``LISTEN_FDS`` comes on top, and in place of a
    socket of the same address. Each is a component `Socket` in every worker, named by its URI and by the URI of the
    address that it is bound to. *backlog* is the length of a socket's queue, *accept* how workers take from it (see
    `Sockets`). *shutdown_timeout* is how long workers may take to stop before they are killed, in seconds; *limits*
    say which workers are given up and replaced. Loops are made after the fork, by *loop_factory*, or of *loop*'s type.
    *preload* names modules to import before the fork, so that workers share their memory. With *tracebacks* the
    supervisor logs a failed worker's error with its traceback. The rest is as in `buvar.plugin.stage`.

    Workers become *user* and *group*, by name or number, and own the files of unix sockets; who supervises stays who it
    is. *pid_file* is a file for its pid. *control* is the path of a socket for ``buvar status`` and the like; with True
    it is where those look. A service manager is told by ``NOTIFY_SOCKET`` how the service is. *children* are processes
    that the caller has started: functions by pid, called with the exit code when one ends. On HUP the command that
    called this is run again, and its workers take the place of those that there are; see the docs.

    Raises `errors.SocketError` and `errors.SocketURIError` for sockets that cannot be, `errors.IdentityError` for the
    user, `errors.PidFileError` when another process has the file.
    """
    handover = _handover.receive(os.environ)
    with _forkserver.telling(handover):
        fork = Fork(forks)
        supervise = supervise or fork.workers > 1
        shared = components if components is not None else Components()
        shared.add(fork)
        service = _service.Service(
            plugins=plugins,
            fork=fork,
            stage=_service.StageOptions(
                components=shared,
                signals=_without_int(signals or Signals) if supervise else signals,
                cancel_timeout=cancel_timeout,
                start_timeout=start_timeout,
                teardown_timeout=teardown_timeout,
                loop_factory=loop_factory or (type(loop) if loop is not None and supervise else None),
            ),
            sockets=sockets or (),
            backlog=backlog,
            accept=accept,
            preload=preload,
            user=_User.resolve(user, group),
            handover=handover,
            limits=_limits(limits or Limits(), start_timeout),
        )
        options = _supervisor.Options(
            shutdown_timeout=shutdown_timeout,
            tracebacks=tracebacks,
            limits=service.limits,
            command=None if hasattr(signals, "handle_hup") else _handover.Command.current(),
            children=children or {},
        )
    if handover is not None:
        service.serve_forks(handover, options, supervised=supervise)
    if not supervise:
        return service.run_alone(loop, pid_file, exits=exits)
    service.supervise(options, pid_file, control)
    return None


def _limits(limits: Limits, start_timeout: float | None) -> Limits:
    if limits.boot is None and start_timeout is not None:
        return attrs.evolve(limits, boot=start_timeout + _BOOT_MARGIN)
    return limits


def tell_supervisor(error: BaseException) -> None:
    """Say why the code of a reload cannot start, before `stage` is called; in any other process it does nothing.

    What is raised inside of `stage` the supervisor learns anyway.
    """
    handover = _handover.receive(os.environ)
    if handover is not None:
        _forkserver.fail(handover, error)


def _without_int(signals: type[Signals]) -> type[Signals]:
    """Return *signals* for a worker: Ctrl-C reaches the whole group, and what it means the supervisor decides."""
    handlers = tuple(each for each in signals.handlers if each[0] != signal.SIGINT)
    return type(signals.__name__, (signals,), {"handlers": handlers})
