"""What the verbs that look are about: a service that was prepared as `run` does, and ran no task."""

from __future__ import annotations

import contextlib
import sys
import typing as t

import attrs
import click

from buvar import errors, fork
from buvar.cli import installed, named, progress, settings, surroundings
from buvar.components import Components
from buvar.config import ConfigSource, unread
from buvar.diagnostic import Diagnostic
from buvar.log import LogConfig
from buvar.staging import codes, rehearsal

if t.TYPE_CHECKING:
    from buvar.staging.loader import Plugins
    from buvar.staging.picture import Picture


def rehearse(
    plugins: t.Sequence[str],
    files: t.Sequence[str],
    assignments: t.Sequence[str],
    log_level: str,
    slow: float | None = None,
    look: t.Callable[[Plugins], None] | None = None,
) -> Rehearsed:
    """Prepare a service, and take it down. A plugin that takes more than *slow* seconds is told.

    *look* is called in between with the plugins, when they are prepared; what it raises is raised in the end.

    Raises `errors.ConfigError`, and `errors.UsageError` where no plugin is named.
    """
    source, found = settings.read(files, assignments)
    found = attrs.evolve(found, plugins=list(plugins)) if plugins else found
    named.require(found, source, "no plugin is named")
    LogConfig(tty=sys.stderr.isatty(), level=log_level).setup()
    components = Components()
    components.add(source)
    components.add(fork.Fork(found.workers))
    components.add(unread.CHECK)
    told = [*surroundings.look(found)]
    try:
        plugins = installed.plugins(found, source, components)
    except errors.ConfigError as error:
        told += codes.diagnose(error)
        plugins = found.plugins
    stage = _stage(components, found.timeouts)
    pictures: list[Picture] = []
    failed: list[Exception] = []

    def look_on() -> None:
        pictures.append(stage.picture())
        try:
            if look is not None:
                look(stage.plugins)
        except Exception as error:  # the plugins are taken down nevertheless
            failed.append(error)

    # stdout is for the answer, which another program may read
    answers = contextlib.redirect_stdout(sys.stderr)
    with _unbound(found.sockets, components), progress.shown(lambda: _preparing(stage)), answers:
        limit = rehearsal.SLOW if slow is None else slow
        diagnostics = stage.rehearse(*plugins, slow=limit, look=look_on)
    if stage.interrupted:
        names = ", ".join(plugin.name for plugin in stage.plugins if plugin.prepared.cancelled())
        click.echo(f"interrupted while preparing {names}" if names else "interrupted", err=True)
        raise KeyboardInterrupt  # what was found says little
    if failed:
        raise failed[0]
    return Rehearsed(source, found, stage, pictures[0], (*told, *diagnostics))


@contextlib.contextmanager
def _unbound(wanted: t.Sequence[str], components: Components) -> t.Iterator[None]:
    """Let plugins find the sockets of the service, which nobody binds and nobody listens on."""
    with contextlib.ExitStack() as made:
        for uri in wanted:
            with contextlib.suppress(errors.BuvarError):  # what is wrong with it is told anyway
                if not uri.startswith("fd:"):
                    sock = made.enter_context(contextlib.closing(fork.Socket(uri)))
                    components.add(sock, name=str(sock))
        yield


def _stage(components: Components, timeouts: settings.Timeouts) -> rehearsal.Rehearsal:
    return rehearsal.Rehearsal(
        components, start_timeout=timeouts.start, teardown_timeout=timeouts.teardown, cancel_timeout=timeouts.cancel
    )


def _preparing(stage: rehearsal.Rehearsal) -> str:
    # who waits for another one is not what takes long
    names = [plugin.name for plugin in tuple(stage.plugins) if plugin.is_busy]
    return f"preparing {', '.join(names)}" if names else ""


@attrs.frozen
class Rehearsed:
    """A service that was prepared and is taken down: its configuration, what it is made of, what is wrong."""

    source: ConfigSource
    settings: settings.Settings
    stage: rehearsal.Rehearsal
    picture: Picture
    diagnostics: tuple[Diagnostic, ...]
