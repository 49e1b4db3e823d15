"""``buvar check``: whether a service would start, and what is wrong with it, all at once."""

from __future__ import annotations

import json
import sys
import time
import typing as t

import attrs
import click

from buvar import errors
from buvar.cli import rehearsed
from buvar.diagnostic import CODES, Diagnostic
from buvar.staging import codes

if t.TYPE_CHECKING:
    import collections.abc as c

_COLOURS: t.Final = {"error": "red", "warning": "yellow", "info": "cyan"}
_WIDTH: t.Final = len("warning BV999  ")


def _explain(ctx: click.Context, _: click.Parameter, code: str | None) -> None:
    if code is None or ctx.resilient_parsing:
        return
    chosen = [*CODES] if code == "all" else [code.upper()]
    if chosen[0] not in CODES:
        raise click.BadParameter(f"there is no code {code}; '--explain all' lists those that there are", ctx)
    for each in chosen:
        click.echo(f"{each}: {CODES[each]}")
    ctx.exit()


@click.command("check")
@rehearsed.options
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too.")
@click.option("--slow", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds that are long.")
@click.option(
    "--explain",
    metavar="CODE",
    callback=_explain,
    is_eager=True,
    expose_value=False,
    help="Say what a code means.",
)
def command(wanted: rehearsed.Wanted, as_json: bool, strict: bool, slow: float) -> None:
    """Tell whether a service would start, and what is wrong with it.

    The plugins are prepared as `buvar run` does it, and taken down again; no task runs, no socket is opened. All that
    is wrong is told at once: the configuration, what is injected and cannot be, what plugins find themselves.
    The exit code is 1 if there are errors.

    \b
    Examples:
      buvar check -c config.toml            as the service would run
      buvar check shop.web --strict         a single plugin; warnings count too
      buvar check --explain BV101           what a code means
    """
    began = time.monotonic()
    number = 0
    try:
        service = wanted.rehearse(slow=slow)
    except errors.ConfigError as error:
        found: t.Sequence[Diagnostic] = tuple(codes.diagnose(error))
    else:
        found, number = service.diagnostics, len(service.stage.loader.plugins)
    prepared = f"{number} plugin{'s' * (number != 1)} prepared in {time.monotonic() - began:.2f} s"
    tell(found, prepared, as_json=as_json)
    sys.exit(is_bad(found, strict=strict))


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
        # what buvar itself finds is no affair of its plugins
        plugin = [] if each.plugin is None or each.plugin.startswith("buvar") else [f"plugin {each.plugin}"]
        for line in (*place, *plugin, *each.notes, *advice):
            click.echo(f"{'':{_WIDTH}}{rehearsed.shorten(line)}", err=err)


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
