"""``buvar run``: bind, fork, supervise."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import traceback as tracebacks
import typing as t

import attrs
import click

from buvar import errors, fork
from buvar.cli import installed, settings
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


@click.command("run")
@click.argument("plugins", nargs=-1, metavar="[PLUGIN]...")
@click.option("-c", "--config", "files", multiple=True, metavar="FILE", help="Read this TOML file; later ones win.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override one value, as in database.path=x."
)
@click.option("--workers", type=click.IntRange(0), help="Processes; 0 is one for each CPU, 1 does not fork.")
@click.option(
    "--bind", "sockets", multiple=True, metavar="URI", help="Listen here: tcp://127.0.0.1:8080, unix:///path, fd://3."
)
@click.option("--loop", type=click.Choice(["asyncio", "uvloop"]), help="The event loop.")
@click.option("--reload", is_flag=True, help="Reload when files change, for development; needs buvar[cli].")
@click.option("--reload-dir", "folders", multiple=True, metavar="DIR", help="Watch this folder too; implies --reload.")
@click.option(
    "--reload-include", "patterns", multiple=True, metavar="GLOB", help="Watch these files too, as in '*.html'."
)
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
def command(
    plugins: tuple[str, ...],
    files: tuple[str, ...],
    assignments: tuple[str, ...],
    workers: int | None,
    sockets: tuple[str, ...],
    loop: str | None,
    reload: bool,
    folders: tuple[str, ...],
    patterns: tuple[str, ...],
    traceback: bool,
) -> None:
    """Run a service made of PLUGINs, named package.module or package.module:function.

    What is not said here comes from the table [buvar] of the configuration: plugins, installed, workers, sockets,
    loop, log, timeouts. An option given here wins over it. The current folder is on the import path.
    """
    given: dict[str, t.Any] = {"plugins": plugins, "workers": workers, "sockets": sockets, "loop": loop}
    try:
        source, found = settings.read(files, assignments)
        found = attrs.evolve(found, **{name: value for name, value in given.items() if value not in {None, ()}})
        watches = reload or folders or patterns
        watching = functools.partial(_watching, source.paths, folders, patterns) if watches else None
        _serve(source, found, traceback, watching)
    except Exception as error:
        fork.tell_supervisor(error)
        click.echo(_text(error, traceback), err=True)
        sys.exit(errors.exit_code(error))


def _serve(source: t.Any, found: settings.Settings, traceback: bool, watching: Watching | None) -> None:
    if not (found.plugins or found.installed):
        raise errors.UsageError("no plugin to run; name one, or set plugins = […] in the table [buvar]")
    settings.find_modules_here()
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
    files: tuple[str, ...], folders: tuple[str, ...], patterns: tuple[str, ...], level: str, tty: bool
) -> contextlib.AbstractContextManager[Children]:
    from buvar.cli import watch

    trial = handover.look(os.environ) is not None
    signal.signal(signal.SIGHUP, do_nothing)  # until the supervisor handles it
    return watch.watching(files, folders, patterns, level=level, tty=tty, trial=trial)


def _loop_factory(name: str) -> c.Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        raise errors.UsageError(
            "uvloop is not installed; pip install 'buvar[uvloop]', or choose --loop asyncio"
        ) from None
    return uvloop.new_event_loop


def _text(error: Exception, traceback: bool) -> str:
    if traceback:
        return "".join(tracebacks.format_exception(error)).rstrip()
    return f"error: {errors.explain(error)}"
