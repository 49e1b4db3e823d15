"""Slow clients: who keeps a request waiting is let go, and who is only idle, or reads slowly, is not."""

import asyncio
import contextlib
import json
import signal

import pytest
from aiohttp import web

from buvar import context
from buvar_aiohttp.edges import slow

SHORT = 0.2


@contextlib.asynccontextmanager
async def connect(ask):
    reader, writer = await asyncio.open_connection(ask.url.host, ask.url.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def response(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head.split(b" ")[1].decode(), await reader.readexactly(length)


async def trickle(writer):
    writer.write(b"GET / HTTP/1.1\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(SHORT / 10)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_who_stops_before_the_end_of_a_head_is_answered_408(edged, sent):
    """A connection on which no request comes in time is told so by a problem document, and closed."""
    async with edged(read_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        writer.write(sent)
        status, body = await response(reader)
        assert (status, json.loads(body)["status"]) == ("408", 408)
        assert await reader.read() == b""


async def test_a_head_that_trickles_in_is_answered_408(edged):
    """Each further byte gives no more time."""
    async with edged(read_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        trickling = asyncio.create_task(trickle(writer))
        with contextlib.suppress(ConnectionResetError):  # the answer, or what came after it was sent
            assert (await response(reader))[0] == "408"
            assert await reader.read() == b""
        trickling.cancel()


async def test_a_further_head_that_trickles_in_is_let_go(edged):
    """After a response, all of the next head must be there within ``keepalive_timeout``."""
    async with edged(keepalive_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        writer.write(b"GET /text/3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await response(reader) == ("200", b"tea")
        trickling = asyncio.create_task(trickle(writer))
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        trickling.cancel()


@pytest.mark.parametrize("framing", ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
async def test_a_body_that_stops_is_answered_408(edged, framing):
    """A handler that reads such a body learns of it by an error, and the client too; then the connection is closed."""
    async with edged(read_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        writer.write(f"POST /upload HTTP/1.1\r\nHost: x\r\n{framing}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408")
        assert b"Connection: close" in head
        await reader.read()


async def test_a_body_that_goes_on_is_read_to_its_end(edged):
    """It is each pause that counts, not the time of the whole body."""
    async with edged(read_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        writer.write(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n")
        for _ in range(40):
            writer.write(b"x")
            await asyncio.sleep(SHORT / 20)
        assert await response(reader) == ("200", b"40")


async def test_who_is_idle_between_requests_stays(edged):
    """A connection that is kept may be idle for as long as ``keepalive_timeout`` says."""
    async with edged(read_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET /text/3 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await response(reader) == ("200", b"tea")
            await asyncio.sleep(SHORT * 3)


async def test_a_connection_that_is_idle_for_too_long_is_closed(edged):
    """``keepalive_timeout`` closes it, without a word."""
    async with edged(keepalive_timeout=SHORT) as ask, connect(ask) as (reader, writer):
        writer.write(b"GET /text/3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await response(reader) == ("200", b"tea")
        assert await reader.read() == b""


async def test_a_handler_may_take_its_time(edged):
    """While the handler, and not the client, is waited for, nothing is timed: at work, or not reading the body."""

    async def plugin():
        async def work(request):
            await asyncio.sleep(SHORT * 4)
            return web.Response(text=str(len(await request.read())))

        context.get(web.Application).router.add_post("/work", work)

    size = 900_000  # more than is read ahead
    async with edged(plugin, read_timeout=SHORT) as ask:
        assert (await ask("/work", "POST", data=b"x" * size)).text == str(size)
        assert (await ask("/work", "POST")).text == "0"


async def test_who_reads_nothing_of_an_answer_is_cut_off(edged):
    """The handler learns that its client has left; one that reads on, however slowly, has all of its answer."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    async def plugin():
        async def endless(request):
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(b"x" * 65536)
            finally:
                loop.call_soon_threadsafe(ended.set)

        async def large(request):
            return web.Response(body=b"x" * 2**23)

        router = context.get(web.Application).router
        router.add_get("/endless", endless)
        router.add_get("/large", large)

    async with edged(plugin, read_timeout=1.0) as ask:  # the system's buffers take some of it at a time
        async with connect(ask) as (reader, writer):
            reader._transport.pause_reading()
            writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(ended.wait(), 20)
        async with connect(ask) as (reader, writer):
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            while piece := await reader.read(2**20):
                length += len(piece)
                await asyncio.sleep(SHORT / 5)
            assert (head[9:12], length) == (b"200", 2**23)


async def test_web_sockets_may_be_silent(edged):
    """A web socket on which nothing is said is not let go."""
    async with edged(read_timeout=SHORT) as ask, ask.session.ws_connect("/socket") as socket:
        await asyncio.sleep(SHORT * 3)
        await socket.send_str("tea")
        assert await socket.receive_str() == "TEA"


async def test_without_a_timeout_nobody_is_looked_at(edged, monkeypatch):
    """0 turns it off, for nothing."""
    monkeypatch.setattr(slow.Watch, "_look", None)
    async with edged(read_timeout=0.0) as ask:
        assert (await ask()).status == 200


def test_a_slow_client_does_not_hold_up_the_stop(run_http):
    """Whoever stands in the middle of a head, or of a body, when the service stops is let go in time."""
    service = run_http("run(config=AioHttpConfig(host='127.0.0.1', port=0, read_timeout=0.5, linger=0.1))")
    with service.client() as head, service.client() as body:
        head.connection.sendall(b"GET / HTT")
        body.send("/upload", "POST", Content_Length="9")
        body.connection.sendall(b"abc")
        service.await_event("uploading")
        service.kill(signal.SIGTERM)
        assert body.receive()[0] == "408"
        assert service.wait() == 0
