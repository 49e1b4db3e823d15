"""The check looks behind walls, and nothing is built there that would outlive what it needs."""

import attrs
import pytest

from buvar import context, di, errors, plugin
from tests.staging.shop import (
    ROUNDS,
    Audit,
    Engine,
    Missing,
    Needy,
    Orders,
    Request,
    SqlUsers,
    Users,
    audit,
    looking,
    run,
    users,
)

pytestmark = pytest.mark.usefixtures("registry")


def test_a_singleton_outside_cannot_hold_what_is_exported_and_scoped():
    """It is an error of the check before the run, which tells both."""

    @attrs.frozen(eq=False)
    class Keeper:
        audit: Audit

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(audit)
        di.singleton(Keeper)

    with pytest.raises(ExceptionGroup) as caught:
        run(asking)
    (error,) = caught.value.exceptions
    assert "Keeper(audit)" in str(error)
    assert "a singleton, which outlives each scope" in str(error)


def test_a_singleton_outside_is_not_built_with_what_is_exported_and_scoped():
    """It is refused before anything is built, also inside of a scope."""
    seen = []

    @attrs.frozen(eq=False)
    class Keeper:
        audit: Audit

    async def asking(load: plugin.Loader):
        await load(audit)
        di.singleton(Keeper)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request())
                with pytest.raises(errors.ResolveError, match="singleton"):
                    await di.nject(Keeper)
        seen.append("refused")

    with pytest.raises(ExceptionGroup):  # the check finds it too
        run(asking)
    assert seen == ["refused"]


def test_without_a_scope_an_exported_scoped_thing_is_refused_before_anything_is_built():
    """The error says what to do, and what else was needed has not been built."""
    built = []

    class Built:
        def __init__(self) -> None:
            built.append(self)

    @attrs.frozen(eq=False)
    class Asking:
        built: Built
        audit: Audit

    async def asking(load: plugin.Loader):
        await load(audit)
        context.add(Request())
        di.register(Asking, Built)
        for _ in ROUNDS:
            with pytest.raises(errors.ResolveError, match="no scope is open"):
                await di.nject(Asking)

    run(asking)
    assert not built


def test_the_check_looks_behind_walls():
    """What a walled plugin requires, and its singletons, are looked after at home before a task runs; all at once."""
    ran = []

    @plugin.exports()
    async def first():
        di.require(Missing)

        async def task():
            ran.append("task")

        yield task()

    @plugin.exports()
    async def second():
        di.singleton(Needy)

    with pytest.raises(ExceptionGroup) as caught:
        run(first, second)
    assert len(caught.value.exceptions) == 2
    assert not ran


def test_the_check_follows_exports():
    """What an open plugin requires through an export is looked after as far as that needs."""

    @plugin.exports(Needy)
    async def exporting():
        di.register(Needy)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.require(Needy)

    with pytest.raises(ExceptionGroup) as caught:
        run(asking)
    assert "Missing" in str(caught.value.exceptions[0])
    run(asking, looking([], lambda: context.add(Missing())))


def test_the_check_asks_for_each_root_where_it_was_declared():
    """What all can have is fine, though behind some walls there would be a choice."""

    class OwnUsers(Users): ...

    async def shared():
        context.add(Engine())
        di.register(SqlUsers)
        di.require(Users)

    @plugin.exports()
    async def walled():
        di.register(type("One", (Users,), {}), OwnUsers)

    run(shared, walled)


def test_what_is_required_behind_walls_may_be_private():
    """A walled plugin requires what it alone has, or imports."""

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(users, audit)
        context.add(Engine())
        di.register(Orders)
        di.require(Orders)
        di.require(Audit, given=[Request])

    run(walled)
