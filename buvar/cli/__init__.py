"""The command line: one verb, one module of the same name, imported when it is used."""

from __future__ import annotations

import typing as t

import click

from buvar import __version__
from buvar.cli.verbs import Verb, Verbs

#: purpose -> its verbs. What they say of themselves stands here too: nothing is imported to list them.
VERBS: t.Final = {
    "Start": (
        Verb("init", "Write a small service that runs, to begin with."),
        Verb("run", "Run a service made of plugins."),
    ),
    "Look": (
        Verb("check", "Tell whether a service would start, and what is wrong with it."),
        Verb("graph", "Show what a service is made of: plugins, who loads whom, times."),
        Verb("routes", "List the routes of a service: what answers which request."),
        Verb("config", "Show, check and explain the configuration of a service."),
    ),
    "Operate": (
        Verb("status", "Show a running service: its supervisor, and each of its workers."),
        Verb("reload", "Have a running service read code and configuration anew."),
        Verb("stop", "Stop a running service in peace: what is in flight is finished."),
    ),
    "Shell": (Verb("completion", "Write the script that completes buvar's words with TAB."),),
}


def print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        click.echo(f"buvar {__version__}")
        ctx.exit()


@click.command(
    cls=Verbs,
    sections=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar="",
    subcommand_metavar="VERB [OPTION]...",
)
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

    A service is a set of plugins. A plugin is one async function, prepare, in a module: it sets up a part of the
    service and yields the tasks to run. buvar prepares the plugins, gives each what it depends on, reads the
    configuration, runs the tasks in one process or in several workers, and takes all down in order at the end.

    \b
    New here?
      buvar init shop       writes a service into the folder shop
      cd shop
      buvar run -c config.toml

    "buvar VERB --help" tells about one verb.
    """
