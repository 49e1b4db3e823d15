"""What a type checker knows of injected objects: mypy reads this file, and it runs."""

from __future__ import annotations

import abc
import collections.abc as c
import typing as t

import attrs
import pytest

from buvar import di


class Foo: ...


@attrs.frozen
class Bar:
    foo: Foo


class Sends(t.Protocol):
    def send(self) -> str: ...


class Post(Sends):
    def send(self) -> str:
        return "post"


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1.0


T = t.TypeVar("T")


class Box(t.Generic[T]):
    def __init__(self, foo: Foo) -> None:
        self.foo = foo


UserId = t.NewType("UserId", int)


def user_id() -> UserId:
    return UserId(3)


async def foos(foo: Foo) -> list[Foo]:
    return [foo]


@pytest.fixture
def adapters() -> c.Iterator[di.Adapters]:
    adapters = di.Adapters()
    token = di.buvar_adapters.set(adapters)
    di.register(Foo, Bar, Post, Square, Box[Foo], user_id, foos)
    yield adapters
    di.buvar_adapters.reset(token)


async def test_one_target_has_its_type(adapters: di.Adapters) -> None:
    """Classes, protocols, abstract classes, generics and new types come as what they are."""
    t.assert_type(await di.nject(Foo), Foo)
    t.assert_type(await adapters.nject(Bar, foo=Foo()), Bar)
    t.assert_type(await di.nject(Sends), Sends)
    t.assert_type(await adapters.nject(Shape), Shape)
    t.assert_type(await di.nject(Box[Foo]), Box[Foo])
    t.assert_type(await di.nject(list[Foo]), list[Foo])
    # pyright takes a NewType for Any here
    t.assert_type(await di.nject(UserId), UserId)  # pyright: ignore[reportAssertTypeFailure]


async def test_several_targets_are_a_tuple(adapters: di.Adapters) -> None:
    """Up to five targets keep their types, in order."""
    t.assert_type(await di.nject(Foo, Bar), tuple[Foo, Bar])
    t.assert_type(await adapters.nject(Foo, Sends, Shape, name="x"), tuple[Foo, Sends, Shape])
    t.assert_type(await di.nject(Foo, Bar, Post, Square), tuple[Foo, Bar, Post, Square])
    t.assert_type(await di.nject(Foo, Bar, Post, Square, Sends), tuple[Foo, Bar, Post, Square, Sends])


async def test_what_is_no_class_comes_as_any(adapters: di.Adapters) -> None:
    """Unions are asked for without an ignore; what comes has no type."""
    found = await di.nject(t.Optional[Foo])
    many = await adapters.nject(t.Union[Foo, Bar], Foo | None)
    assert isinstance(found, Foo)
    assert len(many) == 2


def test_look_ups_are_lists_of_adapters(adapters: di.Adapters) -> None:
    """A look-up and the registry give adapters."""
    t.assert_type(adapters.lookup(Foo), list[di.Adapter])
    t.assert_type(list(adapters), list[di.Adapter])


async def test_arguments_come_by_name(adapters: di.Adapters) -> None:
    """What a function needs is a dict by parameter name."""

    async def prepare(foo: Foo) -> None: ...

    t.assert_type(await di.resolve.arguments(adapters, prepare), dict[str, t.Any])


async def test_the_other_ways_to_ask_keep_the_type(adapters: di.Adapters) -> None:
    """The synchronous twin, a bound request and an override are typed as what is asked for."""
    t.assert_type(di.nject_now(Foo), Foo)
    t.assert_type(adapters.nject_now(Foo, Sends), tuple[Foo, Sends])
    bound = di.bind(Bar, foo=Foo)
    t.assert_type(await bound(Foo()), Bar)
    t.assert_type(await adapters.bind(Sends)(), Sends)


def test_decorators_return_what_they_decorate(adapters: di.Adapters) -> None:
    """A registered class or function keeps its type."""

    @di.singleton
    class Own:
        def __init__(self, foo: Foo) -> None:
            self.foo = foo

    @di.scoped
    def number() -> UserId:
        return UserId(1)

    t.assert_type(Own(Foo()), Own)
    t.assert_type(number(), UserId)
    t.assert_type(di.transient(Sends, Post), type[Post])
