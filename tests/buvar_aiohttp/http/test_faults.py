"""All that is wrong with a value is told at once, and msgspec agrees."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import re
import typing as t
import uuid

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar_aiohttp.http import faults
from buvar_aiohttp.http.faults import Fault, find


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Price(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    net_amount: t.Annotated[float, msgspec.Meta(ge=0)]
    currency: t.Literal["EUR", "USD"] = "EUR"


class Item(msgspec.Struct):
    name: t.Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    price: Price
    colours: set[Colour] = set()


class Order(msgspec.Struct):
    id: uuid.UUID
    items: t.Annotated[list[Item], msgspec.Meta(min_length=1)]
    day: dt.date | None = None
    notes: dict[str, int] = {}


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog", forbid_unknown_fields=True):
    name: str


class Tree(msgspec.Struct):
    size: int = 0
    kids: list["Tree"] = []


class Point(msgspec.Struct, array_like=True):
    x: int
    y: int = 0


class Pair(t.NamedTuple):
    first: int
    second: str = ""


class Options(t.TypedDict):
    depth: int
    name: t.NotRequired[str]


@dataclasses.dataclass
class Range:
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low is above high")


@attrs.define
class Account:
    name: str = attrs.field(validator=attrs.validators.matches_re("[a-z]+"))
    age: int = attrs.field(default=0, converter=abs)


@attrs.define
class Aged:
    age: int = attrs.field(validator=attrs.validators.ge(0))
    name: str = ""


def told(value, tp, **options):
    return [(each.path, each.message) for each in find(value, tp, **options)]


def test_all_faults_are_told_at_once():
    """Faults in several places, at several depths, come together, each with its path, in the order of the value."""
    value = {
        "id": "no uuid",
        "items": [
            {"name": "", "price": {"netAmount": -1, "currency": "GBP"}, "colours": ["red", "green"]},
            {"name": "pen", "price": {"netAmount": 1}},
            {"name": 3},
        ],
        "day": "yesterday",
        "notes": {"a": 1, "b c": "x", "d": None},
    }
    assert told(value, Order) == [
        ("$.id", "Invalid UUID"),
        ("$.items[0].name", "Expected `str` of length >= 1"),
        ("$.items[0].price.netAmount", "Expected `float` >= 0.0"),
        ("$.items[0].price.currency", 'Invalid enum value \'GBP\', expected one of "EUR", "USD"'),
        ("$.items[0].colours[1]", 'Invalid enum value \'green\', expected one of "red", "blue"'),
        ("$.items[2].name", "Expected `str`, got `int`"),
        ("$.items[2]", "Object missing required field `price`"),
        ("$.day", "Invalid RFC3339 encoded date"),
        ('$.notes["b c"]', "Expected `int`, got `str`"),
        ("$.notes.d", "Expected `int`, got `null`"),
    ]


def test_what_is_right_has_no_faults():
    """A value that msgspec accepts has no faults."""
    assert find({"id": str(uuid.uuid4()), "items": [{"name": "pen", "price": {"netAmount": 1}}]}, Order) == []


@pytest.mark.parametrize(
    ("value", "tp", "expected"),
    [
        ("x", int, [("$", "Expected `int`, got `str`")]),
        (True, int, [("$", "Expected `int`, got `bool`")]),
        ({}, Range, [("$", "Object missing required field `low`"), ("$", "Object missing required field `high`")]),
        (
            {"netAmuont": 1, "x": 2},
            Price,
            [
                ("$", "Object contains unknown field `netAmuont`; did you mean 'netAmount'?"),
                ("$", "Object contains unknown field `x`"),
                ("$", "Object missing required field `netAmount`"),
            ],
        ),
        ([1], tuple[int, int], [("$", "Expected `array` of length 2, got 1")]),
        (["a"], tuple[int, int], [("$", "Expected `array` of length 2, got 1"), ("$[0]", "Expected `int`, got `str`")]),
        (["a", "b"], tuple[int, int], [(f"$[{i}]", "Expected `int`, got `str`") for i in range(2)]),
        (["a", 1], tuple[int, ...], [("$[0]", "Expected `int`, got `str`")]),
        (["a", 1], Pair, [("$[0]", "Expected `int`, got `str`"), ("$[1]", "Expected `str`, got `int`")]),
        (["a", "b"], Point, [(f"$[{i}]", "Expected `int`, got `str`") for i in range(2)]),
        ([], Point, [("$", "Expected `array` of at least length 1, got 0")]),
        (
            {"name": 1},
            Options,
            [("$.name", "Expected `str`, got `int`"), ("$", "Object missing required field `depth`")],
        ),
        (
            ["x", 1, "y"],
            t.Annotated[list[int], msgspec.Meta(max_length=2)],
            [
                ("$", "Expected `array` of length <= 2"),
                ("$[0]", "Expected `int`, got `str`"),
                ("$[2]", "Expected `int`, got `str`"),
            ],
        ),
        (
            {"1": 1, "x": "y"},
            dict[int, int],
            [("$", "Expected `int`, got `str`; it is the key 'x'"), ("$.x", "Expected `int`, got `str`")],
        ),
        (
            {"red": 1, "green": 2},
            dict[Colour, int],
            [("$", "Invalid enum value 'green', expected one of \"red\", \"blue\"; it is the key 'green'")],
        ),
        ({"low": 2, "high": 1}, Range, [("$", "low is above high")]),
        (
            [{"low": 2, "high": 1}, {"low": "x", "high": 1}],
            list[Range],
            [("$[0]", "low is above high"), ("$[1].low", "Expected `int`, got `str`")],
        ),
        ({"age": "x", "name": 1}, Account, [(f"$.{n}", f"Expected `{e}`, got `{g}`") for n, e, g in
            [("age", "int", "str"), ("name", "str", "int")]]),
        ({"name": "A"}, Account, [("$", "'name' must match regex '[a-z]+' ('A' doesn't)")]),
        ({"type": "cow"}, Cat | Dog, [("$.type", "Invalid value 'cow', expected one of \"cat\", \"dog\"")]),
        ({"type": "cow", "lives": ""}, Cat, [
            ("$.type", "Invalid value 'cow', expected \"cat\""), ("$.lives", "Expected `int`, got `str`")]),
        ({}, Cat | Dog, [("$", "Object missing required field `type`")]),
        ({"type": "dog", "nam": 1, "name": 2}, Cat | Dog | None, [
            ("$", "Object contains unknown field `nam`"), ("$.name", "Expected `str`, got `int`")]),
        ([1.5], list[int | str | None], [("$[0]", "Expected `int | str | null`, got `float`")]),
        ([1, "x"], int | list[int] | dict[str, str], [("$[1]", "Expected `int`, got `str`")]),
        (3, t.Literal["a", 1, None], [("$", 'Invalid enum value 3, expected one of 1, "a"')]),
        (["x"], list[decimal.Decimal], [("$[0]", "Invalid decimal string")]),
        (["x", 1], list[dt.timedelta], [
            ("$[0]", "Invalid ISO8601 duration"), ("$[1]", "Expected `duration`, got `int`")]),
    ],
)  # fmt: skip
def test_each_kind_of_type_tells_what_is_wrong(value, tp, expected):
    """What msgspec tells of each kind of type is told, with what would be right where that can be told."""
    assert told(value, tp) == expected


def test_types_that_hold_themselves():
    """A type that holds itself is walked as deep as the value goes."""
    value = {"size": "x", "kids": [{"kids": [{"size": "y"}, {"kids": 1}]}]}
    assert told(value, Tree) == [
        ("$.size", "Expected `int`, got `str`"),
        ("$.kids[0].kids[0].size", "Expected `int`, got `str`"),
        ("$.kids[0].kids[1].kids", "Expected `array`, got `int`"),
    ]


def test_texts_are_converted_where_they_are_not_strict():
    """Of a query, texts become numbers, and those that do not are told."""
    value = {"depth": "3", "name": "x"}
    assert find(value, Options, strict=False) == []
    assert told({"low": "x", "high": "1.5"}, Range, strict=False) == [
        ("$.low", "Expected `int`, got `str`"),
        ("$.high", "Expected `int`, got `str`"),
    ]
    assert told({"n": ["1", "x"]}, dict[str, list[int]], strict=False) == [("$.n[1]", "Expected `int`, got `str`")]


def test_a_hook_makes_what_msgspec_does_not_know():
    """Types that msgspec does not know are made by the hook, and its refusal is told."""

    def hook(tp, value):
        if value == 0:
            raise ValueError("zero is not complex")
        return tp(value)

    assert told([0, 1, 0], list[complex], dec_hook=hook) == [(f"$[{i}]", "zero is not complex") for i in (0, 2)]


def test_what_is_kept_as_it_came_has_no_faults():
    """Any JSON is a Raw, and what is wrong beside it is told."""
    kept = msgspec.defstruct("Kept", [("raw", msgspec.Raw), ("a", int)])
    assert find([{"raw": [1], "a": 1}], list[kept]) == []
    assert told([{"raw": {}, "a": "x"}, {"raw": 1}], list[kept]) == [
        ("$[0].a", "Expected `int`, got `str`"),
        ("$[1]", "Object missing required field `a`"),
    ]


def test_an_unknown_type_is_an_error():
    """A type that msgspec cannot convert to raises what msgspec raises."""
    with pytest.raises(TypeError):
        find({}, dict[int, int] | dict[str, str])


def test_a_class_that_is_broken_hides_no_fault():
    """A class that fails by itself is not told to the client while there is something else to tell."""

    class Broken(msgspec.Struct):
        a: int

        def __post_init__(self):
            raise KeyError("a")

    assert told(["x", {"a": 1}], tuple[int, Broken]) == [("$[0]", "Expected `int`, got `str`")]
    assert [each.path for each in find(["x", {"a": 1}, "y"], list[Broken])] == ["$[0]", "$[2]"]
    with pytest.raises(KeyError):
        find([1, {"a": 1}], tuple[int, Broken])


def test_the_number_of_faults_is_limited():
    """No more faults are told than asked for, the first ones."""
    assert [each.path for each in find(["x"] * 1000, list[int])] == [f"$[{i}]" for i in range(faults.LIMIT)]
    assert [each.path for each in find({"kids": [1] * 9}, Tree, limit=2)] == ["$.kids[0]", "$.kids[1]"]
    assert len(find({str(i): i for i in range(99)}, dict[str, str], limit=7)) == 7
    assert len(find({str(i): i for i in range(99)}, Price, limit=7)) == 7
    assert len(find({"a" * i: i for i in range(99)}, dict[int, int], limit=7)) == 7
    many = msgspec.defstruct("Many", [(f"f{i}", int) for i in range(99)])
    assert len(find({}, many, limit=7)) == 7
    assert len(find([], int, limit=0)) == 1


def test_the_depth_is_limited():
    """Below the depth that is looked into, the first fault of a part is told, with its place."""

    def nest(inner, depth):
        for _ in range(depth):
            inner = {"kids": [inner]}
        return inner

    wrong = {"size": "x", "kids": 1}
    assert len(find(nest(wrong, faults.DEPTH // 2 - 1), Tree)) == 2
    deep = faults.DEPTH
    assert told(nest(wrong, deep), Tree) == [(f"${'.kids[0]' * deep}.size", "Expected `int`, got `str`")]


def test_what_is_nested_too_deep_is_a_fault():
    """A value that is nested deeper than the stack allows is told so."""
    value = {}
    for _ in range(100_000):
        value = {"kids": [value]}
    assert told(value, Tree) == [("$", "The value is nested too deep")]
    while value:  # else its end would be too deep as well
        (value,) = value.popitem()[1]


class Made(msgspec.Struct):
    """Counts how often msgspec makes one."""

    kids: "list[Made] | dict[str, Made]" = []
    count: t.ClassVar[int] = 0

    def __post_init__(self):
        Made.count += 1


@pytest.mark.parametrize("wrong", [1, 30, 5000])
@pytest.mark.parametrize("depth", [0, 10, 45])
def test_the_work_is_bounded(monkeypatch, wrong, depth):
    """What lies deep is converted about once more, however many are wrong."""
    value = [{} for _ in range(10_000)]
    for number in range(1, wrong + 1):
        value[-number * 2] = {"kids": "x"}
    for _ in range(depth):
        value = [{}, {"kids": value}, {}]
    monkeypatch.setattr(Made, "count", 0)
    assert len(find(value, list[Made])) == min(wrong, faults.LIMIT)
    assert Made.count <= 2 * 10_000 + faults.LIMIT * faults.CHUNK


@pytest.mark.parametrize("depth", [3, 90])
def test_the_work_in_dicts_is_bounded(monkeypatch, depth):
    """What lies in dicts is converted once more with each level, but only with the first few levels."""
    value = {str(number): {} for number in range(1000)} | {"a": {"kids": "x"}}
    for _ in range(depth):
        value = {"b": {"kids": value}, "c": {}}
    monkeypatch.setattr(Made, "count", 0)
    (found,) = find(value, dict[str, Made])
    assert found.message == "Expected `object | array`, got `str`"
    assert ("[...]" in found.path) == (depth == 90)
    assert Made.count <= (2 + 2 * faults.DEPTH // faults.DICT) * 1200


def test_what_a_client_chose_is_shortened():
    """Names and values of any length do not make messages of any length."""
    long = "x" * 100_000
    found = [
        *find({long: 1}, dict[str, str]),
        *find({long: 1}, Price),
        *find({long: 1}, dict[int, int]),
        *find(long, Colour),
    ]
    assert len(found) == 5
    assert all(len(each.path) + len(each.message) < 700 for each in found)


# properties: random types, and values that are nearly right

leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 2.0, "", "a", "red", "1", "2020-01-01"])
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "type", "1"]), inner),
    max_leaves=5,
)
METAS = [msgspec.Meta(ge=0, lt=4), msgspec.Meta(gt=-2, multiple_of=2)]
SIMPLE = [
    (int, st.integers(-5, 5)),
    (float, st.sampled_from([0.5, 1, -2.0])),
    (bool, st.booleans()),
    (str, st.sampled_from(["", "a", "bcd"])),
    (None, st.none()),
    (t.Any, junk),
    (Colour, st.sampled_from(["red", "blue", "green"])),
    (t.Literal["a", 1], st.sampled_from(["a", 1, 2])),
    (dt.date, st.sampled_from(["2020-01-01", "x"])),
    (dt.datetime, st.sampled_from(["2020-01-01T00:00:00Z", "x"])),
    (uuid.UUID, st.just("12345678-1234-5678-1234-567812345678")),
    (decimal.Decimal, st.sampled_from(["1.5", 2, "x"])),
    (bytes, st.sampled_from(["YQ==", "x"])),
    *[(t.Annotated[int, meta], st.integers(-3, 5)) for meta in METAS],
    (t.Annotated[str, msgspec.Meta(min_length=1, pattern="^[a-b]")], st.sampled_from(["a", "", "c"])),
    (Tree, st.just({"size": 1, "kids": [{"size": 2}]})),
    (Range, st.fixed_dictionaries({"low": st.integers(0, 3), "high": st.integers(0, 3)})),
    (Aged, st.fixed_dictionaries({"age": st.integers(-1, 1)}, optional={"name": st.just("a")})),
    (Point, st.lists(st.integers(), max_size=3)),
]
NAMES = ["a", "b", "two_words"]


def dicts(fields, optional, renamed):
    named = {renamed(name): values for name, (_, values) in fields.items()}
    return st.fixed_dictionaries(
        {name: values for name, values in named.items() if name not in optional},
        optional={**{name: values for name, values in named.items() if name in optional}, "other": leaves},
    )


@st.composite
def classes(draw, inner):
    """Return a class of any kind and values for it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    fields = {name: draw(inner) for name in names}
    optional = set(names[draw(st.integers(0, len(names))) :])
    hints = {name: tp for name, (tp, _) in fields.items()}
    kind = draw(st.sampled_from(["struct", "array", "dataclass", "attrs", "typeddict", "namedtuple"]))
    defaulted = [(n, hints[n], None) if n in optional else (n, hints[n]) for n in names]
    if kind in {"struct", "array"}:
        forbid, tag = draw(st.booleans()), draw(st.sampled_from([None, "x", 3]))
        options = dict(forbid_unknown_fields=forbid, tag=tag, array_like=kind == "array")
        rename = draw(st.sampled_from([None, "camel"])) if kind == "struct" else None
        made = msgspec.defstruct("Struct", defaulted, rename=rename, **options)
        if kind == "array":
            before = [] if tag is None else [st.just(tag) | leaves]
            return made, st.tuples(*before, *(values for _, values in fields.values())).map(list)
        renamed = dict(zip(names, made.__struct_encode_fields__, strict=True))
        values = dicts(fields, {renamed[n] for n in optional}, renamed.get)
        return made, values if tag is None else st.builds(lambda v, x: {**x, **v}, values, st.sampled_from(
            [{}, {"type": tag}, {"type": tag}, {"type": "wrong"}]))  # fmt: skip
    if kind == "dataclass":
        made = dataclasses.make_dataclass(
            "Data", [(*f[:2], dataclasses.field(default=None)) if len(f) > 2 else f for f in defaulted]
        )
    elif kind == "attrs":
        given = {n: None if n in optional else attrs.NOTHING for n in names}
        made = attrs.make_class("Attrs", {n: attrs.field(type=hints[n], default=given[n]) for n in names})
        made.__annotations__ = hints
    elif kind == "typeddict":
        made = t.TypedDict("Typed", {n: t.NotRequired[hints[n]] if n in optional else hints[n] for n in names})
    else:
        made = t.NamedTuple("Named", [(n, hints[n]) for n in names])
        return made, st.tuples(*(values for _, values in fields.values())).map(list)
    return made, dicts(fields, optional, str)


def union(one):
    tp, values = one
    return (tp if tp is None or tp is t.Any else tp | None, values | st.none())


def containers(inner):
    size = st.sampled_from([None, msgspec.Meta(min_length=1, max_length=2)])
    sized = lambda tp, meta: tp if meta is None else t.Annotated[tp, meta]
    keys = st.sampled_from([(str, ["a", "b c"]), (int, ["1", "x"]), (Colour, ["red", "x"])])
    return st.one_of(
        st.builds(lambda one, meta: (sized(list[one[0]], meta), st.lists(one[1], max_size=4)), inner, size),
        st.builds(lambda one: (tuple[one[0], ...], st.lists(one[1], max_size=3)), inner),
        st.builds(lambda one, two: (tuple[one[0], two[0]], st.tuples(one[1], two[1]).map(list)), inner, inner),
        st.builds(
            lambda key, one, meta: (
                sized(dict[key[0], one[0]], meta),
                st.dictionaries(st.sampled_from(key[1]), one[1]),
            ),
            keys,
            inner,
            size,
        ),
        st.just((set[int], st.lists(st.integers(0, 3), max_size=3))),
        inner.map(union),
        st.just((int | list[str] | Cat | Dog, st.sampled_from([
            1, ["a", 2], {"type": "cat", "lives": ""}, {"type": "dog", "x": 1}, {"type": "cow"}, {}, 1.5])))
        ,
        classes(inner),
    )  # fmt: skip


kinds = st.recursive(st.sampled_from(SIMPLE), containers, max_leaves=6)


def mutate(draw, value):
    """Return *value* with parts of it replaced."""
    if draw(st.integers(0, 9)) == 0:
        return draw(junk)
    if isinstance(value, dict):
        return {key: mutate(draw, each) for key, each in value.items() if draw(st.integers(0, 9))}
    if isinstance(value, list):
        return [mutate(draw, each) for each in value] + ([1] if not draw(st.integers(0, 9)) else [])
    return value


@st.composite
def cases(draw):
    tp, values = draw(kinds)
    return tp, mutate(draw, draw(values))


def refusal(value, tp, strict):
    """Return what msgspec says, without the place; None if it accepts."""
    try:
        msgspec.convert(value, tp, strict=strict, str_keys=True)
    except msgspec.ValidationError as error:
        return str(error).partition(" - at `")[0]
    return None


@given(cases(), st.booleans())
def test_msgspec_agrees(case, strict):
    """There are no faults if and only if msgspec accepts; what msgspec tells first is told; all places are exact."""
    tp, value = case
    found = find(value, tp, strict=strict)
    first = refusal(value, tp, strict)
    assert bool(found) == (first is not None)
    if first is not None:
        assert any(each.message.startswith(first) for each in found), (first, found)
    assert len(found) == len(set(found))
    for each in found:
        assert "[...]" not in each.path
        reach(value, each.path)
    limited = find(value, tp, strict=strict, limit=1)
    assert len(limited) == min(1, len(found))
    assert all(each.message.startswith(first) for each in limited)


def reach(value, path):
    """Follow *path*, which must lead to a part of *value*."""
    steps = re.findall(r"\.(\w+)|\[(.*?)\]", path)
    assert path == "$" + "".join(f".{name}" if name else f"[{index}]" for name, index in steps)
    for name, index in steps:
        value = value[name or json.loads(index)]


@given(st.lists(cases(), min_size=2, max_size=5))
def test_faults_of_one_part_do_not_hide_those_of_another(several):
    """The faults of a whole are those of its parts, each one's behind its place."""
    together = tuple[tuple(tp for tp, _ in several)]
    found = find([value for _, value in several], together, limit=10_000)
    expected = [
        Fault(f"$[{index}]{each.path[1:]}", each.message)
        for index, (tp, value) in enumerate(several)
        for each in find(value, tp, limit=10_000)
    ]
    assert found == expected
