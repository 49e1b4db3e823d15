"""Able: what can be satisfied without the nodes that are open, for a walk that asks before it enters each.

Theory. What is open leads to what is asked about. So if that leads back to something open, both are in one ring; what
is in no ring with anything open is satisfied without it if it is satisfied at all, which is found out once. To enter a
node of a ring makes a closure of its own of the rest of that ring, which falls apart into smaller rings, if any; until
the node is left, what is asked about there is asked of that one. So all is looked at once for each ring that it is
in, one inside the other, and nearly always that is none.

The rings are those of all that a walk might ever enter, whatever the context has: so they never miss an edge of it.
"""

from __future__ import annotations

import functools
import typing as t

import attrs

from .rings import Rings, satisfy

if t.TYPE_CHECKING:
    import collections.abc as c

T = t.TypeVar("T", bound="c.Hashable")
#: each node with the candidates for each thing that it can only get from another node
OpenNeeds: t.TypeAlias = "dict[T, list[list[T]]]"


@attrs.define(eq=False)
class Closure(t.Generic[T]):
    """What can be satisfied, among all nodes or in a part of a ring, as far as it was asked about.

    *reach* gives what is below some nodes, but for what is known; *after* all that a walk might enter from one.
    """

    reach: c.Callable[[c.Iterable[T], c.Container[T]], OpenNeeds[T]]
    after: c.Callable[[T], c.Iterable[T]]
    parent: Closure[T] | None = None
    open_needs: OpenNeeds[T] = attrs.field(factory=dict)
    satisfied: set[T] = attrs.field(factory=set)
    rings: Rings[T] = attrs.field(init=False, default=attrs.Factory(lambda self: Rings(self.after), takes_self=True))

    def learn(self, nodes: c.Iterable[T]) -> None:
        """Find out about *nodes*, of which all is known to the parents."""
        new = self.reach(nodes, self.open_needs)
        satisfy(new, self.satisfied)
        self.open_needs.update(new)

    def can(self, node: T) -> bool:
        """Say whether *node* can be satisfied here."""
        closure: Closure[T] | None = self
        ignorant: list[Closure[T]] = []
        while closure is not None and node not in closure.open_needs:
            ignorant.append(closure)
            closure = closure.parent
        for one in reversed(ignorant):
            one.learn((node,))
        return node in self.satisfied


class Able(t.Generic[T]):
    """What can be satisfied while some nodes are open; on the *ground* none is."""

    __slots__ = ("_ground", "_inner", "_rests")

    def __init__(self, ground: Closure[T]) -> None:
        self._ground = ground
        #: what is in a ring with something open -> the closures that it is in, the innermost last
        self._inner: dict[T, list[Closure[T]]] = {}
        #: what is open -> the rest of its ring
        self._rests: dict[T, frozenset[T]] = {}

    def can(self, node: T) -> bool:
        """Say whether *node*, which is not open and all that is open leads to, is satisfied without what is open."""
        return self._closure(node).can(node)

    def enter(self, node: T) -> None:
        """Note that *node* is open now."""
        around = self._closure(node)
        rest = around.rings.around(node) - {node}
        if rest:
            reach = functools.partial(_reach_inside, around, node, rest)
            inner = Closure(reach, lambda one: rest.intersection(self._ground.after(one)), around)
            self._rests[node] = rest
            for one in rest:
                self._inner.setdefault(one, []).append(inner)

    def leave(self, node: T) -> None:
        """Note that *node*, the last that was entered, is not open any more."""
        for one in self._rests.pop(node, ()):
            self._inner[one].pop()

    def _closure(self, node: T) -> Closure[T]:
        inner = self._inner.get(node)
        return inner[-1] if inner else self._ground


def _reach_inside(
    parent: Closure[T], opened: T, rest: frozenset[T], roots: c.Iterable[T], known: c.Container[T]
) -> OpenNeeds[T]:
    """Return what is needed of the *rest* of the ring of *opened*, where the *parent* has nothing else."""
    found: OpenNeeds[T] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node in found or node in known:
            continue
        found[node] = []
        for need in parent.open_needs[node]:
            able = [one for one in need if one in parent.satisfied and one != opened]
            if rest.issuperset(able):
                found[node].append(able)
                waiting.extend(able)
    return found
