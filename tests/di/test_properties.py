"""Any graph of adapters: acyclic ones resolve as a naive resolver does, circles are named."""

import typing as t

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import context, di

SIZE = 7


@attrs.frozen
class Spec:
    """One adapter: which type it builds, what it needs, and for which of these it has a default."""

    builds: int
    needs: tuple[int, ...]
    defaults: frozenset[int]


def specs(number: int, below: range) -> st.SearchStrategy[Spec]:
    """Draw an adapter for type *number* that needs types of *below*."""
    needs = st.lists(st.sampled_from(below), max_size=3, unique=True).map(tuple) if below else st.just(())
    return st.builds(Spec, st.just(number), needs, st.frozensets(st.integers(0, SIZE - 1), max_size=1))


def graphs(below: t.Callable[[int], range]) -> st.SearchStrategy[list[Spec]]:
    """Draw up to three adapters for each type, in any order of registration."""
    lists = [st.lists(specs(number, below(number)), max_size=3) for number in range(SIZE)]
    return st.tuples(*lists).map(lambda found: [spec for some in found for spec in some]).flatmap(st.permutations)


acyclic = range  # each type needs smaller ones


def anything(_: int) -> range:
    return range(SIZE)


def run(coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
    """Run a coroutine that never waits; a loop for each would take most of the time."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the coroutine waits")


Made = tuple[t.Any, ...]


class Graph:
    """The adapters of some specs; each builds a trace of what it was made of."""

    def __init__(self, found: list[Spec], components: frozenset[int]) -> None:
        self.types = [type(f"T{number}", (), {"__init__": self._init}) for number in range(SIZE)]
        self.specs = found
        self.components = {number: self.types[number](("component", number)) for number in components}
        self.calls: list[int] = []
        self.adapters = di.Adapters()
        self.adapters.register(*(self._adapter(number, spec) for number, spec in enumerate(found)))

    @staticmethod
    def _init(self: t.Any, trace: Made) -> None:
        self.trace = trace

    def _adapter(self, number: int, spec: Spec) -> t.Callable[..., t.Any]:
        def build(**needs: t.Any) -> t.Any:
            self.calls.append(number)
            traces = [getattr(needs[f"p{need}"], "trace", None) for need in spec.needs]
            return self.types[spec.builds]((number, *traces))

        parameters = ", ".join(f"p{need}=None" if need in spec.defaults else f"p{need}" for need in spec.needs)
        passed = ", ".join(f"p{need}=p{need}" for need in spec.needs)
        space: dict[str, t.Any] = {"build": build}
        exec(f"def adapter{number}({'*, ' if parameters else ''}{parameters}):\n    return build({passed})", space)
        adapter = space[f"adapter{number}"]
        adapter.__annotations__ = {f"p{need}": self.types[need] for need in spec.needs}
        adapter.__annotations__["return"] = self.types[spec.builds]
        return t.cast("t.Callable[..., t.Any]", adapter)

    def nject(self, *targets: int) -> list[Made]:
        with context.child() as components:
            for item in self.components.values():
                components.add(item)
            turns = [self._turn(targets) for _ in range(3)]  # built step by step, compiled, and by the plan
        assert turns[0] == turns[1] == turns[2]
        return turns[0]

    def _turn(self, targets: tuple[int, ...]) -> list[Made]:
        self.calls.clear()
        found = run(self.adapters.nject(*(self.types[number] for number in targets)))
        return [one.trace for one in (found if len(targets) > 1 else [found])]

    def naive(self, target: int) -> Made | None:
        """Try the component, then each adapter from the last to the first, down to the ground."""
        if target in self.components:
            return "component", target
        for number, spec in reversed(list(enumerate(self.specs))):
            if spec.builds == target:
                needs = [(need, self.naive(need)) for need in spec.needs]
                if all(trace is not None or need in spec.defaults for need, trace in needs):
                    return number, *(trace for _, trace in needs)
        return None

    def can(self, target: int, way: frozenset[int] = frozenset()) -> bool:
        """Say whether any choice of adapters, none below itself, builds *target*."""
        return target in self.components or any(
            all(need in spec.defaults or self.can(need, way | {number}) for need in spec.needs)
            for number, spec in enumerate(self.specs)
            if spec.builds == target and number not in way
        )


components_of = st.frozensets(st.integers(0, SIZE - 1), max_size=2)


@given(graphs(acyclic), components_of)
@settings(max_examples=100, deadline=None)
def test_an_acyclic_graph_resolves_as_by_a_naive_resolver(found, components):
    """The same adapters are chosen, or both fail; each adapter is called at most once, and none in vain."""
    graph = Graph(found, components)
    for target in range(SIZE):
        expected = graph.naive(target)
        graph.calls.clear()
        if expected is None:
            try:
                graph.nject(target)
            except di.ResolveError as error:
                assert "a circle" not in str(error)
            else:
                raise AssertionError("the naive resolver fails here")
            assert graph.calls == []
        else:
            assert graph.nject(target) == [expected]
            assert len(graph.calls) == len(set(graph.calls))
            assert set(graph.calls) == numbers(expected)


@given(graphs(acyclic), components_of)
@settings(max_examples=50, deadline=None)
def test_several_targets_resolve_as_each_alone(found, components):
    """What is asked for beside it changes nothing in an acyclic graph, and all is built once."""
    graph = Graph(found, components)
    targets = [number for number in range(SIZE) if graph.naive(number) is not None]
    if len(targets) < 2:
        return
    assert graph.nject(*targets) == [graph.naive(number) for number in targets]
    assert len(graph.calls) == len(set(graph.calls))


@given(graphs(anything), components_of)
@settings(max_examples=100, deadline=None)
def test_any_graph_resolves_where_it_can_and_names_its_circle(found, components):
    """With circles too: what can be built is built, the rest fails with a path; nothing is called twice or in vain."""
    graph = Graph(found, components)
    for target in range(SIZE):
        graph.calls.clear()
        try:
            (trace,) = graph.nject(target)
        except di.ResolveError as error:
            assert not graph.can(target)
            assert graph.calls == []
            assert error.path
            assert missing(graph, error) or "a circle" in str(error)
        else:
            assert graph.can(target)
            assert len(graph.calls) == len(set(graph.calls))
            assert set(graph.calls) == numbers(trace)


@given(st.integers(1, 30), st.integers(0, 29))
@settings(deadline=None)
def test_a_ring_is_named_whole(size, start):
    """A ring of any size fails with all of its members in the path, wherever one enters."""
    types = [type(f"R{number}", (), {"__init__": lambda self, after: None}) for number in range(size)]
    adapters = di.Adapters()
    for number, cls in enumerate(types):
        cls.__init__ = lambda self, after: None
        cls.__init__.__annotations__["after"] = types[(number + 1) % size]
        adapters.register(cls)
    try:
        run(adapters.nject(types[start % size]))
    except di.ResolveError as error:
        assert all(f"R{number}(after)" in error.path for number in range(size))
        assert error.reason.startswith("a circle; ")
        assert error.path[0] == f"R{start % size}"
    else:
        raise AssertionError("a ring cannot be built")


def numbers(trace: t.Any) -> set[int]:
    """Return the adapters that a trace tells of."""
    if trace is None or trace[0] == "component":
        return set()
    return {trace[0]}.union(*(numbers(part) for part in trace[1:]))


def missing(graph: Graph, error: di.ResolveError) -> bool:
    """Say whether the error tells of a type that nothing provides."""
    return "no component and no adapter provides" in str(error)
