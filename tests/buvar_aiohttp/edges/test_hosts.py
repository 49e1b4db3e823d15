"""Hosts: only requests for the hosts that are configured reach the application."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import config, errors
from buvar_aiohttp import AioHttpConfig
from buvar_aiohttp.edges import headers
from buvar_aiohttp.edges.hosts import Hosts

PATTERNS = ["example.org", "*.shop.example", "[::1]"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.org", 200),
        ("EXAMPLE.org:8080", 200),
        ("example.org.", 200),
        ("a.shop.example", 200),
        ("a.b.shop.example", 200),
        ("[::1]:80", 200),
        ("shop.example", 421),
        ("evilshop.example", 421),
        ("example.org.evil.example", 421),
        ("www.example.org", 421),
        ("127.0.0.1", 421),
        ("example.org:80@evil.example", 400),
        ("exa mple.org", 400),
        ("", 400),
    ],
)
async def test_what_is_not_for_these_hosts_is_refused(edged, host, status):
    """A host is compared whole, without its port and in any case; '*.' stands for all below, but not for itself."""
    async with edged(hosts=PATTERNS) as ask:
        answer = await ask(headers={"Host": host})
        assert answer.status == status
        assert ("problem" in answer.headers["Content-Type"]) == (status != 200)


async def test_all_hosts_are_served_where_none_is_named(edged):
    """Without a list there is nothing to compare with."""
    async with edged() as ask:
        assert (await ask(headers={"Host": "whatever.example"})).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET / HTTP/1.1", b"400"),
        ("GET / HTTP/1.0", b"421"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: example.org", b"400"),
        ("GET http://example.org/ HTTP/1.1\r\nHost: evil.example", b"400"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: evil.example", b"421"),
        ("GET http://example.org/ HTTP/1.1\r\nHost: EXAMPLE.org", b"200"),
        ("GET / HTTP/1.1\r\nHost: example.org\r\nHost: evil.example", b"400"),
    ],
)
async def test_the_host_may_be_missing_or_told_twice(edged, head, status):
    """HTTP/1.1 must name a host, and only one; and an absolute URL names no other one."""
    async with edged(hosts=PATTERNS) as ask:
        reader, writer = await asyncio.open_connection(ask.url.host, ask.url.port)
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).split(b" ")[1] == status
        writer.close()


def test_what_is_no_host_is_told():
    """All patterns that can never match are told at once."""
    source = config.ConfigSource({"aiohttp": {"hosts": ["ok.example", "a.example:80", "*", "http://b.example"]}})
    with pytest.raises(errors.ConfigError) as caught:
        source.load(AioHttpConfig, "aiohttp")
    assert str(caught.value) == (
        "aiohttp.hosts: 'a.example:80', '*', 'http://b.example':"
        " expected a host as 'example.org', without a port, or '*.example.org' for those below it"
    )


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABELS, min_size=1, max_size=4), st.lists(LABELS, min_size=1, max_size=4), st.booleans())
def test_a_host_is_served_if_and_only_if_it_matches_label_by_label(pattern, host, below):
    """Compared label by label from the right, nothing but the pattern, or what is below it, is let in."""
    hosts = Hosts.of([("*." if below else "") + ".".join(pattern)])
    fits = host[-len(pattern) :] == pattern and len(host) > len(pattern) if below else host == pattern
    assert (hosts.allows(".".join(host)) == 200) == fits


@given(st.text())
def test_any_text_is_judged(text):
    """Whatever a client sends as its host gets a status, and only what can be a host is compared."""
    assert Hosts.of(["example.org"]).allows(text) in {200, 400, 421}
    assert (headers.host_of(text) is None) == (Hosts.of(["example.org"]).allows(text) == 400)
