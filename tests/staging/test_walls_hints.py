"""Errors tell who behind walls has what is asked for, and who would have to load whom."""

import asyncio
import typing as t

import attrs
import pytest

from buvar import context, di, errors, plugin
from tests.staging.shop import Engine, Left, Right, SqlUsers, Users, run, users

pytestmark = pytest.mark.usefixtures("registry")


def error_of(seen, look, *plugins, loads=()):
    async def asking(load: plugin.Loader):
        await load(*loads)
        found = look()
        seen.append(await found if asyncio.iscoroutine(found) else found)

    with pytest.raises((errors.ResolveError, errors.ComponentLookupError)) as caught:
        run(*plugins, asking)
    return str(caught.value)


@plugin.exports(Right)
async def secretive():
    context.add(Left())
    context.add(Right())
    context.add(Engine("x"), name="replica")
    context.add("secret", "secret")
    di.register(SqlUsers)


@pytest.mark.parametrize("key", [Left, "secret"])
def test_a_component_that_is_private_is_told(key):
    """The error of a look-up says whose it is."""
    assert f"{errors.describe(key)} is private to {__name__}:secretive" in error_of(
        [], lambda: context.get(key), secretive
    )


def test_a_component_that_is_exported_is_told():
    """The error of a look-up says who exports it, and who would have to load that."""
    message = error_of([], lambda: context.get(Right), secretive)
    assert f"{__name__}:secretive exports it, {__name__}:error_of" in message
    assert f"does not load {__name__}:secretive" in message


def test_an_adapter_that_is_private_is_told():
    """So does the error of an injection, for what is asked for and for what that needs."""
    message = error_of([], lambda: di.nject(SqlUsers), secretive)
    assert f"SqlUsers is private to {__name__}:secretive" in message

    async def needs():
        di.register(Needs)
        await di.nject(Needs)

    @attrs.frozen
    class Needs:
        left: Left

    message = error_of([], needs, secretive)
    assert f"Left is private to {__name__}:secretive" in message
    assert "Needs(left)" in message


def test_an_adapter_that_is_exported_is_told():
    """The error of an injection says who exports what is asked for."""
    message = error_of([], lambda: di.nject(Users), users)
    assert f"{users.__module__}:users exports it" in message
    assert f"does not load {users.__module__}:users" in message


@pytest.mark.parametrize("asked", [Users | None, t.Optional[Right]])
def test_a_member_of_a_union_that_is_exported_is_told(asked):
    """A type in a union is told as it is alone."""

    async def look():
        await di.nject(asked)

    message = error_of([], look, secretive, users)
    assert "exports it" in message


def test_a_base_of_what_is_exported_is_told():
    """Who asks for a base is told who exports what derives from it."""

    @plugin.exports(SqlUsers)
    async def exporting():
        context.add(SqlUsers(Engine()))

    for look in lambda: context.get(Users), lambda: di.nject(Users):
        message = error_of([], look, exporting)
        assert "private" not in message
        assert "exporting exports" in message


def test_a_name_that_is_private_is_told():
    """A named component is told where it is, and not where there is none of that name."""
    name = t.Annotated[Engine, di.Name("replica")]
    for look in lambda: context.get(Engine, name="replica"), lambda: di.nject(name):
        assert f"private to {__name__}:secretive" in error_of([], look, secretive)
    name = t.Annotated[Engine, di.Name("main")]
    for look in lambda: context.get(Engine, name="main"), lambda: di.nject(name):
        assert "private" not in error_of([], look, secretive)


def test_who_loads_is_not_told_to_load():
    """Where an export is an adapter, the error of a look-up for a component does not say that it is not loaded."""
    message = error_of([], lambda: context.get(Users), loads=[users])
    assert "does not load" not in message
    assert message.endswith(f"; an adapter of {users.__module__}:users builds it: await di.nject(Users)")


def test_an_adapter_of_nobody_is_told_to_who_looks_for_a_component(registry):
    """Walls or not: what would be built is not found by a look-up, and the error says how to have it."""
    registry.register(SqlUsers)
    message = error_of([], lambda: context.get(Users))
    assert message.endswith("; an adapter builds it: await di.nject(Users)")


def test_the_stage_is_not_told_to_load():
    """What the stage loads itself goes to nobody: the error says that an open plugin would have to load it."""
    stage = plugin.Stage()
    stage.load(users)
    with pytest.raises(errors.ComponentLookupError, match=r"users exports it, no open plugin loads .*users$"):
        stage.context.get(Users)
    stage.run_teardown()


def test_a_plugin_is_not_told_that_others_have_its_own():
    """Who imports something is not whose it is."""

    @plugin.exports(Users)
    async def own():
        context.add(Engine())
        di.register(SqlUsers)

        async def look():
            context.get(Users)

        yield look()

    @plugin.exports(Users)
    async def again(load: plugin.Loader):
        await load(own)

    with pytest.raises(errors.ComponentLookupError, match=r"own builds it: await di\.nject\(Users\)$"):
        run(again)


def test_what_is_exported_again_is_told_of_who_does():
    """Who stands before another plugin is told, as the one to load."""

    @plugin.exports(Users)
    async def again(load: plugin.Loader):
        await load(users)

    message = error_of([], lambda: di.nject(Users), again)
    assert "again exports it, " in message


def test_what_satisfies_a_protocol_is_told():
    """An exported class that looks like a protocol is told, and is not called private."""

    @t.runtime_checkable
    class Closes(t.Protocol):
        def close(self): ...

    class Closing(Users):
        def close(self): ...

    @plugin.exports(Closing)
    async def exporting():
        context.add(Engine())
        di.register(Closing)

    for asked in Closes, Closes | None:
        message = error_of([], lambda asked=asked: di.nject(asked), exporting)
        assert f"exporting exports {errors.describe(Closing)}, " in message


def test_an_export_of_another_name_is_not_told():
    """A name that nobody has is not told, nor is a type that is there under names alone."""

    @plugin.exports(Engine)
    async def exporting():
        context.add(Engine(), name="replica")

    for look in lambda: context.get(Engine), lambda: context.get(Engine, name="main"), lambda: di.nject(Engine):
        assert "exporting" not in error_of([], look, exporting)
    assert "exporting exports it" in error_of([], lambda: context.get(Engine, name="replica"), exporting)


def test_the_name_of_a_parameter_is_told():
    """A parameter takes the component of its name, so that is told too."""

    class Reads:
        def __init__(self, replica: Engine) -> None: ...

    async def look():
        di.register(Reads)
        await di.nject(Reads)

    message = error_of([], look, secretive)
    assert f"{errors.describe(Engine)} named 'replica' is private to {__name__}:secretive" in message


def test_a_hint_does_not_hide_the_names_that_are_there():
    """Components of that type under other names are still told."""

    async def named():
        context.add(Right(), name="mine")

    for look in lambda: context.get(Right), lambda: di.nject(Right):
        message = error_of([], look, secretive, named)
        assert "'mine'" in message
        assert "secretive exports it" in message
