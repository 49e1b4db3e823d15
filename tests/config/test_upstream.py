"""What upstream's users write goes on working."""

import dataclasses
import tomllib
import typing

import attr
import pytest
import toml

from buvar import config, context, di


@pytest.fixture(autouse=True)
def sections(monkeypatch):
    monkeypatch.setattr(config.Config, "__buvar_config_sections__", {})


@pytest.fixture
def adapters():
    token = di.buvar_adapters.set(di.Adapters())
    with context.child():
        yield
    di.buvar_adapters.reset(token)


@attr.s(auto_attribs=True)
class Foo:
    bar: str = "default"
    foobar: float = 9.87
    baz: bool = False


@attr.s(auto_attribs=True)
class Bar:
    bim: float
    foo: Foo = Foo()  # noqa: RUF009 - as users write it


@attr.s(auto_attribs=True, kw_only=True)
class Bim:
    bar: Bar
    bam: bool
    bum: int = 123
    lst: typing.List


SOURCES = (
    {"bar": {"bim": "123.4", "foo": {"bar": "1.23", "baz": "true"}}},
    {"foo": {"bar": "value", "foobar": 123.5, "baz": True}},
    {"bar": {"bim": "123.4"}, "bim": {"bar": {"bim": 1.23}, "bam": "on", "lst": [1, 2, 3]}},
)


def test_sections_come_from_merged_dicts_and_the_environment(monkeypatch):
    """Several dicts make one source, of which sections load with what the environment says over them."""
    monkeypatch.setenv("PREFIX_BAR_BIM", "0")
    monkeypatch.setenv("PREFIX_BAR_FOO_FOOBAR", "7.77")
    monkeypatch.setenv("PREFIX_BAR_FOO_BAZ", "false")
    source = config.ConfigSource(*SOURCES, env_prefix="PREFIX")

    assert source.load(Bim, "bim") == Bim(bar=Bar(bim=1.23), bam=True, lst=[1, 2, 3])
    assert source.load(Bar, "bar") == Bar(bim=0.0, foo=Foo(bar="1.23", foobar=7.77, baz=False))
    assert source.load(Foo, "foo") == Foo(bar="value", foobar=123.5, baz=True)


def test_the_root_loads_beside_other_sections():
    """A class that is loaded from the root leaves the tables of others alone."""

    @attr.s(auto_attribs=True)
    class General:
        foo: str
        baz: typing.Optional[float] = None

    source = config.ConfigSource({"foo": "bar", "group": {"some": "value"}, "items": [{"a": 1}]}, env_prefix="PREFIX")
    assert source.load(General) == General("bar", None)


def test_a_missing_value_is_an_error():
    """A field without default that nothing sets is an error."""

    @attr.s(auto_attribs=True)
    class Required:
        bar: str

    with pytest.raises(ValueError, match="bar: is required"):
        config.ConfigSource({"foo": {}}).load(Required, "foo")


def test_classes_nest_in_lists():
    """A class within a class within a list is built."""

    @attr.s(auto_attribs=True)
    class Inner:
        baz: str = "foobar"

    @attr.s(auto_attribs=True)
    class Outer:
        baz: Inner

    @attr.s(auto_attribs=True)
    class Holder:
        bars: typing.List[Outer] = []  # noqa: RUF008 - as users write it

    source = config.ConfigSource({"foo": {"bars": [{"baz": {"baz": "something else"}}]}}, env_prefix="TEST")
    assert source.load(Holder, "foo") == Holder(bars=[Outer(baz=Inner(baz="something else"))])


@attr.s(auto_attribs=True)
class Quoted:
    str: str
    int: int
    foo: "Foo"


def test_create_env_config_reads_nested_text(monkeypatch):
    """The environment of a class with names in quotes comes as nested dicts of text."""
    monkeypatch.setenv("PREFIX_STR", "abc")
    monkeypatch.setenv("PREFIX_INT", "777")
    assert config.create_env_config(Quoted, "PREFIX") == {"foo": {}, "str": "abc", "int": "777"}


async def test_config_classes_are_injected_from_a_given_source(adapters):
    """Any subclass of Config, attrs class or dataclass, is built by its type."""
    await config.prepare()

    @attr.s(auto_attribs=True)
    class FooConfig(config.Config, section="foo"):
        bar: str = "default"

    @dataclasses.dataclass
    class BarConfig(config.Config, section="bar"):
        bim: float

    source = config.ConfigSource(*SOURCES[2:], {"foo": {"bar": "abc"}})
    assert await di.nject(FooConfig, source=source) == FooConfig(bar="abc")
    assert await di.nject(BarConfig, source=source) == BarConfig(bim=123.4)


async def test_config_classes_are_injected_from_the_source_in_the_context(adapters):
    """A ConfigSource in the context is taken; an instance of the class itself goes before it."""
    await config.prepare()

    @attr.s(auto_attribs=True)
    class FooConfig(config.Config, section="foo"):
        bar: str = "default"

    context.add(config.ConfigSource({"foo": {"bar": "abc"}}))
    assert await di.nject(FooConfig) == FooConfig(bar="abc")
    context.add(FooConfig(bar="mine"))
    assert await di.nject(FooConfig) == FooConfig(bar="mine")


async def test_config_classes_are_injected_from_the_environment_alone(adapters, monkeypatch):
    """Without any source the environment is read, without a prefix."""
    monkeypatch.setenv("FOO_BAR", "some string")
    await config.prepare()

    @dataclasses.dataclass
    class FooConfig(config.Config, section="foo"):
        bar: str

    assert await di.nject(FooConfig) == FooConfig("some string")


def test_what_the_toml_package_loads_is_welcome(tmp_path, monkeypatch):
    """The dicts of the toml package, its inline tables too, make a source."""
    path = tmp_path / "config.toml"
    path.write_text('log_level = "DEBUG"\nshow_warnings = "yes"\nfoo = {bar = "inline"}\n[bar]\nbim = 1\n')
    monkeypatch.setenv("APP_FOO_FOOBAR", "2")

    @attr.s(auto_attribs=True)
    class General:
        log_level: str = "INFO"
        show_warnings: bool = config.bool_var(False)

    source = config.ConfigSource(toml.load(path), env_prefix="APP")
    assert source == tomllib.loads(path.read_text())
    assert source.load(General) == General("DEBUG", True)
    assert source.load(Foo, "foo") == Foo("inline", 2.0)
    assert source.load(Bar, "bar") == Bar(1.0)


def test_hooks_of_users_count():
    """What is registered on relaxed_converter builds values, in optional fields too."""

    class Level:
        def __init__(self, number):
            self.number = number

    @attr.s(auto_attribs=True)
    class Logging:
        level: typing.Optional[Level] = None

    config.relaxed_converter.register_structure_hook(Level, lambda value, _: Level(int(value)))
    assert config.converter is config.relaxed_converter
    assert config.ConfigSource({"log": {"level": "7"}}).load(Logging, "log").level.number == 7
    assert config.ConfigSource().load(Logging, "log").level is None


def test_traverse_attrs_yields_path_type_and_target():
    """Every field comes with its path, its type and the dict that its value belongs in."""
    target = {}
    found = list(config.traverse_attrs(Bar, target=target))
    assert [(path, kind) for path, kind, _ in found] == [
        (("bim",), float),
        (("foo",), Foo),
        (("foo", "bar"), str),
        (("foo", "foobar"), float),
        (("foo", "baz"), bool),
    ]
    for path, _, holder in found[2:]:
        holder[path[-1]] = 1
    assert target == {"foo": {"bar": 1, "foobar": 1, "baz": 1}}


def test_traverse_attrs_takes_other_hints():
    """The types may be told by a function of one's own."""
    hints = {"bar": int, "foobar": int, "baz": int}
    assert {kind for _, kind, _ in config.traverse_attrs(Foo, get_type_hints=lambda cls: hints)} == {int}


def test_generate_env_help_lists_all_variables():
    """The help names one variable a line, those of nested classes too."""
    assert config.generate_env_help(Bar, "APP").splitlines() == [
        "APP_BIM",
        "APP_FOO_BAR",
        "APP_FOO_FOOBAR",
        "APP_FOO_BAZ",
    ]
    assert config.generate_env_help(Foo).splitlines() == ["BAR", "FOOBAR", "BAZ"]
