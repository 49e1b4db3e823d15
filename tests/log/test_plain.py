import collections
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid

import attrs
from hypothesis import given
from hypothesis import strategies as st

from buvar import log
from buvar.log import plain


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Broken:
    def __repr__(self):
        raise RuntimeError("no repr")


class BrokenKey(Broken):
    def __str__(self):
        raise RuntimeError("no str")


class BrokenMapping(collections.UserDict):
    def items(self):
        raise OSError("gone")


class Rendered:
    def __structlog__(self):
        return {"rendered": {1, 2}}


@attrs.frozen
class Login:
    user: str
    password: str = attrs.field(repr=False)


def circle():
    items = []
    items.append(items)
    return items


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.just(Color.RED),
    st.just(Level.HIGH),
    st.builds(Broken),
    st.builds(BrokenKey),
    st.builds(BrokenMapping),
    st.builds(Rendered),
    st.builds(Login, st.text(), st.text()),
    st.builds(ValueError, st.text()),
    st.builds(circle),
    st.just(5000).map(lambda digits: 10**digits),
    st.just(int),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(scalars.filter(lambda key: isinstance(key, collections.abc.Hashable)), inner),
        st.frozensets(st.one_of(st.integers(), st.text())),
    ),
)


def is_plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return type(value) in (str, int, bool, type(None)) or (type(value) is float and math.isfinite(value))


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


@given(anything)
def test_any_value_is_one_line_of_valid_json(value):
    """Whatever is dumped becomes one line of ASCII, which a strict reader reads and which holds no half characters."""
    line = plain.dumps(value)
    assert line.isascii()
    assert "\n" not in line
    read = json.loads(line, parse_constant=no_constant)
    json.dumps(read, ensure_ascii=False).encode()
    assert is_plain(read)


@given(anything)
def test_values_are_made_plain(value):
    """What comes out is plain all the way down, and doing it again changes nothing."""
    once = plain.plain(value)
    assert is_plain(once)
    assert plain.plain(once) == once


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("abc"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
        max_leaves=10,
    )
)
def test_plain_values_stay(value):
    """What is plain already comes out as it went in."""
    assert plain.plain(value) == value


def test_known_values():
    """Each kind of value that a service logs has its form."""
    now = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    cases = [
        (b"\xffab", "\\xffab"),
        ({3, 1}, [1, 3]),
        ((1, "a"), [1, "a"]),
        (now, "2026-01-02T03:04:05+00:00"),
        (now.date(), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/tmp/x"), "/tmp/x"),
        (decimal.Decimal("1.5"), "Decimal('1.5')"),
        (Color.RED, "<Color.RED: 1>"),
        (Level.HIGH, 3),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("\ud800a", "\ufffda"),
        (2**3000, hex(2**3000)),
        ({1: "a", "1": "b"}, {"1": "a", "1'": "b"}),
        ({None: 1, (1, 2): 2}, {"None": 1, "(1, 2)": 2}),
        (ValueError("x"), "ValueError('x')"),
        (Broken(), "<Broken, cannot be shown: RuntimeError>"),
        ({BrokenKey(): 1}, {"<BrokenKey, cannot be shown: RuntimeError>": 1}),
        (BrokenMapping(), "<BrokenMapping, cannot be shown: OSError>"),
        (circle(), ["<circular list>"]),
    ]
    for value, expected in cases:
        assert plain.plain(value) == expected


def test_a_repeated_value_is_no_circle():
    """A value that stands in two places is written twice."""
    twice = [1]
    assert plain.plain([twice, twice]) == [[1], [1]]


def test_what_is_nested_too_deep_is_cut():
    """Thousands of lists within each other are cut, with neither an error nor an endless line."""
    assert "nested too deep" in plain.dumps(nested(5000))


def test_a_secret_field_stays_out():
    """An attrs class is shown by its repr, so a field that the repr leaves out stays out of the log."""
    assert "hunter2" not in plain.dumps({"login": Login("ann", "hunter2")})


def test_the_default_is_asked_for_unknown_objects():
    """The renderer's default makes something plain of unknown objects, and its answer is made plain in turn."""
    assert json.loads(plain.dumps(Rendered(), default=lambda obj: obj.__structlog__())) == {"rendered": [1, 2]}


def test_stringify_dict_keys_leaves_the_values():
    """Keys become text at any depth of dicts, lists and tuples, values stay as they are."""
    secret = object()
    value = {1: [secret, ({None: b"x"},)], "a": {2}}
    assert log.stringify_dict_keys(value) == {"1": [secret, ({"None": b"x"},)], "a": {2}}
