"""How diagnostics are written: for people, and as JSON."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import attrs
import click

from buvar import errors

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.diagnostic import Diagnostic

_COLOURS: t.Final = {"error": "red", "warning": "yellow", "info": "cyan"}
#: what buvar itself finds is no affair of its plugins
_OURS: t.Final = frozenset({"buvar", "buvar_aiohttp"})
_WIDTH: t.Final = len("warning BV999  ")


def is_bad(found: c.Iterable[Diagnostic], *, strict: bool = False) -> bool:
    """Tell whether there are errors, or warnings if that is *strict*."""
    return any(each.severity == "error" or (strict and each.severity == "warning") for each in found)


def tell(found: c.Sequence[Diagnostic], *facts: str, as_json: bool) -> None:
    """Write diagnostics as JSON, or for people with a summary that ends with *facts*."""
    if as_json:
        click.echo(json.dumps({"diagnostics": [*map(document, found)]}, indent=2))
    else:
        write(found)
        click.echo("; ".join([_summary(found), *facts]))


def write(found: c.Iterable[Diagnostic], *, err: bool = False) -> None:
    """Write diagnostics for people, on stdout or stderr."""
    for each in found:
        head = click.style(f"{each.severity:<8}", fg=_COLOURS[each.severity], bold=True)
        click.echo(f"{head}{each.code:<{_WIDTH - 8}}{each.message}", err=err)
        place = [] if each.place is None else [f"at {each.place}"]
        advice = [] if each.advice is None else [each.advice]
        plugin = [] if each.plugin is None or each.plugin.partition(".")[0] in _OURS else [f"plugin {each.plugin}"]
        for line in (*place, *plugin, *each.notes, *advice):
            click.echo(f"{'':{_WIDTH}}{shorten(line)}", err=err)


def _summary(found: c.Sequence[Diagnostic]) -> str:
    counts = [
        f"{count} {what}{'s' * (count != 1)}"
        for what in ("error", "warning")
        if (count := sum(each.severity == what for each in found))
    ]
    return ", ".join(counts) or "fine"


def document(each: Diagnostic) -> dict[str, t.Any]:
    """Return a diagnostic as JSON can say it; a place is an object where it is a line, and a text otherwise."""
    place = attrs.asdict(each.place) if isinstance(each.place, errors.Place) else each.place
    facts = attrs.asdict(each, recurse=False, filter=lambda field, _: field.init)
    return {**facts, "place": place, "notes": list(each.notes)}


def shorten(place: object) -> str:
    """Return a place, or a text that has some, with those in the current folder relative to that."""
    return str(place).replace(f"{pathlib.Path.cwd()}{os.sep}", "")
