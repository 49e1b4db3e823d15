"""Secrets: from values and files, and never in any text."""

import dataclasses
import traceback

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import config
from buvar.config import ConfigError, ConfigSource


def shun(instance, attribute, value):
    raise ValueError(f"{value!r} is too weak", attribute)


@attrs.frozen
class Account:
    user: str = "me"
    pin: int = config.secret_var(0)
    keys: dict[str, int] = config.secret_var(attrs.Factory(dict))  # noqa: RUF009 - a field, not a value


@attrs.frozen
class Db:
    password: str = config.secret_var()
    account: Account = Account()
    more: list[Account] = attrs.Factory(list)


@attrs.frozen
class Weak:
    password: str = attrs.field(metadata={"secret": True}, validator=shun)


@attrs.frozen
class Babbler:
    db: Db

    def __attrs_post_init__(self):
        raise RuntimeError(f"connecting with {self.db.password} or {self.db.more[0].pin}")


@dataclasses.dataclass
class Data:
    password: str = dataclasses.field(repr=False, metadata={"secret": True})


def text_of(error):
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.problems)


def test_the_repr_masks_a_secret():
    """The value is as usable as any, but the repr shows stars."""
    db = ConfigSource({"db": {"password": "hunter2"}}).load(Db, "db")
    assert db.password == "hunter2"
    assert repr(db).startswith("Db(password=***, account=Account(user='me', pin=***")


def test_a_secret_is_required_without_default():
    """A missing secret is told with both of its variables."""
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(Db, "db")
    assert str(caught.value) == (
        "db.password: is required;"
        " set 'password' in [db] or the environment variable APP_DB_PASSWORD or APP_DB_PASSWORD_FILE"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [("s3cret\n", "s3cret"), ("s3cret", "s3cret"), ("a\n\n", "a\n"), ("a\r\n", "a"), (" a ", " a ")],
)
@pytest.mark.parametrize("cls", [Db, Data])
def test_a_secret_is_read_from_a_file(tmp_path, monkeypatch, cls, content, expected):
    """APP_DB_PASSWORD_FILE names a file that holds the secret; one newline at its end is none of it."""
    path = tmp_path / "password"
    path.write_bytes(content.encode())
    monkeypatch.setenv("APP_DB_PASSWORD_FILE", str(path))
    assert ConfigSource({"db": {"password": "x"}}, env_prefix="APP").load(cls, "db").password == expected


def test_a_missing_secret_file_is_named(monkeypatch):
    """A file that cannot be read is told with the variable, the path and nothing else."""
    monkeypatch.setenv("APP_DB_PASSWORD_FILE", "/no/such/file")
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(Db, "db")
    assert str(caught.value) == (
        "db.password: cannot read the secret from the file '/no/such/file': No such file or directory;"
        " correct APP_DB_PASSWORD_FILE or the file (environment variable APP_DB_PASSWORD_FILE)"
    )


@pytest.mark.parametrize("content", ["", "\n", "\r\n"])
def test_a_secret_file_that_is_empty_is_an_error(tmp_path, monkeypatch, content):
    """A file without a secret in it does not silently make the secret an empty text."""
    path = tmp_path / "password"
    path.write_bytes(content.encode())
    monkeypatch.setenv("APP_DB_PASSWORD_FILE", str(path))
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(Db, "db")
    assert str(caught.value) == (
        f"db.password: the file {str(path)!r} is empty;"
        " correct APP_DB_PASSWORD_FILE or the file (environment variable APP_DB_PASSWORD_FILE)"
    )
    assert [problem.code for problem in caught.value.problems] == ["BV110"]


def test_a_secret_file_without_a_name_is_an_error(monkeypatch):
    """Where the variable is empty, it is that which is told, and not that there is no file of such a name."""
    monkeypatch.setenv("APP_DB_PASSWORD_FILE", "")
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(Db, "db")
    assert str(caught.value) == (
        "db.password: APP_DB_PASSWORD_FILE is empty; name the file of the secret in it, or unset it"
        " (environment variable APP_DB_PASSWORD_FILE)"
    )
    assert [problem.code for problem in caught.value.problems] == ["BV110"]


def test_a_secret_cannot_be_set_twice(monkeypatch):
    """The variable and its file at the same time are a mistake."""
    monkeypatch.setenv("APP_DB_PASSWORD", "x")
    monkeypatch.setenv("APP_DB_PASSWORD_FILE", "/no/such/file")
    with pytest.raises(ConfigError, match="is set twice, by environment variable APP_DB_PASSWORD too"):
        ConfigSource(env_prefix="APP").load(Db, "db")


def test_only_secrets_are_read_from_files(monkeypatch):
    """What is no secret has no …_FILE variable."""
    monkeypatch.setenv("APP_DB_ACCOUNT_USER_FILE", "/no/such/file")
    assert ConfigSource({"db": {"password": "x"}}, env_prefix="APP").load(Db, "db").account.user == "me"


def test_a_field_called_file_beside_a_secret_is_refused():
    """A field that would share the variable of the secret's file is told."""

    @attrs.frozen
    class Both:
        key: str = config.secret_var("")
        key_file: str = ""

    with pytest.raises(ConfigError, match="its fields key and key_file share the environment variable DB_KEY_FILE"):
        ConfigSource().load(Both, "db")


def test_a_validator_cannot_tell_a_secret():
    """The text of a validator is withheld for a secret field."""
    source = ConfigSource({"x": {"password": "hunter" + "2"}})
    with pytest.raises(ConfigError) as caught:
        source.load(Weak, "x")
    assert str(caught.value) == "x.password: refused (ValueError); the reason is withheld, since it may show a secret"
    assert "hunter2" not in text_of(caught.value)


secrets = st.text("XYZ'\"\\\n\t{[é", min_size=6, max_size=12).map(lambda text: f"Q{text}Q")
wrong = st.sampled_from([{}, {"user": 5}, {"unknown": 1}])


@given(secrets, st.integers(10**9, 10**12), wrong)
def test_no_error_shows_a_secret(secret, pin, more):
    """However a section is wrong, what is secret in it is in no message, repr or traceback."""
    texts = {secret, repr(secret)[1:-1], str(pin)}
    account = {"pin": f"{secret}{pin}", "keys": {"k": secret}, **more}
    cases = [
        (Db, {"password": [secret]}),
        (Db, {"password": {"x": secret}}),
        (Db, {"password": pin}),
        (Db, secret),
        (Db, [secret]),
        (Db, {"password": secret, "account": account}),
        (Db, {"password": secret, "account": secret, "more": [account, secret]}),
        (Db, {"pasword": secret, "account": {"pin": secret, "keys": secret}}),
        (Babbler, {"db": {"password": secret, "more": [{"pin": pin}]}}),
        (Weak, {"password": secret}),
        (Data, {"password": pin}),
    ]
    for cls, values in cases:
        source = ConfigSource({"db": values})
        with pytest.raises(ConfigError) as caught:
            source.load(cls, "db")
        shown = text_of(caught.value) + repr(source)
        assert not [text for text in texts if text in shown]


@pytest.mark.parametrize("text", ["{hunter2", "hunter2"])
def test_a_secret_in_bad_json_is_not_shown(monkeypatch, text):
    """A secret table that does not parse is told without its text."""
    monkeypatch.setenv("APP_A_KEYS", text)
    source = ConfigSource(env_prefix="APP")
    with pytest.raises(ConfigError) as caught:
        source.load(Account, "a")
    assert str(caught.value) == "a.keys: expected a JSON object, got *** (environment variable APP_A_KEYS)"
    monkeypatch.delenv("APP_A_KEYS")
    source.override("a.keys", text)
    with pytest.raises(ConfigError) as caught:
        source.load(Account, "a")
    assert str(caught.value) == "a.keys: expected a JSON object, got *** (--set a.keys)"
    source = ConfigSource()
    source.override("a.keys.k", text)
    with pytest.raises(ConfigError) as caught:
        source.load(Account, "a")
    assert str(caught.value) == "a.keys: expected a table, got *** (--set a.keys.k)"


def tell_all(instance):
    raise ValueError(f"refused: {instance.pin:d} {instance.keys} {instance.nested and instance.nested.password}")


@attrs.frozen
class Spiteful:
    pin: int = config.secret_var(4711)
    keys: list[str] = config.secret_var(attrs.Factory(list))  # noqa: RUF009 - a field, not a value
    nested: Data | None = None
    __attrs_post_init__ = tell_all


@pytest.mark.parametrize(
    "values", [{"pin": "0815"}, {}, {"pin": 1, "keys": ["hunter2"]}, {"pin": 1, "nested": {"password": "hunter2"}}]
)
def test_a_constructor_cannot_tell_a_secret(values):
    """What a class says of its values is withheld where it shows a secret: converted, a default, or within a list."""
    with pytest.raises(ConfigError) as caught:
        ConfigSource({"x": values}).load(Spiteful, "x")
    assert str(caught.value) == "x: refused (ValueError); the reason is withheld, since it may show a secret"


@pytest.mark.parametrize("text", ['[{"password": "hunter2"', "hunter2", '{"password": "hunter2"'])
def test_bad_json_of_classes_with_secrets_is_not_shown(monkeypatch, text):
    """What may hold a secret is not shown where it does not parse, though the field itself is none."""
    monkeypatch.setenv("APP_DB_PASSWORD", "x")
    monkeypatch.setenv("APP_DB_MORE", text)
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(Db, "db")
    assert str(caught.value) == "db.more: expected a JSON list, got *** (environment variable APP_DB_MORE)"
