"""The access log: a line for each response, which nobody outside can shape."""

import asyncio
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from buvar_aiohttp.edges.access import printable
from buvar_aiohttp.edges.request_id import RequestIds


@pytest.fixture
def logged(edged):
    """Return a function that sends requests, and returns the lines of the access log."""

    async def ask(*requests, **options):
        logger = logging.getLogger("test.access")
        logger.setLevel(options.pop("level", "INFO"))
        with structlog.testing.capture_logs() as events:
            async with edged(access_log=logger, **options) as ask:
                for path, headers in requests:
                    await ask(path, headers=headers)
        return [event for event in events if event["event"] == "request"]

    return ask


async def test_a_line_has_fields(logged):
    """What was asked, by whom, and what became of it."""
    [line] = await logged(("/text/10", {"User-Agent": "tea/1"}), request_id=RequestIds())
    assert line.pop("seconds") > 0
    assert line.pop("bytes") > 10
    assert len(line.pop("request_id")) == 32
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": "/text/10",
        "status": 200,
        "remote": "127.0.0.1",
        "user_agent": "tea/1",
    }


async def test_errors_are_named(logged):
    """The type of what a handler raised is in the line, its text is not; an HTTP error is its status."""
    failed, missing = await logged(("/fail", {}), ("/nowhere", {}))
    assert (failed["status"], failed["error"]) == (500, "ValueError")
    assert "secret" not in str(failed)
    assert (missing["status"], "error" in missing) == (404, False)


async def test_queries_are_not_logged_unless_that_is_configured(logged):
    """Secrets come in queries; who wants them in the log says so."""
    request = ("/text/1?X-A=s3cret", {"Referer": "http://s3cret", "Cookie": "s3cret", "Authorization": "s3cret"})
    [line] = await logged(request)
    assert (line["path"], "s3cret" in str(line)) == ("/text/1", False)
    [line] = await logged(request, access_log_query=True)
    assert line["path"] == "/text/1?X-A=s3cret"


async def test_no_client_writes_lines(logged):
    """Control characters in a path stay percent-encoded, those of a header are escaped, and it is cut."""
    path, agent = "/a%0D%0Ab%1B%5B31m", "\x9b31m\u2028\u202e" + "x" * 300
    [line] = await logged((path, {"User-Agent": agent}))
    assert line["path"] == path
    assert line["user_agent"].startswith("\\x9b31m\\u2028\\u202e")
    assert len(line["user_agent"]) < 300


async def test_a_level_above_turns_it_off(logged):
    """A logger that takes no INFO gets no lines."""
    assert await logged(("/", {}), level="WARNING") == []


async def test_a_client_that_left_is_logged(edged):
    """A response that nobody waited for is in the log as well."""
    logger = logging.getLogger("test.access")
    logger.setLevel("INFO")
    with structlog.testing.capture_logs() as events:
        async with edged(access_log=logger) as ask:
            _, writer = await asyncio.open_connection(ask.url.host, ask.url.port)
            writer.write(b"GET /text/9 HTTP/1.1\r\nHost: x\r\n\r\n")
            writer.close()
            while not any(event["event"] == "request" for event in events):
                await asyncio.sleep(0.01)


def test_a_service_writes_json(run_http):
    """Where logs are JSON, each request is one JSON line of the logger, with the id that all its lines have."""
    script = """
from buvar import log
from buvar_aiohttp.edges.request_id import RequestIds
log.LogConfig(tty=False, level="info").setup()
run(config=AioHttpConfig(host="127.0.0.1", port=0, access_log=True, request_id=RequestIds(trust=True)))
"""
    service = run_http(script)
    with service.client() as client:
        status, headers, _ = client.get("/sleep/0", X_Request_ID="r-17")
        assert (status, headers["x-request-id"]) == ("200", "r-17")
    service.await_event("request")
    lines = [json.loads(line) for line in service.lines if line.startswith("{")]
    [line] = [each for each in lines if each["event"] == "request"]
    assert (line["logger"], line["level"], line["path"], line["status"]) == ("aiohttp.access", "info", "/sleep/0", 200)
    assert [each["event"] for each in lines if each.get("request_id") == "r-17"] == ["sleeping", "request"]


@given(st.text())
def test_what_is_logged_prints(text):
    """Any text is made one that prints; what prints stays as it is."""
    assert printable(text).isprintable()
    assert not text.isprintable() or printable(text) == text
