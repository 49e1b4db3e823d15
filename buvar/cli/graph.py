"""``buvar graph``: what a service is made of: plugins, who loads whom, what they give, and how long they take."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
import typing as t

import attrs
import click

from buvar import errors
from buvar.cli import check, diagrams, page, rehearsed, tree

if t.TYPE_CHECKING:
    from buvar.staging.picture import Picture

FORMATS: t.Final = ("text", "mermaid", "dot", "json", "html")
#: the format of a file by its suffix
SUFFIXES: t.Final[t.Mapping[str, str]] = {
    ".txt": "text",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
}
#: columns of what is written to no terminal
WIDTH: t.Final = 110
#: the version of the document that is written as JSON; it grows when a field goes or changes its meaning
VERSION: t.Final = 1


@click.command("graph")
@rehearsed.options
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
    type=click.Choice(t.get_args(tree.What)),
    help="Draw plugins, or who takes what from whom, or both; json and html have all.",
)
def command(wanted: rehearsed.Wanted, wanted_format: str | None, output: str | None, what: tree.What | None) -> None:
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
    form = _format(wanted_format, output)
    if what is not None and form in {"json", "html"}:
        raise errors.UsageError(f"{form} has all; leave --what out, or choose another --format")
    service = wanted.rehearse()
    _write(_draw(service.picture, form, what, is_file=output is not None), output)
    if output is not None:
        click.echo(f"{tree.summary(service.picture)}; see {output}")
    bad = [each for each in service.diagnostics if each.severity == "error"]
    check.write(bad, err=True)
    sys.exit(bool(bad))


def _format(wanted: str | None, output: str | None) -> str:
    if wanted is not None or output is None:
        return wanted or "text"
    suffix = pathlib.Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise errors.UsageError(
            f"cannot tell the format of {output!r} by its name; end it with {', '.join(SUFFIXES)}, or say --format"
        )
    return SUFFIXES[suffix]


def _draw(picture: Picture, form: str, what: tree.What | None, *, is_file: bool) -> str:
    if form == "mermaid":
        return diagrams.mermaid(picture, what or "plugins")
    if form == "dot":
        return diagrams.dot(picture, what or "plugins")
    if form == "json":
        return json.dumps(document(picture), indent=2)
    if form == "html":
        return page.html(document(picture), click.unstyle(tree.text(picture, "all", WIDTH)))
    seen = not is_file and sys.stdout.isatty()
    text = tree.text(picture, what or "all", shutil.get_terminal_size().columns if seen else WIDTH)
    return text if seen else click.unstyle(text)


def document(picture: Picture) -> dict[str, t.Any]:
    """Return a picture as JSON can say it: its fields, and the version of their meaning."""
    return {"version": VERSION, **attrs.asdict(picture)}


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(tree.plain(text, sys.stdout.encoding))
        return
    try:
        pathlib.Path(output).write_text(f"{text}\n", "utf-8", "backslashreplace")
    except OSError as error:
        raise errors.UsageError(f"cannot write {output}: {os.strerror(error.errno or 0)}") from error
