"""Resolving: where each thing comes from, and that it is built once."""

import asyncio
import functools
import typing as t

import attrs
import pytest

from buvar import context, di

ConfigType = t.TypeVar("ConfigType", bound="Config")


class Source(dict): ...


class Config:
    def __init__(self, name: str = "") -> None:
        self.name = name

    @classmethod
    async def adapt(cls: type[ConfigType], source: Source = Source(default=True)) -> ConfigType:
        config = cls(cls.__name__)
        config.source = source
        return config


class HttpConfig(Config): ...


class LogConfig(Config): ...


class Foo:
    def __init__(self, name: str = "built") -> None:
        self.name = name


class SubFoo(Foo): ...


@attrs.frozen(eq=False)
class Bar:
    foo: Foo


@attrs.frozen(eq=False)
class Baz:
    foo: Foo
    bar: Bar


async def test_an_object_is_built_with_all_that_it_needs(adapters):
    """Adapters are called for what the parameters of adapters need, to any depth."""
    adapters.register(Foo, Bar, Baz)
    baz = await adapters.nject(Baz)
    assert isinstance(baz.bar.foo, Foo)


async def test_a_diamond_shares(adapters):
    """In one call an adapter builds once, whoever needs it and however often it is asked for."""
    adapters.register(Foo, Bar, Baz)
    baz, bar, foo = await adapters.nject(Baz, Bar, Foo)
    assert baz.foo is baz.bar.foo is foo
    assert baz.bar is bar


async def test_two_calls_share_nothing(adapters):
    """What is built lives for the call."""
    adapters.register(Foo)
    assert await adapters.nject(Foo) is not await adapters.nject(Foo)


async def test_what_serves_a_type_and_its_base_is_one_object(adapters):
    """An adapter that is the choice for a class and for its base builds one object for both."""
    adapters.register(Foo, SubFoo)
    sub, foo, maybe = await adapters.nject(SubFoo, Foo, t.Optional[Foo])
    assert sub is foo is maybe


async def test_several_targets_come_as_a_tuple(adapters):
    """One target gives an object, several give a tuple, none an empty one."""
    adapters.register(Foo, Bar)
    assert isinstance(await adapters.nject(Foo), Foo)
    assert [type(one) for one in await adapters.nject(Bar, Foo)] == [Bar, Foo]
    assert await adapters.nject() == ()


class Holder:
    def __init__(self, foo: Foo = Foo("default")) -> None:
        self.foo = foo


async def test_the_order_for_a_parameter(adapters):
    """Given by name, component by name, unnamed component, given of the type, adapter, default: the first there is."""
    adapters.register(Holder)
    names = {name: Foo(name) for name in ("given", "named", "component", "of the type")}

    async def chosen(**given: Foo) -> str:
        return (await adapters.nject(Holder, **given)).foo.name

    assert await chosen() == "default"
    adapters.register(Foo)
    assert await chosen() == "built"
    assert await chosen(other=names["of the type"]) == "of the type"
    context.add(names["component"])
    assert await chosen() == "component"
    assert await chosen(other=names["of the type"]) == "component"
    context.add(names["named"], name="foo")
    assert await chosen() == "named"
    assert await chosen(foo=names["given"]) == "given"


async def test_a_component_of_another_name_is_not_taken(adapters):
    """Named components are for parameters of their name."""
    adapters.register(Holder)
    context.add(Foo("other"), name="replica")
    assert (await adapters.nject(Holder)).foo.name == "default"


async def test_what_is_given_by_name_must_fit(adapters):
    """A dependency of the right name and the wrong type is not passed."""
    adapters.register(Holder)
    assert (await adapters.nject(Holder, foo="text")).foo.name == "default"


async def test_the_mixture_of_sources_that_upstream_documents(adapters):
    """Given dependencies, named and unnamed components, adapters and defaults work together in one call."""

    class First(dict):
        def __init__(self, name=None):
            super().__init__(name=name)

    class Second(dict):
        def __init__(self, bar: First):
            super().__init__(bar=bar)

    class Third: ...

    class Fourth: ...

    class Result(dict): ...

    async def build(
        bar: Second, some: First = 1, third: Third = "default", *, fourth: Fourth, first: First = None
    ) -> Result:
        return Result(bar=bar, some=some, third=third, fourth=fourth, first=first)

    adapters.register(Second, build)
    context.add(First())
    context.add(First("bar"), name="bar")
    given = Fourth()
    result, fourth = await adapters.nject(Result, Fourth, fourth=given)
    assert fourth is given
    assert result == {
        "bar": {"bar": {"name": "bar"}},
        "some": {"name": None},
        "third": "default",
        "fourth": given,
        "first": {"name": None},
    }


async def test_a_component_is_found_by_base_optional_and_key(adapters):
    """A target is taken from the context by any key it is filed under, and by Optional of it."""
    foo = context.add(SubFoo())
    foos = context.add([foo], list[Foo])
    assert await adapters.nject(Foo) is foo
    assert await adapters.nject(t.Optional[Foo]) is foo
    assert await adapters.nject(t.Union[str, Foo]) is foo
    assert await adapters.nject(list[Foo]) is foos
    assert await adapters.nject(t.List[Foo]) is foos


async def test_optional_is_not_none_by_itself(adapters):
    """An Optional parameter that nothing provides has its default, and without one it is an error."""

    def lenient(foo: t.Optional[Foo] = None) -> Bar:
        return Bar(foo)

    def strict(foo: t.Optional[Foo]) -> Bar:
        return Bar(foo)

    adapters.register(lenient)
    assert (await adapters.nject(Bar)).foo is None
    adapters.register(strict, replace=True)
    with pytest.raises(di.ResolveError):
        await adapters.nject(Bar)
    adapters.register(Foo)
    assert (await adapters.nject(Bar)).foo.name == "built"


async def test_the_last_registered_that_can_be_satisfied_builds(adapters):
    """A candidate whose needs are not met leaves it to the one that was registered before it."""

    def first() -> Foo:
        return Foo("first")

    def second(number: int) -> Foo:
        return Foo(f"second {number}")

    def third(bar: Bar, number: float) -> Foo:
        return Foo("third")

    adapters.register(first, second, third)
    assert (await adapters.nject(Foo)).name == "first"
    assert (await adapters.nject(Foo, number=2)).name == "second 2"
    assert (await adapters.nject(Foo, number=2.5, bar=Bar(Foo()))).name == "third"


async def test_nothing_is_built_for_what_fails(adapters):
    """A candidate that cannot be satisfied does not call what it could have had, nor does a failing request."""
    built = []

    def make_foo() -> Foo:
        built.append("foo")
        return Foo()

    def failing(foo: Foo, missing: Bar) -> Baz:
        raise AssertionError

    adapters.register(make_foo, failing)
    with pytest.raises(di.ResolveError):
        await adapters.nject(Foo, Baz)
    with pytest.raises(di.ResolveError):
        await adapters.nject(Baz)

    def fallback() -> Baz:
        return Baz(Foo(), Bar(Foo()))

    adapters.register(fallback, failing)
    assert isinstance(await adapters.nject(Baz), Baz)
    assert built == []


async def test_keyword_dependencies_choose_the_adapter(adapters):
    """The given dependencies decide which of several adapters can be satisfied."""

    def by_name(name: str) -> Bar:
        return Bar(Foo(name))

    def by_foo(foo: Foo) -> Bar:
        return Bar(foo)

    adapters.register(by_name, by_foo)
    foo = Foo()
    assert (await adapters.nject(Bar, name="x")).foo.name == "x"
    assert (await adapters.nject(Bar, foo=foo)).foo is foo
    assert (await adapters.nject(Bar, deep=foo)).foo is foo


async def test_a_given_dependency_reaches_any_depth(adapters):
    """What is given is there for the adapters of adapters too."""
    adapters.register(Bar, Baz)
    foo = Foo()
    baz = await adapters.nject(Baz, foo=foo)
    assert baz.bar.foo is foo


async def test_a_dependency_may_have_any_name(adapters):
    """Not even self, target or targets are taken."""

    def build(self: str, target: int, targets: float) -> Foo:
        return Foo(f"{self}{target}{targets}")

    adapters.register(build)
    assert (await adapters.nject(Foo, self="a", target=1, targets=2.5)).name == "a12.5"


async def test_parameters_are_passed_as_they_must_be(adapters):
    """Positional-only, keyword-only, defaults, stars and partials all are called right."""

    def build(foo: Foo, count: int = 3, /, name: str = "x", *args: int, bar: Bar, **kwargs: str) -> Baz:
        assert (count, name, args, kwargs) == (3, "x", (), {})
        return Baz(foo, bar)

    adapters.register(Foo, Bar, build)
    assert isinstance(await adapters.nject(Baz), Baz)
    adapters.register(functools.partial(Bar, foo=Foo("fixed")), replace=True)
    assert (await adapters.nject(Baz, foo=Foo("given"))).bar.foo.name == "fixed"


async def test_a_parameter_without_annotation_is_for_keywords(adapters):
    """A parameter that says nothing takes what is given under its name, or else its default."""

    def build(name, other=2) -> Foo:
        return Foo(f"{name}{other}")

    adapters.register(build)
    context.add("text")
    assert (await adapters.nject(Foo, name=1)).name == "12"
    with pytest.raises(di.ResolveError, match="its type says nothing"):
        await adapters.nject(Foo)


async def test_a_classmethod_builds_the_subclass_that_is_asked_for(adapters):
    """One registered classmethod of a base serves each subclass, as a configuration does."""
    adapters.register(Config.adapt)
    http, log, again = await adapters.nject(HttpConfig, LogConfig, HttpConfig)
    assert (type(http), type(log)) == (HttpConfig, LogConfig)
    assert (http.name, log.name) == ("HttpConfig", "LogConfig")
    assert again is http
    assert http.source == {"default": True}
    source = context.add(Source())
    assert (await adapters.nject(LogConfig)).source is source
    assert type(await adapters.nject(Config)) is Config


async def test_a_classmethod_that_returns_something_else_keeps_its_class(adapters):
    """A classmethod is called on the class by which it was registered unless it builds that class."""

    class Product:
        def __init__(self, by: type) -> None:
            self.by = by

    class Factory:
        def __init__(self, by: type) -> None:
            self.by = by

        @classmethod
        def own(cls) -> "Factory":
            return cls(cls)

        @classmethod
        def other(cls) -> Product:
            return Product(cls)

    class SubFactory(Factory): ...

    adapters.register(Factory.own, Factory.other)
    assert (await adapters.nject(SubFactory)).by is SubFactory
    assert (await adapters.nject(Product)).by is Factory


async def test_an_inherited_classmethod_builds_what_it_was_registered_for(adapters):
    """A subclass's classmethod whose annotation names the base builds the subclass."""

    class Base:
        @classmethod
        def adapt(cls) -> "Base":
            return cls()

    class Sub(Base): ...

    class SubSub(Sub): ...

    adapters.register(Sub.adapt)
    assert type(await adapters.nject(Sub)) is Sub
    assert type(await adapters.nject(Base)) is Sub
    assert type(await adapters.nject(SubSub)) is SubSub


async def test_an_adapter_may_wrap_the_one_before_it(adapters):
    """An adapter that needs its own type gets it from the next candidate: a circle that can be avoided is."""

    @attrs.frozen
    class Loud(Foo):
        inner: Foo

    def wrap(inner: Foo) -> Foo:
        return Loud(inner)

    def wrap_again(inner: Foo) -> Foo:
        return Loud(inner)

    adapters.register(Foo, wrap, wrap_again, Bar)
    outer, bar = await adapters.nject(Foo, Bar)
    assert isinstance(outer.inner.inner, Foo)
    assert not isinstance(outer.inner.inner, Loud)
    assert bar.foo is outer


async def test_a_circle_that_a_default_or_component_breaks_is_none(adapters):
    """Two adapters that need each other resolve where one of them can do without."""

    class Left:
        def __init__(self, right: "Right" = None) -> None:
            self.right = right

    class Right:
        def __init__(self, left: Left) -> None:
            self.left = left

    Left.__init__.__annotations__["right"] = Right
    adapters.register(Left, Right)
    right = await adapters.nject(Right)
    assert right.left.right is None
    component = context.add(Right(Left()))
    assert (await adapters.nject(Left)).right is component


async def test_a_deep_chain_is_no_recursion(adapters):
    """A thousand and a half adapters in a row build, and fail with a path, all the same."""
    classes: list[type] = [Foo]
    for number in range(1500):
        cls = type(f"Link{number}", (), {"__init__": lambda self, below: None})
        cls.__init__.__annotations__["below"] = classes[-1]
        classes.append(cls)
    adapters.register(*classes)
    assert isinstance(await adapters.nject(classes[-1]), classes[-1])
    broken = di.Adapters()
    broken.register(*classes[1:])
    with pytest.raises(di.ResolveError) as caught:
        await broken.nject(classes[-1])
    assert len(caught.value.path) == 1501
    assert caught.value.target is Foo


async def test_what_an_adapter_raises_comes_through_with_a_note(adapters):
    """An error keeps its type and its identity, and is told who raised it for whom."""
    error = ValueError("no luck")

    def make_foo() -> Foo:
        raise error

    adapters.register(make_foo, Bar, Baz)
    with pytest.raises(ValueError) as caught:
        await adapters.nject(Baz)
    assert caught.value is error
    (note,) = error.__notes__
    assert note.startswith(f"raised by the adapter make_foo ({__file__}:{make_foo.__code__.co_firstlineno})")
    assert note.endswith("building Foo <- Baz(foo)")


async def test_a_key_error_in_an_adapter_is_not_a_missing_dependency(adapters):
    """The next candidate is not asked because one has failed in building."""

    def good() -> Foo:
        return Foo()

    async def bad() -> Foo:
        raise LookupError("inside")

    adapters.register(good, bad)
    with pytest.raises(LookupError, match="inside"):
        await adapters.nject(Foo)


async def test_an_adapter_may_ask_for_more(adapters):
    """A call within an adapter is a call of its own, and its errors come through."""

    async def build() -> Bar:
        return Bar(await adapters.nject(Foo))

    adapters.register(build)
    with pytest.raises(di.ResolveError) as caught:
        await adapters.nject(Bar)
    assert "building Bar" in caught.value.__notes__[0]
    adapters.register(Foo)
    assert isinstance(await adapters.nject(Bar), Bar)


async def test_concurrent_calls_do_not_meet(adapters):
    """Each of many calls at once has its own objects."""

    async def slow() -> Foo:
        await asyncio.sleep(0)
        return Foo()

    adapters.register(slow, Bar, Baz)
    all_of_them = await asyncio.gather(*(adapters.nject(Baz) for _ in range(50)))
    assert len({id(one.foo) for one in all_of_them}) == 50
    assert all(one.foo is one.bar.foo for one in all_of_them)


async def test_none_and_false_things_are_passed_on(adapters):
    """What an adapter returns is the object, even if it is None or false."""

    def nothing() -> t.Optional[Foo]:
        return None

    def empty() -> list[Foo]:
        return []

    adapters.register(nothing, empty)
    assert await adapters.nject(t.Optional[Foo], list[Foo]) == (None, [])


async def test_arguments_are_found_as_those_of_an_adapter(adapters):
    """What a function needs comes by name, without what stars collect and without a return annotation."""
    adapters.register(Bar, Config.adapt)
    foo = context.add(Foo("named"), name="foo")
    other = context.add(Foo("unnamed"))

    async def prepare(foo: Foo, other: Foo, bar: Bar, http: HttpConfig, level: int = 3, *args: int, **rest: int): ...

    found = await di.resolve.arguments(adapters, prepare)
    assert list(found) == ["foo", "other", "bar", "http", "level"]
    assert found["foo"] is foo
    assert found["other"] is other
    assert found["bar"].foo is foo
    assert type(found["http"]) is HttpConfig
    assert found["level"] == 3
    assert await di.resolve.arguments(adapters, lambda: None) == {}


async def test_the_path_of_arguments_ends_with_the_function(adapters):
    """Who asked is the last step, with its place; so too in the note of an error from an adapter."""

    async def prepare(bar: Bar): ...

    adapters.register(Bar)
    with pytest.raises(di.ResolveError) as caught:
        await di.resolve.arguments(adapters, prepare)
    assert caught.value.path == ("Foo", "Bar(foo)", "prepare(bar)")
    assert caught.value.steps[-1].place.line == prepare.__code__.co_firstlineno

    def broken() -> Foo:
        raise ValueError

    adapters.register(broken)
    with pytest.raises(ValueError) as failed:
        await di.resolve.arguments(adapters, prepare)
    assert failed.value.__notes__[0].endswith("building Foo <- Bar(foo) <- prepare(bar)")


async def test_a_misspelt_annotation_of_a_function_is_an_adapter_error(adapters):
    """An annotation that means nothing is told by its name."""

    async def prepare(bar: "Barr"): ...  # noqa: F821

    with pytest.raises(di.AdapterError, match="did you mean 'Bar'"):
        await di.resolve.arguments(adapters, prepare)
