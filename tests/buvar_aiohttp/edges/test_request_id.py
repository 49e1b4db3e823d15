"""Request ids: one for each request, in its log lines, its scope and its response."""

import asyncio

import pytest
import structlog
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from buvar import config, context, errors
from buvar_aiohttp import AioHttpConfig
from buvar_aiohttp.edges import RequestId
from buvar_aiohttp.edges.request_id import Edge, RequestIds

HEADER = "X-Request-ID"


async def identify():
    """Add a route that answers with what its request knows of its id."""

    async def logged():
        return structlog.contextvars.get_contextvars().get("request_id")

    async def show(request):
        await asyncio.sleep(0)
        found = {str(context.get(RequestId)), await asyncio.create_task(logged())}
        return web.Response(text=" ".join(found))

    context.get(web.Application).router.add_get("/id", show)


async def test_the_id_is_in_the_log_in_the_scope_and_in_the_response(edged):
    """All of them have the same, tasks of the request too; each request of a connection has its own."""
    async with edged(identify, request_id=RequestIds()) as ask:
        answers = [await ask("/id") for _ in range(3)] + await asyncio.gather(*(ask("/id") for _ in range(3)))
        for each in answers:
            assert each.text == each.headers[HEADER]
        assert len({each.text for each in answers}) == 6


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/fail", 500), ("/stream", 200)])
async def test_every_response_has_it(edged, path, status):
    """Errors, also those of other edges, and streams have the header."""
    async with edged(request_id=RequestIds(), hosts=["127.0.0.1"]) as ask:
        answer = await ask(path)
        assert (answer.status, len(answer.headers[HEADER])) == (status, 32)
        refused = await ask(path, headers={"Host": "evil.example"})
        assert (refused.status, len(refused.headers[HEADER])) == (421, 32)


@pytest.mark.parametrize(
    ("trust", "kept"), [(False, False), (True, True), (["127.0.0.0/8"], True), (["10.0.0.0/8"], False), ([], False)]
)
async def test_only_who_is_trusted_chooses_the_id(edged, trust, kept):
    """The id of a peer that is not trusted is replaced: it could be anybody else's."""
    async with edged(identify, request_id=RequestIds(trust=trust)) as ask:
        answer = await ask("/id", headers={HEADER: "r-17"})
        assert (answer.text == answer.headers[HEADER] == "r-17") == kept


async def test_a_proxy_is_trusted_for_itself_and_not_for_its_client(edged):
    """It is the peer that counts, not the address that a proxy forwards for."""
    options = {"proxies": ["127.0.0.1"], "request_id": RequestIds(trust=["192.0.2.1"])}
    async with edged(identify, **options) as ask:
        assert (await ask("/id", headers={HEADER: "r-17", "X-Forwarded-For": "192.0.2.1"})).text != "r-17"


@pytest.mark.parametrize("sent", ["", "a b", "a\tb", "r\u00e9", "x" * 129])
async def test_what_is_no_id_is_replaced(edged, sent):
    """An id is visible ASCII of at most 128 characters, whoever sends it."""
    async with edged(identify, request_id=RequestIds(trust=True)) as ask:
        answer = await ask("/id", headers={HEADER: sent})
        assert answer.text == answer.headers[HEADER]
        assert (answer.status, len(answer.text)) == (200, 32)
        assert (await ask("/id", headers={HEADER: "x" * 128})).text == "x" * 128


async def test_the_header_has_any_name(edged):
    """The header is that of the configuration, of requests and of responses."""
    async with edged(identify, request_id=RequestIds("X-Correlation-ID", trust=True)) as ask:
        answer = await ask("/id", headers={"x-correlation-id": "r-17"})
        assert answer.text == answer.headers["X-Correlation-ID"] == "r-17"


async def test_without_it_there_is_none(edged):
    """Requests have no id unless it is configured, whatever they send."""
    async with edged() as ask:
        assert HEADER not in (await ask(headers={HEADER: "r-17"})).headers


@given(st.text())
def test_what_is_taken_can_stand_in_a_log_and_in_a_header(text):
    """Of any text a peer may send, what is kept is short, visible ASCII."""

    class Sent:
        headers = {HEADER: text}

    found = Edge(RequestIds(trust=True))._inbound(Sent)
    assert found is None or (found == text and found.isascii() and found.isprintable() and len(found) <= 128)


def load(**table):
    return config.ConfigSource({"aiohttp": {"request_id": table}}, env_prefix="APP").load(AioHttpConfig, "aiohttp")


def test_it_is_configured_as_a_table_and_by_the_environment(monkeypatch):
    """An empty table turns it on; trust is a boolean, or networks."""
    assert load().request_id == RequestIds()
    assert load(trust=True).request_id == RequestIds(trust=True)
    assert load(trust=["10.0.0.0/8"]).request_id == RequestIds(trust=["10.0.0.0/8"])
    monkeypatch.setenv("APP_AIOHTTP_REQUEST_ID_TRUST", "true")
    assert load().request_id == RequestIds(trust=True)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"header": "X Id"}, "aiohttp.request_id.header: 'X Id' is no name of a header, as X-Request-ID"),
        ({"trust": ["me"]}, "aiohttp.request_id.trust: 'me': expected a network as '10.0.0.0/8'"),
    ],
)
def test_what_does_not_fit_is_told(table, problem):
    """A wrong value names its key."""
    with pytest.raises(errors.ConfigError) as caught:
        load(**table)
    assert str(caught.value).startswith(problem)
