"""Merging, order, origins and what loading says when something is wrong."""

import copy
import typing as t

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import config
from buvar.config import ConfigError, ConfigSource
from buvar.errors import Place, UsageError


@attrs.frozen
class Pool:
    size: int = 5
    name: str = "main"


@attrs.frozen
class Db:
    host: str
    port: int = 5432
    password: str = config.secret_var("")
    pool: Pool = Pool()
    replica: t.Optional[Pool] = None
    tags: list[str] = attrs.Factory(list)
    limits: dict[str, int] = attrs.Factory(dict)


@attrs.frozen
class Servers:
    servers: list[Db]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in config.generate_env_help(Db, "APP_DB").splitlines():
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def written(tmp_path):
    def write(text, name="config.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def problems(source, cls=Db, name="db"):
    with pytest.raises(ConfigError) as caught:
        source.load(cls, name)
    assert caught.value.__context__ is None
    return [str(problem) for problem in caught.value.problems]


# merging

tables = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.integers() | st.lists(st.integers(), max_size=2),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=4,
    ),
    max_size=3,
)


def attempt(function, *args):
    try:
        return dict(function(*args))
    except ConfigError:
        return ConfigError


@given(tables, tables, tables)
def test_merging_is_associative(a, b, c):
    """It is all the same in which pairs dicts are merged, for results and for refusals."""

    def left():
        return ConfigSource(ConfigSource(a, b), c)

    def right():
        return ConfigSource(a, ConfigSource(b, c))

    assert attempt(left) == attempt(right) == attempt(ConfigSource, a, b, c)


@given(tables, tables, tables)
def test_what_is_merged_stays_as_it_was(a, b, c):
    """Neither merging nor later changes to the source reach into the dicts that were given."""
    before = copy.deepcopy((a, b, c))
    try:
        source = ConfigSource(a, b)
        source.merge(c)
    except ConfigError:
        pass
    else:
        for value in source.values():
            if isinstance(value, dict | list):
                value.clear()
    assert (a, b, c) == before


def test_later_dicts_win():
    """Tables are merged key by key, all else is replaced."""
    source = ConfigSource({"a": {"x": 1, "l": [1, 2]}, "b": 1}, {"a": {"y": 2, "l": [3]}})
    source.merge({"b": 2})
    assert source == {"a": {"x": 1, "y": 2, "l": [3]}, "b": 2}


def test_a_table_and_a_value_do_not_merge(written):
    """Where one has a table and the other a value, both places are told."""
    one, two = written("[a]\nx = 1\n", "one.toml"), written("\na = 5\nb = 1\n", "two.toml")
    with pytest.raises(ConfigError) as caught:
        ConfigSource.read(one, two)
    assert str(caught.value) == f"a: is a table in {one}:1, but an integer here ({two}:2)"


def test_a_refused_merge_changes_nothing():
    """A source is as it was before a merge that did not work."""
    source = ConfigSource({"a": {"x": 1}})
    with pytest.raises(ConfigError):
        source.merge({"b": 1, "a": 2})
    assert source == {"a": {"x": 1}}


# order and origins


def test_each_stronger_source_wins(written, environment):
    """Command line before environment before later file before earlier file before default."""
    one, two = written("[db]\nhost = 'one'\nport = 1\n", "one.toml"), written("[db]\nhost = 'two'\n", "two.toml")
    assert ConfigSource.read(one, env_prefix="APP").load(Db, "db") == Db("one", 1)
    source = ConfigSource.read(one, two, env_prefix="APP")
    assert source.load(Db, "db") == Db("two", 1)
    environment.setenv("APP_DB_HOST", "three")
    assert source.load(Db, "db") == Db("three", 1)
    source.override("db.host", "four")
    assert source.load(Db, "db") == Db("four", 1)
    source.override("db.host", "five")
    assert source.load(Db, "db") == Db("five", 1)


def test_origins_are_kept(written):
    """Of each value the file and line are known, or the option."""
    one, two = written("[db]\nhost = 'one'\nport = 1\n", "one.toml"), written("\n[db]\nhost = 'two'\n", "two.toml")
    source = ConfigSource(ConfigSource.read(one, two), {"db": {"tags": []}})
    assert source.origin("db", "host") == Place(str(two), 3)
    assert source.origin("db", "port") == Place(str(one), 3)
    assert source.origin("db") == Place(str(two), 2)
    assert source.origin("db", "tags") is None
    source.override("db.port", "2")
    assert source.origin("db", "port") == "--set db.port"
    assert source.origin("no", "where") is None


def test_a_value_that_was_set_in_the_dict_has_no_file(written):
    """A source is a dict: what is set in it later does not come from the file any more."""
    source = ConfigSource.read(written("[db]\nhost = 'one'\n"))
    source["db"]["host"] = "other"
    assert source.origin("db", "host") is None


def test_nested_variables_fill_nested_classes(environment):
    """A variable reaches into classes within classes, optional ones too."""
    environment.setenv("APP_DB_HOST", "h")
    environment.setenv("APP_DB_POOL_SIZE", "7")
    environment.setenv("APP_DB_REPLICA_NAME", "r")
    assert ConfigSource(env_prefix="APP").load(Db, "db") == Db("h", pool=Pool(7), replica=Pool(name="r"))


def test_lists_and_tables_from_the_environment(environment):
    """Lists are JSON or separated by commas, tables are JSON and merge with the file's."""
    source = ConfigSource({"db": {"host": "h", "tags": ["z"], "limits": {"a": 1}}}, env_prefix="APP")
    environment.setenv("APP_DB_TAGS", "a, b")
    environment.setenv("APP_DB_LIMITS", '{"b": 2}')
    assert source.load(Db, "db") == Db("h", tags=["a", "b"], limits={"a": 1, "b": 2})
    environment.setenv("APP_DB_TAGS", '["a,b"]')
    assert source.load(Db, "db").tags == ["a,b"]
    environment.setenv("APP_DB_TAGS", "")
    assert source.load(Db, "db").tags == []
    environment.setenv("APP_DB_LIMITS", "b=2")
    assert problems(source) == ["db.limits: expected a JSON object, got 'b=2' (environment variable APP_DB_LIMITS)"]


def test_a_variable_for_a_field_of_what_is_no_table(environment):
    """A wrong value in the file is told, though the environment sets a field below it."""
    environment.setenv("APP_DB_POOL_SIZE", "7")
    source = ConfigSource({"db": {"host": "h", "pool": "big"}}, env_prefix="APP")
    assert problems(source) == ["db.pool: expected a table, got a string"]


# the command line


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("db.port", "1", {"port": 1}),
        ("db.host", "1", {"host": "1"}),
        ("db.host", '"1"', {"host": "1"}),
        ("db.host", "true", {"host": "true"}),
        ("db.tags", "a,b", {"tags": ["a", "b"]}),
        ("db.tags", '["a", "b"]', {"tags": ["a", "b"]}),
        ("db.limits.a", "3", {"limits": {"a": 3}}),
        ("db.limits", "{a = 3}", {"limits": {"a": 3}}),
        ("db.'limits'.\"a.b\"", "3", {"limits": {"a.b": 3}}),
        ("db.pool", "{size = 3}", {"pool": Pool(3)}),
        ("db", "{port = 3}", {"port": 3}),
        ("db.host", "x\ny = 1", {"host": "x\ny = 1"}),
        ("db.host", "", {"host": ""}),
    ],
)
def test_an_option_is_toml_or_text(path, text, expected):
    """What --set gives is a TOML value where one fits, else text."""
    source = ConfigSource({"db": {"host": "h"}})
    source.override(path, text)
    assert source.load(Db, "db") == Db(**{"host": "h", **expected})


def test_an_option_stands_over_a_table_of_the_environment(environment):
    """One key of a table by --set, the others by the environment."""
    environment.setenv("APP_DB_LIMITS", '{"a": 1, "b": 1}')
    source = ConfigSource({"db": {"host": "h"}}, env_prefix="APP")
    source.override("db.limits.b", "2")
    assert source.load(Db, "db").limits == {"a": 1, "b": 2}


def test_an_option_for_the_root():
    """The root takes options too."""

    @attrs.frozen
    class Root:
        level: str = "INFO"

    source = ConfigSource()
    source.override("level", "DEBUG")
    assert source.load(Root) == Root("DEBUG")


@pytest.mark.parametrize("path", ["", ".", "a.", "a b", "a = 1\nb", "a=1", "[a]", "#"])
def test_an_option_without_a_path_is_refused(path):
    """What is no path of keys is told so."""
    with pytest.raises(ConfigError, match=r"is no path of keys; write --set section\.field=value"):
        ConfigSource().override(path, "1")


def test_an_option_through_a_value_is_refused(written):
    """An option cannot lead through a value that is no table."""
    path = written("db = 5\n")
    with pytest.raises(ConfigError) as caught:
        ConfigSource.read(path).override("db.host", "x")
    assert str(caught.value) == f"db: is an integer in {path}:1, but a table here (--set db.host)"


@pytest.mark.parametrize(
    ("variable", "text", "path", "told"),
    [
        ("PASSWORD", "s3cr3t", "db.password.x", "db.password: is a string"),
        ("PORT", "5", "db.port.x.y", "db.port: is a string"),
        ("TAGS", "a", "db.tags.x", "db.tags: is a list"),
        ("LIMITS", '{"a": 1}', "db.limits.a.x", "db.limits.a: is an integer"),
        ("POOL_SIZE", "1", "db.pool.size.x", "db.pool.size: is a string"),
    ],
)
def test_an_option_through_a_value_of_the_environment_is_refused(environment, variable, text, path, told):
    """The environment does not silently win over an option that leads through what it says."""
    name = f"APP_DB_{variable}"
    environment.setenv(name, text)
    source = ConfigSource({"db": {"host": "h"}}, env_prefix="APP")
    source.override(path, "1")
    with pytest.raises(ConfigError) as caught:
        source.load(Db, "db")
    assert str(caught.value) == f"{told} in environment variable {name}, but a table here (--set {path})"
    assert [problem.code for problem in caught.value.problems] == ["BV108"]


# errors


def test_all_that_is_wrong_is_told_at_once(written, environment):
    """One error names each value, what was expected and where it came from."""
    path = written(
        "[db]\nprot = 1\npassword = 5\ntags = ['a',\n 3]\n[db.pool]\nsize = 1.5\n[db.limits]\nx = true\n", "c.toml"
    )
    environment.setenv("APP_DB_PORT", "http")
    source = ConfigSource.read(path, env_prefix="APP")
    source.override("db.pool.nmae", "x")
    source.override("db.replica.size", "big")
    assert problems(source) == [
        f"db.host: is required; set 'host' in [db] or the environment variable APP_DB_HOST ({path}:1)",
        "db.port: expected an integer, got 'http' (environment variable APP_DB_PORT)",
        f"db.password: expected a string, got *** ({path}:3)",
        f"db.pool.size: expected an integer, got 1.5 ({path}:7)",
        "db.pool.nmae: unknown key; did you mean 'name'? (--set db.pool.nmae)",
        "db.replica.size: expected an integer, got 'big' (--set db.replica.size)",
        f"db.tags[1]: expected a string, got 3 ({path}:4)",
        f"db.limits.x: expected an integer, got True ({path}:9)",
        f"db.prot: unknown key; did you mean 'port'? ({path}:2)",
    ]


def test_a_configuration_error_is_a_value_error_of_use():
    """Who catches ValueError catches it, and the process exits as for wrong use."""
    assert issubclass(ConfigError, ValueError)
    assert issubclass(ConfigError, UsageError)


def test_an_element_of_a_list_is_named_by_its_index(written):
    """Errors within lists of tables have the index and the line."""
    path = written("[[app.servers]]\nhost = 'a'\n\n[[app.servers]]\nport = 'x'\n")
    assert problems(ConfigSource.read(path), Servers, "app") == [
        f"app.servers[1].host: is required; set 'host' in app.servers[1] ({path}:4)",
        f"app.servers[1].port: expected an integer, got 'x' ({path}:5)",
    ]


def test_a_section_that_is_no_table():
    """A value where a section is expected is told by its kind alone, for it may hold a secret."""
    assert problems(ConfigSource({"db": "pg://me:hunter2@db"})) == ["db: expected a table, got a string"]


def test_an_unknown_value_at_the_root(written):
    """At the root, tables are sections of others, but a value is a mistake."""
    path = written("hots = 'h'\nx = [1]\n[other]\na = 1\n[[more]]\nb = 1\n")
    assert problems(ConfigSource.read(path, env_prefix="APP"), Db, None) == [
        f"host: is required; set 'host' above all tables or the environment variable APP_HOST ({path})",
        f"hots: unknown key; did you mean 'host'? ({path}:1)",
        f"x: unknown key; the keys are host, port, password, pool, replica, tags, limits ({path}:2)",
    ]


def test_required_nested_classes_report_their_own_fields():
    """A nested class that is missing is built from its defaults, or its fields are told."""

    @attrs.frozen
    class Outer:
        pool: Pool
        db: Db

    assert problems(ConfigSource(env_prefix="APP"), Outer, "o") == [
        "o.db.host: is required; set 'host' in [o.db] or the environment variable APP_O_DB_HOST"
    ]


def test_a_class_without_fields_is_a_mistake_in_the_program():
    """What is no attrs class and no dataclass is a TypeError, with advice."""

    class Plain:
        pass

    with pytest.raises(TypeError, match="decorate it"):
        ConfigSource().load(Plain, "plain")


def test_a_refusing_validator_names_its_field(written):
    """What attrs' validators say is told at the field, and other refusals at the table."""

    @attrs.frozen
    class Port:
        number: int = attrs.field(validator=attrs.validators.in_([80, 443]))

    @attrs.frozen
    class Page:
        size: int = attrs.field(validator=attrs.validators.gt(0))

    @attrs.frozen
    class Range:
        low: int
        high: int

        def __attrs_post_init__(self):
            if self.low > self.high:
                raise ValueError("low is above high", self)

    path = written("[port]\nnumber = 1\n[range]\nlow = 2\nhigh = 1\n[page]\nsize = -1\n")
    source = ConfigSource.read(path)
    assert problems(source, Port, "port") == [f"port.number: 'number' must be in [80, 443] (got 1) ({path}:2)"]
    assert problems(source, Range, "range") == [f"range: low is above high ({path}:3)"]
    assert problems(source, Page, "page") == [f"page.size: 'size' must be > 0: -1 ({path}:7)"]


def test_a_mistake_in_a_hook_keeps_its_traceback():
    """What no conversion raises is the cause of the error, so that the mistake can be found."""

    @attrs.frozen
    class Broken:
        x: int = 1

        def __attrs_post_init__(self):
            raise RuntimeError("broken")

    with pytest.raises(ConfigError, match="RuntimeError: broken") as caught:
        ConfigSource().load(Broken, "x")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_repr_shows_no_values():
    """A source may hold secrets, so its repr names the sections alone."""
    assert repr(ConfigSource({"db": {"password": "hunter2"}, "x": 1})) == "<ConfigSource: db, x>"
    assert repr(ConfigSource()) == "<ConfigSource: empty>"


# whatever comes

toml = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.datetimes() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
shaped = st.fixed_dictionaries(
    {},
    optional={
        "host": toml | st.text(),
        "port": toml | st.integers(),
        "password": toml,
        "pool": toml | st.fixed_dictionaries({}, optional={"size": toml, "name": toml}),
        "replica": toml,
        "tags": toml | st.lists(st.text(), max_size=2),
        "limits": toml | st.dictionaries(st.text(max_size=2), toml, max_size=2),
    },
)


@given(shaped | toml, st.booleans())
def test_only_configuration_errors_come_of_any_input(values, in_list):
    """Whatever shape the values have, loading gives an instance or a ConfigError, and leaves them as they were."""
    source = ConfigSource({"db": {"servers": [values]} if in_list else values})
    before = repr(dict(source))
    try:
        loaded = source.load(Servers if in_list else Db, "db")
    except ConfigError as error:
        assert error.problems
        assert all(problem.path.startswith("db") for problem in error.problems)
    else:
        assert isinstance(loaded, Servers if in_list else Db)
    assert repr(dict(source)) == before


def test_an_option_reaches_into_a_table_of_classes():
    """What a class in a table wants decides whether digits are text."""

    @attrs.frozen
    class Holder:
        pools: dict[str, Pool] = attrs.Factory(dict)
        deep: dict[str, dict[str, Pool]] = attrs.Factory(dict)

    source = ConfigSource()
    source.override("h.pools.a.name", "5")
    source.override("h.pools.a.size", "6")
    source.override("h.deep.a.b.name", "7")
    assert source.load(Holder, "h") == Holder({"a": Pool(6, "5")}, {"a": {"b": Pool(name="7")}})
