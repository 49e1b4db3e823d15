"""What ``buvar run`` does: read the settings, then bind, fork, supervise."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import typing as t

import attrs

from buvar import errors, fork
from buvar.cli import installed, named, settings, surroundings, verbs
from buvar.components import Components
from buvar.config import unread
from buvar.forking import handover
from buvar.forking.worker import do_nothing
from buvar.log import LogConfig

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

    #: what is called with the exit code of a process, by its pid
    Children: t.TypeAlias = c.Mapping[int, c.Callable[[int], None]]
    Watching: t.TypeAlias = c.Callable[[str, bool], contextlib.AbstractContextManager[Children]]


@attrs.frozen
class Watched:
    """What is watched for changes beside the current folder: these folders, and files that match these globs."""

    folders: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def run(
    files: tuple[str, ...],
    assignments: tuple[str, ...],
    given: dict[str, t.Any],
    watched: Watched | None,
    *,
    traceback: bool,
) -> None:
    """Run a service; *given* are fields of `settings.Settings` that win, where they are neither None nor empty.

    What goes wrong is told, and ends the process with the code of that error.
    """
    try:
        source, found = settings.read(files, assignments)
        found = attrs.evolve(found, **{name: value for name, value in given.items() if value not in {None, ()}})
        _serve(source, found, traceback, functools.partial(_watching, source.paths, watched) if watched else None)
    except Exception as error:
        fork.tell_supervisor(error)
        # not raised: click ends without a word where a pipe breaks, also where it is the service's own
        sys.exit(verbs.tell(error, traceback=traceback))


def _serve(source: t.Any, found: settings.Settings, traceback: bool, watching: Watching | None) -> None:
    named.require(found, source, "no plugin to run")
    tty = sys.stderr.isatty() if found.log.tty is None else found.log.tty
    LogConfig(tty=tty, level=found.log.level).setup()
    components = Components()
    components.add(source)
    components.add(unread.CHECK)
    found = attrs.evolve(found, plugins=installed.plugins(found, source, components))
    with watching(found.log.level, tty) if watching is not None else contextlib.nullcontext({}) as children:
        _run(components, found, traceback, children, supervise=watching is not None)


def _run(
    components: Components, found: settings.Settings, traceback: bool, children: Children, *, supervise: bool
) -> None:
    fork.stage(
        *found.plugins,
        components=components,
        forks=found.workers,
        sockets=found.sockets,
        backlog=found.backlog,
        accept=found.accept,
        limits=found.limits,
        user=found.user,
        group=found.group,
        pid_file=found.pid_file,
        control=found.control,
        supervise=supervise,
        children=children,
        preload=found.preload,
        loop_factory=_loop_factory(found.loop),
        start_timeout=found.timeouts.start,
        cancel_timeout=found.timeouts.cancel,
        teardown_timeout=found.timeouts.teardown,
        shutdown_timeout=found.timeouts.shutdown,
        tracebacks=traceback,
        exits=True,
    )


def _watching(
    files: tuple[str, ...], watched: Watched, level: str, tty: bool
) -> contextlib.AbstractContextManager[Children]:
    from buvar.cli import watch

    trial = handover.look(os.environ) is not None
    signal.signal(signal.SIGHUP, do_nothing)  # until the supervisor handles it
    return watch.watching(files, watched.folders, watched.patterns, level=level, tty=tty, trial=trial)


def _loop_factory(name: str) -> c.Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        raise errors.UsageError(surroundings.UVLOOP) from None
    return uvloop.new_event_loop
