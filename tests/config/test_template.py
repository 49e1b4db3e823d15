"""The file to begin with: all that can be configured, as comments."""

import dataclasses
import pathlib
import re
import textwrap
import tomllib
import typing as t

import attrs
import pytest

from buvar import config
from buvar.config import ConfigError, ConfigSource, template


@attrs.frozen
class Pool:
    """Connections that are kept."""

    #: how many
    size: int = 5
    key: str = config.secret_var("s3cr3t")


@dataclasses.dataclass
class Cache:
    path: pathlib.Path = pathlib.Path("/tmp")
    seconds: float = 0.5


@attrs.frozen
class Db:
    """The database.

    No word of this.
    """

    #: where it is
    host: str = "local\x7fhost"
    password: str = config.secret_var("s3cr3t")
    salt: str = config.secret_var("")
    pool: Pool = Pool(size=20)
    cache: Cache = attrs.Factory(Cache)
    mode: t.Literal["fast", "safe"] = "safe"
    tags: list[str] = attrs.Factory(lambda: ["a", "b"])
    pools: list[Pool] = attrs.Factory(lambda: [Pool()])
    limits: dict[str, int] = attrs.Factory(lambda: {"a.b": 1})
    level: int | None = None
    taken: int = attrs.field(default=attrs.Factory(lambda self: 1, takes_self=True))


@attrs.frozen
class Strict:
    host: str
    token: str = config.secret_var()
    pool: Pool = attrs.Factory(Pool)
    spare: t.Optional[Pool] = None


@attrs.frozen
class Root:
    level: str = "INFO"


@attrs.frozen
class Node:
    name: str = "n"
    kids: list["Node"] = attrs.Factory(list)
    next: t.Optional["Link"] = None


@attrs.frozen
class Link:
    node: t.Optional[Node] = None


def write(*classes, given=None):
    source = ConfigSource(env_prefix="APP")
    for section, cls in classes:
        source.claims.claim(cls, (section,) if section else (), source.env_prefix)
    return template.write(source.claims, given)


def uncommented(text):
    """Take the comment from each table, and from each key that has a value."""
    return re.sub(r"^# (\[[^\]]+\]|\S+ = .+)$", r"\1", text, flags=re.MULTILINE)


def test_a_template_has_all_there_is_to_know():
    """Docs, type, whether it is required or secret, the variable, that of a file for a secret, and the default."""
    assert write(("db", Strict), (None, Root)) == textwrap.dedent(
        """\
        # (str, APP_LEVEL)
        # level = "INFO"

        [db]

        # (str, required, APP_DB_HOST)
        # host =

        # (str, required, secret, APP_DB_TOKEN or APP_DB_TOKEN_FILE)
        # token =

        # [db.pool]
        # Connections that are kept.

        # how many
        # (int, APP_DB_POOL_SIZE)
        # size = 5

        # (str, secret, APP_DB_POOL_KEY or APP_DB_POOL_KEY_FILE)
        # key = "***"

        # [db.spare]
        # Connections that are kept.

        # how many
        # (int, APP_DB_SPARE_SIZE)
        # size = 5

        # (str, secret, APP_DB_SPARE_KEY or APP_DB_SPARE_KEY_FILE)
        # key = "***"
        """
    )


@pytest.mark.parametrize("cls", [Db, Root, Node, Pool, Cache])
def test_a_template_says_nothing(cls):
    """As written it is valid TOML, and loads to what no configuration at all does."""
    text = write(("x", cls))
    assert tomllib.loads(text) == {"x": {}}
    assert ConfigSource(tomllib.loads(text)).load(cls, "x") == ConfigSource().load(cls, "x")


@pytest.mark.parametrize("cls", [Db, Root, Pool, Cache])
def test_a_template_without_its_comments_says_the_defaults(cls):
    """With all that has a default uncommented it loads to the defaults; but secrets are stars."""
    text = uncommented(write(("x", cls)))
    values = tomllib.loads(text)
    assert values["x"].keys() <= {field.name for field in (getattr(cls, "__attrs_attrs__", None) or ())} or cls is Cache
    loaded = repr(ConfigSource(values).load(cls, "x"))
    assert loaded == repr(ConfigSource().load(cls, "x"))


def test_what_is_required_is_told_by_loading():
    """What a template leaves open is what loading asks for."""
    values = tomllib.loads(uncommented(write(("x", Strict))))
    with pytest.raises(ConfigError) as caught:
        ConfigSource(values).load(Strict, "x")
    assert [problem.path for problem in caught.value.problems] == ["x.host", "x.token"]


def test_no_template_shows_a_secret():
    """Not even those that are defaults, in tables and lists either; that one is empty is none."""
    text = write(("db", Db), ("strict", Strict))
    assert "s3cr3t" not in text
    assert 'salt = ""' in text


def test_defaults_of_tables_count():
    """The default of a nested class is what the outer class says of it."""
    assert "# size = 20" in write(("db", Db))


def test_what_is_given_is_set():
    """Values that are known are written, not commented out."""
    text = write(("db", Db), given={("db",): {"host": 'a"b', "tags": ["x"]}})
    assert tomllib.loads(text) == {"db": {"host": 'a"b', "tags": ["x"]}}


def test_a_class_within_itself_ends():
    """It is a table once, and a key below."""
    assert "# [n.next]\n\n# (Node | None)\n# node =" in write(("n", Node))


def test_a_default_that_fails_is_left_open():
    """That a factory raises is told when the class is loaded, and stands in nobody's way before."""

    def fails():
        raise RuntimeError("no")

    @attrs.frozen
    class Failing:
        x: int = attrs.Factory(fails)

    assert "# x =\n" in write(("f", Failing))


def test_long_docs_are_wrapped():
    """No comment is wider than a page."""

    @attrs.frozen
    class Wordy:
        x: int = attrs.field(default=1, metadata={"help": "word " * 100})

    lines = write(("w", Wordy)).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line.startswith("#") or not line for line in lines[1:])


def test_sections_and_keys_are_quoted_where_toml_wants_it():
    """Whatever a section is called, its header leads to it."""
    assert tomllib.loads(write(("a.b c", Root))) == {"a.b c": {}}
    assert tomllib.loads(uncommented(write(("a.b c", Db))))["a.b c"]["limits"] == {"a.b": 1}
