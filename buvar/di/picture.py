"""The injection graph as plain frozen data, and as mermaid draws it."""

from __future__ import annotations

import re
import typing as t

import attrs

from buvar import errors

How: t.TypeAlias = t.Literal["component", "adapter", "collected", "default", "override", "missing"]

#: what is more than a plain character in a label, also in a quoted one
_MARKUP: t.Final = re.compile(r"[^\w ,.()'\[\]-]")

MERMAID_CLASSES: t.Final = (
    "classDef missing stroke:#c00,stroke-dasharray:4",
    "classDef fault stroke:#c00,stroke-width:3px",
)


@attrs.frozen
class AdapterNode:
    """An adapter. *type* is what it is found by, in short, *description* the same in full, *label* its callable.

    *owner* is the plugin that registered it, *place* where the callable is, *fault* why its parameters cannot be read.
    """

    id: str
    type: str
    description: str
    label: str
    kind: str
    lifetime: str
    owner: str | None
    place: errors.Place | None
    fault: str | None = None

    @property
    def told(self) -> str:
        """What it is called in a picture."""
        return self.type if self.label == self.type else f"{self.type} by {self.label}"


@attrs.frozen
class ComponentNode:
    """A component: *key* describes what it is filed under, *owner* is the plugin that added it, *place* the line."""

    id: str
    key: str
    name: str | None
    owner: str | None
    place: errors.Place | None

    @property
    def told(self) -> str:
        """What it is called in a picture."""
        return self.key if self.name is None else f"{self.key} named {self.name}"


@attrs.frozen
class RootNode:
    """What a plugin declares to be asked for; *fault* says why it cannot be read what *target* needs."""

    id: str
    target: str
    owner: str | None
    place: errors.Place | None
    fault: str | None = None


@attrs.frozen
class Edge:
    """What *asker* takes for a parameter (None: a root that is a type), which wants a *type*, told in full.

    *provider* is the node that it comes from, None where it comes from none: a default, what is overridden, what is
    missing (*why* tells the path), what is collected where there is nothing. What is collected has an edge for each.
    """

    asker: str
    parameter: str | None
    type: str
    provider: str | None
    how: How
    why: str | None = None


@attrs.frozen
class Graph:
    """The injection graph. All of it is text, numbers, None, tuples and places, so `attrs.asdict` makes JSON of it.

    The adapters stand in order of registration, then the classmethods of bases that serve a subclass, as they were met;
    the components as `Components.entries` lists them, the innermost layer's first, then what that does not list. The
    edges are those of the roots, then those of the adapters, each in the order of their parameters.
    """

    adapters: tuple[AdapterNode, ...]
    components: tuple[ComponentNode, ...]
    roots: tuple[RootNode, ...]
    edges: tuple[Edge, ...]

    def mermaid(self) -> str:
        """Return a flowchart: arrows lead from who asks to what it takes; what is missing is dashed.

        Components that nobody takes, and defaults, are not drawn.
        """
        return "\n  ".join(["graph LR", *self.mermaid_nodes().values(), *self.mermaid_links(), *MERMAID_CLASSES])

    def mermaid_nodes(self) -> dict[str, str]:
        """Return the lines of `mermaid` that are its nodes, by id: roots, adapters, components, what is missing."""
        used = {edge.provider for edge in self.edges}
        lines = {
            root.id: f"{root.id}{{{{{_label(root.target, 'required', root)}}}}}{_fault(root)}" for root in self.roots
        }
        for one in self.adapters:
            lines[one.id] = f"{one.id}[{_label(one.told, one.lifetime, one)}]{_fault(one)}"
        for each in self.components:
            if each.id in used:
                lines[each.id] = f"{each.id}([{_label(each.told, 'component', each)}])"
        for name, ghost in self.ghosts().items():
            lines[ghost] = f'{ghost}["{mermaid_text(name)}"]:::missing'
        return lines

    def mermaid_links(self) -> list[str]:
        """Return the lines of `mermaid` that are its arrows."""
        lines, ghosts = [], self.ghosts()
        for edge in self.edges:
            target = ghosts[edge.type] if edge.how == "missing" else edge.provider
            if target is not None:
                arrow = "-.->" if edge.how == "missing" else "-->"
                text = f'|"{mermaid_text(edge.parameter)}"|' if edge.parameter else ""
                lines.append(f"{edge.asker} {arrow}{text} {target}")
        return lines

    def ghosts(self) -> dict[str, str]:
        """Return an id for each type that is missing somewhere, for what draws it as a node."""
        missing = dict.fromkeys(edge.type for edge in self.edges if edge.how == "missing")
        return {name: f"m{number}" for number, name in enumerate(missing, 1)}


def _label(name: str, what: str, node: AdapterNode | ComponentNode | RootNode) -> str:
    facts = what if node.owner is None else f"{what}, {node.owner}"
    return f'"{mermaid_text(name)}<br/>{mermaid_text(facts)}"'


def _fault(node: AdapterNode | RootNode) -> str:
    return "" if node.fault is None else ":::fault"


def mermaid_text(text: str) -> str:
    """Return *text* with all that mermaid might take for markup as character codes."""
    return _MARKUP.sub(lambda match: f"#{ord(match[0])};", " ".join(text.split()))
