"""What ``check``, ``config`` and ``graph`` are about: a service that was prepared as `run` does, and ran no task."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import sys
import typing as t

import attrs
import click

from buvar import errors, fork
from buvar.cli import complete, installed, progress, settings, surroundings
from buvar.components import Components
from buvar.config import ConfigSource, unread
from buvar.diagnostic import Diagnostic
from buvar.log import LogConfig
from buvar.staging import codes, rehearsal

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.staging.picture import Picture


@attrs.frozen
class Wanted:
    """The service that a verb is about, as its arguments say."""

    plugins: tuple[str, ...]
    files: tuple[str, ...]
    assignments: tuple[str, ...]
    log_level: str

    def read(self) -> tuple[ConfigSource, settings.Settings]:
        """Read its configuration. Raises `errors.ConfigError`."""
        source, found = settings.read(self.files, self.assignments)
        return source, attrs.evolve(found, plugins=list(self.plugins)) if self.plugins else found

    def rehearse(self, *, slow: float = rehearsal.SLOW) -> Rehearsed:
        """Prepare it, and take it down.

        Raises `errors.ConfigError`, and `errors.UsageError` where no plugin is named.
        """
        source, found = self.read()
        if not (found.plugins or found.installed):
            raise errors.UsageError("no plugin is named; name one, or set plugins = […] in the table [buvar]")
        settings.find_modules_here()
        LogConfig(tty=sys.stderr.isatty(), level=self.log_level).setup()
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
        timeouts = found.timeouts
        stage = rehearsal.Rehearsal(
            components, start_timeout=timeouts.start, teardown_timeout=timeouts.teardown, cancel_timeout=timeouts.cancel
        )
        pictures: list[Picture] = []
        # stdout is for the answer, which another program may read
        with progress.shown(lambda: _preparing(stage)), contextlib.redirect_stdout(sys.stderr):
            diagnostics = stage.rehearse(*plugins, slow=slow, look=lambda: pictures.append(stage.picture()))
        if stage.stopped:
            raise KeyboardInterrupt  # told to stop meanwhile: what was found says little
        return Rehearsed(source, found, stage, pictures[0], (*told, *diagnostics))


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


def options(function: c.Callable[..., None]) -> c.Callable[..., None]:
    """Let a verb's function take a `Wanted`, by the arguments and options that say which service it is about."""

    @click.argument("plugins", nargs=-1, metavar="[PLUGIN]...", shell_complete=complete.plugins)
    @click.option(
        "-c",
        "--config",
        "files",
        multiple=True,
        metavar="FILE",
        shell_complete=complete.toml_files,
        help="Read this TOML file; later ones win.",
    )
    @click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set one value of the configuration, as in database.path=x; it wins over files and environment.",
    )
    @click.option("--log-level", default="ERROR", show_default=True, help="What plugins may log while they prepare.")
    @functools.wraps(function)
    def command(
        plugins: tuple[str, ...], files: tuple[str, ...], assignments: tuple[str, ...], log_level: str, **given: t.Any
    ) -> None:
        function(Wanted(plugins, files, assignments, log_level), **given)

    return command


def shorten(place: object) -> str:
    """Return a place, or a text that has some, with those in the current folder relative to that."""
    return str(place).replace(f"{pathlib.Path.cwd()}{os.sep}", "")
