"""What a class wants: fields, hints and variables."""

from __future__ import annotations

import dataclasses
import typing as t

import attrs
import pytest

from buvar import config
from buvar.config import ConfigError, ConfigSource, describe


@attrs.frozen
class Leaf:
    value: int = 0


@attrs.frozen
class Tree:
    leaf: Leaf
    maybe: t.Optional[Leaf] = None
    noted: t.Annotated[Leaf, "a note"] = Leaf()
    tree: Tree | None = None
    key: str = config.secret_var("")


def test_variables_follow_the_schema():
    """Each field has its variable, nested ones by their path; a class within itself ends there."""
    assert [variable.name for variable in describe.variables(Tree, ("my-app", "a.b"))] == [
        "MY_APP_A_B_LEAF_VALUE",
        "MY_APP_A_B_MAYBE_VALUE",
        "MY_APP_A_B_NOTED_VALUE",
        "MY_APP_A_B_KEY",
        "MY_APP_A_B_KEY_FILE",
    ]


@attrs.frozen
class Clash:
    leaf_value: int = 1
    leaf: Leaf = Leaf()


def test_two_fields_cannot_share_a_variable():
    """One variable for two fields is refused when the class is loaded, naming both."""
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(Clash, "c")
    assert str(caught.value).endswith(
        "Clash: its fields leaf_value and leaf.value share the environment variable APP_C_LEAF_VALUE;"
        " rename one of them"
    )


def test_names_of_local_classes_cannot_be_found():
    """An annotation in quotes that names a local class is an error with two ways out, the second of which works."""

    @attrs.frozen
    class Inner:
        x: int = 1

    @attrs.frozen
    class Outer:
        inner: Inner

    with pytest.raises(
        ConfigError, match=r"no 'Inner' is known .* attrs.resolve_types\(cls, globals\(\), locals\(\)\)"
    ):
        ConfigSource().load(Outer, "o")
    attrs.resolve_types(Outer, globals(), locals())
    assert ConfigSource({"o": {"inner": {"x": 2}}}).load(Outer, "o") == Outer(Inner(2))


def test_a_local_class_knows_itself():
    """A local class may name itself."""

    @attrs.frozen
    class Node:
        children: list[Node] = attrs.Factory(list)

    assert ConfigSource({"n": {"children": [{}]}}).load(Node, "n") == Node([Node()])


def test_attrs_fields_in_a_dataclass_are_refused():
    """bool_var and secret_var in a dataclass would be its defaults: an error that says what to write instead."""

    @dataclasses.dataclass
    class Data:
        on: bool = config.bool_var(False)

    with pytest.raises(ConfigError, match=r"Data.on: bool_var and secret_var are for attrs classes"):
        ConfigSource().load(Data, "d")


def test_dataclasses_with_factories():
    """A default factory of a dataclass makes its field optional."""

    @dataclasses.dataclass
    class Data:
        names: list[str] = dataclasses.field(default_factory=list)
        once: int = dataclasses.field(init=False, default=1)

    assert ConfigSource().load(Data, "d") == Data()


def test_traversing_a_class_within_itself_ends():
    """The field that holds the class again comes as a leaf."""
    assert [path for path, _, _ in config.traverse_attrs(Tree)] == [
        ("leaf",),
        ("leaf", "value"),
        ("maybe",),
        ("noted",),
        ("tree",),
        ("key",),
    ]


def test_create_env_config_reads_secret_files(tmp_path, monkeypatch):
    """A secret in a file is text like any other."""
    path = tmp_path / "key"
    path.write_text("k\n")
    monkeypatch.setenv("APP_KEY_FILE", str(path))
    monkeypatch.setenv("APP_MAYBE_VALUE", "1")
    assert config.create_env_config(Tree, "APP") == {"leaf": {}, "key": "k", "maybe": {"value": "1"}}


def test_a_key_may_be_no_name_in_python(monkeypatch):
    """A field whose metadata say so is called in the configuration as no attribute can be, also in errors."""

    @attrs.define
    class Limits:
        max_size: int = attrs.field(default=1, metadata={"key": "max-size"})

    assert config.generate_env_help(Limits, "APP") == "APP_MAX_SIZE"
    assert config.ConfigSource({"limits": {"max-size": 5}}).load(Limits, "limits") == Limits(5)
    with pytest.raises(config.ConfigError, match=r"^limits.max_size: unknown key; did you mean 'max-size'\?$"):
        config.ConfigSource({"limits": {"max_size": 5}}).load(Limits, "limits")
    monkeypatch.setenv("LIMITS_MAX_SIZE", "many")
    with pytest.raises(config.ConfigError, match=r"^limits.max-size: expected an integer, got 'many'"):
        config.ConfigSource().load(Limits, "limits")
