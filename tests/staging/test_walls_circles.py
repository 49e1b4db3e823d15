"""Circles of what is needed are the same with walls or without."""

import attrs
import pytest

from buvar import context, di, errors, plugin
from tests.staging.shop import ROUNDS, SqlUsers, Users, run, users

pytestmark = pytest.mark.usefixtures("registry")


@attrs.frozen(eq=False)
class Hen:
    egg: "Egg"


@attrs.frozen(eq=False)
class Egg:
    hen: Hen


@attrs.frozen(eq=False)
class FirstEgg(Egg):
    hen: Hen | None = None


def farm(egg, *more, lifetime="transient", walled=True):
    async def hens():
        di.register(*more, Hen, lifetime=lifetime)

    async def eggs():
        di.register(egg, lifetime=lifetime)

    if walled:
        plugin.exports(Hen)(hens)
        plugin.exports(Egg)(eggs)

    async def both(load: plugin.Loader):
        await load(hens, eggs)

    return both


@pytest.mark.parametrize(
    "walled",
    [
        False,
        True,
    ],
)
@pytest.mark.parametrize("key", [Hen, Egg])
@pytest.mark.parametrize("now", [False, True])
def test_a_circle_is_told_by_its_path_with_walls_or_without(key, now, walled):
    """Two plugins whose adapters need each other: an error, and nothing else."""

    async def asking():
        for _ in ROUNDS:
            with pytest.raises(errors.ResolveError, match="circle") as caught:
                di.nject_now(key) if now else await di.nject(key)
            assert "Hen(egg)" in str(caught.value)
            assert "Egg(hen)" in str(caught.value)

    run(farm(Egg, walled=walled), asking)


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
def test_a_circle_ends_at_a_default_with_walls_or_without(lifetime, walled):
    """Where a parameter in the circle has a default, that is taken."""

    async def asking():
        for _ in ROUNDS:
            async with context.scope("request"):
                assert (await di.nject(Hen)).egg.hen is None
            async with context.scope("request"):
                assert (await di.nject(Egg)).hen is None

    run(farm(FirstEgg, lifetime=lifetime, walled=walled), asking)


@pytest.mark.parametrize("walled", [False, True])
def test_a_circle_takes_the_next_adapter_with_walls_or_without(walled):
    """An adapter never feeds itself, also not through another plugin: the next one for the type is taken."""

    class Chick(Hen):
        def __init__(self) -> None: ...

    async def asking():
        for _ in ROUNDS:
            hen = await di.nject(Hen)
            assert type(hen) is Hen
            assert type(hen.egg.hen) is Chick

    run(farm(Egg, Chick, walled=walled), asking)


def test_who_wraps_what_another_exports():
    """A walled plugin may wrap what it imports: its own adapter gets the other one's object."""

    @attrs.frozen(eq=False)
    class Cached(Users):
        users: Users

    @plugin.exports(Cached)
    async def caching(load: plugin.Loader):
        await load(users)
        di.register(Cached)
        for _ in ROUNDS:
            found = await di.nject(Users)
            assert type(found) is Cached
            assert type(found.users) is SqlUsers

    async def asking(load: plugin.Loader):
        await load(caching)
        for _ in ROUNDS:
            assert (await di.nject(Cached)).users.engine.url == "users"
            assert type(await di.nject(Users)) is Cached

    run(asking)
