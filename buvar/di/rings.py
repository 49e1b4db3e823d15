"""Rings: what leads back to itself in a graph, and what can be had in one. Both take as long as the graph is large.

A ring is a strongly connected component of several nodes (Tarjan 1972): each of them leads to each other one. It is
found as in Gabow 2000, "Path-based depth-first search for strong and biconnected components": the walk keeps where the
rings that it may be in start, and an edge back joins all those that start after the node that it leads to. What can be
had is what follows from Horn clauses (Dowling and Gallier 1984): each node waits for what it lacks.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

T = t.TypeVar("T", bound="c.Hashable")
_ALONE: t.Final[frozenset[t.Any]] = frozenset()


class Rings(t.Generic[T]):
    """The rings of a graph, of which *edges* gives the nodes after one; it is walked as far as it is asked about."""

    def __init__(self, edges: c.Callable[[T], c.Iterable[T]]) -> None:
        self._edges = edges
        self._found: dict[T, frozenset[T]] = {}

    def around(self, node: T) -> frozenset[T]:
        """Return all nodes of the ring that *node* is in, none where it is in no ring."""
        if node not in self._found:
            self._search(node)
        return self._found[node]

    def _search(self, root: T) -> None:
        """Find the rings of all that is after *root*."""
        line: list[T] = []  # what is not in a finished ring yet, in the order in which it was met
        places: dict[T, int] = {}
        starts: list[int] = []
        ways: list[tuple[int, c.Iterator[T]]] = []
        new: list[T] = [root]
        while new or ways:
            if new:
                node = new.pop()
                places[node] = len(line)
                starts.append(len(line))
                ways.append((len(line), iter(self._edges(node))))
                line.append(node)
            place, after = ways[-1]
            for node in after:
                if node in places:
                    while starts[-1] > places[node]:
                        starts.pop()
                elif node not in self._found:
                    new.append(node)
                    break
            else:
                ways.pop()
                if starts[-1] == place:
                    starts.pop()
                    self._finish(line[place:], places)
                    del line[place:]

    def _finish(self, members: list[T], places: dict[T, int]) -> None:
        ring = frozenset(members) if len(members) > 1 else _ALONE
        for node in members:
            del places[node]
            self._found[node] = ring


def satisfy(open_needs: dict[T, list[list[T]]], satisfied: set[T]) -> None:
    """Add to *satisfied* all of *open_needs* that follow: of each of their needs, they need one that is satisfied."""
    lacking: dict[T, set[int]] = {}
    waiting_for: dict[T, list[tuple[T, int]]] = {}
    for node, needs in reversed(open_needs.items()):  # what is needed was mostly found after what needs it
        lacks = {number for number, need in enumerate(needs) if satisfied.isdisjoint(need)}
        if not lacks:
            _add(node, satisfied, lacking, waiting_for)
            continue
        lacking[node] = lacks
        for number in lacks:
            for one in needs[number]:
                waiting_for.setdefault(one, []).append((node, number))


def _add(node: T, satisfied: set[T], lacking: dict[T, set[int]], waiting_for: dict[T, list[tuple[T, int]]]) -> None:
    """Add *node*, and what waited for nothing else."""
    new = [node]
    while new:
        found = new.pop()
        satisfied.add(found)
        for asker, number in waiting_for.pop(found, ()):
            lacks = lacking[asker]
            if number in lacks:
                lacks.discard(number)
                if not lacks:
                    new.append(asker)
