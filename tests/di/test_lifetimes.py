"""Lifetimes: how long what an adapter builds lives, and what it may see."""

import asyncio
import contextlib
import inspect
import typing as t

import attrs
import pytest

from buvar import context, di, errors, plugin
from buvar.components import Components

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


@attrs.frozen(eq=False)
class Engine:
    url: str = "default"


@attrs.frozen(eq=False)
class Session:
    engine: Engine


@attrs.frozen(eq=False)
class Users:
    session: Session


@attrs.frozen(eq=False)
class Orders:
    session: Session
    users: Users


@attrs.frozen(eq=False)
class Request:
    path: str = "/"


class Port:
    """What others ask for."""

    def __init__(self) -> None:
        self.open = True


class Adapted(Port): ...


class Unrelated: ...


def stage(prepare):
    """Run a stage of one plugin, which has no tasks."""
    ran = []

    async def wrapped():
        await prepare()
        ran.append(True)

    plugin.stage(wrapped)
    assert ran


async def test_transient_lives_for_the_call(adapters):
    """Each request builds a transient anew, and shares it inside of the request."""
    adapters.register(Engine, Session, Users, Orders)
    seen = []
    async with context.scope("request"):
        for _ in ROUNDS:
            orders = await adapters.nject(Orders)
            assert orders.session is orders.users.session
            assert all(orders.session is not one for one in seen)
            seen.append(orders.session)


async def test_scoped_is_built_once_in_a_scope(adapters):
    """All requests in one scope share what is scoped, and the next scope has its own."""
    adapters.register(Engine, Users, Orders)
    adapters.scoped(Session)
    seen = []
    for _ in ROUNDS:
        async with context.scope("request"):
            first = await adapters.nject(Session)
            for _ in ROUNDS:
                orders, users = await adapters.nject(Orders, Users)
                assert orders.session is users.session is first
                assert adapters.nject_now(Session) is first
        assert all(first is not one for one in seen)
        seen.append(first)


async def test_singleton_is_built_once_in_a_stage(adapters):
    """What is a singleton is the same in each scope, in each layer and outside of all scopes."""
    adapters.singleton(Engine)
    adapters.scoped(Session)
    engine = await adapters.nject(Engine)
    for _ in ROUNDS:
        assert await adapters.nject(Engine) is engine
        assert adapters.nject_now(Engine) is engine
        async with context.scope("request"):
            assert await adapters.nject(Engine) is engine
            assert (await adapters.nject(Session)).engine is engine
            with context.child():
                assert await adapters.nject(Engine) is engine


async def test_a_singleton_that_was_first_asked_for_in_a_scope_outlives_it(adapters):
    """The scope in which a singleton happens to be built has no part in it."""
    adapters.singleton(Engine)
    adapters.scoped(Session)
    async with context.scope("request"):
        engine = (await adapters.nject(Session)).engine
    for _ in ROUNDS:
        assert await adapters.nject(Engine) is engine


async def test_the_innermost_scope_keeps_what_is_scoped(adapters):
    """A scope inside of another one builds its own, and the outer one finds its own again."""
    adapters.register(Engine)
    adapters.scoped(Session)
    for _ in ROUNDS:
        async with context.scope("message"):
            outer = await adapters.nject(Session)
            async with context.scope("unit of work"):
                inner = await adapters.nject(Session)
                assert inner is not outer
                assert await adapters.nject(Session) is inner
                async with context.scope("attempt"):
                    assert await adapters.nject(Session) not in {inner, outer}
                assert await adapters.nject(Session) is inner
            assert await adapters.nject(Session) is outer


async def test_the_outer_scope_is_asked_where_the_inner_is_not_entered(adapters):
    """What was built in the inner scope first does not reach the outer one."""
    adapters.register(Engine)
    adapters.scoped(Session)
    async with context.scope("outer"):
        async with context.scope("inner"):
            inner = await adapters.nject(Session)
        outer = await adapters.nject(Session)
        assert inner is not outer


async def test_child_inside_of_a_scope_shares_the_scope(adapters):
    """A layer in a scope is no scope: what is scoped is the same in it and after it."""
    adapters.register(Engine)
    adapters.scoped(Session)
    for _ in ROUNDS:
        async with context.scope("request"):
            with context.child():
                session = await adapters.nject(Session)
                with context.child():
                    assert await adapters.nject(Session) is session
            assert await adapters.nject(Session) is session


async def test_tasks_of_a_scope_share_it(adapters):
    """Tasks that are started in a scope, also with a layer of their own, see what is scoped in it."""
    adapters.register(Engine)
    adapters.scoped(Session)
    factory = context.StackingTaskFactory.set()
    try:
        async with context.scope("request"):
            found = await asyncio.gather(*(asyncio.create_task(adapters.nject(Session)) for _ in ROUNDS))
            assert set(found) == {await adapters.nject(Session)}
    finally:
        factory.reset()


class Late:
    """What is done in a scope when it is over, in the task of it or with a layer on top."""

    def __init__(self, ask, *, layered=False):
        self.over = asyncio.Event()
        self.ask = ask
        self.layered = layered

    async def run(self):
        with context.child() if self.layered else contextlib.nullcontext():
            await self.over.wait()
            found = self.ask()
            return await found if inspect.isawaitable(found) else found

    async def after(self, *before):
        """Open a scope, ask for *before* in it, and go on when it has ended."""
        async with context.scope("request"):
            task = asyncio.create_task(self.run())
            await asyncio.sleep(0)
            for ask in before:
                await ask()
        self.over.set()
        return await task


async def async_engine() -> Engine:
    return Engine()


async def wait_for_users(session: Session) -> Users:
    return Users(session)


@pytest.mark.parametrize("layered", [False, True])
@pytest.mark.parametrize("target", [Engine, Session, Users, Orders])
async def test_nothing_scoped_is_built_when_its_scope_has_ended(adapters, target, layered):
    """A task that outlives its scope is told so, however what it asks for is built; generators are refused as well."""
    adapters.register(Engine, Session, wait_for_users, lifetime="scoped")
    adapters.register(Orders)
    for _ in ROUNDS:
        for nject in (adapters.nject, adapters.nject_now)[: 2 if target in (Engine, Session) else 1]:
            with pytest.raises(di.ResolveError, match="its scope has ended"):
                await Late(lambda nject=nject: nject(target), layered=layered).after()
        async with context.scope("request"):  # so that there are plans
            await adapters.nject(target)
            if target is not Users and target is not Orders:
                adapters.nject_now(target)


async def test_what_is_left_is_not_built_either_when_the_scope_has_ended(adapters):
    """Something that is there already does not make what needs it be built in a dead scope."""
    adapters.register(async_engine, Session, lifetime="scoped")
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match="its scope has ended"):
            await Late(lambda: adapters.nject(Session)).after(lambda: adapters.nject(Engine))
        async with context.scope("request"):
            await adapters.nject(Session)


async def test_what_a_scope_has_kept_is_there_as_long_as_somebody_is_in_it(adapters):
    """A task that outlives its scope gets what the scope has built, and what lives for the call."""
    adapters.register(Engine, lifetime="scoped")
    adapters.register(Session)
    for _ in ROUNDS:
        session = await Late(lambda: adapters.nject(Session)).after(lambda: adapters.nject(Engine))
        assert type(session.engine) is Engine


async def test_a_task_that_outlives_its_scope_may_open_another_one(adapters):
    """It is a scope like any other."""
    adapters.register(Engine, lifetime="scoped")

    async def ask():
        async with context.scope("late"):
            return await adapters.nject(Engine)

    for _ in ROUNDS:
        assert type(await Late(ask).after()) is Engine


async def test_what_is_scoped_sees_what_its_scope_sees(adapters):
    """Components of an inner layer, which may end before the scope, do not reach what the scope keeps."""
    adapters.scoped(Session)
    for _ in ROUNDS:
        with context.child() as below:
            outer = below.add(Engine("below"))
            async with context.scope("request"):
                with context.child() as inner:
                    inner.add(Engine("inner"))
                    assert (await adapters.nject(Session)).engine is outer
        async with context.scope("request") as components:
            own = components.add(Engine("own"))
            assert (await adapters.nject(Session)).engine is own


async def test_what_is_scoped_is_not_made_of_keyword_dependencies(adapters):
    """A dependency given for one call does not reach what is kept for others."""
    adapters.register(Engine, Users)
    adapters.scoped(Session)
    given = Engine("given")
    for _ in ROUNDS:
        async with context.scope("request"):
            users = await adapters.nject(Users, engine=given)
            assert users.session.engine is not given
            assert users.session is await adapters.nject(Session)


async def test_a_keyword_dependency_stands_for_what_is_kept(adapters):
    """A transient takes a given dependency in place of what a scope keeps, for this one call."""
    adapters.register(Engine, Users)
    adapters.scoped(Session)
    given = Session(Engine("given"))
    async with context.scope("request"):
        kept = await adapters.nject(Session)
        for _ in ROUNDS:
            assert (await adapters.nject(Users, session=given)).session is given
            assert (await adapters.nject(Users)).session is kept


async def test_a_singleton_never_sees_components_of_a_request(adapters):
    """A singleton is built from what the stage has, whoever asks for it first."""

    def make(engine: Engine = Engine("default"), request: t.Optional[Request] = None) -> Port:
        port = Port()
        port.engine, port.request = engine, request
        return port

    adapters.singleton(make)
    async with context.scope("request") as components:
        components.add(Request())
        components.add(Engine("of the request"))
        for _ in ROUNDS:
            port = await adapters.nject(Port)
            assert port.request is None
            assert port.engine.url == "default"


async def test_a_singleton_without_what_only_a_request_has_is_an_error_with_advice(adapters):
    """What stands in the scope alone is told to be out of reach, and not to be missing."""
    adapters.singleton(Session)
    async with context.scope("request") as components:
        components.add(Engine())
        for _ in ROUNDS:
            with pytest.raises(di.ResolveError, match="which has none of its own") as caught:
                await adapters.nject(Session)
            assert caught.value.path == ("Engine", "Session(engine)")
            with pytest.raises(di.ResolveError, match="which has none of its own"):
                adapters.nject_now(Session)


async def test_a_singleton_never_sees_keyword_dependencies(adapters):
    """A dependency that is given by name or by type is not taken for a singleton, nor for what it is made of."""
    adapters.register(Engine)
    adapters.singleton(Session)
    adapters.register(Users)
    given = Engine("given")
    for _ in ROUNDS:
        users = await adapters.nject(Users, engine=given)
        assert users.session.engine.url == "default"
        assert adapters.nject_now(Users, other=given).session is users.session


async def test_a_transient_below_a_singleton_belongs_to_it(adapters):
    """What is built for a singleton alone is not what a call gets."""
    adapters.register(Engine)
    adapters.singleton(Session)
    for _ in ROUNDS:
        session, engine = await adapters.nject(Session, Engine)
        assert session.engine is not engine
        assert (await adapters.nject(Session)).engine is session.engine


async def test_a_singleton_on_something_scoped_is_an_error_with_its_path(adapters):
    """It is refused though a scope is open, at any depth, and nothing is built."""
    built = []

    def make() -> Engine:
        built.append("engine")
        return Engine()

    adapters.scoped(make)
    adapters.register(Session)
    adapters.singleton(Users)
    adapters.register(Orders)
    async with context.scope("request"):
        for _ in ROUNDS:
            with pytest.raises(di.ResolveError, match="what needs it is a singleton") as caught:
                await adapters.nject(Users)
            assert caught.value.path == ("Engine", "Session(engine)", "Users(session)")
            with pytest.raises(di.ResolveError, match="what needs it is a singleton"):
                await adapters.nject(Orders)
            with pytest.raises(di.ResolveError, match="what needs it is a singleton"):
                adapters.nject_now(Users)
    assert built == []


async def test_scoped_without_a_scope_is_an_error(adapters):
    """It is never made for the call instead, and the message says what to open."""
    adapters.scoped(Engine)
    adapters.register(Session)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match=r"async with context\.scope") as caught:
            await adapters.nject(Session)
        assert caught.value.path == ("Engine", "Session(engine)")
        with pytest.raises(di.ResolveError, match="no scope is open"):
            adapters.nject_now(Session)


async def test_scoped_without_a_scope_falls_back_to_nothing(adapters):
    """Neither the default of who needs it nor the candidate that was registered before stands in silently."""

    def make(engine: Engine = Engine("default")) -> Session:
        return Session(engine)

    def older() -> Engine:
        return Engine("older")

    def scoped() -> Engine:
        return Engine("scoped")

    adapters.register(make)
    adapters.scoped(scoped)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match="no scope is open"):
            await adapters.nject(Session)
    adapters.register(older)
    adapters.scoped(scoped)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match="no scope is open"):
            await adapters.nject(Session)
        with pytest.raises(di.ResolveError, match="no scope is open"):
            await adapters.nject(Engine)


async def test_the_same_request_inside_and_outside_of_a_scope(adapters):
    """A plan that was made in a scope does not serve outside of one, nor the other way round."""
    adapters.scoped(Engine)
    adapters.register(Session)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match="no scope is open"):
            await adapters.nject(Session)
        async with context.scope("request"):
            session = await adapters.nject(Session)
            assert (await adapters.nject(Session)).engine is session.engine


async def test_a_component_stands_for_what_is_scoped(adapters):
    """Where the context has it, no scope is needed."""
    adapters.scoped(Engine)
    adapters.register(Session)
    with context.child() as components:
        engine = components.add(Engine("component"))
        for _ in ROUNDS:
            assert (await adapters.nject(Session)).engine is engine


def test_each_stage_has_its_own_singletons(adapters):
    """Two stages of one process, of the same adapters, share no singleton."""
    adapters.singleton(Engine)
    seen = []

    async def prepare():
        engine = await adapters.nject(Engine)
        for _ in ROUNDS:
            assert await adapters.nject(Engine) is engine
            assert adapters.nject_now(Engine) is engine
        seen.append(engine)

    stage(prepare)
    stage(prepare)
    first, second = seen
    assert first is not second


def test_a_singleton_sees_the_components_of_its_stage(adapters):
    """What a stage is given and what its plugins add are there for its singletons."""
    adapters.singleton(Session)
    seen = []

    async def prepare():
        context.add(Engine("plugin"))
        async with context.scope("request") as components:
            components.add(Engine("request"))
            seen.append((await adapters.nject(Session)).engine.url)

    def given(url):
        components = Components()
        components.add(Engine(url))
        return components

    async def asks():
        seen.append((await adapters.nject(Session)).engine.url)

    plugin.stage(prepare)
    plugin.stage(asks, components=given("first"))
    plugin.stage(asks, components=given("second"))
    assert seen == ["plugin", "first", "second"]


def test_tasks_of_a_stage_share_its_singletons(adapters):
    """What a plugin gets while it prepares and what its tasks get is one object."""
    adapters.singleton(Engine)

    async def one():
        return await adapters.nject(Engine)

    async def prepare():
        engine = await adapters.nject(Engine)
        yield one()
        yield one()
        context.add(engine)
        yield asyncio.sleep(0, engine)

    found = plugin.stage(prepare)
    assert len(set(found)) == 1


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_the_readable_forms_say_what_register_says(adapters, lifetime):
    """``di.scoped(X)`` is ``di.register(X, lifetime="scoped")``, as a decorator too, which gives back what it got."""
    form = getattr(adapters, lifetime)
    assert form(Engine) is Engine

    @form
    def make(engine: Engine) -> Session:
        return Session(engine)

    adapters.register(Users, lifetime=lifetime)
    assert callable(make)
    assert [adapter.lifetime for adapter in adapters] == [lifetime] * 3
    for _ in ROUNDS:
        async with context.scope("request"):
            users, again = await adapters.nject(Users), await adapters.nject(Users)
            assert isinstance(users.session, Session)
            assert (users is again) == (lifetime != "transient")


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_an_interface_is_answered_by_its_implementation(adapters, lifetime):
    """``di.scoped(Interface, Implementation)`` is found by the interface, and not by the class that builds it."""
    assert getattr(adapters, lifetime)(Port, Adapted) is Adapted
    for _ in ROUNDS:
        async with context.scope("request"):
            assert type(await adapters.nject(Port)) is Adapted
            assert type(adapters.nject_now(Port)) is Adapted
            with pytest.raises(di.ResolveError):
                await adapters.nject(Adapted)


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_an_implementation_that_is_none_is_refused(adapters, lifetime):
    """What does not give the interface is told when it is registered, with file and line, and is not registered."""

    def make() -> Unrelated:
        return Unrelated()

    for implementation in (Unrelated, make):
        with pytest.raises(di.AdapterError, match="it gives Unrelated, which is no Port") as caught:
            getattr(adapters, lifetime)(Port, implementation)
        assert caught.value.place.file == __file__
    assert len(adapters) == 0


async def test_the_module_forms_register_with_the_current_adapters(adapters):
    """di.transient, di.scoped, di.singleton, di.nject and di.nject_now all use the registry that is current."""
    token = di.buvar_adapters.set(adapters)
    try:
        assert di.singleton(Engine) is Engine
        assert di.scoped(Session) is Session
        assert di.transient(Port, Adapted) is Adapted
        async with context.scope("request"):
            session = await di.nject(Session)
            assert di.nject_now(Session, Engine) == (session, session.engine)
            assert type(await di.nject(Port)) is Adapted
    finally:
        di.buvar_adapters.reset(token)
    assert [adapter.lifetime for adapter in adapters] == ["singleton", "scoped", "transient"]


async def test_an_invalid_lifetime_is_refused(adapters):
    """What is no lifetime is a ValueError that names those there are, and nothing is registered."""
    with pytest.raises(ValueError, match="'request' is no lifetime; there are transient, scoped, singleton"):
        adapters.register(Engine, lifetime="request")
    with pytest.raises(ValueError):
        di.Adapter.of(Engine, "forever")
    assert len(adapters) == 0


async def test_replace_goes_with_each_form(adapters):
    """An adapter that replaces others ends the list, with its own lifetime."""
    adapters.register(Engine)

    def other() -> Engine:
        return Engine("other")

    adapters.singleton(other, replace=True)
    assert len(adapters.lookup(Engine)) == 1
    engine = await adapters.nject(Engine)
    for _ in ROUNDS:
        assert await adapters.nject(Engine) is engine


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_what_is_kept_stays_when_something_else_is_registered(adapters, lifetime):
    """A registration drops plans, and not what was built."""
    adapters.register(Engine, lifetime=lifetime)
    async with context.scope("request"):
        for number in ROUNDS:
            engine = await adapters.nject(Engine)
            adapters.register(type(f"Other{number}", (), {}))
            assert await adapters.nject(Engine) is engine


class Config:
    @classmethod
    def adapt(cls) -> t.Self:
        return cls()


class HttpConfig(Config): ...


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_a_classmethod_that_serves_subclasses_keeps_one_of_each(adapters, lifetime):
    """Each subclass has an object of its own, which stays when something else is registered."""
    adapters.register(Config.adapt, lifetime=lifetime)
    async with context.scope("request"):
        for number in ROUNDS:
            http, config = await adapters.nject(HttpConfig, Config)
            assert (type(http), type(config)) == (HttpConfig, Config)
            adapters.register(type(f"Other{number}", (), {}))
            assert await adapters.nject(HttpConfig) is http


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_what_is_there_is_taken_though_its_parts_changed(adapters, lifetime):
    """Nothing is built for something that is there already."""
    adapters.register(Engine, Session, lifetime=lifetime)

    def failing() -> Engine:
        raise AssertionError

    async with context.scope("request"):
        session = await adapters.nject(Session)
        adapters.register(failing, lifetime=lifetime)
        for _ in ROUNDS:
            assert await adapters.nject(Session) is session
            assert adapters.nject_now(Session) is session


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_errors_of_a_lifetime_are_resolve_errors(adapters, lifetime):
    """What is missing is told by the same path, whatever the lifetime, and can be added later."""
    adapters.register(Session, lifetime=lifetime)
    async with context.scope("request"):
        with pytest.raises(errors.ResolveError) as caught:
            await adapters.nject(Session)
        assert caught.value.path == ("Engine", "Session(engine)")
        adapters.register(Engine)
        assert isinstance(await adapters.nject(Session), Session)


async def test_two_scopes_at_once_do_not_meet(adapters):
    """Scopes that are open at the same time in different tasks each have their own."""

    async def make() -> Engine:
        await asyncio.sleep(0)
        return Engine()

    adapters.scoped(make)
    adapters.register(Session)

    async def request():
        async with context.scope("request"):
            first = await adapters.nject(Session)
            await asyncio.sleep(0)
            second = await adapters.nject(Session)
            assert first.engine is second.engine
            return first.engine

    for _ in ROUNDS:
        assert len(set(await asyncio.gather(*(request() for _ in range(20))))) == 20
