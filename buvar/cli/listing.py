"""Routes as they are listed: collected from the plugins that tell them, written for people and as JSON."""

from __future__ import annotations

import json
import sys
import typing as t

import attrs
import click

from buvar import errors
from buvar.cli.findings import shorten
from buvar.cli.tree import plain
from buvar.routes import Listing, Route
from buvar.staging import declared

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.routes import Parameter
    from buvar.staging.loader import Plugins

#: the version of the document that is written as JSON; it grows when a field goes or changes its meaning
VERSION: t.Final = 1
NONE: t.Final = (
    "this service has no routes: none of its plugins answers requests; "
    "load one that does, as with await load('buvar_aiohttp'), which needs buvar[aiohttp]"
)
_HEADS: t.Final = ("method", "path", "handler", "at", "plugin")
#: the columns in which the facts of a route begin, and what it takes
_INDENT: t.Final = 2
_FACTS: t.Final = 11


@attrs.define
class Look:
    """Called with the plugins when they are prepared: how many *listings* they declare, and the *routes* these tell."""

    listings: int = attrs.field(default=0, init=False)
    routes: list[Route] = attrs.field(factory=list, init=False)

    def __call__(self, plugins: Plugins) -> None:
        """Collect the routes. What a listing raises gains a note that says whose it is."""
        for each in declared.collected(Listing, plugins):
            self.listings += 1
            try:
                with each.at_home():
                    self.routes += each.item.function()
            except Exception as error:
                owner = "" if each.owner is None else f" of {each.owner}"
                errors.note(error, f"in the listing of routes {each.item.name!r}{owner}")
                raise


def write(routes: c.Sequence[Route], *, as_json: bool, long: bool) -> None:
    """Write routes on stdout, as JSON, or for people: a line each, or with *long* all that is known of them."""
    if as_json:
        text = json.dumps(document(routes), indent=2)
    elif not routes:
        text = "no routes"
    else:
        text = "\n\n".join(map(_block, routes)) if long else _table(routes)
    click.echo(plain(text, sys.stdout.encoding))


def document(routes: c.Iterable[Route]) -> dict[str, t.Any]:
    """Return routes as JSON can say it: their fields, and the version of their meaning."""
    return {"version": VERSION, "routes": [attrs.asdict(each) for each in routes]}


def _table(routes: c.Iterable[Route]) -> str:
    rows = [_HEADS, *((each.method, _where(each), _what(each), _at(each), each.plugin or "") for each in routes)]
    filled = [number for number in range(len(_HEADS)) if any(row[number] for row in rows[1:])]
    widths = {number: max(len(row[number]) for row in rows) for number in filled}
    lines = ["  ".join(row[number].ljust(widths[number]) for number in filled).rstrip() for row in rows]
    return "\n".join([click.style(lines[0], dim=True), *lines[1:]])


def _block(route: Route) -> str:
    place = f" ({_at(route)})" if route.place is not None else ""
    facts: dict[str, c.Sequence[str]] = {
        "handler": [f"{what}{place}"] if (what := _what(route)) else [],
        "plugin": [] if route.plugin is None else [route.plugin],
        "name": [] if route.name is None else [route.name],
        "around": route.around,
        "takes": _aligned(route.parameters or ()),
    }
    lines = [click.style(f"{route.method} {_where(route)}", bold=True)]
    for title, values in facts.items():
        lines += [f"{'':{_INDENT}}{'' if at else title:<{_FACTS}}{value}" for at, value in enumerate(values)]
    return "\n".join(lines)


def _aligned(parameters: c.Sequence[Parameter]) -> list[str]:
    told = [(f"{each.name}: {each.type}", _source(each)) for each in parameters]
    width = max((len(name) for name, _ in told), default=0)
    return [f"{name:<{width}}  {source}" for name, source in told]


def _source(parameter: Parameter) -> str:
    source = parameter.source
    if parameter.key not in {None, parameter.name}:
        source = f"{source} {parameter.key}"
    return source if parameter.required or source == "injected" else f"{source}, optional"


def _where(route: Route) -> str:
    return route.pattern if route.domain is None else f"{route.pattern} on {route.domain}"


def _what(route: Route) -> str:
    return route.handler or ("" if route.folder is None else f"the files in {shorten(route.folder)}")


def _at(route: Route) -> str:
    return "" if route.place is None else shorten(route.place)
