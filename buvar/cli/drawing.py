"""The forms that a picture of a service is written in."""

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
from buvar.cli import diagrams, page, tree
from buvar.cli.forms import SUFFIXES
from buvar.cli.tree import summary as summary

if t.TYPE_CHECKING:
    from buvar.cli.forms import What
    from buvar.staging.picture import Picture

#: columns of what is written to no terminal
WIDTH: t.Final = 110
#: the version of the document that is written as JSON; it grows when a field goes or changes its meaning
VERSION: t.Final = 1


def choose(wanted: str | None, output: str | None, what: What | None) -> str:
    """Return the format that is wanted, or that a file has by its name.

    Raises `errors.UsageError` for a name that tells none, and for *what* where all is written.
    """
    form = _format(wanted, output)
    if what is not None and form in {"json", "html"}:
        raise errors.UsageError(f"{form} has all; leave --what out, or choose another --format")
    return form


def _format(wanted: str | None, output: str | None) -> str:
    if wanted is not None or output is None:
        return wanted or "text"
    suffix = pathlib.Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise errors.UsageError(
            f"cannot tell the format of {output!r} by its name; end it with {', '.join(SUFFIXES)}, or say --format"
        )
    return SUFFIXES[suffix]


def draw(picture: Picture, form: str, what: What | None, *, is_file: bool) -> str:
    """Return a picture as text of that form; for a terminal, where it is one and no file, with colours."""
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


def write(text: str, output: str | None) -> None:
    """Write a text into a file, or on stdout. Raises `errors.UsageError` where that cannot be."""
    if output is None:
        click.echo(tree.plain(text, sys.stdout.encoding))
        return
    try:
        pathlib.Path(output).write_text(f"{text}\n", "utf-8", "backslashreplace")
    except OSError as error:
        raise errors.UsageError(f"cannot write {output}: {os.strerror(error.errno or 0)}") from error
