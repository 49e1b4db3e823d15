"""Parameters that may be None."""

import typing as t

import msgspec
import pytest

from buvar import plugin
from buvar_aiohttp import http, testing

Number = t.Annotated[int, msgspec.Meta(ge=1)]


@http.get("/x")
async def show(
    number: int | None,
    bounded: Number | None = None,
    within: t.Annotated[int | None, msgspec.Meta(ge=1)] = None,
    text: str | None = None,
    many: list[int] | None = None,
    header: t.Annotated[float | None, http.Header] = None,
    five: int | None = 5,
) -> list[t.Any]:
    return [number, bounded, within, text, many, header, five]


async def prepare(load: plugin.Loader):
    await load("buvar_aiohttp")
    http.mount(show)


@pytest.fixture
async def client():
    async with testing.client(prepare) as client:
        yield client


async def test_what_is_not_said_is_none_or_the_default(client):
    """A parameter that may be None is None, or its default, where the request does not have it."""
    answer = await client.get("/x")
    assert await answer.json() == [None, None, None, None, None, None, 5]


async def test_what_is_said_is_taken(client):
    """A parameter that may be None is converted as one that may not; a text may be the word null."""
    answer = await client.get(
        "/x?number=1&bounded=2&within=3&text=null&many=4&many=5&five=6", headers={"Header": "1.5"}
    )
    assert await answer.json() == [1, 2, 3, "null", [4, 5], 1.5, 6]


@pytest.mark.parametrize("name", ["number", "bounded", "within", "many", "five"])
@pytest.mark.parametrize("value", ["null", "", "x"])
async def test_no_text_is_none(client, name, value):
    """Where a number may be left out, the word null is none, and who is told so hears nothing of null."""
    answer = await client.get("/x", params={name: value})
    (fault,) = (await answer.json())["errors"]
    assert (answer.status, fault["name"]) == (422, name)
    assert "| null" not in fault["detail"]


@pytest.mark.parametrize("name", ["bounded", "within"])
async def test_bounds_hold(client, name):
    """The bounds of a number that may be left out hold, whether None stands inside of them or outside."""
    answer = await client.get("/x", params={name: "0"})
    assert (await answer.json())["errors"][0]["detail"].endswith(">= 1")
