"""Rings and what can be had in them: as who simply tries it out finds them."""

from hypothesis import given
from hypothesis import strategies as st

from buvar.di.rings import Rings, satisfy

SIZE = 8
nodes = st.integers(0, SIZE - 1)
graphs = st.lists(st.lists(nodes, max_size=4), min_size=SIZE, max_size=SIZE)
needs_of_all = st.lists(st.lists(st.lists(nodes, max_size=3), max_size=3), min_size=SIZE, max_size=SIZE)


def reached(edges, start):
    found, waiting = set(), list(edges[start])
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += edges[node]
    return found


@given(graphs, st.permutations(range(SIZE)))
def test_a_ring_is_what_leads_to_each_other(edges, order):
    """In whatever order one asks; what only leads to itself is in no ring."""
    rings = Rings(edges.__getitem__)
    for node in order:
        ring = {one for one in reached(edges, node) if node in reached(edges, one)} | {node}
        assert rings.around(node) == (ring if len(ring) > 1 else set())


def test_each_node_is_walked_once():
    """Also where one asks about each, and the way is longer than a stack is deep."""
    size, walked = 20_000, []

    def edges(node):
        walked.append(node)
        return [(node + 1) % size, node // 2]

    rings = Rings(edges)
    assert len(rings.around(7)) == size
    assert all(rings.around(node) is rings.around(7) for node in range(size))
    assert sorted(walked) == list(range(size))


@given(needs_of_all, st.frozensets(nodes))
def test_what_is_satisfied_is_what_follows(needs, given_before):
    """Whatever is there before, the same as by trying all again and again."""
    expected = set(given_before)
    for _ in range(SIZE):
        expected |= {node for node in range(SIZE) if all(expected & {*need} for need in needs[node])}
    satisfied = set(given_before)
    satisfy(dict(enumerate(needs)), satisfied)
    assert satisfied == expected


def test_satisfying_takes_as_long_as_there_are_needs():
    """Also where what needs comes before what is needed, and each need has many candidates."""
    size = 20_000
    satisfied = set()
    satisfy({node: [[node - 1, -5, -6], [node - 1]] if node else [] for node in range(size - 1, -1, -1)}, satisfied)
    assert len(satisfied) == size
    satisfied = set()
    satisfy({node: [[node - 1, -5, -6], [node - 1]] if node else [] for node in range(size)}, satisfied)
    assert len(satisfied) == size
