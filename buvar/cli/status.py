"""``buvar status``: what a running service and its workers are doing."""

from __future__ import annotations

import contextlib
import json
import sys
import typing as t

import click

from buvar.cli import which

if t.TYPE_CHECKING:
    from buvar.cli.services import Service


@click.command("status")
@which.options
@click.option("--json", "as_json", is_flag=True, help="Print the status as one JSON document.")
@click.option("--once", is_flag=True, help="Print one table and end, on a terminal too.")
def command(service: Service, as_json: bool, once: bool) -> None:
    """Show a running service: its supervisor, and each of its workers.

    On a terminal the view is live, where rich is installed (pip install 'buvar[cli]'); Ctrl-C ends it. Elsewhere one
    table is printed.

    \b
    Examples:
      buvar status                     the only service, or the one of this folder
      buvar status --pid 4242          the one with that supervisor, of several
      buvar status --json | jq .workers

    Without --pid or --control it is the only service of yours that runs, or the only one that was started in the
    current folder. A service with a single worker has no supervisor, and cannot be asked.
    """
    from buvar.cli import view

    if as_json:
        click.echo(json.dumps(service.document(), indent=2))
    elif once or not sys.stdout.isatty() or not _watch(service):
        click.echo(view.plain(service.status()))


def _watch(service: Service) -> bool:
    """Show the live view; return False where it cannot be shown."""
    try:
        with contextlib.suppress(KeyboardInterrupt):
            from buvar.cli import live

            live.watch(service)
    except ImportError:
        click.echo("for a live view: pip install 'buvar[cli]'", err=True)
        return False
    return True
