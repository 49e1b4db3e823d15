"""Plans, dependencies given by keyword, and fakes go through walls."""

import attrs
import pytest

from buvar import context, di, errors, plugin
from tests.staging.shop import (
    ROUNDS,
    Audit,
    Engine,
    Left,
    Missing,
    Needy,
    Orders,
    Request,
    Right,
    SqlUsers,
    Users,
    run,
    users,
)

pytestmark = pytest.mark.usefixtures("registry")


def test_a_plan_looks_behind_walls():
    """What is there at home may change from request to request: each gets what a first one would get."""
    seen = []

    @attrs.frozen(eq=False)
    class Log:
        audit: Audit | None = None

    @plugin.exports(Audit)
    async def exporting():
        context.add(Engine())
        di.register(Audit)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Log)
        for _ in ROUNDS:
            for request in Request(), None, Request():
                async with context.scope("request"):
                    if request is not None:
                        context.add(request)
                    log = await di.nject(Log)
                    seen.append((log.audit and log.audit.request) is request)
                    assert (di.nject_now(Log).audit is None) is (request is None)

    run(asking)
    assert seen == [True] * 12


@pytest.mark.parametrize("now", [False, True])
def test_what_is_not_to_be_had_at_home_is_told_each_time(now):
    """An exported adapter that lacks something is an error with the path to who asked, nothing having been built."""
    built = []

    class Built:
        def __init__(self) -> None:
            built.append(self)

    @attrs.frozen
    class Asking:
        built: Built
        needy: Needy

    @plugin.exports(Needy)
    async def exporting():
        di.register(Needy)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Asking, Built)
        for _ in ROUNDS:
            with pytest.raises(errors.ResolveError) as caught:
                di.nject_now(Asking) if now else await di.nject(Asking)
            assert "Missing" in str(caught.value)
            assert "Needy(missing)" in str(caught.value)
            assert "Asking(needy)" in str(caught.value)

    run(asking)
    assert not built


def test_what_can_be_built_elsewhere_is_taken_where_an_export_cannot():
    """An exported adapter that lacks something gives way to the next one, as any adapter does."""

    class Full(Needy):
        def __init__(self) -> None: ...

    @plugin.exports(Needy)
    async def exporting():
        di.register(Needy)

    async def asking(load: plugin.Loader):
        di.register(Full)
        await load(exporting)
        for _ in ROUNDS:
            assert type(await di.nject(Needy)) is Full
        context.add(Missing())
        for _ in ROUNDS:
            assert type(await di.nject(Needy)) is Needy

    run(asking)


def test_keywords_do_not_cross_walls():
    """A dependency given by keyword is for what stands on this side, by name and by type."""

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(users)
        context.add(Engine("asker"))
        di.register(Orders)
        given = Engine("given")
        asks = di.bind(Orders, engine=Engine)
        for _ in ROUNDS:
            for orders in await di.nject(Orders, engine=given), di.nject_now(Orders, engine=given), await asks(given):
                assert orders.engine is given
                assert orders.users.engine.url == "users"
            assert (await di.nject(Users, other=given)).engine.url == "users"

    run(asking)


def test_what_is_exported_can_be_given():
    """A keyword, and a component on top, stand in for what is exported."""

    async def asking(load: plugin.Loader):
        await load(users)
        context.add(Engine())
        di.register(Orders)
        given = Users(Engine("given"))
        for _ in ROUNDS:
            assert (await di.nject(Orders, users=given)).users is given
            with context.child() as components:
                components.add(given)
                assert (await di.nject(Orders)).users is given
            assert (await di.nject(Orders)).users.engine.url == "users"

    run(asking)


def test_without_awaiting():
    """nject_now goes through walls; what is asynchronous behind them is refused, unless it is kept and there."""
    built = []

    class Built:
        def __init__(self) -> None:
            built.append(self)

    @attrs.frozen
    class Asking:
        built: Built
        left: Left

    async def left() -> Left:
        return Left()

    async def right() -> Right:
        return Right()

    @plugin.exports(Users, Left, Right)
    async def exporting():
        context.add(Engine("home"))
        di.register(SqlUsers, left)
        di.singleton(right)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Asking, Built)
        for _ in ROUNDS:
            assert di.nject_now(Users).engine.url == "home"
            for refused in Left, Right, Asking:
                with pytest.raises(errors.ResolveError, match="asynchronously"):
                    di.nject_now(refused)
        found = await di.nject(Right)
        for _ in ROUNDS:
            assert di.nject_now(Right) is found

    run(asking)
    assert not built


@pytest.mark.parametrize("lifetime", ["transient", "singleton"])
def test_a_fake_stands_in_on_both_sides(lifetime):
    """An override holds for all code of the process: for what is exported, and for what that needs at home."""

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.register(SqlUsers, lifetime=lifetime)

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        for _ in ROUNDS:
            with di.override(Engine, Engine("fake")):
                assert (await di.nject(Users)).engine.url == "fake"
                assert di.nject_now(Users).engine.url == "fake"
            assert (await di.nject(Users)).engine.url == "home"
            fake = Users(Engine())
            with di.override(Users, fake):
                assert await di.nject(Users) is fake
            assert (await di.nject(Users)).engine.url == "home"

    run(asking)


@pytest.mark.parametrize("built_before", [True, False])
def test_a_fake_reaches_what_is_kept_on_this_side(built_before):
    """What is kept outside and built from an exported thing is built anew with the fake, and is itself again after."""

    @attrs.frozen(eq=False)
    class Kept:
        users: Users

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.singleton(SqlUsers)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.singleton(Kept)
        if built_before:
            await di.nject(Kept)
        for _ in ROUNDS:
            with di.override(Engine, Engine("fake")):
                assert (await di.nject(Kept)).users.engine.url == "fake"
            assert (await di.nject(Kept)).users.engine.url == "home"

    run(asking)
