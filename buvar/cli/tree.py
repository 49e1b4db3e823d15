"""The picture of a service as text: who loads whom, what that took, and what each plugin gives."""

from __future__ import annotations

import re
import textwrap
import typing as t

import attrs
import click

from buvar.cli.findings import shorten
from buvar.cli.services import printable

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.cli.forms import What
    from buvar.di.picture import AdapterNode, ComponentNode, Edge, Graph, RootNode
    from buvar.staging.picture import Load, Picture, PluginNode


#: the branches of a tree: to one that others follow, to the last one, and what stands below these
_BRANCHES: t.Final = ("├─ ", "└─ ", "│  ", "   ")
_ASCII: t.Final = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "…": "~", "←": "<"})
_HEADS: t.Final = ("own", "in all")
_NUMBER: t.Final = len("999 ms")
#: what stands before the name of a class
_MODULES: t.Final = re.compile(r"(?<![\w.])(?:[^\W\d]\w*\.|<locals>\.)+(?=\w)")
#: the column in which what a plugin gives begins
_FACTS: t.Final = 14


def text(picture: Picture, what: What, width: int) -> str:
    """Return *picture* as text with styles, which `click.echo` leaves out where nobody sees them.

    Lists are wrapped at *width* columns. *what* is told: the tree of ``"plugins"``, what they give and need as
    ``"injection"``, or ``"all"``: the tree and what they give.
    """
    parts = []
    if what != "injection":
        parts.append(_Tree(picture, width).text())
    if what != "plugins":
        parts.append(_Gifts(picture, width, needs=what == "injection").text())
    return "\n\n".join(part for part in parts if part)


def plain(text: str, encoding: str | None) -> str:
    """Return *text* as that *encoding* can write it, with other characters for lines, and escapes for all else."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    return text


def took(seconds: float) -> str:
    """Write a time to load, as ``0.4 ms``, ``12 ms`` or ``1.2 s``."""
    milliseconds = seconds * 1000
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else f"{seconds:.1f} s"


def summary(picture: Picture) -> str:
    """Say how many plugins there are, and how long they took."""
    number, failed = len(picture.plugins), sum(each.state != "prepared" for each in picture.plugins)
    bad = f", {failed} of them not prepared" if failed else ""
    return f"{number} plugin{'s' * (number != 1)} loaded in {took(picture.seconds)}{bad}"


def short(name: str) -> str:
    """Return the name of a type without the modules that it and its parameters are in; any other text stays."""
    return name if name.startswith(("'", '"')) else _MODULES.sub("", name)


@attrs.frozen
class _Row:
    branch: str
    name: str
    numbers: tuple[str, str] = ("", "")
    notes: str = ""
    colour: str | None = None
    dim: bool = False


class _Tree:
    """Plugins, each where it was loaded first; what loads it again only names it, after what it loads first."""

    def __init__(self, picture: Picture, width: int) -> None:
        self._picture = picture
        self._width = width
        self._nodes = {each.id: each for each in picture.plugins}
        self._loads: dict[str | None, list[Load]] = {}
        for load in picture.loads:
            self._loads.setdefault(load.loader, []).append(load)

    def text(self) -> str:
        rows = list(self._rows())
        wide = max((len(row.branch + row.name) for row in rows if not row.dim), default=0) + 2
        head = f"{'':{wide}}{''.join(f'{each:>{_NUMBER + 2}}' for each in _HEADS)}"
        return "\n".join(
            [summary(self._picture), "", click.style(head, dim=True), *(self._line(r, wide) for r in rows)]
        )

    def _rows(self) -> c.Iterator[_Row]:
        todo = list(reversed(self._below(None, "", top=True)))
        while todo:  # not recursive: plugins may load each other as deep as they like
            load, branch, below = todo.pop()
            if isinstance(load, str):
                yield from self._references(load, branch, below)
                continue
            yield self._row(load, branch)
            if load.kind == "first":
                todo.extend(reversed(self._below(load.plugin, below)))

    def _below(self, loader: str | None, below: str, *, top: bool = False) -> list[tuple[Load | str, str, str]]:
        """Return what *loader* loads, or all that it loads again as one text, each with the branches of its lines."""
        loads = self._loads.get(loader, [])
        told: list[Load | str] = [load for load in loads if load.kind != "again"]
        if again := [printable(self._nodes[load.plugin].name) for load in loads if load.kind == "again"]:
            told.append(", ".join(again))
        ends = [each is told[-1] for each in told]
        if top:
            return [(each, "", "") for each in told]
        return [(each, below + _BRANCHES[e], below + _BRANCHES[2 + e]) for each, e in zip(told, ends, strict=True)]

    def _references(self, names: str, branch: str, below: str) -> c.Iterator[_Row]:
        room = max(self._width - len(branch), 40)
        for line in textwrap.wrap(f"also {names}", room, break_long_words=False, break_on_hyphens=False):
            yield _Row(branch, line, dim=True)
            branch = f"{below}     "

    def _row(self, load: Load, branch: str) -> _Row:
        node = self._nodes[load.plugin]
        name = printable(node.name)
        if load.kind == "circle":
            return _Row(branch, name, notes="a circle: it is not prepared yet", colour="yellow")
        if node.state == "missing":
            return _Row(branch, name, notes=f"not loaded: {_first(node)}", colour="red")
        numbers = took(node.own_seconds), took(node.seconds)
        if node.state == "prepared":
            return _Row(branch, name, numbers, _walls(node), None if node.exports is None else "cyan")
        reason = _first(node) if node.failed_with is None else f"with {self._nodes[node.failed_with].name}"
        return _Row(branch, name, numbers, f"{'failed' if node.state == 'failed' else 'unfinished'}: {reason}", "red")

    def _line(self, row: _Row, wide: int) -> str:
        branch = click.style(row.branch, dim=True) if row.branch else ""
        if row.dim:
            return f"{branch}{click.style(row.name, dim=True)}"
        name = click.style(row.name, fg=row.colour) if row.colour else row.name
        space = " " * (wide - len(row.branch + row.name))
        numbers = "".join(f"{each:>{_NUMBER + 2}}" for each in row.numbers)
        notes = ""
        if row.notes:
            room = max(self._width - wide - len(numbers) - 2, 20)
            notes = f"  {click.style(_cut(printable(row.notes), room), fg=row.colour)}"
        return f"{branch}{name}{space}{numbers}{notes}".rstrip()


class _Gifts:
    """What each plugin gives: tasks, components, adapters and, where it *needs*, what these take from where."""

    def __init__(self, picture: Picture, width: int, *, needs: bool) -> None:
        self._picture = picture
        self._width = width
        self._needs = needs
        graph = self._graph = picture.injection
        nodes: tuple[AdapterNode | ComponentNode | RootNode, ...] = graph.adapters + graph.components + graph.roots
        self._nodes = {each.id: each for each in nodes}
        self._edges: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            self._edges.setdefault(edge.asker, []).append(edge)

    def text(self) -> str:
        blocks = [block for block in map(self._plugin, self._picture.plugins) if len(block) > 1]
        if self._needs and len(others := self._others(self._graph)) > 1:
            blocks.append(others)
        return "\n\n".join("\n".join(block) for block in blocks)

    def _plugin(self, node: PluginNode) -> list[str]:
        place = "" if node.place is None else click.style(f" ({shorten(node.place)})", dim=True)
        head = click.style(printable(node.name), bold=True)
        return [
            f"{head}{place}",
            *self._listed("exports", map(short, node.exports or ())),
            *self._listed("tasks", () if self._needs else node.tasks),
            *self._listed("components", (_component(self._nodes[each]) for each in node.components)),
            *self._askers("adapters", node.adapters),
            *self._askers("requires", node.roots),
        ]

    def _others(self, graph: Graph) -> list[str]:
        """Tell what no plugin gave: the stage, or whoever calls it."""
        return [
            click.style("outside of plugins", bold=True),
            *self._listed("components", dict.fromkeys(_component(e) for e in graph.components if e.owner is None)),
            *self._askers("adapters", [each.id for each in graph.adapters if each.owner is None]),
            *self._askers("requires", [each.id for each in graph.roots if each.owner is None]),
        ]

    def _askers(self, title: str, ids: c.Sequence[str]) -> c.Iterator[str]:
        told = [self._asker(self._nodes[each]) for each in ids]
        if not self._needs:
            yield from self._listed(title, dict.fromkeys(told))  # one that walled plugins use too is there again
            return
        for number, (identity, name) in enumerate(zip(ids, told, strict=True)):
            yield from self._listed("" if number else title, [name])
            for edge in self._edges.get(identity, ()):
                yield self._need(edge)

    def _asker(self, node: t.Any) -> str:
        name = short(node.target) if hasattr(node, "target") else f"{node.told} ({node.lifetime})"
        return name if node.fault is None else f"{name}, which cannot be read: {node.fault}"

    def _need(self, edge: Edge) -> str:
        wanted = f"{edge.parameter}: {short(edge.type)}" if edge.parameter else short(edge.type)
        line = f"{'':{_FACTS + 2}}{printable(wanted)} ← {printable(self._provider(edge))}"
        return click.style(line, fg="red") if edge.how == "missing" else line

    def _provider(self, edge: Edge) -> str:
        if edge.provider is None:
            missing = f"missing: {(edge.why or 'nothing provides it').splitlines()[0]}"
            return {"missing": missing, "collected": "nothing to collect", "override": "an override"}.get(
                edge.how, "its default"
            )
        node: t.Any = self._nodes[edge.provider]
        name = f"{node.told}, {node.lifetime}" if hasattr(node, "lifetime") else f"component {_component(node)}"
        return name if node.owner is None else f"{name}, of {node.owner}"

    def _listed(self, title: str, items: c.Iterable[str]) -> c.Iterator[str]:
        told = [printable(each).replace(" ", "\0") for each in items]  # an item is wrapped only where it has to be
        if told:
            lead = f"  {title}"
            lines = textwrap.wrap(
                ",\1".join(told).replace("\1", " "),
                max(self._width, 40),
                initial_indent=f"{lead:<{_FACTS}}",
                subsequent_indent=" " * _FACTS,
                break_on_hyphens=False,
                break_long_words=False,
            )
            yield from (line.replace("\0", " ") for line in lines)


def _component(node: t.Any) -> str:
    return short(node.key) if node.name is None else f"{short(node.key)} named {node.name}"


def _walls(node: PluginNode) -> str:
    if node.exports is None:
        return ""
    return f"walls, exports {', '.join(map(short, node.exports))}" if node.exports else "walls, exports nothing"


def _first(node: PluginNode) -> str:
    return (node.error or "").partition("\n")[0]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
