"""The registry: what is found, in which order, in every thread."""

import abc
import collections.abc as c
import concurrent.futures
import threading
import typing as t

import pytest

from buvar import di


class Foo:
    @classmethod
    def adapt(cls) -> "Foo":
        return cls()

    @classmethod
    def maybe(cls) -> t.Optional[t.Self]:
        return cls()


class Bar(Foo): ...


class Baz(Bar): ...


@t.runtime_checkable
class Sends(t.Protocol):
    def send(self) -> str: ...


class Quiet(t.Protocol):
    def send(self) -> str: ...


class Post:
    def send(self) -> str:
        return "post"


class Loud(Quiet):
    def send(self) -> str:
        return "loud"


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1.0


UserId = t.NewType("UserId", int)


def foo() -> Foo:
    return Foo()


def bar() -> Bar:
    return Bar()


def bars() -> t.List[Bar]:
    return [Bar()]


def maybe_bar() -> t.Optional[Bar]:
    return Bar()


def user_id() -> UserId:
    return UserId(3)


def mapping() -> dict[str, Bar]:
    return {"a": Bar()}


def either() -> t.Union[Bar, Post]:
    return Bar()


def found(adapters: di.Adapters, target: t.Any) -> list[t.Any]:
    return [adapter.implementation for adapter in adapters.lookup(target)]


@pytest.mark.parametrize(
    ("implementation", "targets"),
    [
        (bar, [Bar, Foo, t.Optional[Foo], Foo | None, t.Union[Foo, Post], t.Annotated[Foo, 1]]),
        (bars, [t.List[Foo], list[Foo], list[Bar], c.Sequence[Foo], t.Iterable[Foo], t.Optional[list[Foo]]]),
        (mapping, [dict[str, Foo], t.Mapping[str, Bar]]),
        (maybe_bar, [t.Optional[Bar], t.Optional[Foo], Foo | Post | None]),
        (either, [t.Union[Post, Bar], t.Union[Foo, Post], t.Union[Foo, Sends, Post]]),
        (user_id, [UserId, t.Optional[UserId]]),
        (Square, [Square, Shape, t.Optional[Shape]]),
        (Post, [Post, Sends, t.Optional[Sends]]),
        (Loud, [Loud, Quiet, Sends]),
    ],
)
async def test_an_adapter_is_found_by_all_that_it_may_stand_for(adapters, implementation, targets):
    """Its return type, the bases, optionals, unions, generics, protocols and ABCs lead to an adapter, and it builds."""
    adapters.register(implementation)
    for target in targets:
        assert found(adapters, target) == [implementation], target
        assert await adapters.nject(target) is not None


@pytest.mark.parametrize(
    ("implementation", "targets"),
    [
        (foo, [Bar, list[Foo], object, t.Any]),
        (maybe_bar, [Bar, Foo]),
        (either, [Bar, t.Optional[Bar]]),
        (user_id, [int, t.Optional[int]]),
        (Post, [Quiet]),
        (bars, [list[Baz], set[Bar]]),
        (Square, [abc.ABC, t.Literal[1], t.Literal[[]]]),
    ],
)
async def test_an_adapter_is_not_found_by_what_it_is_not(adapters, implementation, targets):
    """What may be None or something else does not answer, nor does a base for a subclass."""
    adapters.register(implementation)
    for target in targets:
        assert found(adapters, target) == []
        with pytest.raises(di.ResolveError):
            await adapters.nject(target)


def test_the_last_registered_comes_first(adapters):
    """Candidates stand in the reverse order of registration, subclasses or not."""
    adapters.register(foo, bar)
    assert found(adapters, Foo) == [bar, foo]
    adapters.register(Baz)
    assert found(adapters, Foo) == [Baz, bar, foo]
    assert found(adapters, Bar) == [Baz, bar]


def test_registering_again_moves_to_the_end(adapters):
    """One callable is registered once, at the place of its last registration."""
    adapters.register(foo, Foo.adapt, foo, Foo.adapt, bar, foo)
    assert [adapter.implementation for adapter in adapters] == [Foo.adapt, bar, foo]
    assert found(adapters, Foo) == [foo, bar, Foo.adapt]
    adapters.register(bars, bars)
    assert found(adapters, list[Foo]) == [bars]


def test_replace_drops_what_answered_before(adapters):
    """Former adapters no longer answer what the new one answers, but all else; later ones add to it."""
    adapters.register(foo, Baz)
    adapters.register(bar, replace=True)
    assert found(adapters, Foo) == [bar]
    assert found(adapters, Bar) == [bar]
    assert found(adapters, Baz) == [Baz]
    adapters.register(Foo)
    assert found(adapters, Foo) == [Foo, bar]


def test_replace_works_for_generics_and_families(adapters):
    """A list, and what a classmethod of a base would have built, can be replaced too."""

    def others() -> list[Foo]:
        return []

    adapters.register(others, Foo.adapt)
    assert [adapter.return_type for adapter in adapters.lookup(Bar)] == [Bar]
    adapters.register(bars, bar, replace=True)
    assert found(adapters, list[Foo]) == [bars]
    assert found(adapters, Bar) == [bar]


def test_a_classmethod_serves_subclasses_after_what_returns_them(adapters):
    """What returns the very class is preferred to the classmethod of a base, whichever was registered last."""
    adapters.register(bar, Foo.adapt)
    assert found(adapters, Bar) == [bar, Bar.adapt]
    assert found(adapters, Baz) == [Baz.adapt]
    assert found(adapters, t.Optional[Baz]) == [Baz.adapt]
    assert found(adapters, Foo) == [Foo.adapt, bar]


def test_the_nearest_base_comes_first(adapters):
    """Of several bases the one next to the asked-for class is asked first."""
    adapters.register(Bar.adapt, Foo.adapt)
    assert [adapter.family for adapter in adapters.lookup(Baz)] == [Baz, Baz]
    assert found(adapters, Baz) == [Baz.adapt, Baz.adapt]
    assert found(adapters, Bar) == [Bar.adapt, Bar.adapt]


async def test_a_classmethod_that_may_return_none_serves_optionals_only(adapters):
    """Optional of the own class answers Optional of a subclass, and not the subclass."""
    adapters.register(Foo.maybe)
    assert found(adapters, Bar) == []
    assert found(adapters, t.Optional[Bar]) == [Bar.maybe]
    assert isinstance(await adapters.nject(t.Optional[Bar]), Bar)


def test_nominal_candidates_come_before_alike_ones(adapters):
    """What derives from a protocol is preferred to what merely looks like it."""

    @t.runtime_checkable
    class Both(t.Protocol):
        def send(self) -> str: ...

    class Real(Both): ...

    adapters.register(Real, Post)
    assert found(adapters, Both) == [Real, Post]


def test_the_registry_can_be_listed(adapters):
    """It iterates in order, counts, contains and shows its size."""
    assert not found(adapters, Foo)
    assert adapters
    adapters.register(foo, bars)
    assert [adapter.label for adapter in adapters] == ["foo", "bars"]
    assert len(adapters) == 2
    assert Foo in adapters
    assert list[Foo] in adapters
    assert Bar not in adapters
    assert repr(adapters) == "<Adapters: 2>"


def test_a_lookup_is_fresh_after_a_registration(adapters):
    """What was looked up before is not kept against a later registration."""
    assert found(adapters, Foo) == []
    adapters.register(foo)
    assert found(adapters, Foo) == [foo]


def test_a_usable_registry_exists_in_every_thread():
    """A new thread has the same default adapters."""
    seen = []
    thread = threading.Thread(target=lambda: seen.append(di.buvar_adapters.get()))
    thread.start()
    thread.join()
    assert seen == [di.buvar_adapters.get()]


async def test_register_and_nject_use_the_current_adapters(adapters):
    """The functions of the module work on what the context variable holds."""
    token = di.buvar_adapters.set(adapters)
    try:
        di.register(foo)
        di.register(bar, replace=True)
        assert type(await di.nject(Foo)) is Bar
    finally:
        di.buvar_adapters.reset(token)
    assert [adapter.implementation for adapter in adapters] == [foo, bar]


def test_threads_may_register_and_look_up_at_once(adapters):
    """No registration is lost and no look-up fails while others register."""
    classes = [type(f"Sub{number}", (Foo,), {}) for number in range(200)]

    def register(cls: type) -> int:
        adapters.register(cls)
        return len(adapters.lookup(Foo))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(register, classes))
    assert min(counts) >= 1
    assert {adapter.implementation for adapter in adapters.lookup(Foo)} == set(classes)
