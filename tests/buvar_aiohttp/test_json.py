"""JSON responses: what the context's Jsonify makes of an object."""

import dataclasses
import datetime as dt
import enum
import json as stdjson
import uuid

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import context, plugin
from buvar_aiohttp import json


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Point:
    x: int
    y: object = None


@dataclasses.dataclass
class Line:
    start: Point
    name: str = "line"


class Money:
    def __json__(self):
        return {"amount": 1, "of": Point(2)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_written_is_read_again(data):
    """The default writes what the standard library reads, and reads it itself."""
    if stdjson.loads(stdjson.dumps(data)) == data:  # text with lone surrogates aside, which UTF-8 has not
        text = json.jsonify.dumps(data)
        assert stdjson.loads(text) == json.jsonify.loads(text) == data


@pytest.mark.parametrize(
    ("obj", "written"),
    [
        (Point(1), {"x": 1, "y": None}),
        (Point(1, [Point(2)]), {"x": 1, "y": [{"x": 2, "y": None}]}),
        (Line(Point(1, Money())), {"start": {"x": 1, "y": {"amount": 1, "of": {"x": 2, "y": None}}}, "name": "line"}),
        ([Money()], [{"amount": 1, "of": {"x": 2, "y": None}}]),
        (Colour.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC), "2024-01-02T03:00:00+00:00"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        ("ä", "ä"),
    ],
)
def test_objects_have_a_form_in_json(obj, written):
    """Attrs classes and dataclasses are their fields, `__json__` is asked first, also deep inside."""
    assert stdjson.loads(json.response(obj).body) == written


@pytest.mark.parametrize(
    ("obj", "error"), [(object(), TypeError), ({1j}, TypeError), (Point, TypeError), (float("nan"), ValueError)]
)
def test_what_has_no_form_in_json_is_an_error(obj, error):
    """No object is written as what it is not."""
    with pytest.raises(error):
        json.response(obj)


def test_a_response_is_made_without_the_plugin():
    """`response` needs nothing to be loaded; it takes status, reason and headers."""
    made = json.response({"a": 1}, status=201, reason="Made", headers={"X-Token": "t"})
    assert (made.status, made.reason, made.headers["X-Token"]) == (201, "Made", "t")
    assert made.body == b'{"a": 1}'
    assert made.content_type == "application/json"


class Shouting(json.Jsonify):
    def loads(self, text):
        return text

    def dumps(self, obj):
        return f'"{obj}!"'


def test_the_jsonify_of_the_context_is_used():
    """A Jsonify that is added to the context makes the responses, whether it returns text or bytes."""
    with context.child():
        context.add(Shouting())
        assert json.response("ö").body == '"ö!"'.encode()
    assert json.response("ö").body == '"ö"'.encode()


def test_the_plugin_adds_the_default_where_there_is_none():
    """Loaded, the plugin adds the default, and leaves alone what is there."""
    found = []

    async def shouting():
        context.add(Shouting())

    async def look():
        found.append(type(context.get(json.Jsonify)))

    plugin.stage("buvar_aiohttp.json", look)
    plugin.stage(shouting, "buvar_aiohttp.json", look)
    assert found == [type(json.jsonify), Shouting]
