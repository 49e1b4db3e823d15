"""Overrides: what a test puts in place of something wins over all, and is gone after the block."""

import asyncio
import gc
import typing as t
import weakref

import attrs
import pytest

from buvar import context, di, plugin

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


class Engine:
    def __init__(self, url: str = "real") -> None:
        self.url = url


@attrs.frozen(eq=False)
class Session:
    engine: Engine


@attrs.frozen(eq=False)
class Users:
    session: Session


@t.runtime_checkable
class Sends(t.Protocol):
    def send(self) -> str: ...


class Smtp:
    def send(self) -> str:
        return "real"


class Fake:
    def send(self) -> str:
        return "fake"


class Signup:
    def __init__(self, mailer: Sends) -> None:
        self.mailer = mailer


class OwnError(Exception):
    pass


async def test_it_wins_over_an_adapter(adapters):
    """The fake is taken at any depth, and the real one again after the block."""
    adapters.register(Engine, Session, Users)
    fake = Engine("fake")
    for _ in range(2):
        for _ in ROUNDS:
            assert (await adapters.nject(Users)).session.engine.url == "real"
        with adapters.override(Engine, fake) as taken:
            assert taken is fake
            for _ in ROUNDS:
                assert (await adapters.nject(Users)).session.engine is fake
                assert await adapters.nject(Engine) is fake
                assert adapters.nject_now(Users).session.engine is fake


async def test_it_wins_over_components(adapters, components):
    """Named and unnamed ones, in whatever layer, and what is added inside of the block."""
    adapters.register(Session)
    real, named = components.add(Engine()), components.add(Engine("named"), name="engine")
    fake = Engine("fake")
    with adapters.override(Engine, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Session)).engine is fake
            assert await adapters.nject(t.Optional[Engine]) is fake
            with context.child() as child:
                child.add(Engine("inner"))
                assert (await adapters.nject(Session)).engine is fake
    for _ in ROUNDS:
        assert (await adapters.nject(Session)).engine is named
        assert await adapters.nject(Engine) is real


async def test_it_wins_over_keyword_dependencies(adapters):
    """Even what is given by name is not taken."""
    adapters.register(Session)
    fake, given = Engine("fake"), Engine("given")
    for _ in ROUNDS:
        assert (await adapters.nject(Session, engine=given)).engine is given
    with adapters.override(Engine, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Session, engine=given)).engine is fake
            assert (await adapters.nject(Session, other=given)).engine is fake
    for _ in ROUNDS:
        assert (await adapters.nject(Session, engine=given)).engine is given


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_it_wins_over_what_is_built_already(adapters, lifetime):
    """What holds the real one is built anew in the block, at any depth, once, and the old one is there after it."""
    adapters.register(Engine, Session, Users, lifetime=lifetime)
    fake = Engine("fake")
    async with context.scope("request"):
        real = await adapters.nject(Users)
        for _ in range(2):
            with adapters.override(Engine, fake):
                faked = await adapters.nject(Users)
                for _ in ROUNDS:
                    users, session, engine = await adapters.nject(Users, Session, Engine)
                    assert users is faked
                    assert users.session is session
                    assert session.engine is engine is fake
            for _ in ROUNDS:
                users, session, engine = await adapters.nject(Users, Session, Engine)
                assert users is real
                assert (session, engine) == (real.session, real.session.engine)


async def test_a_transient_between_is_made_of_the_fake_too(adapters):
    """A singleton over a transient over what is faked is built anew."""
    adapters.singleton(Users)
    adapters.register(Session)
    adapters.singleton(Engine)
    real = await adapters.nject(Users)
    fake = Engine("fake")
    with adapters.override(Engine, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Users)).session.engine is fake
    assert await adapters.nject(Users) is real


async def test_what_does_not_depend_on_it_stays(adapters):
    """What was built and holds nothing that is faked is the same in the block."""
    adapters.singleton(Engine)
    adapters.singleton(Session)
    adapters.singleton(Smtp)
    smtp, engine = await adapters.nject(Smtp, Engine)
    with adapters.override(Session, Session(Engine("fake"))):
        for _ in ROUNDS:
            assert await adapters.nject(Smtp, Engine) == (smtp, engine)


async def test_what_was_built_with_a_fake_first_is_not_there_after_the_block(adapters):
    """A singleton whose first request came inside of the block is built for real after it."""
    adapters.singleton(Engine)
    adapters.singleton(Session)
    with adapters.override(Engine, Engine("fake")):
        assert (await adapters.nject(Session)).engine.url == "fake"
    for _ in ROUNDS:
        assert (await adapters.nject(Session)).engine.url == "real"


async def test_it_is_undone_after_an_error(adapters):
    """However the block ends, nothing of it is left."""
    adapters.register(Engine, Session)
    for error in (OwnError, asyncio.CancelledError, KeyboardInterrupt):
        with pytest.raises(error), adapters.override(Engine, Engine("fake")):
            for _ in ROUNDS:
                assert (await adapters.nject(Session)).engine.url == "fake"
            raise error
        for _ in ROUNDS:
            assert (await adapters.nject(Session)).engine.url == "real"


async def test_the_last_one_wins(adapters):
    """Overrides of one thing nest, and may end in any order."""
    adapters.register(Engine, Session)

    async def url():
        found = {(await adapters.nject(Session)).engine.url for _ in ROUNDS}
        assert len(found) == 1
        return found.pop()

    with adapters.override(Engine, Engine("outer")):
        with adapters.override(Engine, Engine("inner")):
            assert await url() == "inner"
        assert await url() == "outer"
    assert await url() == "real"
    first, second = adapters.override(Engine, Engine("first")), adapters.override(Engine, Engine("second"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert await url() == "second"
    second.__exit__(None, None, None)
    assert await url() == "real"


async def test_overrides_of_different_things_work_together(adapters):
    """What is made of two fakes is kept apart from what is made of one."""
    adapters.singleton(Engine)
    adapters.singleton(Session)
    adapters.singleton(Smtp)

    def make(session: Session, mailer: Smtp) -> Signup:
        signup = Signup(mailer)
        signup.session = session
        return signup

    adapters.singleton(make)
    real = await adapters.nject(Signup)
    engine, mailer = Engine("fake"), Smtp()
    with adapters.override(Engine, engine):
        one = await adapters.nject(Signup)
        assert one.session.engine is engine
        assert one.mailer is real.mailer
        with adapters.override(Smtp, mailer):
            for _ in ROUNDS:
                two = await adapters.nject(Signup)
                assert (two.session, two.mailer) == (one.session, mailer)
        for _ in ROUNDS:
            assert await adapters.nject(Signup) is one
    for _ in ROUNDS:
        assert await adapters.nject(Signup) is real


async def test_by_name(adapters, components):
    """An override of a name is for those who ask for that name, be it of a parameter or by di.Name."""

    def make(engine: Engine, replica: Engine, other: t.Annotated[Engine, di.Name("replica")]) -> Users:
        return Users(Session((engine, replica, other)))

    adapters.register(Engine, make)
    replica = components.add(Engine("replica"), name="replica")
    fake = Engine("fake")
    for _ in range(2):
        with adapters.override(Engine, fake, name="replica"):
            for _ in ROUNDS:
                engine, *others = (await adapters.nject(Users)).session.engine
                assert engine.url == "real"
                assert others == [fake, fake]
                assert (await adapters.nject(Engine)).url == "real"
                assert await adapters.nject(t.Annotated[Engine, di.Name("replica")]) is fake
        for _ in ROUNDS:
            engine, *others = (await adapters.nject(Users)).session.engine
            assert others == [replica, replica]


async def test_without_a_name_it_stands_for_all_names(adapters, components):
    """An override of the type is for named ones too."""
    components.add(Engine("replica"), name="replica")
    fake = Engine("fake")
    with adapters.override(Engine, fake):
        for _ in ROUNDS:
            assert await adapters.nject(t.Annotated[Engine, di.Name("replica")]) is fake


async def test_of_a_concrete_type_that_answers_a_protocol(adapters):
    """Who asks for the protocol gets the fake, though the fake is of another class."""
    adapters.singleton(Smtp)
    adapters.register(Signup)
    real = (await adapters.nject(Signup)).mailer
    fake = Fake()
    with adapters.override(Smtp, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Signup)).mailer is fake
            assert await adapters.nject(Sends) is fake
            assert await adapters.nject(Smtp) is fake
    with adapters.override(Sends, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Signup)).mailer is fake
            assert await adapters.nject(Smtp) is real
    for _ in ROUNDS:
        assert (await adapters.nject(Signup)).mailer is real


async def test_of_what_cannot_be_built(adapters):
    """A fake stands where nothing provides the real one."""
    adapters.register(Session)
    for _ in range(2):
        with pytest.raises(di.ResolveError):
            await adapters.nject(Session)
        with adapters.override(Engine, Engine("fake")):
            for _ in ROUNDS:
                assert (await adapters.nject(Session)).engine.url == "fake"


class Needy:
    def __init__(self, nowhere: OwnError) -> None:
        raise AssertionError

    def send(self) -> str:
        return "real"


def wrap(inner: Signup) -> Signup:
    return Signup(inner.mailer)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_of_an_adapter_that_lacks_something(adapters, wrapped):
    """What the overridden adapter would have needed is not asked for, also where adapters wrap each other."""
    adapters.register(Needy, Signup, *([wrap] if wrapped else []))
    fake = Fake()
    with adapters.override(Needy, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Signup)).mailer is fake


async def test_of_a_key_that_is_no_class(adapters, components):
    """A generic is overridden as it is asked for."""
    components.add([1], list[int])
    with adapters.override(t.List[int], [2]):
        for _ in ROUNDS:
            assert await adapters.nject(list[int]) == [2]
    for _ in ROUNDS:
        assert await adapters.nject(list[int]) == [1]


async def test_a_generator_that_is_overridden_is_not_opened(adapters):
    """No scope is needed for what is not built."""

    def make() -> t.Iterator[Engine]:
        yield pytest.fail("it was opened")

    adapters.scoped(make)
    adapters.register(Session)
    with adapters.override(Engine, Engine("fake")):
        for _ in ROUNDS:
            assert (await adapters.nject(Session)).engine.url == "fake"
            assert adapters.nject_now(Session).engine.url == "fake"


async def test_bound_requests_are_overridden_too(adapters):
    """What was prepared before the block takes the fake in it, and not after it."""
    adapters.register(Engine, Session)
    bound = adapters.bind(Session)
    given = adapters.bind(Session, engine=Engine)
    for _ in range(2):
        for _ in ROUNDS:
            assert (await bound()).engine.url == "real"
            assert (await given(Engine("given"))).engine.url == "given"
        with adapters.override(Engine, Engine("fake")):
            for _ in ROUNDS:
                assert (await bound()).engine.url == "fake"
                assert (await given(Engine("given"))).engine.url == "fake"


async def test_the_module_form_overrides_the_current_adapters(adapters):
    """di.override is for the registry that is current."""
    token = di.buvar_adapters.set(adapters)
    try:
        di.register(Engine)
        with di.override(Engine, Engine("fake")):
            assert (await di.nject(Engine)).url == "fake"
        assert (await di.nject(Engine)).url == "real"
    finally:
        di.buvar_adapters.reset(token)


async def test_arguments_of_functions_are_overridden(adapters):
    """What a plugin or a handler gets is the fake, too."""
    adapters.register(Engine, Session)

    async def prepare(session: Session): ...

    with adapters.override(Engine, Engine("fake")):
        assert (await di.resolve.arguments(adapters, prepare))["session"].engine.url == "fake"
    assert (await di.resolve.arguments(adapters, prepare))["session"].engine.url == "real"


async def test_a_request_that_outlasts_the_block_leaves_nothing_of_it(adapters):
    """A request that began in the block and ends after it does not make others get the fake."""
    go_on = asyncio.Event()

    async def smtp() -> Smtp:
        await go_on.wait()
        return Smtp()

    def make(mailer: Smtp, engine: Engine) -> Session:
        return Session(engine)

    adapters.singleton(smtp)
    adapters.register(Engine, make)
    with adapters.override(Engine, Engine("fake")):
        tasks = [asyncio.create_task(adapters.nject(Session)) for _ in ROUNDS]
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*tasks)
    for _ in ROUNDS:
        assert (await adapters.nject(Session)).engine.url == "real"


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_a_fake_is_not_kept_after_the_block(adapters, lifetime):
    """When the block and the scope are over nothing holds the fake any more, nor what was made of it."""
    adapters.register(Engine, Session, lifetime=lifetime)
    fake = Engine("fake")
    gone = weakref.ref(fake)
    async with context.scope("request"):
        with adapters.override(Engine, fake):
            for _ in ROUNDS:
                await adapters.nject(Session)
    del fake
    gc.collect()
    assert gone() is None


# -- what is asked for by a base


class Store: ...


class SqlStore(Store): ...


class CachedStore(SqlStore): ...


class MemoryStore(Store): ...


@attrs.frozen(eq=False)
class Shop:
    store: Store


@attrs.frozen(eq=False)
class Visitor:
    shop: Shop


@attrs.frozen(eq=False)
class Report:
    stores: t.Annotated[list[Store], di.All]


async def test_a_component_that_is_asked_for_by_its_base(adapters, components):
    """It is the fake where what there is has the overridden class, whatever it was asked for as."""
    adapters.register(Shop)
    sql, memory = components.add(SqlStore()), MemoryStore()
    fake = MemoryStore()
    for _ in range(2):
        for _ in ROUNDS:
            assert await adapters.nject(Store) is sql
        with adapters.override(SqlStore, fake):
            for _ in ROUNDS:
                assert await adapters.nject(Store) is fake
                assert (await adapters.nject(Shop)).store is fake
                assert adapters.nject_now(t.Optional[Store]) is fake
                with context.child() as child:  # there is something else
                    child.add(memory)
                    assert (await adapters.nject(Shop)).store is memory
                    child.add(CachedStore())
                    assert type(await adapters.nject(Store)) is CachedStore
                    assert await adapters.nject(SqlStore) is fake


async def test_a_named_component_that_is_asked_for_by_its_base(adapters, components):
    """An override of all names, or of that name, reaches it; one of another name does not."""
    replica = components.add(SqlStore(), name="replica")
    fake = MemoryStore()
    asked = t.Annotated[Store, di.Name("replica")]
    for name, expected in ((None, fake), ("replica", fake), ("other", replica)):
        with adapters.override(SqlStore, fake, name=name):
            for _ in ROUNDS:
                assert await adapters.nject(asked) is expected
        assert await adapters.nject(asked) is replica


async def test_a_given_dependency_of_the_overridden_class(adapters):
    """Given by its name or by its type, for a parameter of a base: the fake is taken."""
    adapters.register(Shop)
    fake, memory = MemoryStore(), MemoryStore()
    with adapters.override(SqlStore, fake):
        for _ in ROUNDS:
            assert (await adapters.nject(Shop, store=SqlStore())).store is fake
            assert (await adapters.nject(Shop, other=SqlStore())).store is fake
            assert (await adapters.nject(Shop, store=memory)).store is memory


async def test_a_new_type_is_another_one(adapters, components):
    """What is filed under a NewType is not reached by an override of the class that it is made of."""
    primary = t.NewType("primary", SqlStore)
    sql = components.add(SqlStore(), primary)
    with adapters.override(SqlStore, MemoryStore()):
        for _ in ROUNDS:
            assert await adapters.nject(primary) is sql


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_what_is_collected_by_its_base(adapters, components, lifetime):
    """The fake stands in the place of each component and adapter of the overridden class; the others are there too."""
    adapters.register(SqlStore, CachedStore, lifetime=lifetime)
    adapters.register(Report, lifetime=lifetime)
    memory = components.add(MemoryStore())
    kinds = [MemoryStore, SqlStore, CachedStore]
    fake = Store()
    async with context.scope("request"):
        for _ in range(2):
            for _ in ROUNDS:
                assert [type(one) for one in (await adapters.nject(Report)).stores] == kinds
            with adapters.override(SqlStore, fake):
                for _ in ROUNDS:
                    assert [type(one) for one in (await adapters.nject(Report)).stores] == [
                        MemoryStore,
                        Store,
                        CachedStore,
                    ]
            with adapters.override(MemoryStore, fake):
                for _ in ROUNDS:
                    stores = (await adapters.nject(Report)).stores
                    assert stores[0] is fake
                    assert [type(one) for one in stores[1:]] == [SqlStore, CachedStore]
            assert (await adapters.nject(Report)).stores[0] is memory


async def test_what_is_collected_by_name(adapters, components):
    """In a dict of components the fake stands under the name of the real one."""
    components.add(SqlStore(), name="replica")
    memory = components.add(MemoryStore())
    fake = Store()
    with adapters.override(SqlStore, fake):
        for _ in ROUNDS:
            found = await adapters.nject(t.Annotated[dict[str, Store], di.All])
            assert found == {None: memory, "replica": fake}


async def test_what_cannot_be_built_is_collected_as_its_fake(adapters):
    """An adapter that lacks something is in the collection when it is overridden, and else is not."""
    adapters.register(Needy, Smtp)
    fake = Fake()
    asked = t.Annotated[tuple[Sends, ...], di.All]
    with adapters.override(Needy, fake):
        for _ in ROUNDS:
            found = await adapters.nject(asked)
            assert found[0] is fake
            assert type(found[1]) is Smtp
    for _ in ROUNDS:
        assert [type(one) for one in await adapters.nject(asked)] == [Smtp]


async def test_a_collection_that_has_none_of_it_stays(adapters):
    """What was built and collected nothing that is faked is the same in the block; the fake is not added."""
    adapters.singleton(Report)
    adapters.singleton(MemoryStore)
    report = await adapters.nject(Report)
    with adapters.override(SqlStore, SqlStore()):
        for _ in ROUNDS:
            assert await adapters.nject(Report) is report


def test_a_component_behind_a_wall_that_is_asked_for_by_its_base():
    """What a plugin keeps to itself is replaced for what it exports, also where that is kept by who asks."""

    @plugin.exports(Shop)
    async def prepare_shop():
        context.add(SqlStore())
        di.register(Shop)

    @plugin.exports()
    async def prepare(load: plugin.Loader):
        await load(prepare_shop)
        di.singleton(Visitor)

        async def run():
            real = await di.nject(Visitor)
            for _ in range(2):
                with di.override(SqlStore, MemoryStore()) as fake:
                    for _ in ROUNDS:
                        assert (await di.nject(Visitor)).shop.store is fake
                assert await di.nject(Visitor) is real
            return type(real.shop.store)

        yield run()

    assert plugin.stage(prepare) == [SqlStore]
