"""``buvar run``: bind, fork, supervise."""

from __future__ import annotations

import pathlib
import sys
import traceback as tracebacks
import typing as t

import attrs
import click

from buvar import errors, fork
from buvar.cli import settings
from buvar.components import Components
from buvar.log import LogConfig

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c


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
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
def command(
    plugins: tuple[str, ...],
    files: tuple[str, ...],
    assignments: tuple[str, ...],
    workers: int | None,
    sockets: tuple[str, ...],
    loop: str | None,
    traceback: bool,
) -> None:
    """Run a service made of PLUGINs, named package.module or package.module:function.

    What is not said here comes from the table [buvar] of the configuration: plugins, workers, sockets, loop, log,
    timeouts. An option given here wins over it. The current folder is on the import path.
    """
    given: dict[str, t.Any] = {"plugins": plugins, "workers": workers, "sockets": sockets, "loop": loop}
    try:
        source, found = settings.read(files, assignments)
        found = attrs.evolve(found, **{name: value for name, value in given.items() if value not in {None, ()}})
        _serve(source, found, traceback)
    except Exception as error:
        click.echo(_text(error, traceback), err=True)
        sys.exit(errors.exit_code(error))


def _serve(source: t.Any, found: settings.Settings, traceback: bool) -> None:
    if not found.plugins:
        raise errors.UsageError("no plugin to run; name one, or set plugins = […] in the table [buvar]")
    if not {"", here := str(pathlib.Path.cwd())} & set(sys.path):
        sys.path.insert(0, here)
    LogConfig(tty=sys.stderr.isatty() if found.log.tty is None else found.log.tty, level=found.log.level).setup()
    components = Components()
    components.add(source)
    fork.stage(
        *found.plugins,
        components=components,
        forks=found.workers,
        sockets=found.sockets,
        backlog=found.backlog,
        preload=found.preload,
        loop_factory=_loop_factory(found.loop),
        start_timeout=found.timeouts.start,
        cancel_timeout=found.timeouts.cancel,
        teardown_timeout=found.timeouts.teardown,
        shutdown_timeout=found.timeouts.shutdown,
        tracebacks=traceback,
        exits=True,
    )


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
