"""The injection graph: its nodes, where each need is met from, and the picture of it."""

import collections.abc as c
import contextlib
import inspect
import json
import re
import typing as t

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import Components, context, di, errors


class Mailer: ...


class Smtp(Mailer): ...


class Clock: ...


class Session: ...


class Service:
    def __init__(self, mailer: Mailer, clock: Clock, retries: int = 3) -> None: ...


class Report:
    def __init__(self, service: Service) -> None: ...


class Left:
    def __init__(self, right: "Right") -> None: ...


class Right:
    def __init__(self, left: Left) -> None: ...


class Broken:
    def __init__(self, other: "Nowhere") -> None: ...  # noqa: F821


class NeedsBroken:
    def __init__(self, broken: Broken) -> None: ...


class Model:
    @classmethod
    def load(cls, clock: Clock) -> t.Self:
        return cls()


class Order(Model): ...


class Shop:
    def __init__(self, order: Order) -> None: ...


class Checks:
    def __init__(self, mailers: t.Annotated[list[Mailer], di.All], clocks: t.Annotated[list[Clock], di.All]): ...


async def session() -> c.AsyncIterator[Session]:
    yield Session()


def plain_mailer() -> Mailer: ...


def logging_mailer(inner: Mailer) -> Mailer: ...


def handler(service: Service, session: Session) -> None: ...


def builder_with(tp):
    def build(session: tp) -> Left: ...

    return build


@pytest.fixture
def there():
    """Return a context that nothing was added to."""
    return Components()


@contextlib.contextmanager
def current(components):
    token = context.buvar_context.set(components)
    try:
        yield
    finally:
        context.buvar_context.reset(token)


def edges(graph):
    """Return the edges by what a reader knows the nodes as: {(asker, parameter): [(provider, how), …]}."""
    names = {one.id: one.label for one in graph.adapters} | {one.id: one.target for one in graph.roots}
    names |= {one.id: f"{one.key}:{one.name}" for one in graph.components}
    found = {}
    for edge in graph.edges:
        provider = edge.provider and names[edge.provider]
        found.setdefault((names[edge.asker], edge.parameter), []).append((provider, edge.how))
    return found


def whys(graph):
    return {edge.parameter: edge.why for edge in graph.edges if edge.how == "missing"}


def line(function):
    return function.__code__.co_firstlineno


def test_an_adapter_is_told(adapters, there):
    """An adapter has its type, its callable, kind, lifetime, owner and place, in order of registration."""
    adapters.scoped(session)
    adapters.singleton(Mailer, Smtp)
    first, second = di.graph(adapters, there).adapters
    assert (first.id, first.type, first.description) == ("a1", "Session", f"{__name__}.Session")
    assert (first.label, first.kind, first.lifetime, first.owner) == ("session", "async generator", "scoped", None)
    assert first.place == errors.Place(__file__, line(session))
    assert (second.id, second.type, second.label) == ("a2", "Mailer", "Smtp")
    assert (second.kind, second.lifetime, second.fault) == ("plain", "singleton", None)


def test_the_owner_of_an_adapter_is_told(adapters, there):
    """The plugin that registered an adapter owns it."""
    with current(Components(owner="shop.mail")):
        adapters.transient(Smtp)
    assert [one.owner for one in di.graph(adapters, there).adapters] == ["shop.mail"]


def test_a_component_is_told(adapters):
    """A component has its key, name, owner and the line that added it, the innermost layer's first."""
    outer = Components(owner="shop")
    outer.add(Smtp())
    inner = outer.push()
    inner.add(Smtp(), Mailer, name="replica")
    inner.add(1, "port", name=Clock)
    replica, port, smtp = di.graph(adapters, inner).components
    assert (replica.id, replica.key, replica.name, replica.owner) == ("c1", f"{__name__}.Mailer", "replica", "shop")
    assert replica.place.file == __file__
    assert [one.place.line - smtp.place.line for one in (replica, port)] == [2, 3]
    assert (port.key, port.name) == ("'port'", f"{__name__}.Clock")
    assert (smtp.id, smtp.key, smtp.name) == ("c3", f"{__name__}.Smtp", None)


def test_where_needs_are_met_from(adapters, there):
    """A component, an adapter, a default, and nothing are told apart."""
    there.add(Smtp())
    adapters.register(Service, Clock, Report, builder_with(Session))
    found = edges(di.graph(adapters, there))
    assert found == {
        ("Service", "mailer"): [(f"{__name__}.Smtp:None", "component")],
        ("Service", "clock"): [("Clock", "adapter")],
        ("Service", "retries"): [(None, "default")],
        ("Report", "service"): [("Service", "adapter")],
        ("build", "session"): [(None, "missing")],
    }


def test_a_named_component_is_found_by_the_name(adapters, there):
    """The component of the name of the parameter is the provider, not another one of the type."""
    there.add(Smtp())
    there.add(Smtp(), name="mailer")
    there.add(Clock(), name="other")
    adapters.register(Service)
    graph = di.graph(adapters, there)
    assert edges(graph)["Service", "mailer"] == [(f"{__name__}.Smtp:mailer", "component")]
    assert edges(graph)["Service", "clock"] == [(None, "missing")]


def test_one_object_under_several_keys_is_told_apart(adapters, there):
    """An object that was added twice is two nodes; the edge leads to the one that it was found as."""
    smtp = there.add(Smtp(), "elsewhere")
    there.add(smtp, Mailer)
    adapters.register(Service, Clock)
    assert edges(di.graph(adapters, there))["Service", "mailer"] == [(f"{__name__}.Mailer:None", "component")]


def test_a_component_that_is_not_listed_is_a_node(adapters, there):
    """What a scope was opened with has no place, and is the provider nevertheless."""
    adapters.register(Service, Clock)
    scope = there.push_scope(Mailer, Smtp())
    graph = di.graph(adapters, scope)
    assert edges(graph)["Service", "mailer"] == [(f"{__name__}.Mailer:None", "component")]
    assert [(one.owner, one.place) for one in graph.components] == [(None, None)]


def test_what_lacks_something_is_missing_itself(adapters, there):
    """What cannot be met for a need further down is missing, and the path is told."""
    adapters.register(Service, Report, Clock)
    graph = di.graph(adapters, there)
    assert edges(graph)["Service", "clock"] == [("Clock", "adapter")]
    assert edges(graph)["Report", "service"] == [(None, "missing")]
    assert whys(graph)["service"].startswith("Mailer <- Service(mailer) <- Report(service): ")
    missing = [edge for edge in graph.edges if edge.how == "missing"]
    assert [edge.type for edge in missing] == [f"{__name__}.Mailer", f"{__name__}.Service"]


def test_a_circle_is_missing(adapters, there):
    """Adapters that need each other lack each other, and the reason is the circle."""
    adapters.register(Left, Right)
    graph = di.graph(adapters, there)
    assert edges(graph) == {("Left", "right"): [(None, "missing")], ("Right", "left"): [(None, "missing")]}
    assert "a circle" in whys(graph)["left"]


def test_a_circle_with_a_way_out_is_told_as_it_is_built(adapters, there):
    """An adapter does not feed itself: one that wraps another of its type takes the other."""
    adapters.register(plain_mailer, logging_mailer, Clock, Service)
    found = edges(di.graph(adapters, there))
    assert found["logging_mailer", "inner"] == [("plain_mailer", "adapter")]
    assert found["Service", "mailer"] == [("logging_mailer", "adapter")]


def test_what_an_adapter_takes_never_needs_that_adapter(adapters, there):
    """A candidate that could only be built with what asks is passed over, as it is in a request."""

    def of_report(report: Report) -> Service: ...

    def service() -> Service: ...

    adapters.register(service, of_report, Report)
    found = edges(di.graph(adapters, there))
    assert found == {("of_report", "report"): [("Report", "adapter")], ("Report", "service"): [("service", "adapter")]}


def test_a_singleton_has_nothing_scoped(adapters, there):
    """What nothing could keep is missing, for whoever needs it by way of a singleton too."""

    def pool(session: Session) -> Mailer: ...

    adapters.scoped(Session)
    adapters.singleton(pool)
    adapters.register(Service, Clock)
    graph = di.graph(adapters, there)
    found = edges(graph)
    assert found["pool", "session"] == found["Service", "mailer"] == [(None, "missing")]
    assert found["Service", "clock"] == [("Clock", "adapter")]
    assert "outlives each scope" in whys(graph)["session"]
    assert whys(graph)["mailer"].startswith("Session <- pool(session) <- Service(mailer): it is scoped")


def test_a_singleton_sees_what_the_stage_has(adapters, there):
    """A component of an inner layer is for what lives for the call, not for a singleton."""
    inner = there.push()
    inner.add(Clock())
    adapters.singleton(Service)
    adapters.register(Smtp, builder_with(Clock))
    found = edges(di.graph(adapters, inner))
    assert found["Service", "clock"] == [(None, "missing")]
    assert found["build", "session"] == [(f"{__name__}.Clock:None", "component")]


def test_something_scoped_is_there(adapters, there):
    """The graph is that of a request inside of a scope."""
    adapters.scoped(session)
    adapters.register(builder_with(Session))
    assert edges(di.graph(adapters, there)) == {("build", "session"): [("session", "adapter")]}


def test_what_is_collected_has_an_edge_for_each(adapters, there):
    """All components and adapters that are collected are providers; where there is nothing, that is told."""
    there.add(Smtp(), name="first")
    there.add(Smtp())
    adapters.register(plain_mailer, Checks)
    found = edges(di.graph(adapters, there))
    assert sorted(found["Checks", "mailers"]) == [
        ("plain_mailer", "collected"),
        (f"{__name__}.Smtp:None", "collected"),
        (f"{__name__}.Smtp:first", "collected"),
    ]
    assert found["Checks", "clocks"] == [(None, "collected")]


def test_what_cannot_be_read_is_a_node_with_a_fault(adapters, there):
    """An annotation that means nothing costs the adapter its edges, and whoever needs it is told why."""
    adapters.register(Broken, NeedsBroken, Clock)
    graph = di.graph(adapters, there)
    assert [bool(one.fault) for one in graph.adapters] == [True, False, False]
    assert "knows no 'Nowhere'" in graph.adapters[0].fault
    assert edges(graph) == {("NeedsBroken", "broken"): [(None, "missing")]}
    assert whys(graph)["broken"] == graph.adapters[0].fault


def test_a_classmethod_that_serves_a_subclass_is_a_node_of_its_own(adapters, there):
    """What was registered for the base and builds the subclass stands behind all that was registered."""
    adapters.register(Model.load, Shop, Clock)
    graph = di.graph(adapters, there)
    assert [one.type for one in graph.adapters] == ["Model", "Shop", "Clock", "Order"]
    assert edges(graph) == {
        ("Model.load", "clock"): [("Clock", "adapter")],
        ("Shop", "order"): [("Order.load", "adapter")],
        ("Order.load", "clock"): [("Clock", "adapter")],
    }


def test_roots_are_nodes(adapters, there):
    """What is declared to be asked for has edges: a type one without a parameter, a function one for each."""
    there.add(Smtp())
    adapters.register(Service, Clock)
    with current(there):
        di.require(Service, list[Clock])
        di.require(handler, given=[Session])
        di.require(session, scope=False)
    graph = di.graph(adapters, there)
    assert [(one.id, one.target, one.fault) for one in graph.roots] == [
        ("r1", "Service", None),
        ("r2", "list[Clock]", None),
        ("r3", "handler", None),
        ("r4", "session", None),
    ]
    assert {one.place.file for one in graph.roots} == {__file__}
    assert graph.roots[2].place.line == graph.roots[0].place.line + 1
    found = edges(graph)
    assert found["Service", None] == [("Service", "adapter")]
    assert found["list[Clock]", None] == [(None, "missing")]
    assert found["handler", "service"] == [("Service", "adapter")]
    assert found["handler", "session"] == [(f"{__name__}.Session:None", "component")]
    assert not any(one.key.endswith("Root") for one in graph.components)


def test_a_root_that_cannot_be_read_has_a_fault(adapters, there):
    """A handler with an annotation that means nothing is a node, and says so."""

    def bad(thing: "Nowhere") -> None: ...  # noqa: F821

    there.add(root := di.Root(bad), name=root)
    (root,) = di.graph(adapters, there).roots
    assert "knows no 'Nowhere'" in root.fault
    assert ":::fault" in di.graph(adapters, there).mermaid()


def test_a_root_that_is_declared_twice_is_one(adapters, there):
    """Equal roots of several layers are one node."""
    there.add(di.Root(Clock), name="a")
    inner = there.push()
    inner.add(di.Root(Clock), name="b")
    (root,) = di.graph(adapters, inner).roots
    assert (root.id, root.place.file) == ("r1", __file__)


def test_what_is_overridden_is_told(adapters, there):
    """While something is overridden its askers take that, whether by the type asked for or the type built."""
    adapters.register(Smtp, Clock, Service, Report)
    with adapters.override(Smtp, Smtp()), adapters.override(Service, object()):
        found = edges(di.graph(adapters, there))
    assert found["Service", "mailer"] == found["Report", "service"] == [(None, "override")]
    assert found["Service", "clock"] == [("Clock", "adapter")]


def test_what_is_overridden_in_a_collection_is_told(adapters, there):
    """What is collected of others, and each override, is an edge of its own."""

    def report(mailers: t.Annotated[list[Mailer], di.All]) -> Report: ...

    adapters.register(Mailer, Smtp, report)
    there.add(Mailer())
    with adapters.override(Smtp, Mailer()):
        found = edges(di.graph(adapters, there))
    assert [how for _, how in found["report", "mailers"]] == ["collected", "collected", "override"]


def test_it_is_plain_data(adapters, there):
    """The graph becomes JSON, places included, and nothing is lost on the way."""
    there.add(Smtp(), name=("a", 1))
    there.add(root := di.Root(Report, place=errors.Place("shop.py", 3)), name=root)
    adapters.register(Service, Report, Broken, session)
    data = json.loads(json.dumps(attrs.asdict(di.graph(adapters, there))))
    assert [len(data[name]) for name in ("adapters", "components", "roots", "edges")] == [4, 1, 1, 5]
    assert data["adapters"][0]["place"]["file"] == __file__
    assert data["roots"][0]["place"] == {"file": "shop.py", "line": 3, "column": None}
    assert data["components"][0]["name"] == "('a', 1)"


def test_it_is_the_same_each_time(adapters, there):
    """Two graphs of one state are equal, and to draw one changes nothing."""
    there.add(Smtp())
    adapters.register(Service, Model.load, Shop, Left, Right, Checks)
    count = len(list(there.entries()))
    first = di.graph(adapters, there)
    assert first == di.graph(adapters, there)
    assert len(list(there.entries())) == count
    assert len(adapters) == 6


def test_nothing_is_an_empty_graph(adapters, there):
    """Without adapters and components there is nothing to tell, and the picture is empty."""
    graph = di.graph(adapters, there)
    assert (graph.adapters, graph.components, graph.roots, graph.edges) == ((), (), (), ())
    assert graph.mermaid().splitlines()[0] == "graph LR"


def test_the_picture(adapters):
    """The flowchart has the nodes with lifetime and owner, the arrows with parameters, and what is missing."""
    there = Components(owner="shop:mail")
    there.add(Smtp(), "unused")
    there.add(Smtp(), Mailer, name="mailer")
    with current(there):
        adapters.singleton(Service)
        adapters.scoped(session)
        adapters.register(Report, Broken)
        there.add(root := di.Root(handler), name=root)
    graph = di.graph(adapters, there)
    module = __name__
    assert graph.mermaid() == "\n".join([
        "graph LR",
        '  r1{{"handler<br/>required, shop#58;mail"}}',
        '  a1["Service<br/>singleton, shop#58;mail"]',
        '  a2["Session by session<br/>scoped, shop#58;mail"]',
        '  a3["Report<br/>transient, shop#58;mail"]',
        '  a4["Broken<br/>transient, shop#58;mail"]:::fault',
        f'  c2(["{module}.Mailer named mailer<br/>component, shop#58;mail"])',
        f'  m1["{module}.Service"]:::missing',
        f'  m2["{module}.Clock"]:::missing',
        '  r1 -.->|"service"| m1',
        '  r1 -->|"session"| a2',
        '  a1 -->|"mailer"| c2',
        '  a1 -.->|"clock"| m2',
        '  a3 -.->|"service"| m1',
        "  classDef missing stroke:#c00,stroke-dasharray:4",
        "  classDef fault stroke:#c00,stroke-width:3px",
    ])  # fmt: skip


def test_names_cannot_break_the_picture(adapters, there):
    """Whatever names hold, outside of character codes a label has but plain characters."""

    class Local: ...

    def local(local: Local, text: t.Literal['"]; end\n%% `x`']) -> dict[str, list[Mailer]]: ...

    hostile = '"]:::x\nclick a1 call <b>&amp;#quot;|{}\\n--> "`md`"'
    local.__qualname__ = f"{hostile}.<locals>.lo\ncal"
    there.add(Local(), name="local")
    there.add(1, hostile, name=hostile)
    adapters.register(local)
    adapters.register(builder_with(Local))
    adapters.register(builder_with(t.Annotated[int, di.Name("x")]))
    graph = di.graph(adapters, there)
    lines = graph.mermaid().splitlines()
    assert '"dict[str, list[Mailer]] by lo cal<br/>transient"' in lines[1]
    assert any("test_names_cannot_break_the_picture.#60;locals#62;.Local" in one for one in lines)
    label = r'"(?:[\w ,.()\'\[\]-]|#\d+;|<br/>)*"'
    node = rf"\w+(?:\[{label}\]|\(\[{label}\]\)|\{{\{{{label}\}}\}})(?::::\w+)?"
    arrow = rf"\w+ (?:-->|-\.->)(?:\|{label}\|)? \w+"
    assert [one for one in lines[1:-2] if not re.fullmatch(rf"  (?:{node}|{arrow})", one)] == []


def test_a_generator_that_nothing_finalises_is_missing(adapters):
    """A singleton that is a generator is there in a stage, which closes it, and nowhere else."""

    class Teardown:
        def add(self, task): ...

    adapters.singleton(session)
    adapters.register(builder_with(Session))
    assert edges(di.graph(adapters, Components())) == {("build", "session"): [(None, "missing")]}
    staged = Components()
    staged.home.closer = Teardown()
    assert edges(di.graph(adapters, staged)) == {("build", "session"): [("session", "adapter")]}


TYPES = [type(f"T{number}", (), {}) for number in range(5)]


@attrs.frozen
class Spec:
    """An adapter: which type it builds, and what it needs, with a default or without."""

    builds: int
    needs: tuple[tuple[int, bool], ...]

    def adapter(self, number):
        def build(**needs): ...

        build.__qualname__ = str(number)
        kind = inspect.Parameter.KEYWORD_ONLY
        needs = [
            inspect.Parameter(
                f"p{need}", kind, annotation=TYPES[need], default=None if default else inspect.Parameter.empty
            )
            for need, default in self.needs
        ]
        build.__signature__ = inspect.Signature(needs, return_annotation=TYPES[self.builds])
        return build


def can(found, there, number, way):
    """Say whether adapter *number* can be called without any of those on the *way* to it."""
    return number not in way and all(
        default or need in there or any(can(found, there, one, way | {number}) for one in builders(found, need))
        for need, default in found[number].needs
    )


def builders(found, need):
    """Return the adapters for a type, the last registered first."""
    return [number for number, spec in reversed(list(enumerate(found))) if spec.builds == need]


def expected(found, there, number, need, default):
    if need in there:
        return f"{TYPES[need].__module__}.T{need}:None", "component"
    for one in builders(found, need):
        if can(found, there, one, {number}):
            return str(one), "adapter"
    return None, "default" if default else "missing"


types = st.integers(0, len(TYPES) - 1)
needs = st.lists(st.tuples(types, st.booleans()), max_size=2, unique_by=lambda one: one[0]).map(tuple)


@given(st.lists(st.builds(Spec, types, needs), max_size=8), st.frozensets(types, max_size=2))
@settings(deadline=None)
def test_any_graph_is_told_as_it_is_built(found, there):
    """Each need is met by a component, or the last adapter that can be called without who asks, or not at all."""
    adapters, components = di.Adapters(), Components()
    for number in sorted(there):
        components.add(TYPES[number]())
    adapters.register(*(spec.adapter(number) for number, spec in enumerate(found)))
    assert edges(di.graph(adapters, components)) == {
        (str(number), f"p{need}"): [expected(found, there, number, need, default)]
        for number, spec in enumerate(found)
        for need, default in spec.needs
    }


def test_one_object_that_is_added_twice_by_one_line_is_two_nodes(adapters, there):
    """Under two names, or under two keys: each is told, as each is an addition."""
    clock = Clock()
    for name in "a", "b":
        there.add(clock, name=name)
    for key in "c", "d":
        there.add(clock, key)
    assert [(node.key, node.name) for node in di.graph(adapters, there).components] == [
        (f"{__name__}.Clock", "a"),
        (f"{__name__}.Clock", "b"),
        ("'c'", None),
        ("'d'", None),
    ]


def test_a_declaration_is_told_by_the_name_in_it(adapters, there):
    """What is filed under itself is told by the name that it has, if that is a text, and never by its repr."""

    @attrs.frozen
    class Declared:
        name: object

        def __repr__(self):
            return "hunter2"

    for each in (Declared("users"), Declared(5)):
        there.add(each, name=each)
    assert [one.name for one in di.graph(adapters, there).components] == ["users", None]
