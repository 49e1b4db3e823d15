"""Values as TOML and JSON can say them: secrets are masked wherever they stand."""

import collections
import datetime as dt
import enum
import pathlib
import typing as t

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import config
from buvar.config import masks

SECRET = "s3cr3t"


@attrs.frozen
class Account:
    user: str = "me"
    password: str = config.secret_var("")


@attrs.frozen
class Holder:
    accounts: list[Account] = attrs.Factory(list)
    account: Account | None = None
    label: str = ""


class Level(enum.Enum):
    LOW = "low"
    SMALL = 1


T = t.TypeVar("T")


@attrs.frozen
class Page(t.Generic[T]):
    items: list[T] = attrs.Factory(list)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, 1),
        (None, str, None),
        (Level.LOW, Level, "low"),
        (Level.SMALL, t.Any, 1),
        (pathlib.Path("/a"), pathlib.Path, "/a"),
        (b"ab\xff", bytes, "ab\ufffd"),
        (dt.date(2020, 1, 2), dt.date, dt.date(2020, 1, 2)),
        (dt.timedelta(1), dt.timedelta, "1 day, 0:00:00"),
        ({3, 1, 2}, set[int], [1, 2, 3]),
        (collections.deque([1]), t.Any, [1]),
        ((1, "a"), tuple[int, str], [1, "a"]),
        ({1: [Level.LOW]}, dict[int, list[Level]], {"1": ["low"]}),
        (Account("you", SECRET), Account, {"user": "you", "password": "***"}),
        (Account("you", SECRET), t.Any, {"user": "you", "password": "***"}),
        (Account("you"), Account, {"user": "you", "password": ""}),
        (
            Holder([Account("a", SECRET)], Account("b", SECRET)),
            Holder,
            {
                "accounts": [{"user": "a", "password": "***"}],
                "account": {"user": "b", "password": "***"},
                "label": "",
            },
        ),
    ],
)
def test_instances_are_told_as_tables(value, hint, expected):
    """What was converted is told as it would be configured, and the secrets of classes are stars."""
    assert masks.plain(value, hint) == expected


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (SECRET, Account, "***"),
        ([SECRET], Account, ["***"]),
        ({"user": "u", "password": [SECRET]}, Account, {"user": "u", "password": "***"}),
        ({"user": "u", "password": {"x": SECRET}}, Account, {"user": "u", "password": "***"}),
        ({"pasword": [SECRET]}, Account, {"pasword": "***"}),
        ({"pasword": {"x": SECRET}}, Account | None, {"pasword": "***"}),
        ([{"pasword": [[SECRET]]}, SECRET, [SECRET]], list[Account], [{"pasword": "***"}, "***", ["***"]]),
        ({"password": SECRET}, list[Account], {"password": "***"}),
        ({"x": {"password": SECRET}, "y": SECRET}, dict[str, Account], {"x": {"password": "***"}, "y": "***"}),
        ({"x": {"y": {"password": SECRET}}}, dict[str, dict[str, Account]], {"x": {"y": {"password": "***"}}}),
        ([["a", {"password": SECRET}]], list[tuple[str, Account]], [["***", {"password": "***"}]]),
        (SECRET, Account | str, "***"),
        ({"accounts": SECRET, "label": "l"}, Holder, {"accounts": "***", "label": "l"}),
        ({"accounts": [{"password": SECRET}]}, list[Holder] | Holder, {"accounts": [{"password": "***"}]}),
        ({"items": [{"password": SECRET}]}, Page[Account], {"items": [{"password": "***"}]}),
        ({"items": [{"password": "open"}]}, Page[int], {"items": [{"password": "open"}]}),
        ({"a": {"b": 1}, "c": ["d"]}, dict[str, t.Any], {"a": {"b": 1}, "c": ["d"]}),
        ("x", list[int], "x"),
    ],
)
def test_what_does_not_fit_is_masked_where_a_secret_may_be(value, hint, expected):
    """In a wrong place, under a misspelt name and in a wrong shape a secret is masked; elsewhere all is told."""
    assert masks.plain(value, hint) == expected


@pytest.mark.parametrize(("value", "expected"), [("", ""), (None, None), (0, "***"), ([], "***"), (SECRET, "***")])
def test_that_a_secret_is_not_set_is_no_secret(value, expected):
    """An empty text and None are told, as they are defaults; of all else nothing is."""
    assert masks.plain(value, secret=True) == expected


shapes = st.recursive(
    st.just(SECRET),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(
            st.sampled_from(["password", "pasword", "account", "accounts"]), inner, min_size=1, max_size=2
        )
    ),
    max_leaves=5,
)


@given(shapes, st.sampled_from([Account, Holder, list[Account], dict[str, Account], Holder | str, tuple[Account, ...]]))
def test_no_shape_shows_a_secret(value, hint):
    """Whatever is configured in place of classes whose every text may be a secret, none is shown."""
    assert SECRET not in repr(masks.plain(value, hint))
