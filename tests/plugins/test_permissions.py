import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import Components, context, errors, plugin
from buvar.plugins import permissions
from buvar.plugins.permissions import Grants, Permission

READ = Permission("orders.read", help="See all orders")
WRITE = Permission("orders.write")


async def declaring():
    context.add(READ)
    context.add(WRITE)


def staged(use, *plugins):
    """Run `use` in a task of a stage that has loaded the plugin and others, and return what it returns."""

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.permissions", *plugins)

        async def task():
            return use()

        yield task()

    result, *_ = plugin.stage(prepare)
    if isinstance(result, BaseException):
        raise result
    return result


def granting(*granted):
    """Return what is granted, and what is denied, where just these are."""
    with context.child() as components:
        components.add(Grants(granted))
        denied = []
        for each in (READ, WRITE):
            try:
                permissions.require(each)
            except errors.PermissionDenied as error:
                denied += error.missing
        return [each.name for each in (READ, WRITE) if permissions.granted(each)], denied


def test_what_is_granted_is_allowed():
    """What is granted in the current context is allowed, by name or as it was declared, and all else is denied."""
    assert staged(lambda: granting("orders.read"), declaring) == (["orders.read"], ["orders.write"])
    assert staged(lambda: granting(READ, WRITE), declaring) == (["orders.read", "orders.write"], [])


def test_without_grants_nothing_is_granted():
    """Where nobody has said who it is that asks, everything is denied."""

    def use():
        assert not permissions.granted("orders.read")
        with pytest.raises(errors.PermissionDenied) as caught:
            permissions.require("orders.read")
        return caught.value.missing

    assert staged(use, declaring) == ("orders.read",)


def test_all_that_is_missing_is_told():
    """Several are required together, and those that are missing are told in their order."""

    def use():
        context.add(Grants({"orders.read"}))
        assert not permissions.granted("orders.read", "orders.write")
        with pytest.raises(errors.PermissionDenied) as caught:
            permissions.require("orders.write", READ)
        assert str(caught.value) == "permission denied: orders.write"
        with context.child() as components, pytest.raises(errors.PermissionDenied) as caught:
            components.add(Grants())
            permissions.require("orders.write", READ)
        return caught.value.missing

    assert staged(use, declaring) == ("orders.write", "orders.read")


def test_the_innermost_grants_count():
    """Grants in a scope are all that is granted there: what was granted outside of it is not added."""

    def use():
        context.add(Grants({READ}))
        return granting(WRITE), permissions.granted(READ)

    assert staged(use, declaring) == ((["orders.write"], ["orders.read"]), True)


def test_each_request_has_its_own():
    """What is granted in one scope is not granted in another one beside it."""

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.permissions", declaring)

        async def request(*granted):
            async with context.scope("request"):
                context.add(Grants(granted))
                await asyncio.sleep(0)
                return permissions.granted(READ)

        async def task():
            return await asyncio.gather(request(READ), request(), request(READ, WRITE))

        yield task()

    assert plugin.stage(prepare) == [[True, False, True]]


def test_grants_may_mean_nothing_here():
    """Names that no plugin declares may be granted, since they come from outside, and do no harm."""
    assert staged(lambda: granting("orders.read", "invoices.read"), declaring) == (["orders.read"], ["orders.write"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("order.read", "; did you mean 'orders.read'?"), ("x", "; load the plugin that declares it, or add a Permission")],
)
@pytest.mark.parametrize("ask", [permissions.require, permissions.granted])
def test_who_asks_for_what_nobody_declares_is_told(ask, name, hint):
    """A misspelt permission is an error with the nearest one, also where just that is granted."""

    def use():
        context.add(Grants({name, "orders.read"}))
        with pytest.raises(errors.UndeclaredError) as caught:
            ask("orders.read", name)
        assert isinstance(caught.value, LookupError)
        return str(caught.value)

    assert staged(use, declaring) == f"no permission {name!r} is declared{hint}"


def test_nothing_declared_is_fine():
    """Where nothing is declared the plugin does no harm."""
    with pytest.raises(errors.UndeclaredError):
        staged(lambda: permissions.require("orders.read"))


def test_without_the_plugin_nothing_can_be_asked():
    """Who asks where the plugin is not loaded is told, whatever is granted."""
    with context.child() as components, pytest.raises(errors.ComponentLookupError, match="Permissions in the context"):
        components.add(Grants({"orders.read"}))
        permissions.granted("orders.read")


def test_at_least_one_is_required():
    """A guard that requires nothing is a mistake, not a guard that lets everybody in."""
    for ask in (permissions.require, permissions.granted):
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            ask()


def test_a_walled_plugin_declares_and_requires_too():
    """A permission of a walled plugin is asked for inside and outside of the walls."""

    @plugin.exports()
    async def walled():
        context.add(READ)

        async def task():
            with context.child() as components:
                components.add(Grants({READ}))
                return permissions.granted(READ)

        yield task()

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.permissions", walled)

        async def task():
            return permissions.granted(READ)

        yield task()

    assert plugin.stage(prepare) == [False, True]


def test_one_permission_may_be_shared():
    """Plugins that mean the same permission add the same object."""

    @plugin.exports()
    async def walled():
        context.add(READ)

    assert staged(lambda: granting(READ), declaring, walled) == (["orders.read"], ["orders.write"])


def test_two_of_one_name_stop_the_start():
    """Two permissions of one name would be granted together, which is an error that tells both."""

    @plugin.exports()
    async def walled():
        context.add(Permission("orders.read"))

    with pytest.raises(ExceptionGroup) as caught:
        staged(lambda: None, declaring, walled)
    (error,) = caught.value.exceptions
    assert "Permission 'orders.read' is declared twice" in str(error)


def test_one_that_is_declared_late_is_found():
    """A task may declare a permission, and ask for it then."""

    def use():
        assert not permissions.granted(READ)
        context.add(Permission("late"))
        return permissions.granted("late")

    assert staged(use, declaring) is False


@pytest.mark.parametrize("wrong", ["orders.read", b"orders.read", [5], {None}])
def test_grants_are_names(wrong):
    """One name alone, which would be taken for its letters, and what is no name are refused."""
    with pytest.raises(TypeError, match="Grants takes "):
        Grants(wrong)


@given(st.sets(st.text(min_size=1, max_size=3)), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1))
def test_what_is_missing_is_what_is_not_granted(names, asked):
    """Whatever is granted and asked for: denied is, in order, what is asked for and not granted."""
    with context.child(*Components().stack) as components:
        for name in "abc":
            components.add(Permission(name))
        components.add(permissions.Permissions())
        components.add(Grants(names))
        wanted = tuple(name for name in asked if name not in names)
        assert permissions.granted(*asked) is not bool(wanted)
        if wanted:
            with pytest.raises(errors.PermissionDenied) as caught:
                permissions.require(*asked)
            assert caught.value.missing == wanted
        else:
            permissions.require(*asked)
