"""What is written as TOML is read back by tomllib."""

import datetime as dt
import enum
import math
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buvar.config import toml

text = st.text(st.characters(exclude_categories=["Cs"]))
offsets = st.none() | st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
scalars = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False), text,
    st.dates(), st.times(), st.datetimes(timezones=offsets),
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=10
)


def read(written):
    return tomllib.loads(f"x = {written}")["x"]


@given(values)
@example("\x00\x1f\x7f\u2028\"\\'#\n\r\t\U0001f600")
@example({"": {"\x7f": [], "a.b": {}}})
@example(16**5000)
@example([math.inf, -math.inf, 1e16, -0.0, 5e-324])
def test_what_is_written_is_read_back(value):
    """All that TOML can say comes back as it was, on one line."""
    written = toml.value(value)
    assert read(written) == value
    assert "\n" not in written


@given(st.lists(text, min_size=1, max_size=4))
@example(["\x7f", "", "a b", "é"])
def test_keys_are_read_back(keys):
    """Whatever keys are called, they lead to the same table."""
    table = tomllib.loads(f"[{toml.dotted(keys)}]\n{toml.key(keys[0])} = 1")
    for key in keys:
        table = table[key]
    assert table == {keys[0]: 1}


def test_bare_keys_are_not_quoted():
    """Letters, digits, - and _ need no quotes."""
    assert toml.dotted(["a-b", "c_1", "a.b", "é"]) == 'a-b.c_1."a.b"."é"'


def test_nan_is_read_back():
    """What is no number is none again."""
    assert math.isnan(read(toml.value(math.nan)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        ([None, 1, None], [1]),
        ({"a": None, "b": 1, 2: 3}, {"b": 1, "2": 3}),
        ("a\ud800b", "a?b"),
        (enum.IntEnum("E", {"A": 5}).A, 5),
        (enum.StrEnum("S", {"A": "x"}).A, "x"),
        (type("F", (float,), {"__repr__": lambda _: "F"})(1.5), 1.5),
    ],
)
def test_what_toml_has_nothing_for_comes_as_near_as_it_can(value, expected):
    """None is left out, keys become text, halves of surrogate pairs question marks, and subclasses what they extend."""
    assert read(toml.value(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"x",
        {1},
        object(),
        dt.timedelta(1),
        dt.time(tzinfo=dt.UTC),
        dt.datetime(1, 1, 2, tzinfo=dt.timezone(dt.timedelta(seconds=30))),
        [object()],
        pytest.param(-(16**5000), id="a small integer"),
    ],
)
def test_what_toml_cannot_say_is_refused(value):
    """Anything else is a TypeError, rather than something that cannot be read back."""
    with pytest.raises(TypeError, match="TOML has nothing for"):
        toml.value(value)
