"""Bound requests: what `bind` returns asks where it is called, with the values that it is given."""

import attrs
import pytest

from buvar import context, di

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


class Engine:
    def __init__(self, url="built") -> None:
        self.url = url


@attrs.frozen(eq=False)
class Session:
    engine: Engine


async def test_bound_takes_values_in_order_and_by_keyword(adapters):
    """``bind(Report, a=A, b=B)`` is called with values in that order, or by their names."""

    def make(a: int, b: str, engine: Engine) -> Session:
        return Session((a, b, engine.url))

    adapters.register(make, Engine)
    bound = adapters.bind(Session, a=int, b=str)
    for _ in ROUNDS:
        assert (await bound(1, "x")).engine == (1, "x", "built")
        assert (await bound(b="x", a=1)).engine == (1, "x", "built")
        assert (await bound(1, b="x")).engine == (1, "x", "built")
        assert (await adapters.nject(Session, a=1, b="x")).engine == (1, "x", "built")
    for wrong in ((), (1,), (1, "x", 2)):
        with pytest.raises(TypeError):
            bound(*wrong)


async def test_bound_knows_parameters_of_any_name(adapters):
    """Neither ``plans`` nor ``self`` nor ``target`` is taken."""

    def make(plans: int, self: str, target: float) -> Session:
        return Session((plans, self, target))

    adapters.register(make)
    bound = adapters.bind(Session, plans=int, self=str, target=float)
    for _ in ROUNDS:
        assert (await bound(1, "x", 2.5)).engine == (1, "x", 2.5)
        assert (await bound(target=2.5, self="x", plans=1)).engine == (1, "x", 2.5)
        assert (await adapters.nject(Session, self="x", plans=1, target=2.5)).engine == (1, "x", 2.5)
        assert adapters.nject_now(Session, self="x", plans=1, target=2.5).engine == (1, "x", 2.5)


async def test_bound_without_names(adapters, components):
    """It is the request alone, and follows registrations and the context."""
    bound = adapters.bind(Engine)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError):
            await bound()
    adapters.register(Engine)
    for _ in ROUNDS:
        assert (await bound()).url == "built"

    def make() -> Engine:
        return Engine("newer")

    adapters.register(make)
    for _ in ROUNDS:
        assert (await bound()).url == "newer"
    component = components.add(Engine("component"))
    for _ in ROUNDS:
        assert await bound() is component


async def test_bound_asks_where_it_is_called(adapters):
    """The context and the scope are those of the call, not those of the binding."""
    adapters.scoped(Engine)
    adapters.register(Session)
    bound = adapters.bind(Session)
    seen = set()
    for _ in ROUNDS:
        async with context.scope("request"):
            assert (await bound()).engine is (await bound()).engine is await adapters.nject(Engine)
            seen.add(await adapters.nject(Engine))
    assert len(seen) == 4
    with pytest.raises(di.ResolveError, match="no scope is open"):
        await bound()


async def test_a_request_is_of_where_it_is_awaited(adapters):
    """Whether it was asked before or not: the context is that of the await, not that of the call."""
    adapters.scoped(Engine)
    bound = adapters.bind(Engine)
    for _ in ROUNDS:
        asked = adapters.nject(Engine), bound()
        async with context.scope("request"):
            engine = await adapters.nject(Engine)
            assert [await each for each in asked] == [engine, engine]


async def test_bound_given_something_of_another_type(adapters):
    """The names are fixed, the types are looked at each time."""

    def make(number: int = 3) -> Session:
        return Session(number)

    adapters.register(make)
    bound = adapters.bind(Session, number=int)
    for _ in ROUNDS:
        assert (await bound(1)).engine == 1
        assert (await bound("x")).engine == 3


async def test_the_module_form_binds_to_the_current_adapters(adapters):
    """di.bind is for the registry that is current when it is called."""
    adapters.register(Engine)
    token = di.buvar_adapters.set(adapters)
    try:
        bound = di.bind(Engine)
    finally:
        di.buvar_adapters.reset(token)
    for _ in ROUNDS:
        assert (await bound()).url == "built"
