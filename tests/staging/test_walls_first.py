"""What is inside of walls comes before what all share."""

import typing as t

import pytest

from buvar import context, di, plugin
from tests.staging.shop import ROUNDS, Audit, Engine, Left, Missing, Orders, Request, SqlUsers, Users, run, users

pytestmark = pytest.mark.usefixtures("registry")


@pytest.mark.parametrize("now", [False, True])
def test_what_a_plugin_builds_for_itself_comes_before_what_all_share(now):
    """A plugin with walls has what it registers, or imports, and its own components, before all that others share."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        di.singleton(Engine, lambda: Engine("home"))
        di.register(SqlUsers)

    async def look():
        users, engine, orders = di.nject_now(Users, Engine, Orders) if now else await di.nject(Users, Engine, Orders)
        assert (orders.users.engine.url, orders.engine.url) == (users.engine.url, engine.url)
        return users.engine.url, engine.url

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        di.singleton(Engine, lambda: Engine("asker"))
        di.register(Orders)
        for _ in ROUNDS:
            seen.append(await look())
            async with context.scope("request"):
                seen.append(await look())
                context.add(Engine("request"))
                seen.append(await look())

    async def sharing():
        context.add(Engine("all"))
        context.add(Users(Engine("all")))

    run(sharing, asking)
    assert seen == [("home", "asker"), ("home", "asker"), ("request", "request")] * 4


def test_what_all_share_can_be_wrapped_behind_walls():
    """An adapter that needs what it builds gets that from outside, a component or an adapter."""
    seen = []

    async def outer(engine: Engine) -> Users:
        return Users(engine)

    def wrapped(engine: Engine) -> Engine:
        return Engine(f"wrapped {engine.url}")

    def wrapped_users(users: Users, engine: Engine) -> Users:
        return Users(Engine(f"{engine.url}, {users.engine.url}"))

    async def sharing():
        context.add(Engine("all"))
        di.register(outer)

    @plugin.exports()
    async def asking():
        di.register(wrapped, wrapped_users)
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])

    run(sharing, asking)
    assert seen == ["wrapped all, wrapped all"] * 4


def test_what_cannot_be_built_inside_comes_from_outside():
    """Where a plugin's own adapter lacks something, what all share is taken, and a keyword comes before both."""
    seen = []

    def mine(missing: Missing) -> Engine:
        return Engine("mine")

    async def sharing():
        context.add(Engine("all"))

    @plugin.exports()
    async def asking():
        di.register(mine, Users)
        for _ in ROUNDS:
            seen.append((await di.nject(Users)).engine.url)
            seen.append((await di.nject(Users, missing=Missing())).engine.url)
            seen.append((await di.nject(Users, engine=Engine("given"))).engine.url)

    run(sharing, asking)
    assert seen == ["all", "mine", "given"] * 4


def test_what_is_inside_is_not_ambiguous_with_what_is_outside():
    """The check names several candidates only where none of them is nearer."""

    class Other(Users): ...

    async def sharing():
        context.add(Engine())
        di.register(Other)

    @plugin.exports()
    async def asking():
        di.register(SqlUsers)
        di.require(Users)
        assert type(await di.nject(Users)) is SqlUsers

    run(sharing, asking)


def test_one_request_builds_once_in_each_home():
    """Two exports that need the same transient share it within one request, and have another one in the next."""

    class Needing(Left):
        def __init__(self, engine: Engine) -> None:
            self.engine = engine

    class Pair:
        def __init__(self, users: Users, left: Needing) -> None:
            self.same = users.engine is left.engine

    @plugin.exports(Users, Needing)
    async def exporting():
        di.register(Engine, SqlUsers, Needing)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Pair)
        engines = []
        for _ in ROUNDS:
            assert (await di.nject(Pair)).same
            assert di.nject_now(Pair).same
            engines.append((await di.nject(Users)).engine)
        assert len(set(engines)) == len(ROUNDS)

    run(asking)


def test_what_is_scoped_behind_walls_looks_around_each_time():
    """A scoped object that needs what some layer once held is built by a plan as it is at first."""
    seen = []

    @plugin.exports(Audit)
    async def exporting():
        di.scoped(Audit)
        di.register(Engine)

    async def asking(load: plugin.Loader):
        await load(exporting)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request())
                seen.append((await di.nject(Audit)).engine.url)
        with context.child() as child:
            child.add(Engine("layer"))
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request())
                seen.append((await di.nject(Audit)).engine.url)

    run(asking)
    assert seen == ["default"] * 8


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_what_is_registered_after_loading_is_preferred(replace, walled):
    """It may wrap what was loaded, or replace it."""
    seen = []

    def wrapped(users: Users) -> Users:
        return Users(Engine(f"wrapped {users.engine.url}"))

    def mine() -> Users:
        return Users(Engine("mine"))

    async def asking(load: plugin.Loader):
        await load(users)
        di.register(mine if replace else wrapped, replace=replace)
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])
        seen.append(len(await di.nject(t.Annotated[list[Users], di.All])))

    run(plugin.exports()(asking) if walled else asking)
    assert seen == [*["mine" if replace else "wrapped users"] * 4, 1 if replace else 2]


def test_a_singleton_with_a_fake_is_built_once_for_all_who_ask():
    """While something that it needs is overridden, too, and with or without awaiting."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.singleton(Users)
        seen.append(await di.nject(Users))

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(exporting)
        seen.extend([await di.nject(Users), await di.nject(Users), di.nject_now(Users)])

    async def asking(load: plugin.Loader):
        await load(exporting, walled)
        seen.extend([await di.nject(Users), await di.nject(Users), di.nject_now(Users)])

    with di.override(Engine, Engine("fake")):
        run(asking)
    assert len(seen) == 7
    assert len(set(seen)) == 1
    assert seen[0].engine.url == "fake"


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("own", ["bound", "adapters"])
def test_what_was_bound_at_home_asks_at_home(own, walled):
    """A service that holds a bound request, or its adapters, resolves by what its plugin sees, whoever calls it."""
    seen = []

    class Letter:
        def __init__(self, engine: Engine, request: Request) -> None:
            self.told = engine.url, context.get(Engine).url, request.path

    class Writer:
        def __init__(self) -> None:
            adapters = di.buvar_adapters.get()
            self.write = di.bind(Letter) if own == "bound" else lambda: adapters.nject(Letter)
            self.now = lambda: adapters.nject_now(Letter)

    async def writing():
        context.add(Engine("home"))
        di.register(Letter)
        context.add(Writer())

    async def calling():
        writer = context.get(Writer)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request("/here"))
                seen.append((await writer.write()).told)
                seen.append(writer.now().told)

    @plugin.exports()
    async def elsewhere(load: plugin.Loader):
        await load(calling)
        context.add(Engine("elsewhere"))
        await calling()

    async def asking(load: plugin.Loader):
        await load(plugin.exports(Writer)(writing) if walled else writing, elsewhere)

    run(asking)
    assert set(seen) == {("home", "home", "/here")}
    assert len(seen) == 16


@pytest.mark.parametrize("useless", [False, True])
def test_what_is_inside_comes_first_whatever_its_name(useless):
    """Neither the name of what others share, nor an adapter that cannot build, changes which component is taken."""
    seen = []

    def never(missing: Missing) -> Engine: ...

    async def sharing():
        context.add(Engine("shared"))
        context.add(Engine("named"), name="engine")

    @plugin.exports()
    async def asking():
        if useless:
            di.register(never)
        di.register(Users)
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])
        seen.append((await di.nject(Users, other=Engine("given"))).engine.url)
        context.add(Engine("own"))
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])

    run(sharing, asking)
    assert seen == [*["named"] * 4, "given", *["own"] * 4]


def test_an_annotated_key_is_the_type_that_it_annotates():
    """What is beside the type plays no part."""

    @plugin.exports(t.Annotated[Users, "of the shop"])
    async def exporting():
        di.register(SqlUsers, Engine)

    async def asking(load: plugin.Loader):
        await load(exporting)
        assert type(await di.nject(Users)) is SqlUsers

    run(asking)
