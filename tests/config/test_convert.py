"""Strict conversion, type by type."""

import collections
import dataclasses
import datetime as dt
import enum
import ipaddress
import pathlib
import typing as t
from collections import abc

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar.config import ConfigError, ConfigSource, ConversionError, relaxed_converter

UTC = dt.UTC
NOW = dt.datetime(2024, 5, 6, 7, 8, 9)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Mode(str, enum.Enum):
    FAST = "fast"


class Rate(float, enum.Enum):
    HALF = 0.5


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str):
    __slots__ = ()


Port = t.NewType("Port", int)


@attrs.frozen
class Node:
    name: str
    children: "list[Node]" = attrs.Factory(list)
    parent: "Node | None" = None


@attrs.frozen
class Circle:
    radius: float


@dataclasses.dataclass(frozen=True)
class Square:
    side: float


T = t.TypeVar("T")


@attrs.frozen
class Box(t.Generic[T]):
    item: "T"
    more: "list[T]" = attrs.Factory(list)
    code: T | None = attrs.field(default=None, repr=False, metadata={"secret": True})


@attrs.frozen
class IntBox(Box[int]):
    pass


@dataclasses.dataclass
class Shelf(t.Generic[T]):
    boxes: list[Box[T]]


class Pair(t.TypedDict):
    left: int
    right: int


GOOD = [
    (int, 1, 1),
    (int, "1", 1),
    (int, " -1 ", -1),
    (float, 1, 1.0),
    (float, 1.5, 1.5),
    (float, "123.4", 123.4),
    (bool, True, True),
    (bool, "on", True),
    (bool, "Yes", True),
    (bool, "1", True),
    (bool, " TRUE ", True),
    (bool, "off", False),
    (bool, "no", False),
    (bool, "0", False),
    (bool, "false", False),
    (str, "", ""),
    (bytes, "é", "é".encode()),
    (bytes, b"x", b"x"),
    (t.Any, [1], [1]),
    (Word, "w", Word("w")),
    (Port, "8080", 8080),
    (t.Annotated[int, "port"], "8080", 8080),
    (Color, "red", Color.RED),
    (Color, "BLUE", Color.BLUE),
    (Color, Color.RED, Color.RED),
    (Mode, "fast", Mode.FAST),
    (Mode, "FAST", Mode.FAST),
    (Rate, 0.5, Rate.HALF),
    (Rate, "0.5", Rate.HALF),
    (Level, 2, Level.HIGH),
    (Level, "2", Level.HIGH),
    (Level, "LOW", Level.LOW),
    (t.Literal["a", 1, True], "a", "a"),
    (t.Literal["a", 1, True], "1", 1),
    (t.Literal[True, 1], 1, 1),
    (t.Literal[False], "no", False),
    (t.Literal[Color.RED], "red", Color.RED),
    (pathlib.Path, "/tmp", pathlib.Path("/tmp")),
    (pathlib.PurePosixPath, "a/b", pathlib.PurePosixPath("a/b")),
    (dt.datetime, NOW, NOW),
    (dt.datetime, "2024-05-06T07:08:09Z", NOW.replace(tzinfo=UTC)),
    (dt.date, NOW.date(), NOW.date()),
    (dt.date, "2024-05-06", NOW.date()),
    (dt.time, "07:08:09", NOW.time()),
    (list[int], ["1", 2], [1, 2]),
    (list, [1, "a"], [1, "a"]),
    (t.List, (1, 2), [1, 2]),
    (t.Set[str], ["a", "a"], {"a"}),
    (set[str], {"a"}, {"a"}),
    (frozenset[int], [1], frozenset({1})),
    (abc.Sequence[int], [1], (1,)),
    (collections.deque[int], [1], collections.deque([1])),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
    (tuple, [1, "a"], (1, "a")),
    (tuple[()], [], ()),
    (dict[str, int], {"a": "1"}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (dict, {"a": 1}, {"a": 1}),
    (abc.Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
    (t.Optional[int], None, None),
    (t.Optional[int], "1", 1),
    (int | None, 1, 1),
    (int | str, "1", "1"),
    (int | str, 1, 1),
    (float | bool, "on", True),
    (float | int, 1, 1),
    (bool | list[str], ["a"], ["a"]),
    (Circle | Square, {"side": 1}, Square(1.0)),
    (Circle | str, {"radius": 1}, Circle(1.0)),
    (Circle, Circle(2.0), Circle(2.0)),
    (Square, {"side": "2"}, Square(2.0)),
    (Box[str], {"item": "x"}, Box("x")),
    (Box[int], {"item": "1", "more": ["2"]}, Box(1, [2])),
    (Box, {"item": "1"}, Box("1")),
    (IntBox, {"item": "1", "more": ["2"]}, IntBox(1, [2])),
    (Shelf[int], {"boxes": [{"item": "1"}]}, Shelf([Box(1)])),
    (Pair, {"left": "1", "right": 2}, {"left": 1, "right": 2}),
    (Node, {"name": "a", "children": [{"name": "b"}]}, Node("a", [Node("b")])),
    (Node, {"name": "a", "parent": {"name": "b"}}, Node("a", parent=Node("b"))),
]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD, ids=str)
def test_what_fits_is_converted(kind, value, expected):
    """A value that has its type, or that is text for it, becomes an instance of it."""
    cls = attrs.make_class("Holder", {"x": attrs.field(type=kind)})
    found = ConfigSource({"s": {"x": value}}).load(cls, "s").x
    assert found == expected
    assert type(found) is type(expected)


BOOLEAN = "a boolean (true or false; as text also yes, on, 1, no, off, 0)"
BAD = [
    (int, 1.5, "x: expected an integer, got 1.5"),
    (int, 1.0, "x: expected an integer, got 1.0"),
    (int, True, "x: expected an integer, got True"),
    (int, "1.5", "x: expected an integer, got '1.5'"),
    (int, None, "x: expected an integer, got nothing"),
    (int, [1], "x: expected an integer, got a list"),
    (int, {}, "x: expected an integer, got a table"),
    (float, True, "x: expected a number, got True"),
    (float, "x" * 100, f"x: expected a number, got '{'x' * 27}...{'x' * 28}'"),
    (float, 10**400, "x: expected a number, got 100000000000000000...0000000000000000000"),
    (bool, "ture", f"x: expected {BOOLEAN}, got 'ture'"),
    (bool, 1, f"x: expected {BOOLEAN}, got 1"),
    (bool, "", f"x: expected {BOOLEAN}, got ''"),
    (str, 1, "x: expected a string, got 1"),
    (str, NOW.date(), "x: expected a string, got datetime.date(2024, 5, 6)"),
    (bytes, 5, "x: expected a string, got 5"),
    (Color, "green", "x: expected one of 'red', 'blue', got 'green'"),
    (Level, True, "x: expected one of 1, 2, got True"),
    (t.Literal["a"], "b", "x: expected 'a', got 'b'"),
    (pathlib.Path, 5, "x: expected a path, got 5"),
    (dt.date, NOW, "x: expected a date, got datetime.datetime(2024, 5, 6, 7, 8, 9)"),
    (dt.datetime, NOW.date(), "x: expected a date and time, got datetime.date(2024, 5, 6)"),
    (dt.datetime, "now", "x: expected a date and time, got 'now'"),
    (list[str], "a,b", "x: expected a list, got a string"),
    (list[int], [1, "b", "c"], "x[1]: expected an integer, got 'b'\nx[2]: expected an integer, got 'c'"),
    (set[t.Any], [[1]], "x: expected a list of values that a set can hold, got a list"),
    (tuple[int, str], [1], "x: expected a list of 2 values, got one of 1"),
    (tuple[int, str], 5, "x: expected a list, got an integer"),
    (dict[str, int], {"a": {"b": 1}}, "x.a: expected an integer, got a table"),
    (dict[int, int], {"a": 1}, "x.a: expected an integer, got 'a'"),
    (dict[str, int], [], "x: expected a table, got a list"),
    (int | float, "a", "x: expected an integer or a number, got 'a'"),
    (t.Optional[int], "a", "x: expected an integer, got 'a'"),
    (Circle | Square, {"side": "a"}, "x.side: expected a number, got 'a'"),
    (Circle | Square, {"side": 1, "radius": 1}, "x: expected Circle | Square, got a table that fits none of these"),
    (Circle | Square, {}, "x: expected Circle | Square, got a table that fits none of these"),
    (list[int] | list[bool], [1, True], "x: expected list[int] | list[bool], got a list that fits none of these"),
    (Circle | str, {"radius": "a"}, "x.radius: expected a number, got 'a'"),
    (
        list[Circle],
        [{"radius": 1}, {"r": 1}],
        "x[1].radius: is required; set 'radius' in s.x[1]\ns.x[1].r: unknown key",
    ),
    (Box[str], {"item": 1}, "x.item: expected a string, got 1"),
    (Box[int], {"item": 1, "code": "hunter2"}, "x.code: expected an integer, got ***"),
    (Shelf[int], {"boxes": [{"item": "a"}]}, "x.boxes[0].item: expected an integer, got 'a'"),
    (Pair, {"left": "a"}, "x.left: expected an integer, got 'a'\nx.right: is required; set 'right' in [s.x]"),
    (Box[str], {}, "x.item: is required; set 'item' in [s.x]"),
]


@pytest.mark.parametrize(("kind", "value", "message"), BAD, ids=str)
def test_what_does_not_fit_is_an_error(kind, value, message):
    """A value of another type is told, with what was expected and what is there."""
    cls = attrs.make_class("Holder", {"x": attrs.field(type=kind)})
    with pytest.raises(ConfigError) as caught:
        ConfigSource({"s": {"x": value}}).load(cls, "s")
    assert str(caught.value).startswith("\n".join(f"s.{line.removeprefix('s.')}" for line in message.splitlines()))


def test_a_type_that_nobody_can_make_is_told_with_advice():
    """A type without a hook is an error that says how to register one; unused, it does no harm."""

    @attrs.frozen
    class Net:
        address: t.Optional[ipaddress.IPv4Network] = None
        plain: ipaddress.IPv4Network = attrs.field(default=ipaddress.IPv4Network("10.0.0.0/8"))

    assert ConfigSource({"net": {}}).load(Net, "net") == Net()
    with pytest.raises(ConfigError, match=r"net.plain: .* make a ipaddress.IPv4Network; .*register_structure_hook"):
        ConfigSource({"net": {"plain": "10.0.0.0/8"}}).load(Net, "net")


def test_a_hook_that_comes_late_counts():
    """A hook registered after a class was loaded is used from then on, in the classes that hold it too."""

    class Late:
        def __init__(self, value):
            self.value = value

    @attrs.frozen
    class Inner:
        late: Late

    @attrs.frozen
    class Outer:
        inner: Inner

    source = ConfigSource({"o": {"inner": {"late": 1}}})
    with pytest.raises(ConfigError, match=r"o\.inner\.late: config does not know"):
        source.load(Outer, "o")
    relaxed_converter.register_structure_hook(Late, lambda value, _: Late(value))
    assert source.load(Outer, "o").inner.late.value == 1
    relaxed_converter.register_structure_hook(Late, lambda value, _: Late(value + 1))
    assert source.load(Outer, "o").inner.late.value == 2


def test_a_hook_for_a_union_counts():
    """A hook that a user registers for a whole union goes before ours."""
    kind = t.Union[pathlib.PurePath, Word, None]
    relaxed_converter.register_structure_hook(kind, lambda value, _: f"mine: {value}")
    cls = attrs.make_class("Holder", {"x": attrs.field(type=kind)})
    assert ConfigSource({"s": {"x": "a"}}).load(cls, "s").x == "mine: a"


def test_what_a_hook_raises_is_told():
    """The message of a user's hook is the message of the problem, without the facts after it."""

    class Odd:
        pass

    def refuse(value, _):
        raise ValueError(f"{value} is not odd", value)

    relaxed_converter.register_structure_hook(Odd, refuse)
    cls = attrs.make_class("Holder", {"x": attrs.field(type=Odd)})
    with pytest.raises(ConfigError) as caught:
        ConfigSource({"s": {"x": 2}}).load(cls, "s")
    assert str(caught.value) == "s.x: 2 is not odd"


def test_what_a_hook_raises_that_allows_no_notes_is_told(rigid):
    """The section is told, and all else that is wrong with it."""

    class Stiff:
        pass

    def refuse(value, _):
        raise rigid(f"{value} is stiff")

    relaxed_converter.register_structure_hook(Stiff, refuse)
    cls = attrs.make_class("Holder", {"x": attrs.field(type=Stiff), "y": attrs.field(type=int)})
    with pytest.raises(ConfigError) as caught:
        ConfigSource({"s": {"x": 2, "y": "z"}}).load(cls, "s")
    assert str(caught.value).splitlines() == ["s: RigidError: 2 is stiff", "s.y: expected an integer, got 'z'"]


def test_private_names_and_fields_without_init():
    """A private attrs field is configured by its name; what the constructor does not take is unknown."""

    @attrs.frozen
    class Private:
        _token: str
        computed: int = attrs.field(init=False, default=3)

    assert ConfigSource({"p": {"_token": "x"}}).load(Private, "p") == Private("x")
    with pytest.raises(ConfigError, match=r"p\.computed: unknown key"):
        ConfigSource({"p": {"_token": "x", "computed": 4}}).load(Private, "p")


def test_untyped_fields_take_anything():
    """A field without a type is given what is configured."""

    @attr_s
    class Untyped:
        x = attrs.field(converter=str)

    assert ConfigSource({"u": {"x": 1}}).load(Untyped, "u") == Untyped("1")


attr_s = attrs.define


ENVIRONMENT = [
    (int | str, "8080", 8080),
    (int | str, "http", "http"),
    (t.Union[str, bool, None], "off", False),
    (list[int], "1, 2", [1, 2]),
    (list[int], "[1, 2]", [1, 2]),
    (set[str], "a,a", {"a"}),
    (tuple[int, ...], "", ()),
    (tuple[int, str], "1,a", (1, "a")),
    (t.Optional[list[str]], "[::1]:80,[::]:81", ["[::1]:80", "[::]:81"]),
    (list[str] | str, "a,b", "a,b"),
    (list[str] | str, '["a"]', ["a"]),
    (bool | list[str], "true", True),
    (bool | list[str], "off", False),
    (bool | list[str], "a,b", ["a", "b"]),
    (bool | list[str], '["true"]', ["true"]),
    (list[list[int]], "[[1], [2]]", [[1], [2]]),
    (list[Circle], '[{"radius": 1}]', [Circle(1.0)]),
    (Circle | Square, '{"side": 1}', Square(1.0)),
    (dict[str, int], '{"a": 1}', {"a": 1}),
    (t.Any, "[1]", "[1]"),
    (Color, "red", Color.RED),
    (dt.date, "2024-05-06", NOW.date()),
]


@pytest.mark.parametrize(("kind", "text", "expected"), ENVIRONMENT, ids=str)
def test_text_of_the_environment_means_what_its_field_wants(monkeypatch, kind, text, expected):
    """A variable is text, JSON, or values separated by commas, by the type of its field."""
    cls = attrs.make_class("Holder", {"x": attrs.field(type=kind)})
    monkeypatch.setenv("APP_S_X", text)
    assert ConfigSource(env_prefix="APP").load(cls, "s").x == expected


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (list[str], '["a"', "expected a JSON list, or values separated by commas, got '[\"a\"'"),
        (list[int], "1,a", "[1]: expected an integer, got 'a'"),
        (list[dict], "a", "expected a JSON list, got 'a'"),
        (dict[str, int], "{a", "expected a JSON object, got '{a'"),
        (dict[str, int], "[1]", "expected a JSON object, got '[1]'"),
        (list[t.Any], "[" * 100_000 + "]", "expected a JSON list, or values separated by commas"),
        (int, "", "expected an integer, got ''"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_text_that_means_nothing_is_an_error(monkeypatch, kind, text, message):
    """Broken JSON and text of another type are told with the variable."""
    cls = attrs.make_class("Holder", {"x": attrs.field(type=kind)})
    monkeypatch.setenv("APP_S_X", text)
    with pytest.raises(ConfigError) as caught:
        ConfigSource(env_prefix="APP").load(cls, "s")
    assert message in str(caught.value)
    assert str(caught.value).endswith("(environment variable APP_S_X)")


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_a_scalar_never_changes_its_meaning(value):
    """What a number, a boolean or a string field takes says the same as what was configured."""
    for kind in (int, float, bool, str):
        try:
            found = relaxed_converter.structure(value, kind)
        except ConversionError:
            continue
        assert type(found) is kind
        if not isinstance(value, str):
            assert found == kind(value) or value != value
