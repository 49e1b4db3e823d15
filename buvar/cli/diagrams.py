"""The picture of a service as diagrams that other tools draw: mermaid and dot.

Boxes are plugins, with a double border where they have walls; full arrows lead from who loads a plugin first to it,
dotted ones from who loads it again, dashed red ones close a circle.
"""

from __future__ import annotations

import typing as t

from buvar.cli.services import printable
from buvar.cli.tree import short, took
from buvar.di.picture import MERMAID_CLASSES, mermaid_text

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.cli.forms import What
    from buvar.di.picture import Graph
    from buvar.staging.picture import Picture, PluginNode

#: characters of an error that a box shows
_ERROR: t.Final = 80


def mermaid(picture: Picture, what: What) -> str:
    """Return a flowchart of the plugins, of the injection, or of all: who loads whom, and within each what it gives."""
    graph = picture.injection
    if what == "injection":
        return graph.mermaid()
    boxes = {node.id: _box(node) for node in picture.plugins}
    lines = ["graph LR", *boxes.values()]
    if what == "all":
        inner = graph.mermaid_nodes()
        lines = ["graph LR"]
        for node in picture.plugins:
            gifts = [inner.pop(each) for each in _gifts(node) if each in inner]
            frame = [f'subgraph s{node.id}["{mermaid_text(node.name)}"]', boxes[node.id], *gifts, "end"]
            lines += frame if gifts else [boxes[node.id]]
        lines += inner.values()
    circles = []
    loads = [load for load in picture.loads if load.loader is not None]
    for number, load in enumerate(loads):
        arrow = "-->" if load.kind == "first" else "-.->"
        label = "circle" if load.kind == "circle" else ", ".join(map(short, load.gives))
        lines.append(f"{load.loader} {arrow}{_mermaid_label(label)} {load.plugin}")
        circles += [str(number)] if load.kind == "circle" else []
    lines += graph.mermaid_links() if what == "all" else []
    lines += MERMAID_CLASSES
    lines += [f"linkStyle {','.join(circles)} stroke:#c00"] if circles else []
    return "\n  ".join(lines)


def _mermaid_label(text: str) -> str:
    return f'|"{mermaid_text(text)}"|' if text else ""


def _box(node: PluginNode) -> str:
    opening, closing = ("[", "]") if node.exports is None else ("[[", "]]")
    style = {"prepared": "", "failed": ":::fault"}.get(node.state, ":::missing")
    return f'{node.id}{opening}"{"<br/>".join(map(mermaid_text, _told(node)))}"{closing}{style}'


def _told(node: PluginNode) -> c.Iterator[str]:
    yield node.name
    own, in_all = took(node.own_seconds), took(node.seconds)
    if node.state != "missing":
        yield own if own == in_all else f"{own} of {in_all}"
    if node.error is not None and node.failed_with is None:
        yield node.error.partition("\n")[0][:_ERROR]


def _gifts(node: PluginNode) -> tuple[str, ...]:
    return (*node.roots, *node.adapters, *node.components)


def dot(picture: Picture, what: What) -> str:
    """Return the same as `mermaid` in the language of Graphviz."""
    lines = [
        "digraph service {",
        "rankdir=LR",
        'node [shape=box, style=rounded, fontname="Helvetica", fontsize=11]',
        'edge [fontname="Helvetica", fontsize=9, arrowsize=0.7]',
    ]
    inner = {} if what == "plugins" else _dot_nodes(picture.injection)
    for node in picture.plugins if what != "injection" else ():
        gifts = [inner.pop(each) for each in _gifts(node) if each in inner]
        box = _dot_node(node.id, "\n".join(_told(node)), **_look(node))
        frame = [f"subgraph cluster_{node.id} {{", "color=gray", box, *gifts, "}"]
        lines += frame if gifts else [box]
    lines += inner.values()
    lines += _dot_loads(picture) if what != "injection" else []
    lines += _dot_links(picture.injection) if what != "plugins" else []
    return "\n  ".join(lines) + "\n}"


def _look(node: PluginNode) -> dict[str, str]:
    look = {} if node.exports is None else {"peripheries": "2"}
    if node.state != "prepared":
        look |= {"color": "#cc0000", "style": "rounded" if node.state == "failed" else "rounded,dashed"}
    return look


def _dot_loads(picture: Picture) -> c.Iterator[str]:
    looks = {"first": {}, "again": {"style": "dotted"}, "circle": {"style": "dashed", "color": "#cc0000"}}
    for load in picture.loads:
        if load.loader is not None:
            gives = {"label": ", ".join(map(short, load.gives))} if load.gives else {}
            # a circle must not decide who stands left of whom
            circle = {"constraint": "false"} if load.kind == "circle" else {}
            yield f"{load.loader} -> {load.plugin}{_attributes(**looks[load.kind], **gives, **circle)}"


def _dot_nodes(graph: Graph) -> dict[str, str]:
    used = {edge.provider for edge in graph.edges}
    nodes = {each.id: _dot_node(each.id, f"{each.target}\nrequired", shape="hexagon") for each in graph.roots}
    for one in graph.adapters:
        fault = {} if one.fault is None else {"color": "#cc0000"}
        nodes[one.id] = _dot_node(one.id, f"{one.told}\n{one.lifetime}", style="solid", **fault)
    for each in graph.components:
        if each.id in used:
            nodes[each.id] = _dot_node(each.id, each.told, shape="ellipse", style="solid")
    for name, ghost in graph.ghosts().items():
        nodes[ghost] = _dot_node(ghost, f"{name}\nmissing", style="dashed", color="#cc0000")
    return nodes


def _dot_links(graph: Graph) -> c.Iterator[str]:
    ghosts = graph.ghosts()
    for edge in graph.edges:
        target = ghosts[edge.type] if edge.how == "missing" else edge.provider
        if target is not None:
            look = {"style": "dashed", "color": "#cc0000"} if edge.how == "missing" else {"color": "#3366aa"}
            label = {"label": edge.parameter} if edge.parameter else {}
            yield f"{edge.asker} -> {target}{_attributes(**look, **label)}"


def _dot_node(identity: str, label: str, **attributes: str) -> str:
    return f"{identity}{_attributes(label=label, **attributes)}"


def _attributes(**attributes: str) -> str:
    return f" [{', '.join(f'{key}={_quoted(value)}' for key, value in attributes.items())}]" if attributes else ""


def _quoted(text: str) -> str:
    """Return *text* as a string of dot, in which a line break stays one, and neither escapes nor entities are known."""
    lines = (printable(line) for line in text.split("\n"))
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines]
    return '"' + "\\n".join(escaped) + '"'
