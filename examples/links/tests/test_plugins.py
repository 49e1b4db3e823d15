"""The plugins in the process of the test, as their author would test them."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from buvar import config, context, di
from buvar.plugins import health
from buvar_aiohttp import testing
from examples.links import database, links, statistics, store


@pytest.fixture
def buvar_config_source(tmp_path):
    source = {"database": {"path": str(tmp_path / "links.sqlite3")}, "links": {"public_url": "https://sho.rt/"}}
    return config.ConfigSource(source)


@pytest.mark.buvar_plugins("examples.links")
async def test_a_short_url_begins_as_configured(buvar_aiohttp_client):
    """A short URL begins with the public URL of the configuration, whatever the request was sent to."""
    answer = await buvar_aiohttp_client.post("/links", json={"url": "https://example.org"})
    made = await answer.json()
    assert made["short"] == f"https://sho.rt/{made['code']}"


async def test_a_short_url_is_below_what_a_proxy_was_asked_for(tmp_path):
    """Behind a trusted proxy it begins with the scheme and the host that the client used."""
    source = {"database": {"path": str(tmp_path / "links.sqlite3")}, "aiohttp": {"proxies": ["127.0.0.1"]}}
    told = {"Host": "inner", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "sho.rt"}
    async with testing.client("examples.links", config=source) as client:
        answer = await client.post("/links", json={"url": "https://example.org"}, headers=told)
        made = await answer.json()
    assert made["short"] == f"https://sho.rt/{made['code']}"


@pytest.mark.buvar_plugins("examples.links")
async def test_a_taken_code_is_not_given_again():
    """A code that is taken is passed over, and the link that has it stays as it is."""
    kept = store.Links(context.get(database.Database))
    await kept.add("https://one.example", ["same"])
    other = await kept.add("https://other.example", ["same", "same", "free"])
    assert (other.code, (await kept.get("same")).url) == ("free", "https://one.example")
    with pytest.raises(LookupError):
        await kept.add("https://other.example", ["same", "free"])


@pytest.mark.buvar_plugins("examples.links")
async def test_hits_are_written_by_a_job():
    """A hit is written in the background, without anybody asking for it."""
    hits = await di.nject(statistics.Hits)
    hits.count("code")
    for _ in range(200):
        rows = await context.get(database.Database).read("SELECT code, count FROM hits")
        if rows:
            break
        await asyncio.sleep(0.02)
    assert rows == [("code", 1)]


@pytest.mark.buvar_plugins("examples.links")
async def test_hits_that_cannot_be_written_are_kept():
    """When a write fails, its hits are not lost, but part of the next one."""
    data, hits = context.get(database.Database), await di.nject(statistics.Hits)
    hits.count("code")
    await data.write("ALTER TABLE hits RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await hits.flush()
    await data.write("ALTER TABLE elsewhere RENAME TO hits")
    hits.count("code")
    await hits.flush()
    assert await hits.of("code", "other") == {"code": 2, "other": 0}


@pytest.mark.buvar_plugins("examples.links")
async def test_reading_changes_nothing():
    """The connection for reading refuses to write."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await context.get(database.Database).read("DELETE FROM links")


@pytest.mark.buvar_plugins("examples.links")
async def test_a_database_that_cannot_be_read_is_not_healthy():
    """The check of the database fails where it cannot be read any more."""
    assert (await health.check("ready")).ok
    await context.get(database.Database).reader.close()
    assert not (await health.check("ready")).ok


@pytest.mark.buvar_plugins("examples.links")
async def test_an_error_of_the_service_is_not_told(buvar_aiohttp_client, caplog):
    """An error that is no fault of the client is a 500 with a problem body, which says nothing of its cause."""
    await context.get(database.Database).write("DROP TABLE links")
    answer = await buvar_aiohttp_client.get("/links")
    body = await answer.json()
    assert (answer.status, body["status"]) == (500, 500)
    assert "table" not in str(body)


@pytest.mark.parametrize(
    ("section", "cls"),
    [
        ({"page_size": 30, "max_page_size": 20}, links.LinksConfig),
        ({"code_length": 3}, links.LinksConfig),
        ({"path": ""}, database.DatabaseConfig),
        ({"synchronous": "off"}, database.DatabaseConfig),
        ({"interval": 0}, statistics.StatisticsConfig),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(section, cls):
    """A value that is out of bounds is an error of the configuration that names the section."""
    name = cls.__buvar_config_section__
    with pytest.raises(config.ConfigError, match=name):
        config.ConfigSource({name: section}).load(cls, name)
