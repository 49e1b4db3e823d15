"""The configuration as it counts: each value, and where it came from."""

import enum
import typing as t

import attrs
import pytest

from buvar import config
from buvar.config import ConfigError, ConfigSource, effective
from buvar.errors import Place


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@attrs.frozen
class Pool:
    size: int = 5
    token: str = config.secret_var("")


@attrs.frozen
class Db:
    host: str
    port: int = 5432
    password: str = config.secret_var("")
    pool: Pool = Pool(size=20)
    replica: t.Optional[Pool] = None
    pools: list[Pool] = attrs.Factory(list)
    named: dict[str, Pool] = attrs.Factory(dict)
    level: Level = Level.LOW


@attrs.frozen
class Node:
    name: str = "x"
    inner: t.Optional["Node"] = None


@attrs.frozen
class Root:
    debug: bool = False


def settings(source, number=0):
    """Return the value and the origin of each setting of a section, by its path."""
    return {str(each): (each.value, each.origin) for each in effective.sections(source)[number].settings}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a document in the folder of the test, and have a class claim its section."""
    monkeypatch.chdir(tmp_path)

    def read(text, cls=Db, section="db"):
        (tmp_path / "c.toml").write_text(text)
        source = ConfigSource.read("c.toml", env_prefix="APP")
        source.claims.claim(cls, (section,) if section else (), source.env_prefix)
        return source

    return read


def test_each_value_has_its_origin(read, monkeypatch, tmp_path):
    """A line, a variable, the file of a secret, an option, code, the default; and missing."""
    source = read('[db]\nhost = "h"\n[db.pool]\ntoken = "s3cr3t"\n[db.replica]\n')
    monkeypatch.setenv("APP_DB_PORT", "1")
    (tmp_path / "password").write_text("s3cr3t")
    monkeypatch.setenv("APP_DB_PASSWORD_FILE", "password")
    source.override("db.replica.size", "7")
    source.merge({"db": {"level": "high"}})
    assert settings(source) == {
        "db.host": ("h", Place("c.toml", 2)),
        "db.port": (1, "environment variable APP_DB_PORT"),
        "db.password": ("***", "environment variable APP_DB_PASSWORD_FILE"),
        "db.pool.size": (5, "default"),
        "db.pool.token": ("***", Place("c.toml", 4)),
        "db.replica.size": (7, "--set db.replica.size"),
        "db.replica.token": ("", "default"),
        "db.pools": ([], "default"),
        "db.named": ({}, "default"),
        "db.level": ("high", "code"),
    }


def test_what_is_missing_is_told_with_all_else(read):
    """Though nothing can be made of the class, each value and default is told, those of whole tables too."""
    found = settings(read("[db]\nport = 'x'\n[db.replica]\nsize = 'y'\n"))
    assert found == {
        "db.host": (None, "missing"),
        "db.port": ("x", Place("c.toml", 2)),
        "db.password": ("", "default"),
        "db.pool.size": (20, "default"),
        "db.pool.token": ("", "default"),
        "db.replica.size": ("y", Place("c.toml", 4)),
        "db.replica.token": ("", "default"),
        "db.pools": ([], "default"),
        "db.named": ({}, "default"),
        "db.level": ("low", "default"),
    }


def test_a_table_that_is_not_there_is_one_setting(read):
    """An optional table stands for itself when it is None."""
    assert settings(read("[db]\nhost = 'h'"))["db.replica"] == (None, "default")
    assert settings(read("[db]"))["db.replica"] == (None, "default")


def test_lists_and_tables_of_classes_are_told_as_they_are_configured(read):
    """Classes within lists and tables are tables, with all of their fields, and their secrets masked."""
    found = settings(
        read("[db]\nhost = 'h'\n[[db.pools]]\nsize = 1\ntoken = 's3cr3t'\n[db.named.a]\ntoken = 's3cr3t'\n")
    )
    assert found["db.pools"] == ([{"size": 1, "token": "***"}], Place("c.toml", 3))
    assert found["db.named"] == ({"a": {"size": 5, "token": "***"}}, Place("c.toml", 6))


def test_a_table_that_was_merged_has_all_of_its_origins(monkeypatch, tmp_path):
    """Of a dict, each file is told that has a part in it, then the variable, the option and the code that have."""

    @attrs.frozen
    class Api:
        limits: dict[str, t.Any] = attrs.Factory(dict)
        single: dict[str, t.Any] = attrs.Factory(dict)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.toml").write_text("[api.limits]\na = 1\nb = 1\n\n[api.limits.deep]\nx = 1\n[api.single]\na = 1\n")
    (tmp_path / "c.toml").write_text("[api.limits]\nb = 2\n")
    source = ConfigSource.read("b.toml", "c.toml", env_prefix="APP")
    source.claims.claim(Api, ("api",), source.env_prefix)
    assert settings(source)["api.limits"][1] == "b.toml:2, c.toml:2"
    assert settings(source)["api.single"][1] == Place("b.toml", 7)
    monkeypatch.setenv("APP_API_LIMITS", '{"a": 2, "deep": {"y": 2}}')
    source.override("api.limits.z", "3")
    source.merge({"api": {"limits": {"w": 4}}})
    assert settings(source) == {
        "api.limits": (
            {"a": 2, "b": 2, "deep": {"x": 1, "y": 2}, "w": 4, "z": 3},
            "c.toml:2, b.toml:6, environment variable APP_API_LIMITS, --set api.limits.z, code",
        ),
        "api.single": ({"a": 1}, Place("b.toml", 7)),
    }


def test_a_mistake_in_a_table_is_told_where_it_is(monkeypatch, tmp_path):
    """A key that a file has is not blamed on the variable that sets another key of the same table."""

    @attrs.frozen
    class Api:
        limits: dict[str, int] = attrs.Factory(dict)

    (tmp_path / "c.toml").write_text("[api.limits]\na = 'x'\n")
    monkeypatch.setenv("APP_API_LIMITS", '{"b": [1]}')
    with pytest.raises(ConfigError) as caught:
        ConfigSource.read(tmp_path / "c.toml", env_prefix="APP").load(Api, "api")
    assert [str(problem.origin) for problem in caught.value.problems] == [
        f"{tmp_path / 'c.toml'}:2",
        "environment variable APP_API_LIMITS",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "db = 's3cr3t'",
        "db = ['s3cr3t']",
        "[db]\npassword = ['s3cr3t']",
        "[db]\npassword = {x = 's3cr3t'}\nhost = 1",
        "[db]\npool = 's3cr3t'",
        "[db]\npool = ['s3cr3t']\nreplica = 's3cr3t'",
        "[db]\npools = ['s3cr3t', {token = ['s3cr3t'], tokn = ['s3cr3t']}]",
        "[db]\npools = 's3cr3t'\nnamed = ['s3cr3t']",
        "[db]\nnamed = {x = 's3cr3t', y = {tokn = {s = 's3cr3t'}}}",
        "[db]\npasword = 's3cr3t'",
    ],
)
def test_no_value_that_does_not_fit_shows_a_secret(read, text):
    """What stands in a wrong place is told by what is wrong with it, and not itself."""
    (found,) = effective.sections(read(text))
    assert found.problems
    assert "s3cr3t" not in repr(found)


def test_problems_are_those_of_loading(read):
    """A section has all that is wrong with it."""
    source = read("[db]\nprot = 1")
    with pytest.raises(ConfigError) as caught:
        source.load(Db, "db")
    assert effective.sections(source)[0].problems == caught.value.problems


def test_a_class_within_itself_ends(read):
    """What is configured of it is told, and no more."""
    assert settings(read("[n.inner.inner]\nname = 'deep'\n", Node, "n")) == {
        "n.name": ("x", "default"),
        "n.inner.name": ("x", "default"),
        "n.inner.inner.name": ("deep", Place("c.toml", 2)),
        "n.inner.inner.inner": (None, "default"),
    }


def test_a_class_that_needs_itself_ends():
    """It has no instance; that is told, and not by Python."""

    @attrs.frozen
    class Endless:
        inner: "Endless"

    source = ConfigSource()
    with pytest.raises(ConfigError, match=r"^e\.inner: is required; set 'inner' in \[e\]$"):
        source.load(Endless, "e")
    assert settings(source) == {"e.inner": (None, "missing")}


def test_sections_are_sorted_with_the_root_first(read):
    """All that was asked for is told, by name."""
    source = read("debug = true\n")
    source.load(Root)
    source.load(Pool, "a")
    assert [each.claim.section for each in effective.sections(source)] == [(), ("a",), ("db",)]
    assert settings(source) == {"debug": (True, Place("c.toml", 1))}


def test_known_classes_claim_their_sections(reset_config_sections):
    """Classes that nobody asked for yet are claimed too, and what fails is returned."""

    @attrs.frozen
    class First(config.Config, section="a"):
        b_c: int = 1

    @attrs.frozen
    class Second(config.Config, section="a_b"):
        c: int = 1

    class Undecorated(config.Config, section="c"):
        pass

    source = ConfigSource(env_prefix="APP")
    problems = effective.claim_all(source)
    assert [claim.cls for claim in source.claims] == [First]
    assert [*map(str, problems)] == ["a_b.c: shares the environment variable APP_A_B_C with a.b_c; rename one of them"]
