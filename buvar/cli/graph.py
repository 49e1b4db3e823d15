"""``buvar graph``: what a service is made of: plugins, who loads whom, what they give, and how long they take."""

from __future__ import annotations

import sys
import typing as t

import click

from buvar.cli import wanted as services
from buvar.cli.forms import FORMATS, What


@click.command("graph")
@services.options
@click.option(
    "--format", "wanted_format", type=click.Choice(FORMATS), help="By default that of the file's suffix, or text."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    help="Write to this file: .txt, .mmd, .dot, .json or .html.",
)
@click.option(
    "--what",
    type=click.Choice(t.get_args(What)),
    help="Draw plugins, or who takes what from whom, or both; json and html have all.",
)
def command(wanted: services.Wanted, wanted_format: str | None, output: str | None, what: What | None) -> None:
    """Show what a service is made of: plugins, who loads whom, times.

    The plugins are prepared as `buvar run` does it, and taken down again; no task runs, no socket is opened. Shown are
    the load times (a plugin's own, and in all), what plugins keep behind walls, and what each gives: components and
    adapters. The exit code is 1 if the service would not start; what can be drawn is drawn nevertheless.

    \b
    Examples:
      buvar graph -c config.toml                 a tree, as text
      buvar graph -c config.toml -o graph.html   a page to look at
      buvar graph shop.web --format dot | dot -Tsvg > shop.svg
    """
    from buvar.cli import drawing, findings

    form = drawing.choose(wanted_format, output, what)
    service = wanted.rehearse()
    drawing.write(drawing.draw(service.picture, form, what, is_file=output is not None), output)
    if output is not None:
        click.echo(f"{drawing.summary(service.picture)}; see {output}")
    bad = [each for each in service.diagnostics if each.severity == "error"]
    findings.write(bad, err=True)
    sys.exit(bool(bad))
