"""What a plugin with walls exports is built at home, from what that plugin has, and kept once for all who ask."""

import asyncio
import typing as t

import attrs
import pytest

from buvar import context, di, plugin
from tests.staging.shop import ROUNDS, Audit, Engine, Left, Orders, Request, Right, SqlUsers, Users, audit, looking, run

pytestmark = pytest.mark.usefixtures("registry")


def builds(kind, cls):
    """Return an adapter of a kind for what needs an engine."""
    if kind == "class":
        return cls

    def function(engine: Engine):
        return cls(engine)

    async def coroutine(engine: Engine):
        await asyncio.sleep(0)
        return cls(engine)

    def generator(engine: Engine):
        yield cls(engine)

    async def async_generator(engine: Engine):
        yield cls(engine)

    made = {
        "function": (function, cls),
        "coroutine": (coroutine, cls),
        "generator": (generator, t.Iterator[cls]),
        "async generator": (async_generator, t.AsyncIterator[cls]),
    }
    adapter, returns = made[kind]
    adapter.__annotations__["return"] = returns
    return adapter


KINDS = ["class", "function", "coroutine", "generator", "async generator"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
@pytest.mark.parametrize("walled", [True, False])
def test_an_exported_adapter_builds_from_what_its_plugin_has(kind, lifetime, walled):
    """Whatever it is and however long it lives, it gets what is at home; who asks has another of that."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.register(builds(kind, SqlUsers), lifetime=lifetime)

    async def asking(load: plugin.Loader):
        await load(exporting)
        context.add(Engine("asker"))
        di.register(Orders)
        for _ in ROUNDS:
            async with context.scope("request"):
                for _ in range(2):
                    orders = await di.nject(Orders)
                    assert orders.engine.url == "asker"
                    assert orders.users.engine.url == "home"
                    seen.append(orders.users)
                assert (await di.nject(Users)).engine.url == "home"

    run(plugin.exports()(asking) if walled else asking)
    assert len(set(seen)) == {"transient": 8, "scoped": 4, "singleton": 1}[lifetime]


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_built_once_for_all_who_ask_at_the_same_time(kind, lifetime):
    """At home, through an open and through a walled loader, concurrently: one object."""
    asked = []

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.register(builds(kind, SqlUsers), lifetime=lifetime)
        asked.append(context.current_context())

    async def remember():
        asked.append(context.current_context())

    def here(components):
        adapters = components.home.adapters

        async def ask():
            return await adapters.nject(Users)

        return context.run(components)(lambda: asyncio.create_task(ask()))()

    async def concurrent(load: plugin.Loader):
        await load(looking([], remember, exporting, walled=True), looking([], remember, exporting))
        for _ in ROUNDS:
            async with context.scope("request") as scope:
                found = await asyncio.gather(*(here(scope.at(each.home)) for each in asked))
            assert len(found) == 3
            assert len(set(found)) == 1

    run(concurrent)


def test_a_request_is_seen_on_both_sides():
    """What was pushed for a request, and what the scope keeps, is there for who asks and for what is built at home."""

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(audit)
        context.add(Engine("asker"))
        for number in ROUNDS:
            async with context.scope("request"):
                request = context.add(Request(str(number)))
                found = await di.nject(Audit)
                assert found.request is request
                assert found.engine.url == "audit"
                assert await di.nject(Audit) is found
                assert di.nject_now(Audit) is found
                with context.child():
                    assert await di.nject(Audit) is found
                async with context.scope("inner"):
                    assert await di.nject(Audit) is not found
                assert await di.nject(Audit) is found

    run(asking)


def test_a_layer_on_top_is_seen_by_what_is_built_for_the_call():
    """What a block pushes reaches a transient thing at home, and is gone for the next."""
    seen = []

    @plugin.exports(Audit)
    async def exporting():
        context.add(Engine("home"))
        di.register(Audit)

    async def asking(load: plugin.Loader):
        await load(exporting)
        for _ in ROUNDS:
            with context.child() as components:
                components.add(Request("inner"))
                seen.append((await di.nject(Audit)).request.path)
                with context.child() as inner:
                    inner.add(Request("innermost"))
                    seen.append((await di.nject(Audit)).request.path)
            assert context.get(Request, default=None) is None

    run(asking)
    assert seen == ["inner", "innermost"] * 4


def test_what_the_scope_keeps_sees_what_the_scope_began_with():
    """A scoped thing outside gets an exported one that is built from the scope, not from a layer on top of it."""

    @plugin.exports(Audit)
    async def exporting():
        context.add(Engine("home"))
        di.register(Audit)

    @attrs.frozen(eq=False)
    class Log:
        audit: Audit

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.scoped(Log)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request("scope"))
                with context.child() as inner:
                    inner.add(Request("inner"))
                    assert (await di.nject(Log)).audit.request.path == "scope"

    run(asking)


def test_components_are_not_compared():
    """A component whose comparison fails may stand in a scope and on top of it."""

    class Touchy:
        def __eq__(self, other):
            raise TypeError("do not compare me")

        __hash__ = object.__hash__

    @attrs.frozen(eq=False)
    class Log:
        left: Left

    @plugin.exports(Left)
    async def exporting():
        di.register(Left)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.scoped(Log)
        async with context.scope("request"):
            context.add(Touchy())
            with context.child() as inner:
                inner.add(Touchy())
                assert isinstance((await di.nject(Log)).left, Left)

    run(asking)


@pytest.mark.parametrize(("is_async", "now"), [(False, False), (False, True), (True, False)])
def test_an_exported_generator_is_finalised_at_home(is_async, now):
    """What follows its yield runs when its owner closes, dependants first, and sees what its plugin sees."""
    seen = []

    def left() -> t.Iterator[Left]:
        yield Left()
        seen.append(("scoped", context.get(Engine).url, di.nject_now(Users).engine.url))

    def right() -> t.Iterator[Right]:
        yield Right()
        seen.append(("singleton", context.get(Engine).url, di.nject_now(Users).engine.url))

    async def async_left() -> t.AsyncIterator[Left]:
        yield Left()
        seen.append(("scoped", context.get(Engine).url, (await di.nject(Users)).engine.url))

    async def async_right() -> t.AsyncIterator[Right]:
        yield Right()
        seen.append(("singleton", context.get(Engine).url, (await di.nject(Users)).engine.url))

    @plugin.exports(Left, Right)
    async def exporting():
        context.add(Engine("home"))
        di.register(SqlUsers)
        di.scoped(async_left if is_async else left)
        di.singleton(async_right if is_async else right)

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        context.add(Engine("asker"))
        di.register(Users)
        for _ in ROUNDS:
            async with context.scope("request"):
                if now:
                    di.nject_now(Left, Right)
                else:
                    await di.nject(Left, Right)
            seen.append("closed")

    run(asking)
    assert seen == [("scoped", "home", "home"), "closed"] * 4 + [("singleton", "home", "home")]


def test_an_exported_singleton_closes_after_what_depends_on_it():
    """Teardown finalises what stands on both sides of walls in the right order, each once."""
    seen = []

    def left() -> t.Iterator[Left]:
        yield Left()
        seen.append("exported")

    def right(left: Left) -> t.Iterator[Right]:
        yield Right()
        seen.append("dependant")

    @plugin.exports(Left)
    async def exporting():
        di.singleton(left)

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        di.singleton(right)
        await di.nject(Right)
        await di.nject(Right, Left)

    run(asking, looking([], lambda: di.nject(Left), exporting))
    assert seen == ["dependant", "exported"]


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
def test_what_is_shared_and_kept_is_the_same_behind_walls(lifetime):
    """A shared adapter keeps one object for all, and that never holds anything private, whoever asks first."""
    seen = []

    async def shared():
        context.add(Engine("shared"))
        di.register(Users, lifetime=lifetime)
        seen.append(context.current_context())

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(shared)
        context.add(Engine("private"))
        (outside,) = seen
        for _ in ROUNDS:
            async with context.scope("request") as scope:
                inside = await di.nject(Users)
                assert inside.engine.url == "shared"
                assert di.nject_now(Users) is inside
                asking = context.run(scope.at(outside.home))(outside.home.adapters.nject_now)
                assert asking(Users) is inside
            async with context.scope("request") as scope:
                asking = context.run(scope.at(outside.home))(outside.home.adapters.nject_now)
                assert asking(Users) is await di.nject(Users)

    run(walled)


def test_what_is_shared_and_lives_for_the_call_is_built_from_what_the_asker_sees():
    """A transient shared adapter holds what is private to who asks: it lives no longer than the call."""
    seen = []

    async def shared():
        context.add(Engine("shared"))
        di.register(Users)

    @plugin.exports()
    async def walled():
        context.add(Engine("private"))
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])

    run(shared, walled, looking(seen, lambda: di.nject(Users)))
    assert seen[:4] == ["private"] * 4
    assert seen[4].engine.url == "shared"


def test_a_classmethod_serves_subclasses_behind_walls():
    """One that returns its own class does so for a walled plugin too, shared or private, and keeps what it built."""

    class Model:
        @classmethod
        def create(cls) -> t.Self:
            return cls()

    class Mine(Model): ...

    class Own(Model): ...

    outside = []

    async def shared():
        di.singleton(Model.create)
        outside.append(await di.nject(Mine))

    async def later():
        di.register(Left)

    @plugin.exports()
    async def private(load: plugin.Loader):
        di.singleton(Model.create)
        own = await di.nject(Own)
        await load(later)
        assert await di.nject(Own) is own

    @plugin.exports()
    async def asking():
        assert await di.nject(Mine) is outside[0]

    run(private)
    run(shared, asking)
