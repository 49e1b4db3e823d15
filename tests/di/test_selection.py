"""Selection: a component by name, and all of a type."""

import typing as t

import attrs
import pytest

from buvar import context, di

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


@attrs.frozen(eq=False)
class Engine:
    url: str = "default"


Replica = t.Annotated[Engine, di.Name("replica")]


class Reports:
    def __init__(self, engine: Replica) -> None:
        self.engine = engine


class Lenient:
    def __init__(self, engine: t.Annotated[t.Optional[Engine], di.Name("replica")] = None) -> None:
        self.engine = engine


class Check:
    def __init__(self, name: str = "built") -> None:
        self.name = name


class DiskCheck(Check): ...


class Health:
    def __init__(self, checks: t.Annotated[list[Check], di.All]) -> None:
        self.checks = checks


class Sealed:
    def __init__(self, checks: t.Annotated[tuple[Check, ...], di.All]) -> None:
        self.checks = checks


class Named:
    def __init__(self, checks: t.Annotated[dict[str, Check], di.All]) -> None:
        self.checks = checks


# -- names


async def test_a_name_picks_the_component_of_that_name(adapters, components):
    """Neither the unnamed one, nor that of the parameter's name, nor what an adapter builds is taken."""
    adapters.register(Reports, Engine)
    replica = components.add(Engine("replica"), name="replica")
    components.add(Engine("engine"), name="engine")
    components.add(Engine("unnamed"))
    for _ in ROUNDS:
        assert (await adapters.nject(Reports)).engine is replica
        assert adapters.nject_now(Reports).engine is replica
        assert await adapters.nject(Replica) is replica
        assert await adapters.nject(Replica, Engine) == (replica, components.get(Engine))


async def test_a_named_component_is_no_unnamed_one(adapters, components):
    """Who asks without a name does not get it, but for a parameter of that name."""

    def make(engine: Engine, replica: Engine) -> Check:
        return Check(f"{engine.url} {replica.url}")

    adapters.register(Engine, make)
    components.add(Engine("named"), name="replica")
    for _ in ROUNDS:
        assert (await adapters.nject(Check)).name == "default named"
        assert (await adapters.nject(Engine)).url == "default"


async def test_a_missing_name_is_told_with_those_there_are(adapters, components):
    """An adapter cannot give a named component, and the message lists the names of that type."""
    adapters.register(Reports, Engine)
    components.add(Engine(), name="primary")
    components.add(Engine(), name="archive")
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match=r"named 'replica'.*named 'archive', 'primary'") as caught:
            await adapters.nject(Reports)
        assert caught.value.path == ("Engine", "Reports(engine)")
        with pytest.raises(di.ResolveError, match="named 'replica'"):
            await adapters.nject(Replica)
        with pytest.raises(di.ResolveError, match="named 'replica'"):
            adapters.nject_now(Reports)


async def test_a_missing_name_leaves_the_default(adapters, components):
    """A parameter with a default does without, until there is one of that name."""
    adapters.register(Lenient, Engine)
    components.add(Engine("unnamed"))
    for _ in ROUNDS:
        assert (await adapters.nject(Lenient)).engine is None
    replica = components.add(Engine("replica"), name="replica")
    for _ in ROUNDS:
        assert (await adapters.nject(Lenient)).engine is replica


async def test_the_inner_layer_wins_by_name(adapters, components):
    """A component of the same name further in is taken as long as its layer is current."""
    adapters.register(Reports)
    outer = components.add(Engine("outer"), name="replica")
    for _ in ROUNDS:
        assert (await adapters.nject(Reports)).engine is outer
        with context.child() as child:
            inner = child.add(Engine("inner"), name="replica")
            assert (await adapters.nject(Reports)).engine is inner


async def test_a_keyword_dependency_wins_over_a_name(adapters, components):
    """What is given for the parameter itself is taken; what is given under other names is not."""
    adapters.register(Reports)
    replica = components.add(Engine("replica"), name="replica")
    given = Engine("given")
    for _ in ROUNDS:
        assert (await adapters.nject(Reports, engine=given)).engine is given
        assert (await adapters.nject(Reports, other=given)).engine is replica


async def test_a_name_may_be_anything_hashable(adapters, components):
    """Not only text names a component."""
    adapters.register(Engine)
    shard = components.add(Engine("shard"), name=("shard", 3))
    for _ in ROUNDS:
        assert await adapters.nject(t.Annotated[Engine, di.Name(("shard", 3))]) is shard


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_what_is_kept_picks_by_name_where_it_is_kept(adapters, components, lifetime):
    """A named component of an inner layer is not for what outlives it."""
    adapters.register(Reports, lifetime=lifetime)
    outer = components.add(Engine("outer"), name="replica")
    async with context.scope("request"):
        with context.child() as child:
            child.add(Engine("inner"), name="replica")
            for _ in ROUNDS:
                assert (await adapters.nject(Reports)).engine is outer


async def test_a_name_inside_of_an_optional_counts(adapters, components):
    """``Annotated[Engine, Name(…)] | None`` picks by name, or is refused, but is not taken for any engine."""

    def make(engine: t.Optional[t.Annotated[Engine, di.Name("replica")]] = None) -> Check:
        return Check("none" if engine is None else engine.url)

    components.add(Engine("unnamed"))
    try:
        adapters.register(make)
        found = await adapters.nject(Check)
    except di.AdapterError:
        return
    assert found.name == "none"


# -- all


async def test_all_in_a_list(adapters, components):
    """All components come, the outermost layer's first, unnamed and named ones."""
    adapters.register(Health)
    first, second = components.add(Check("first"), name="a"), components.add(Check("second"))
    for _ in ROUNDS:
        with context.child() as child:
            third = child.add(DiskCheck("third"), name="b")
            checks = (await adapters.nject(Health)).checks
            assert type(checks) is list
            assert sorted(checks, key=id) == sorted([first, second, third], key=id)
            assert checks[-1] is third
            assert adapters.nject_now(Health).checks == checks
        assert len((await adapters.nject(Health)).checks) == 2


async def test_all_in_a_tuple_and_as_a_dict(adapters, components):
    """A tuple is a list that is sealed; a dict has the components by name, None being that of the unnamed one."""
    adapters.register(Sealed, Named, Check)
    disk, plain = components.add(DiskCheck("disk"), name="disk"), components.add(Check("plain"))
    for _ in ROUNDS:
        sealed, named = await adapters.nject(Sealed, Named)
        assert type(sealed.checks) is tuple
        assert set(sealed.checks) > {disk, plain}
        assert named.checks == {"disk": disk, None: plain}
        assert await adapters.nject(t.Annotated[dict[str, Check], di.All]) == named.checks


async def test_an_inner_component_of_the_same_name_replaces(adapters, components):
    """All are merged by name, as `Components.find` does."""
    adapters.register(Health, Named)
    components.add(Check("outer"), name="disk")
    for _ in ROUNDS:
        with context.child() as child:
            inner = child.add(Check("inner"), name="disk")
            health, named = await adapters.nject(Health, Named)
            assert health.checks == [inner]
            assert named.checks == {"disk": inner}


async def test_all_takes_one_object_of_each_adapter_that_can_build(adapters, components):
    """Components first, then the adapters in the order of registration; one that lacks something is left out."""

    def second() -> Check:
        return Check("second")

    def lacking(engine: Engine) -> Check:
        return Check("lacking")

    adapters.register(Health, DiskCheck, lacking, second)
    component = components.add(Check("component"))
    for _ in ROUNDS:
        checks = (await adapters.nject(Health)).checks
        assert checks[0] is component
        assert [one.name for one in checks[1:]] == ["built", "second"]
        assert type(checks[1]) is DiskCheck
        assert [one.name for one in adapters.nject_now(Health).checks] == ["component", "built", "second"]
    adapters.register(Engine)
    for _ in ROUNDS:
        assert [one.name for one in (await adapters.nject(Health)).checks] == [
            "component",
            "built",
            "lacking",
            "second",
        ]


async def test_all_shares_what_else_is_built(adapters):
    """In one call an adapter builds once, be it for all or for one."""
    adapters.register(Health, Sealed, Check)
    adapters.scoped(DiskCheck)
    for _ in ROUNDS:
        async with context.scope("request"):
            health, sealed, check, disk = await adapters.nject(Health, Sealed, Check, DiskCheck)
            assert tuple(health.checks) == sealed.checks
            assert set(health.checks) == {check, disk} | set(sealed.checks)
            assert disk is await adapters.nject(DiskCheck)
            assert disk in (await adapters.nject(Health)).checks


async def test_all_of_nothing_is_empty(adapters):
    """Where there is none the container is empty, and a new one each time."""
    adapters.register(Health, Sealed, Named)
    for _ in ROUNDS:
        health, sealed, named = await adapters.nject(Health, Sealed, Named)
        assert (health.checks, sealed.checks, named.checks) == ([], (), {})
        assert (await adapters.nject(Health)).checks is not health.checks


async def test_all_sees_what_is_added_later(adapters, components):
    """A plan for none serves for some, in each layer."""
    adapters.register(Health)
    for number in ROUNDS:
        assert len((await adapters.nject(Health)).checks) == number
        components.add(Check(str(number)), name=number)
        assert len((await adapters.nject(Health)).checks) == number + 1


async def test_something_that_stands_under_two_names_comes_once(adapters, components):
    """A list has each object once, a dict has it under each of its names."""
    adapters.register(Health, Named)
    check = components.add(components.add(Check(), name="a"), name="b")
    for _ in ROUNDS:
        health, named = await adapters.nject(Health, Named)
        assert health.checks == [check]
        assert named.checks == {"a": check, "b": check}


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_all_for_what_is_kept(adapters, components, lifetime):
    """What is kept collects what is there where it is kept."""
    adapters.register(Health, lifetime=lifetime)
    outer = components.add(Check("outer"))
    async with context.scope("request"):
        with context.child() as child:
            child.add(Check("inner"), name="inner")
            for _ in ROUNDS:
                assert (await adapters.nject(Health)).checks == [outer]


async def test_a_keyword_dependency_of_the_name_is_the_collection(adapters, components):
    """Who gives what is to be collected by name has it taken."""
    components.add(Check())
    given = [Check("given")]

    def make(checks: t.Annotated[list[Check], di.All]) -> Health:
        return Health(checks)

    adapters.register(make)
    for _ in ROUNDS:
        assert (await adapters.nject(Health, checks=given)).checks is given


@pytest.mark.parametrize("tp", [Check, set[Check], list, tuple[Check]])
async def test_all_where_nothing_can_be_collected_is_an_error(adapters, tp):
    """The message says what to write; for a parameter it is an AdapterError, with its name."""

    def make(checks: t.Annotated[tp, di.All]) -> Health:
        raise AssertionError

    adapters.register(make)
    for _ in ROUNDS:
        with pytest.raises(di.AdapterError, match=r"'checks': .* cannot collect; write Annotated"):
            await adapters.nject(Health)
        with pytest.raises(di.ResolveError, match="cannot collect"):
            await adapters.nject(t.Annotated[tp, di.All])
        with pytest.raises(di.ResolveError, match="cannot collect"):
            adapters.nject_now(t.Annotated[tp, di.All])


async def test_an_adapter_that_collects_what_it_builds(adapters):
    """It does not collect itself: a composite is made of the others."""

    class Composite(Check):
        def __init__(self, checks: t.Annotated[list[Check], di.All]) -> None:
            super().__init__("composite")
            self.checks = checks

    adapters.register(Check, DiskCheck, Composite)
    for _ in ROUNDS:
        composite = await adapters.nject(Check)
        assert [type(one) for one in composite.checks] == [Check, DiskCheck]


async def test_a_union_is_looked_for_in_the_order_in_which_it_is_written(adapters, components):
    """Also where a union of the same types in another order was asked for before."""

    class Left: ...

    class Right: ...

    class First:
        def __init__(self, one: Left | Right) -> None:
            self.one = one

    class Second:
        def __init__(self, one: Right | Left) -> None:
            self.one = one

    left, right = components.add(Left()), components.add(Right())
    adapters.register(First, Second)
    for _ in range(4):
        first, second = await adapters.nject(First, Second)
        assert (first.one, second.one) == (left, right)


@t.runtime_checkable
class Sends(t.Protocol):
    def send(self) -> None: ...


class HasName(t.Protocol):
    name: str


class Letter:
    def send(self) -> None: ...


class Titled:
    name = "title"


class Fax:
    def send(self) -> None: ...


def test_replace_works_for_what_looks_alike(adapters):
    """An adapter of something that satisfies a protocol replaces what did so before."""
    adapters.register(Letter)
    adapters.register(Fax, replace=True)
    assert [each.implementation for each in adapters.lookup(Sends)] == [Fax]
    adapters.register(Letter)
    assert [each.implementation for each in adapters.lookup(Sends)] == [Letter, Fax]


async def test_a_protocol_that_cannot_be_looked_at_is_told(adapters):
    """Without runtime_checkable only what derives from it, or is registered as it, answers."""
    adapters.register(Letter)
    with pytest.raises(di.ResolveError, match="a Protocol without @runtime_checkable"):
        await adapters.nject(HasName)
    adapters.transient(HasName, Titled)
    assert type(await adapters.nject(HasName)) is Titled
