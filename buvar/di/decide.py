"""Deciding: where everything comes from, before anything is built. So nothing is built for what cannot be met.

Where a parameter comes from, the first that there is: a dependency given by keyword under its name; a component of its
name and type in the context; an unnamed component of its type; any given dependency of its type; the adapters for its
type, the first that can be satisfied; its default. An adapter never feeds itself: inside of what it needs, the next one
for the same type is taken, and so one adapter can wrap another.

Theory. To decide is a walk into the depth. A node on the way from the root to here is *open*, a failed one stays
failed. This is right until the walk meets an open node: then failing depends on the way. So the walk starts again,
carefully: before it enters a node it makes sure that the node can be satisfied without anything open, see `able`. What
passes cannot fail further in (a shortest derivation never needs its own root), and each node is entered once. Neither
walk recurses: each level is a generator on a list.
"""

from __future__ import annotations

import typing as t

import attrs

from buvar.components import missing

from . import supply
from .able import Able
from .supply import Collected, Constant, Node, Origin
from .views import CALL, View

if t.TYPE_CHECKING:
    import collections.abc as c

    from .keys import Key
    from .signature import Parameter

#: who needs something, and as what; None where it was asked for
Asker: t.TypeAlias = "tuple[Node | None, Parameter]"
T = t.TypeVar("T")
Walk: t.TypeAlias = "c.Generator[tuple[Node, Asker], bool, T]"


@attrs.frozen(eq=False)
class Step:
    """One node that has to be there: what its arguments are, where they come from, and the *looks* taken for that."""

    node: Node
    origins: tuple[tuple[Parameter, Origin], ...]
    asker: Asker
    looks: tuple[supply.Probe | supply.Fit, ...]


@attrs.frozen(eq=False)
class Decision:
    """The steps, each after those that it needs, and where the objects asked for come from.

    *looks* are those that were taken for what was asked for, and for candidates that were passed over; *never* are the
    classes that were taken to be held by no layer.
    """

    steps: dict[Node, Step]
    origins: tuple[tuple[Parameter, Origin], ...]
    looks: tuple[supply.Probe | supply.Fit, ...]
    never: frozenset[tuple[t.Hashable, bool]]
    substitutes: dict[Node, Key] = attrs.field(factory=dict)

    def askers(self, step: Step) -> c.Iterator[Asker]:
        """Yield who needs *step*, who needs that one, up to the root."""
        asker: Asker | None = step.asker
        while asker is not None:
            yield asker
            asker = self.steps[asker[0]].asker if asker[0] is not None else None

    def key(self, node: Node) -> Key:
        """Return under what the scope or the stage keeps what *node* builds."""
        return self.substitutes.get(node, node.adapter)

    def behind(self, origin: Origin) -> Origin:
        """Return *origin*, or what is behind it where it is a gate."""
        if isinstance(origin, Node) and origin.adapter.gate is not None:
            return self.behind(self.steps[origin].origins[0][1])
        if isinstance(origin, Collected):
            nodes = [node for each in origin.nodes if isinstance(node := self.behind(each), Node | Constant)]
            return attrs.evolve(origin, nodes=tuple(dict.fromkeys(nodes)))
        return origin

    def private(self, step: Step) -> list[Step]:
        """Return the steps of what is built for *step* alone, since nobody keeps it, in order."""
        found: set[Node] = set()
        waiting = [step]
        while waiting:
            for node in nodes_of(waiting.pop().origins):
                if node not in found and not node.is_kept:
                    found.add(node)
                    waiting.append(self.steps[node])
        if not found:
            return []
        return [each for node, each in self.steps.items() if node in found]


def nodes_of(origins: c.Iterable[tuple[Parameter, Origin]]) -> c.Iterator[Node]:
    """Yield the nodes among *origins*."""
    for _, origin in origins:
        if isinstance(origin, Node):
            yield origin
        elif isinstance(origin, Collected):
            yield from (each for each in origin.nodes if isinstance(each, Node))


class _CircleMetError(Exception):
    """The quick walk met an open node."""


def decide(offer: supply.Supply, needs: tuple[Parameter, ...], view: View = CALL) -> Decision | None:
    """Decide where *needs* come from; None when one of them is not to be had."""
    offer.probes = []
    try:
        return _Walker(offer, careful=False).decide(needs, view)
    except _CircleMetError:
        offer.probes = []
        return _Walker(offer, careful=True).decide(needs, view)


class _Walker:
    __slots__ = ("_able", "_failed", "_looks", "_offer", "_open", "_steps")

    def __init__(self, offer: supply.Supply, *, careful: bool) -> None:
        self._offer = offer
        self._able = Able(offer.ground) if careful else None
        self._steps: dict[Node, Step] = {}
        self._failed: set[Node] = set()
        self._open: set[Node] = set()
        self._looks: list[supply.Probe | supply.Fit] = []

    def decide(self, needs: tuple[Parameter, ...], view: View) -> Decision | None:
        origins = self._run(self._origins(None, needs, view))
        if origins is None:
            return None
        if self._able is not None:
            self._looks += self._offer.looks
        looks = tuple(dict.fromkeys([*self._looks, *self._offer.probes]))
        return Decision(self._steps, tuple(origins), looks, frozenset(self._offer.never))

    def _run(self, root: Walk[list[tuple[Parameter, Origin]] | None]) -> list[tuple[Parameter, Origin]] | None:
        walks: list[Walk[t.Any]] = [root]
        answer: t.Any = None
        while walks:
            try:
                wanted = walks[-1].send(answer)
            except StopIteration as end:
                walks.pop()
                answer = end.value
            else:
                walks.append(self._enter(*wanted))
                answer = None
        return t.cast("list[tuple[Parameter, Origin]] | None", answer)

    def _enter(self, node: Node, asker: Asker) -> Walk[bool]:
        """Decide where the arguments of *node* come from; False when something that it needs is not to be had."""
        mark = len(self._steps)
        self._open.add(node)
        if self._able is not None:
            self._able.enter(node)
        before, self._offer.probes = self._offer.probes, []
        origins = yield from self._origins(node, self._offer.needs(node), self._offer.inside(node))
        looks, self._offer.probes = self._offer.probes, before
        self._open.discard(node)
        if self._able is not None:
            self._able.leave(node)
        if origins is None:
            self._failed.add(node)
            self._looks += looks
            for one in tuple(self._steps)[mark:]:
                self._looks += self._steps.pop(one).looks
            return False
        self._steps[node] = Step(node, tuple(origins), asker, tuple(dict.fromkeys(looks)))
        return True

    def _origins(
        self, asker: Node | None, needs: tuple[Parameter, ...], view: View
    ) -> Walk[list[tuple[Parameter, Origin]] | None]:
        origins: list[tuple[Parameter, Origin]] = []
        for need in needs:
            origin: Origin | None = None
            if need.collect is not None and (origin := self._offer.instead(need, view)) is None:
                origin = yield from self._collect((asker, need), view)
            for part in () if origin is not None else self._offer.parts(need, view):
                origin = self._offer.find(need, part)
                if origin is None:
                    origin = yield from self._choose((asker, need), part)
                if origin is not None:
                    break
            if origin is None:
                if need.default is missing:
                    return None
                origin = Constant(need.default)
            origins.append((need, origin))
        return origins

    def _choose(self, asker: Asker, view: View) -> Walk[Origin | None]:
        for adapter in self._offer.candidates(asker[1], view):
            node = supply.node_of(adapter, view)
            if (fake := self._offer.faked(adapter)) is not None:
                return fake
            if node in self._steps or (self._may_enter(node) and (yield node, asker)):
                return node
        return None

    def _collect(self, asker: Asker, view: View) -> Walk[Origin]:
        assert asker[1].collect is not None
        form, container = asker[1].collect
        nodes: list[Node | Constant] = []
        for adapter in reversed(() if container is dict else self._offer.index_at(view.home).candidates(form)):
            node = supply.node_of(adapter, view)
            if (fake := self._offer.faked(adapter)) is not None:
                nodes.append(fake)
            elif node in self._steps or (self._may_enter(node) and (yield node, asker)):
                nodes.append(node)
        return Collected(form.tp, view, tuple(nodes), container, self._offer.fakes(form, view))

    def _may_enter(self, node: Node) -> bool:
        if node in self._open:
            if self._able is None:
                raise _CircleMetError
            return False
        return node not in self._failed if self._able is None else self._able.can(node)
