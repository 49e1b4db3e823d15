"""Claims: a variable feeds one field of one section."""

import attrs
import pytest

from buvar import config
from buvar.config import ConfigError, ConfigSource


@attrs.frozen
class Pool:
    size: int = 1


@attrs.frozen
class Flat:
    pool_size: int = 2


@attrs.frozen
class Deep:
    pool: Pool = Pool()


def refused(source, cls, section=None):
    with pytest.raises(ConfigError) as caught:
        source.load(cls, section)
    assert {problem.code for problem in caught.value.problems} == {"BV105"}
    return str(caught.value)


def test_a_variable_that_two_sections_would_share_is_refused():
    """The second section that wants a variable is refused, with both places."""

    @attrs.frozen
    class Db:
        pool_size: int = 1
        host: str = ""

    source = ConfigSource(env_prefix="APP")
    source.load(Db, "db")
    assert refused(source, Pool, "db_pool") == (
        "db_pool.size: shares the environment variable APP_DB_POOL_SIZE with db.pool_size; rename one of them"
    )


def test_all_variables_that_are_shared_are_told():
    """Each has its problem."""

    @attrs.frozen
    class Root:
        db_host: str = ""
        db_port: int = 1
        db_user: str = ""

    @attrs.frozen
    class Db:
        host: str = ""
        port: int = 1

    source = ConfigSource()
    source.load(Db, "db")
    assert refused(source, Root).splitlines() == [
        "db_host: shares the environment variable DB_HOST with db.host; rename one of them",
        "db_port: shares the environment variable DB_PORT with db.port; rename one of them",
    ]


def test_the_file_of_a_secret_is_such_a_variable():
    """A section cannot have a field that is called like the file of another section's secret."""

    @attrs.frozen
    class Db:
        password: str = config.secret_var("")

    @attrs.frozen
    class DbPassword:
        file: str = ""

    source = ConfigSource(env_prefix="APP")
    source.load(Db, "db")
    assert refused(source, DbPassword, "db_password") == (
        "db_password.file: shares the environment variable APP_DB_PASSWORD_FILE with db.password; rename one of them"
    )


def test_a_refused_class_claims_nothing():
    """What was refused is refused again, and stands in nobody's way."""
    source = ConfigSource(env_prefix="APP")
    source.load(Flat, "db")
    assert refused(source, Pool, "db_pool") == refused(source, Pool, "db_pool")
    assert [(claim.section, claim.cls) for claim in source.claims] == [(("db",), Flat)]


def test_one_class_may_be_loaded_again_and_for_several_sections():
    """The same class twice is one claim; for another section it is another one."""
    source = ConfigSource(env_prefix="APP")
    for section in ("a", "a", "b", None):
        source.load(Deep, section)
    assert [claim.section for claim in source.claims] == [("a",), ("b",), ()]


def test_two_classes_may_read_one_section(monkeypatch):
    """Fields of one place may be read by several classes, and have one variable."""

    @attrs.frozen
    class Other:
        pool: Pool = Pool(7)

    monkeypatch.setenv("APP_DB_POOL_SIZE", "5")
    source = ConfigSource(env_prefix="APP")
    assert source.load(Deep, "db").pool == source.load(Other, "db").pool == Pool(5)
    assert len([*source.claims]) == 2


def test_two_classes_cannot_mean_two_fields_by_one_variable():
    """Not in one section either."""
    source = ConfigSource()
    source.load(Deep, "db")
    assert refused(source, Flat, "db") == (
        "db.pool_size: shares the environment variable DB_POOL_SIZE with db.pool.size; rename one of them"
    )


def test_a_section_of_its_own_and_a_field_of_the_root_may_be_one_place():
    """The root may have a table as a field that another class reads as a section."""

    @attrs.frozen
    class Root:
        db: Deep = Deep()

    source = ConfigSource({"db": {"pool": {"size": 3}}}, env_prefix="APP")
    assert source.load(Root).db == source.load(Deep, "db") == Deep(Pool(3))


def test_sources_have_claims_of_their_own():
    """What was read of one source says nothing about another, not even about one that was merged from it."""
    source = ConfigSource()
    source.load(Deep, "db")
    assert ConfigSource(source).load(Flat, "db") == Flat()


def test_a_claim_knows_its_keys():
    """A section is one key of the whole; in the root each field is."""
    source = ConfigSource()
    source.load(Deep, "db")
    source.load(Flat)
    assert [claim.keys for claim in source.claims] == [{"db"}, {"pool_size"}]
