"""What can be satisfied without what is open: on any walk the same as who finds it out anew each time."""

import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar.di import decide, supply
from buvar.di.able import Able, Closure

SIZE = 8
nodes = st.integers(0, SIZE - 1)
#: for each node its needs, each with its candidates, and those that may be entered, but need not
graphs = st.lists(
    st.tuples(st.lists(st.lists(nodes, max_size=3), max_size=3), st.lists(nodes, max_size=2)),
    min_size=SIZE,
    max_size=SIZE,
)


class Walk:
    """A walk through all of a graph, which asks before it enters, and compares."""

    def __init__(self, graph: t.Any) -> None:
        self.graph = graph
        self.able = Able(Closure(self.reach, self.after))
        self.open: list[int] = []
        self.done: set[int] = set()

    def reach(self, roots: t.Iterable[int], known: t.Container[int]) -> dict[int, list[list[int]]]:
        found: dict[int, list[list[int]]] = {}
        waiting = list(roots)
        while waiting:
            node = waiting.pop()
            if node not in found and node not in known:
                found[node] = self.graph[node][0]
                waiting += [one for need in found[node] for one in need]
        return found

    def after(self, node: int) -> list[int]:
        needs, others = self.graph[node]
        return [*others, *(one for need in needs for one in need)]

    def expected(self) -> set[int]:
        found: set[int] = set()
        for _ in range(SIZE):
            found |= {
                node
                for node, (needs, _) in enumerate(self.graph)
                if node not in self.open and all(found & {*need} for need in needs)
            }
        return found

    def enter(self, node: int) -> None:
        if node in self.open or node in self.done:
            return
        assert self.able.can(node) == (node in self.expected())
        self.able.enter(node)
        self.open.append(node)
        for one in self.after(node):
            self.enter(one)
        self.open.pop()
        self.able.leave(node)
        self.done.add(node)


@given(graphs, st.permutations(range(SIZE)))
@settings(max_examples=300, deadline=None)
def test_the_same_as_by_trying_anew(graph, order):
    """Wherever the walk is, also where it came by what need not be."""
    walk = Walk(graph)
    for node in order:
        walk.enter(node)


@pytest.fixture
def looked(monkeypatch):
    """Note for which nodes it is looked what they need."""
    noted = []
    needs = supply.Supply.needs

    def looking(self, node):
        noted.append(node)
        return needs(self, node)

    monkeypatch.setattr(supply.Supply, "needs", looking)
    return noted


def chain(size, wrap):
    """Return the last of some types, of which each needs the one before, and adapters: also what wraps one."""
    functions = []
    before = None
    for number in range(size):
        cls = type(f"Link{number}", (), {})
        functions.append(adapter(cls, before))
        if wrap(number):
            functions.append(adapter(cls, cls))
        before = cls
    return before, functions


def adapter(cls, needed):
    def first(): ...
    def other(needed): ...

    found = first if needed is None else other
    found.__annotations__ = {"needed": needed, "return": cls}
    return found


@pytest.mark.parametrize("wrap", [lambda number: number == 0, lambda number: True], ids=["one", "each"])
def test_deciding_takes_as_long_as_there_are_adapters(wrap, looked, adapters, components):
    """Where adapters wrap others too: each is looked at a few times, however many there are."""
    last, functions = chain(500, wrap)
    adapters.register(*functions)
    offer = supply.Supply(adapters, components, {})
    found = decide.decide(offer, (offer.index.need(last),))
    assert found is not None
    assert len(found.steps) == len(functions)
    assert max(map(looked.count, looked)) <= 4
