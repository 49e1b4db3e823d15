"""The command line: one verb, one module of the same name, imported when it is used."""

from __future__ import annotations

import importlib
import importlib.metadata
import typing as t

import click

VERBS = ("run", "check", "config", "status", "reload", "stop")


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is asked for; it holds a command named ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return t.cast("click.Command", importlib.import_module(f"buvar.cli.{cmd_name}").command)


def print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print the installed version and end."""
    if value and not ctx.resilient_parsing:
        click.echo(f"buvar {importlib.metadata.version('buvar')}")
        ctx.exit()


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and end.",
)
def main() -> None:
    """Run services made of plugins.

    Exit codes: 0 all is well, 1 the service failed, 2 wrong use or configuration.
    """
