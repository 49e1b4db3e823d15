"""Proxies: where a request came from is what trusted proxies say, and nobody else."""

import json
import logging

import aiohttp
import pytest
import structlog
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from buvar import config, context, errors
from buvar_aiohttp import AioHttpConfig, networks
from buvar_aiohttp.edges.proxies import Proxies

PROXIES = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]
FOR, PROTO, HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"


async def origin(edged, sent, **options):
    async with edged(**{"proxies": PROXIES, **options}) as ask:
        found = json.loads((await ask(headers={"Host": "inner", **sent})).text)
    return found["remote"], found["scheme"], found["host"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, ("127.0.0.1", "http", "inner")),
        (
            {FOR: "192.0.2.1", PROTO: "https", HOST: "shop.example"},
            ("192.0.2.1", "https", "shop.example"),
        ),
        ({FOR: "192.0.2.66, 192.0.2.1"}, ("192.0.2.1", "http", "inner")),
        ({FOR: "192.0.2.66, 192.0.2.1, 10.1.1.1,10.2.2.2"}, ("192.0.2.1", "http", "inner")),
        ({FOR: "10.3.3.3, 10.1.1.1"}, ("10.3.3.3", "http", "inner")),
        ({FOR: "192.0.2.1:4711, 10.1.1.1:80"}, ("192.0.2.1", "http", "inner")),
        ({FOR: "2001:db8::1, [fd00::1]:80"}, ("2001:db8::1", "http", "inner")),
        ({FOR: "192.0.2.1, ::ffff:10.0.0.1"}, ("192.0.2.1", "http", "inner")),
        ({FOR: "192.0.2.1, unknown, 10.1.1.1"}, ("10.1.1.1", "http", "inner")),
        ({FOR: "192.0.2.1, unknown"}, ("127.0.0.1", "http", "inner")),
        ({FOR: ""}, ("127.0.0.1", "http", "inner")),
        ({PROTO: "https, http"}, ("127.0.0.1", "http", "inner")),
        ({PROTO: "wss"}, ("127.0.0.1", "https", "inner")),
        ({PROTO: "javascript"}, ("127.0.0.1", "http", "inner")),
        ({HOST: "evil.example, shop.example:8443"}, ("127.0.0.1", "http", "shop.example:8443")),
        ({HOST: "evil.example/path"}, ("127.0.0.1", "http", "inner")),
        ({"Forwarded": "for=192.0.2.1;proto=https;host=evil.example"}, ("127.0.0.1", "http", "inner")),
    ],
)
async def test_a_trusted_proxy_is_believed(edged, sent, expected):
    """The client is the right-most address that is no proxy's; what makes no sense is as if it were not there."""
    assert await origin(edged, sent) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, ("127.0.0.1", "http", "inner")),
        (
            {"Forwarded": 'for="[2001:db8::1]:47";proto=https;host=shop.example'},
            ("2001:db8::1", "https", "shop.example"),
        ),
        (
            {"Forwarded": "for=192.0.2.66;host=evil.example, for=192.0.2.1;proto=https;host=shop.example,for=10.1.1.1"},
            ("192.0.2.1", "https", "shop.example"),
        ),
        ({"Forwarded": "for=_hidden;proto=https"}, ("127.0.0.1", "https", "inner")),
        ({"Forwarded": "nonsense"}, ("127.0.0.1", "http", "inner")),
        ({FOR: "192.0.2.1", PROTO: "https", HOST: "evil.example"}, ("127.0.0.1", "http", "inner")),
    ],
)
async def test_forwarded_is_believed_in_place_of_the_others(edged, sent, expected):
    """With ``forwarded`` configured, scheme and host are those beside the client; X-Forwarded-* is nobody's word."""
    assert await origin(edged, sent, proxy_headers=["forwarded"]) == expected


@pytest.mark.parametrize("options", [{}, {"proxies": ["192.0.2.0/24"]}, {"proxies": ["unix"]}])
async def test_nobody_else_is_believed(edged, options):
    """Without proxies, and from a peer that is none of them, the headers say nothing."""
    sent = {FOR: "192.0.2.1", PROTO: "https", HOST: "evil.example", "Forwarded": "for=192.0.2.1;host=evil.example"}
    assert await origin(edged, sent, **{"proxies": [], **options}) == ("127.0.0.1", "http", "inner")


async def test_a_header_that_is_not_configured_is_not_believed(edged):
    """A proxy that writes one header and passes on the others is believed that one."""
    sent = {FOR: "192.0.2.1", PROTO: "https", HOST: "evil.example"}
    found = await origin(edged, sent, proxy_headers=["x-forwarded-for"])
    assert found == ("192.0.2.1", "http", "inner")


async def test_whoever_looks_sees_the_client(edged):
    """A copy of a request knows the same, a host that is forwarded may be refused, and the log has the client."""

    async def plugin():
        async def shop(request):
            return web.Response(text=f"shop of {request.url.origin()}, {request.clone().remote}")

        context.get(web.Application).router.add_get("/shop", shop)

    options = {"proxies": PROXIES, "hosts": ["shop.example"], "access_log": access_logger()}
    sent = {FOR: "192.0.2.1", PROTO: "https", HOST: "shop.example"}
    with structlog.testing.capture_logs() as events:
        async with edged(plugin, **options) as ask:
            answer = await ask("/shop", headers=sent)
            assert answer.text == "shop of https://shop.example, 192.0.2.1"
            assert (await ask("/shop", headers={**sent, HOST: "evil.example"})).status == 421
    assert [event["remote"] for event in events if event["event"] == "request"] == ["192.0.2.1"] * 2


def access_logger():
    logger = logging.getLogger("test.access")
    logger.setLevel("INFO")
    return logger


async def test_peers_on_unix_sockets_are_trusted_as_unix(tmp_path, run_http):
    """A proxy that comes through a unix socket has no address, and is trusted as 'unix'."""
    path = tmp_path / "http"
    script = f"""
async def origin(request):
    return web.Response(text=str(request.remote))

async def routes(load: plugin.Loader):
    await load("buvar_aiohttp")
    context.get(web.Application).router.add_get("/", origin)

run(routes, config=AioHttpConfig(path={str(path)!r}, proxies=["unix"]))
"""
    service = run_http(script)
    service.await_event("http server listens")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
        async with session.get("http://test/", headers={FOR: "192.0.2.1"}) as response:
            assert await response.text() == "192.0.2.1"


def test_what_is_no_network_is_told():
    """Networks with host bits, and names, are refused, all at once."""
    section = {"proxies": ["10.0.0.0/8", "10.0.0.1/8", "proxy.example", "unix"]}
    with pytest.raises(errors.ConfigError) as caught:
        config.ConfigSource({"aiohttp": section}).load(AioHttpConfig, "aiohttp")
    assert str(caught.value) == (
        "aiohttp.proxies: '10.0.0.1/8', 'proxy.example':"
        " expected a network as '10.0.0.0/8', an address, or 'unix' for peers on unix sockets"
    )


HOPS = st.lists(st.sampled_from(["192.0.2.1", "192.0.2.66", "10.0.0.1", "fd00::1", "2001:db8::1"]), max_size=6)


@given(forged=HOPS, client=st.sampled_from(["192.0.2.1", "2001:db8::1"]), proxies=st.lists(st.just("10.9.9.9")))
def test_what_a_client_forges_never_counts(forged, client, proxies):
    """Whatever a client writes into the header before the first proxy adds its address, that address counts."""
    found = Proxies(networks.Networks.of(PROXIES), frozenset())._client([*forged, client, *proxies])
    assert found == len(forged)
