"""What nobody reads, and what only an adapter needs, in a stage that starts."""

import attrs
import pytest
import structlog

from buvar import components, config, di, plugin
from buvar.config import ConfigError, ConfigSource, unread

pytestmark = pytest.mark.usefixtures("reset_config_sections")


class Mailer:
    pass


@pytest.fixture
def classes(reset_config_sections):
    """Two sections, of which nobody has asked for one yet."""

    @attrs.frozen
    class DbConfig(config.Config, section="db"):
        host: str = "h"
        password: str = config.secret_var("")

    @attrs.frozen
    class MailConfig(config.Config, section="mail"):
        sender: str
        port: int = 25

    return DbConfig, MailConfig


@pytest.fixture
def look(monkeypatch):
    """Tell what nobody reads, as texts."""

    def look(*sources, env=None, prefix="APP", load=()):
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        source = ConfigSource(*sources, env_prefix=prefix)
        for cls, section in load:
            source.load(cls, section)
        found = [*unread.look(source)]
        assert {each.severity for each in found} <= {"warning"}
        return [f"{each.code} {each.message}; {each.advice}" for each in found]

    return look


def test_a_section_that_nobody_reads_is_told(look, classes):
    """With the nearest that there is, and its line; a value above all tables too."""
    assert look({"dbb": {}, "log": 1, "more": [{}], "a b": {}, "x": []}) == [
        "BV106 nothing reads the section [dbb]; did you mean 'db'?; load the plugin that reads it, or remove it",
        "BV106 nothing reads the value 'log' above all tables; load the plugin that reads it, or remove it",
        "BV106 nothing reads the section [more]; load the plugin that reads it, or remove it",
        'BV106 nothing reads the section ["a b"]; load the plugin that reads it, or remove it',
        "BV106 nothing reads the value 'x' above all tables; load the plugin that reads it, or remove it",
    ]


def test_what_is_claimed_or_known_or_ours_is_read(look, classes):
    """Sections that were asked for, those of classes that may be asked for, and that of `buvar run`."""

    @attrs.frozen
    class Other:
        x: int = 1

    @attrs.frozen
    class Root(config.Config, section=None):
        level: str = "INFO"

    sections = {"db": {}, "mail": {"sender": "me"}, "other": {"x": 2}, "buvar": {}, "level": "DEBUG"}
    assert look(sections, load=[(Other, "other")]) == []


def test_the_place_of_what_nobody_reads(tmp_path):
    """A warning has the line of the section."""
    (tmp_path / "c.toml").write_text("[buvar]\n\n[unknown]\n")
    (found,) = unread.look(ConfigSource.read(tmp_path / "c.toml"))
    assert str(found.place).endswith("c.toml:3")


def test_a_variable_that_feeds_nothing_is_told(look, classes):
    """With the nearest that there is."""
    misspelt = "APP_DB_PASSWORD_FIL"
    env = {"APP_DB_HOTS": "", misspelt: "s3cr3t", "APP": "", "APPLE": "", "APP_": ""}
    found = look(env=env)
    advice = "correct or unset it; 'buvar config env' lists those that there are"
    assert found == [
        f"BV107 the environment variable APP_ feeds nothing; {advice}",
        f"BV107 the environment variable APP_DB_HOTS feeds nothing; did you mean 'APP_DB_HOST'?; {advice}",
        f"BV107 the environment variable {misspelt} feeds nothing; did you mean 'APP_DB_PASSWORD_FILE'?; {advice}",
    ]


def test_a_variable_that_cannot_be_says_why(look, reset_config_sections):
    """A table has none, some things only files can say, and names are in capitals; no value is shown."""

    @attrs.frozen
    class Pool:
        size: int = 1
        ratio: float = 1.0

    @attrs.frozen
    class Shop(config.Config, section="shop"):
        pool: Pool = Pool()
        key: str = config.secret_var("")
        mode: str = "fast"
        include: str = attrs.field(default="", metadata={"in_files_only": True})

    env = {
        "APP_SHOP": '{"key": "s3cr3t"}',
        "APP_SHOP_POOL": '{"size": 3}',
        "APP_SHOP_INCLUDE": "a.toml",
        "APP_shop_mode": "slow",
        "app_shop_key": "s3cr3t",
        "app_shop_kye": "s3cr3t",
    }
    start, advice = (
        "BV107 the environment variable",
        "; correct or unset it; 'buvar config env' lists those that there are",
    )
    assert [each.removesuffix(advice) for each in look(env=env)] == [
        (
            f"{start} APP_SHOP feeds nothing: a table has no variable, what is in it has:"
            " APP_SHOP_POOL_SIZE, APP_SHOP_POOL_RATIO, APP_SHOP_KEY, …"
        ),
        f"{start} APP_SHOP_INCLUDE feeds nothing: only files can say that, they are read before the environment",
        (
            f"{start} APP_SHOP_POOL feeds nothing: a table has no variable, what is in it has:"
            " APP_SHOP_POOL_SIZE, APP_SHOP_POOL_RATIO"
        ),
        f"{start} APP_shop_mode feeds nothing: it is written in capitals, APP_SHOP_MODE",
        f"{start} app_shop_key feeds nothing: it is written in capitals, APP_SHOP_KEY",
    ]


def test_variables_of_known_classes_feed_something(look, classes, tmp_path):
    """Also of those that nobody asked for yet, and the files of secrets."""
    (tmp_path / "secret").write_text("x")
    assert look(env={"APP_DB_HOST": "x", "APP_DB_PASSWORD_FILE": str(tmp_path / "secret")}) == []


def test_without_a_prefix_no_variable_is_ours(look, classes):
    """All the environment would be told."""
    assert look(env={"APP_X": "1", "DB_HOTS": "1"}, prefix=None) == []


def test_a_configured_section_is_loaded_though_nobody_asks(look, classes):
    """A mistake in a section of a known class is told now, and not when a request asks for it first."""
    with pytest.raises(ConfigError) as caught:
        look({"mail": {"port": "x"}, "db": {"hots": 1}})
    assert [*map(str, caught.value.problems)] == [
        "db.hots: unknown key; did you mean 'host'?",
        "mail.sender: is required; set 'sender' in [mail] or the environment variable APP_MAIL_SENDER",
        "mail.port: expected an integer, got 'x'",
    ]


def test_a_section_that_only_variables_configure_is_loaded(look, classes):
    """A variable is as good as a key."""
    with pytest.raises(ConfigError, match=r"^mail\.sender: is required.*\nmail\.port: expected an integer, got 'x'"):
        look(env={"APP_MAIL_PORT": "x"})


def test_a_class_that_cannot_be_loaded_is_told_with_all_else(look, classes):
    """Two fields that share a variable, once their section is configured, are one problem among others."""

    @attrs.frozen
    class Inner:
        b: int = 1

    @attrs.frozen
    class Twice(config.Config, section="twice"):
        a_b: int = 1
        a: Inner = Inner()

    @attrs.frozen
    class Lost(config.Config, section=None):
        x: "Nowhere"  # noqa: F821

    assert look({"other": 1})[0].startswith("BV106")
    with pytest.raises(ConfigError) as caught:
        look({"twice": {}, "mail": {}})
    assert [problem.code for problem in caught.value.problems] == ["BV103", "BV105"]


def stage(prepare, *sources):
    view = components.Components()
    view.add(ConfigSource(*sources, env_prefix="APP"))
    return plugin.stage(prepare, components=view)


def test_a_section_that_an_adapter_needs_stops_a_start(classes):
    """What is injected only when a request comes is loaded before the run, and fails then."""
    _, mail_config = classes

    async def prepare(load: plugin.Loader):
        await load("buvar.config")

        def mailer(mail: mail_config) -> Mailer:
            return Mailer()

        di.register(mailer)
        di.require(Mailer)

    with pytest.raises(ExceptionGroup) as caught:
        stage(prepare)
    (error,) = caught.value.exceptions
    assert isinstance(error, ConfigError)
    assert str(error) == "mail.sender: is required; set 'sender' in [mail] or the environment variable APP_MAIL_SENDER"
    assert not hasattr(error, "__notes__")
    assert stage(prepare, {"mail": {"sender": "me"}}) == []


def test_what_nobody_reads_is_a_warning_of_a_start(classes, monkeypatch):
    """A start goes on, and the log tells what, where, and what to do."""
    monkeypatch.setenv("APP_DB_HOTS", "x")

    async def prepare(load: plugin.Loader):
        await load("buvar.config")

    with structlog.testing.capture_logs() as logs:
        assert stage(prepare, {"dbb": {}}) == []
    assert [(each["log_level"], each["code"], each["event"]) for each in logs if "code" in each] == [
        ("warning", "BV106", "nothing reads the section [dbb]; did you mean 'db'?"),
        ("warning", "BV107", "the environment variable APP_DB_HOTS feeds nothing; did you mean 'APP_DB_HOST'?"),
    ]


def test_without_a_source_there_is_nothing_to_look_after(classes):
    """A stage without a configuration starts."""

    async def prepare(load: plugin.Loader):
        await load("buvar.config")

    assert plugin.stage(prepare) == []
