"""Which service a verb is about: the arguments that `run` and the verbs that rehearse a service have in common."""

from __future__ import annotations

import functools
import typing as t

import click

from buvar.cli import complete

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.cli.rehearsed import Rehearsed
    from buvar.staging.loader import Plugins

LEVELS: t.Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

F = t.TypeVar("F", bound="c.Callable[..., None]")


class Wanted(t.NamedTuple):
    """The service that a verb is about, as its arguments say."""

    plugins: tuple[str, ...]
    files: tuple[str, ...]
    assignments: tuple[str, ...]
    log_level: str

    def rehearse(self, *, slow: float | None = None, look: c.Callable[[Plugins], None] | None = None) -> Rehearsed:
        """Prepare the service, and take it down; see `buvar.cli.rehearsed.rehearse`."""
        from buvar.cli import rehearsed  # not before it is used: a verb's help is there at once

        return rehearsed.rehearse(*self, slow=slow, look=look)


def arguments(function: F) -> F:
    """Give a verb the arguments that name a service: plugins, files, values."""
    for add in (
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set one value of the configuration, as in database.path=x; it wins over files and environment.",
        ),
        click.option(
            "-c",
            "--config",
            "files",
            multiple=True,
            metavar="FILE",
            shell_complete=complete.toml_files,
            help="Read this TOML file; later ones win.",
        ),
        click.argument("plugins", nargs=-1, metavar="[PLUGIN]...", shell_complete=complete.plugins),
    ):
        function = add(function)
    return function


def options(function: c.Callable[..., None]) -> c.Callable[..., None]:
    """Let a verb's function take a `Wanted`, by the arguments and options that say which service it is about."""

    @arguments
    @click.option(
        "--log-level",
        type=click.Choice(LEVELS, case_sensitive=False),
        default="ERROR",
        show_default=True,
        help="What plugins may log while they prepare.",
    )
    @functools.wraps(function)
    def command(
        plugins: tuple[str, ...], files: tuple[str, ...], assignments: tuple[str, ...], log_level: str, **given: t.Any
    ) -> None:
        function(Wanted(plugins, files, assignments, log_level), **given)

    return command
