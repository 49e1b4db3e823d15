"""What becomes an adapter, and what is refused."""

import abc
import collections.abc as c
import contextlib
import functools
import typing as t

import pytest

from buvar import components, context, di, errors

FooType = t.TypeVar("FooType", bound="Foo")


class Foo:
    @classmethod
    def plain(cls) -> "Foo":
        return cls()

    @classmethod
    def own(cls) -> t.Self:
        return cls()

    @classmethod
    async def generic(cls: type[FooType]) -> FooType:
        return cls()

    @classmethod
    def maybe(cls) -> t.Optional["Foo"]:
        return cls()

    @classmethod
    def other(cls) -> "Baz":
        return Baz(cls)

    @classmethod
    def many(cls) -> list[t.Self]:
        return [cls()]

    def copy(self) -> t.Self:
        return type(self)()


class Bar(Foo): ...


class Baz:
    def __init__(self, by: type) -> None:
        self.by = by


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


class Sends(t.Protocol):
    def send(self) -> None: ...


class Maker:
    def make(self) -> Foo:
        return Foo()

    @staticmethod
    def static() -> Foo:
        return Foo()

    def __call__(self) -> Foo:
        return Foo()


class AsyncMaker:
    async def __call__(self) -> Foo:
        return Foo()


def make() -> Foo:
    return Foo()


def generator() -> c.Iterator[Foo]:
    yield Foo()


async def async_generator() -> c.AsyncIterator[Foo]:
    yield Foo()


async def make_async() -> Foo:
    return Foo()


def read(implementation: t.Any) -> di.Adapter:
    return di.Adapter.of(implementation)


@pytest.mark.parametrize(
    ("implementation", "return_type", "family"),
    [
        (make, Foo, None),
        (make_async, Foo, None),
        (Foo, Foo, None),
        (Foo.plain, Foo, Foo),
        (Foo.own, Foo, Foo),
        (Foo.generic, Foo, Foo),
        (Foo.maybe, t.Optional[Foo], Foo),
        (Foo.other, Baz, None),
        (Foo.many, list[Foo], None),
        (Bar.plain, Bar, Bar),
        (Bar.own, Bar, Bar),
        (Bar.generic, Bar, Bar),
        (Bar.maybe, t.Optional[Bar], Bar),
        (Bar.other, Baz, None),
        (Bar.many, list[Bar], None),
        (Bar().copy, Bar, None),
        (Maker().make, Foo, None),
        (Maker.static, Foo, None),
        (Maker(), Foo, None),
        (AsyncMaker(), Foo, None),
        (functools.partial(make), Foo, None),
        (functools.partial(Baz, by=Foo), Baz, None),
        (functools.partial(Bar.plain), Bar, None),
        (generator, Foo, None),
        (async_generator, Foo, None),
        (functools.partial(generator), Foo, None),
    ],
)
async def test_each_kind_of_callable_is_found_by_what_it_returns(implementation, return_type, family):
    """Functions, classes, methods, partials and instances have a return type, and build."""
    adapter = read(implementation)
    assert (adapter.return_type, adapter.family) == (return_type, family)
    adapters = di.Adapters()
    adapters.register(implementation)
    async with context.scope("test"):
        assert await adapters.nject(return_type) is not None


@pytest.mark.parametrize(
    "implementation", [make_async, Foo.generic, AsyncMaker(), functools.partial(make_async), Bar.generic]
)
async def test_coroutines_are_awaited(implementation):
    """However a coroutine function is wrapped, its result is built, not the coroutine."""
    adapters = di.Adapters()
    adapters.register(implementation)
    assert isinstance(await adapters.nject(Foo), Foo)


async def test_a_decorator_that_hides_a_coroutine_function_is_seen_through():
    """A plain wrapper around a coroutine function builds what the coroutine returns."""

    @functools.wraps(make_async)
    def wrapper():
        return make_async()

    adapters = di.Adapters()
    adapters.register(wrapper)
    assert isinstance(await adapters.nject(Foo), Foo)


async def test_an_awaitable_that_a_function_returns_is_a_component():
    """Only coroutines are awaited: a future is a thing that one may well ask for."""
    import asyncio

    def build() -> asyncio.Future:
        return asyncio.get_running_loop().create_future()

    adapters = di.Adapters()
    adapters.register(build)
    future = await adapters.nject(asyncio.Future)
    assert not future.done()


def test_a_generic_alias_is_a_class_with_arguments():
    """A registered generic class with arguments is found by them, and needs what they say."""
    T = t.TypeVar("T")

    class Box(t.Generic[T]):
        def __init__(self, item: T, more: list[T]) -> None: ...

    adapter = read(Box[Foo])
    assert adapter.return_type == Box[Foo]
    assert [need.form.tp for need in adapter.parameters] == [Foo, list[Foo]]


def test_the_bound_adapter_reads_an_override():
    """A classmethod that a subclass overrides is that of the subclass."""

    class Own(Foo):
        @classmethod
        def plain(cls, baz: Baz) -> Foo:
            return cls()

    bound = read(Foo.plain).bound(Own)
    assert bound.implementation == Own.plain
    assert bound.return_type is Own
    assert [need.name for need in bound.parameters] == ["baz"]


def test_the_bound_adapter_is_the_registered_function_where_the_name_means_something_else():
    """A subclass that uses the name for another thing is built by the function that was registered."""

    class Own(Foo):
        plain = None

    bound = read(Foo.plain).bound(Own)
    assert isinstance(bound.implementation(), Own)


def unsaid_generator():
    yield Foo()


def wrong_generator() -> Foo:
    yield Foo()


async def wrong_async_generator() -> Foo:
    yield Foo()


def without_return():
    return Foo()


def returns_none() -> None: ...


def returns_any() -> t.Any: ...


def returns_object() -> object: ...


def returns_never() -> t.NoReturn: ...


@pytest.mark.parametrize(
    ("implementation", "reason"),
    [
        (without_return, "does not say what it returns; annotate it"),
        (lambda: Foo(), "does not say what it returns"),
        (returns_none, "returns None, which nothing can be found by"),
        (returns_any, "returns Any"),
        (returns_object, "returns object"),
        (returns_never, "returns NoReturn"),
        (unsaid_generator, "does not say what it returns"),
        (wrong_generator, r"it is a generator and says that it returns Foo; write what it yields: -> Iterator\[Type\]"),
        (wrong_async_generator, r"write what it yields: -> AsyncIterator\[Type\]"),
        (contextlib.contextmanager(generator), "register the generator function without the decorator"),
        (Shape, r"it is abstract \(area\)"),
        (Sends, "it is a Protocol"),
        (3, "it cannot be called"),
        (Foo.__dict__["plain"], "register the method of the class"),
        (dict, "does not say which parameters it has; write a function"),
    ],
)
def test_what_cannot_be_an_adapter_is_refused(implementation, reason):
    """Registering it is an AdapterError that says why, and nothing of that call is registered."""
    adapters = di.Adapters()
    with pytest.raises(di.AdapterError, match=reason) as caught:
        adapters.register(make, implementation)
    assert caught.value.implementation is implementation
    assert isinstance(caught.value, errors.UsageError)
    assert len(adapters) == 0


@pytest.mark.parametrize("implementation", [without_return, wrong_generator, Shape, functools.partial(without_return)])
def test_a_refusal_names_file_and_line(implementation):
    """The message leads to the definition."""
    with pytest.raises(di.AdapterError) as caught:
        read(implementation)
    assert caught.value.place.file == __file__
    assert str(caught.value.place) in str(caught.value)


def test_a_class_over_a_builtin_has_no_parameters():
    """A class statement over dict can be registered as it is."""

    class Options(dict): ...

    assert read(Options).parameters == ()


def test_the_owner_is_the_plugin_that_registers():
    """An adapter knows the plugin in whose context it was registered."""
    assert read(make).owner is None
    with context.child():
        owned = components.Components(*context.current_context().stack, owner="shop.users")
        token = context.buvar_context.set(owned)
        try:
            assert read(make).owner == "shop.users"
        finally:
            context.buvar_context.reset(token)


def test_the_repr_says_what_builds_what():
    """An adapter shows its callable and its return type."""
    assert repr(read(Bar.maybe)) == "<Adapter Bar.maybe -> Bar | None>"
    assert read(make).place == errors.Place(__file__, make.__code__.co_firstlineno)
