"""Sections belong to classes."""

import contextvars
import dataclasses
import types

import attr
import attrs
import pytest

import buvar.config
from buvar import config, context, di, errors, plugin
from buvar.config import ConfigError, ConfigSource


@pytest.fixture(autouse=True)
def sections(monkeypatch):
    monkeypatch.setattr(config.Config, "__buvar_config_sections__", {})


@pytest.fixture
async def adapters():
    token = di.buvar_adapters.set(di.Adapters())
    with context.child():
        await config.prepare()
        yield
    di.buvar_adapters.reset(token)


def test_a_section_belongs_to_one_class():
    """A second class for a section is refused, with the names of both."""

    class One(config.Config, section="one"):
        pass

    with pytest.raises(ConfigError) as caught:

        class Two(config.Config, section="one"):
            pass

    module = __name__
    place = "test_a_section_belongs_to_one_class.<locals>"
    assert str(caught.value) == (
        f"one: the section 'one' belongs to {module}.{place}.One and cannot be {module}.{place}.Two's too;"
        " name another section"
    )
    assert config.Config.__buvar_config_sections__ == {"one": One}


def test_the_root_belongs_to_one_class():
    """The root is no exception."""

    class Root(config.Config, section=None):
        pass

    with pytest.raises(ConfigError, match="the root of the configuration belongs to"):

        class Other(config.Config, section=None):
            pass


def test_a_class_that_is_defined_again_takes_its_section_over():
    """The same class of the same module replaces itself, as after a reload."""

    def define():
        class Again(config.Config, section="again"):
            pass

        return Again

    first, second = define(), define()
    assert first is not second
    assert config.Config.__buvar_config_sections__["again"] is second


def test_a_class_with_slots_is_the_one_that_is_kept():
    """attrs makes a new class for slots: that one has the section."""

    @attrs.frozen
    class Slotted(config.Config, section="slotted"):
        x: int = 1

    @dataclasses.dataclass(slots=True)
    class Data(config.Config, section="data"):
        x: int = 1

    assert config.Config.__buvar_config_sections__ == {"slotted": Slotted, "data": Data}
    assert not hasattr(Slotted(), "__dict__")


async def test_a_subclass_without_section_has_that_of_its_base(adapters):
    """A refined class reads the section of the class that it refines."""

    @attr.s(auto_attribs=True)
    class Base(config.Config, section="base"):
        x: int = 1

    @attr.s(auto_attribs=True)
    class Refined(Base):
        y: int = 2

    source = ConfigSource({"base": {"x": 3, "y": 4}})
    assert await di.nject(Refined, source=source) == Refined(3, 4)
    assert config.Config.__buvar_config_sections__ == {"base": Base}


async def test_a_class_without_section_is_the_root(adapters):
    """No section at all reads the root, as section=None does."""

    @attr.s(auto_attribs=True)
    class General(config.Config):
        level: str = "INFO"

    @attr.s(auto_attribs=True)
    class Root(config.Config, section=None):
        level: str = "INFO"

    source = ConfigSource({"level": "DEBUG", "other": {}})
    assert await di.nject(General, source=source) == General("DEBUG")
    assert await di.nject(Root, source=source) == Root("DEBUG")
    assert config.skip_section not in config.Config.__buvar_config_sections__
    assert repr(config.skip_section) == "skip_section"


async def test_errors_pass_through_injection(adapters):
    """What is wrong with a section reaches who asks for its class."""

    @attr.s(auto_attribs=True)
    class Needy(config.Config, section="needy"):
        x: int

    context.add(ConfigSource(env_prefix="APP"))
    with pytest.raises(ConfigError, match=r"needy\.x: is required"):
        await di.nject(Needy)


@pytest.mark.parametrize("value", [True, "true", "Yes", "on", "1"])
def test_bool_var_takes_words_for_true(value):
    """A bool_var converts in Python code too."""

    @attr.s(auto_attribs=True)
    class Old:
        on: bool = config.bool_var(False)

    @attrs.define
    class New:
        on: bool = config.bool_var()

    assert Old(value).on is True
    assert New(value).on is True
    assert ConfigSource({"n": {"on": value}}).load(New, "n").on is True
    assert Old().on is False


@pytest.mark.parametrize("value", ["ture", "", 1, 0, None, "2"])
def test_bool_var_takes_nothing_else(value):
    """What is no boolean is an error, never False."""

    @attr.s(auto_attribs=True)
    class Old:
        on: bool = config.bool_var(False)

    with pytest.raises(ValueError, match="expected a boolean"):
        Old(value)


def test_the_face_is_what_it_says():
    """The public names of buvar.config are these."""
    names = {
        name
        for name, value in vars(buvar.config).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert names - {"annotations"} == {
        "Config",
        "ConfigError",
        "ConfigProblem",
        "ConfigSource",
        "ConversionError",
        "bool_var",
        "converter",
        "create_env_config",
        "generate_env_help",
        "prepare",
        "relaxed_converter",
        "secret_var",
        "skip_section",
        "traverse_attrs",
    }


def test_who_has_not_loaded_the_plugin_is_told():
    """A section that nothing builds is told with the plugin that would."""

    @attrs.frozen
    class Missing(config.Config, section="missing-plugin"): ...

    async def prepare():
        await di.nject(Missing)

    def run():
        di.buvar_adapters.set(di.Adapters())
        plugin.stage(prepare)

    with pytest.raises(errors.ResolveError, match=r"; await load\('buvar.config'\) to have it built"):
        contextvars.copy_context().run(run)
