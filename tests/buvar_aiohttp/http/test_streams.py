"""Streams: what an async generator yields is sent as it comes, and its scope is open until the last byte."""

import asyncio
import collections.abc as c
import json

import aiohttp
import hypothesis
import hypothesis.strategies as st
import pytest

from buvar import di
from buvar_aiohttp import http

# events, and a reference that reads them as the HTML standard says


def read_events(data):
    """Yield event, data, id and the last retry of each message in *data*, as a browser dispatches them."""
    name, lines, last, retry = "", [], "", None
    text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert text.endswith("\n\n")
    for line in text.split("\n"):
        if not line:
            if lines:
                yield name or "message", "\n".join(lines), last, retry
            name, lines = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            lines.append(value)
        elif field == "id" and "\0" not in value:
            last = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value)


def plain(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


TEXTS = st.text(st.characters(codec="utf-8"))
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))
DATA = TEXTS | st.integers(-(2**53), 2**53) | st.booleans() | st.dictionaries(TEXTS, TEXTS) | st.lists(TEXTS)


@hypothesis.given(
    st.lists(
        st.builds(
            http.Event,
            DATA,
            event=st.none() | LINES,
            id=st.none() | LINES,
            retry=st.none() | st.floats(0, 1000),
            comment=st.none() | TEXTS,
        ),
        min_size=1,
    )
)
def test_events_are_read_as_they_were_written(events):
    """Whatever data, names, ids and comments there are, a client gets the same, each event for itself."""
    last, retry, expected = "", None, []
    for each in events:
        last = last if each.id is None else each.id
        retry = retry if each.retry is None else round(each.retry * 1000)
        data = plain(each.data) if isinstance(each.data, str) else None
        expected.append((each.event or "message", data, last, retry))
    found = list(read_events(b"".join(each.encode() for each in events)))
    for event, (name, data, *rest), (expected_name, expected_data, *expected_rest) in zip(
        events, found, expected, strict=True
    ):
        assert (name, rest) == (expected_name, expected_rest)
        if expected_data is None:
            assert json.loads(data) == event.data
        else:
            assert data == expected_data


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\n"])
@pytest.mark.parametrize("field", ["event", "id"])
def test_an_event_cannot_be_split(field, bad):
    """A name or an id with a line break is refused, so that no text makes an event of its own."""
    with pytest.raises(ValueError, match=f"the {field} of an event is one line"):
        http.Event("x", **{field: bad}).encode()


def test_an_event_without_data_is_only_what_it_says():
    """A comment keeps a connection open and dispatches nothing."""
    assert http.Event(comment="alive\nstill").encode() == b": alive\n: still\n\n"


@pytest.mark.parametrize("retry", [-1, float("nan"), float("inf")])
def test_a_retry_is_a_time(retry):
    """Another one is refused."""
    with pytest.raises(ValueError, match="retry"):
        http.Event("x", retry=retry).encode()


# responses


class Unit:
    pass


class Watch:
    """Notes, in order and with its error, how a scope and a generator end."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.queue = asyncio.Queue()
        self.seen = []

    def note(self, what, error=None):
        told = (what, type(error).__name__ if error is not None else None)
        self.seen.append(told)
        self.loop.call_soon_threadsafe(self.queue.put_nowait, told)

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), 20)

    async def prepare(self):
        async def unit() -> c.AsyncIterator[Unit]:
            try:
                yield Unit()
            except BaseException as error:
                self.note("scope", error)
                raise
            else:
                self.note("scope")

        di.scoped(unit)


@http.get("/text")
async def text(n: int = 2) -> c.AsyncIterator[str]:
    for number in range(n):
        yield f"é{number}"


@http.get("/bytes")
async def data() -> c.AsyncIterator[bytes]:
    yield b""
    yield b"\xff"
    yield b""
    yield bytearray(b"\0")


@http.get("/lines", status=203)
async def lines() -> c.AsyncIterator[object]:
    yield {"a": 1}
    yield None
    yield [2]


@http.get("/empty-text")
async def empty_texts() -> c.AsyncIterator[str]:
    yield ""
    yield "x"


@http.get("/none-first")
async def none_first() -> c.AsyncIterator[object]:
    yield None
    yield 1


@http.get("/events")
async def events() -> c.AsyncIterator[http.Event]:
    yield http.Event({"a": 1}, event="x")
    yield http.Event("two")


STREAMS = {
    "/text": (200, "text/plain; charset=utf-8", "é0é1".encode()),
    "/text?n=0": (200, "text/plain; charset=utf-8", b""),
    "/bytes": (200, "application/octet-stream", b"\xff\0"),
    "/lines": (203, "application/x-ndjson", b'{"a":1}\nnull\n[2]\n'),
    "/empty-text": (200, "text/plain; charset=utf-8", b"x"),
    "/none-first": (200, "application/x-ndjson", b"null\n1\n"),
    "/events": (200, "text/event-stream", b'event: x\ndata: {"a":1}\n\ndata: two\n\n'),
}


async def test_what_is_yielded_is_sent(api):
    """The first item, or else the annotation, says which kind of stream it is; HEAD has its headers."""
    async with api(text, data, lines, empty_texts, none_first, events) as client:
        for path, (status, media_type, body) in STREAMS.items():
            answer = await client.get(path)
            assert (answer.status, answer.type, answer.body) == (status, media_type, body), path
            bare = await client.ask("HEAD", path)
            assert (bare.status, bare.type, bare.body) == (status, media_type, b""), path
        assert (await client.get("/events")).headers["Cache-Control"] == "no-store"


async def test_what_fails_before_the_first_item_is_a_problem(api):
    """It is answered as an error of any handler, and the scope learns of it."""
    watch = Watch()

    @http.get("/{what}")
    async def stream(what: str, unit: Unit) -> c.AsyncIterator[str]:
        if what == "problem":
            raise http.Problem(409, "no")
        if what == "error":
            raise ValueError("secret")
        yield what

    async with api(stream, plugins=[watch.prepare]) as client:
        answer = await client.get("/problem")
        assert (answer.status, answer.json["detail"]) == (409, "no")
        assert await watch.next() == ("scope", "Problem")
        answer = await client.get("/error")
        assert answer.status == 500
        assert await watch.next() == ("scope", "ValueError")
        assert [each["request_id"] for each in client.events()] == [answer.json["request_id"]]


async def test_what_fails_in_the_middle_truncates(api):
    """The client sees that the stream is not whole, the log tells the error once, and the scope learns of it."""
    watch = Watch()

    @http.get("/")
    async def stream(unit: Unit) -> c.AsyncIterator[str]:
        yield "one"
        raise ValueError("secret")

    async with api(stream, plugins=[watch.prepare]) as client:
        told = await client.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"one" in told
        assert not told.endswith(b"0\r\n\r\n")
        assert b"secret" not in told
        assert await watch.next() == ("scope", "ValueError")
        (line,) = client.events()
        assert (line["sent"], str(line["exc_info"])) == ("a part of the response", "secret")


async def test_a_scope_that_fails_behind_a_stream_is_told_once(api):
    """What fails when all is sent has one line in the log, and the connection is closed."""

    async def failing() -> c.AsyncIterator[Unit]:
        yield Unit()
        raise ValueError("secret")

    async def prepare_failing():
        di.scoped(failing)

    @http.get("/")
    async def stream(unit: Unit) -> c.AsyncIterator[str]:
        yield "one"

    async with api(stream, plugins=[prepare_failing]) as client:
        assert b"one" in await client.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(client.events()) == 1


async def test_an_item_that_cannot_be_written_truncates(api):
    """As any error in the middle does; the generator is closed."""
    watch = Watch()

    @http.get("/")
    async def stream(unit: Unit) -> c.AsyncIterator[object]:
        try:
            yield 1
            yield object()
        finally:
            watch.note("generator")

    async with api(stream, plugins=[watch.prepare]) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.get("/")
        assert await watch.next() == ("generator", None)
        assert await watch.next() == ("scope", "TypeError")
        assert len(client.events()) == 1


async def test_the_scope_is_open_until_the_last_byte(api):
    """What was opened for a stream is closed when the generator has ended, and not when its headers leave."""
    watch = Watch()

    @http.get("/")
    async def stream(unit: Unit) -> c.AsyncIterator[str]:
        yield "one"
        watch.note("after one")
        yield "two"
        watch.note("end")

    async with api(stream, plugins=[watch.prepare]) as client:
        assert (await client.get("/")).text == "onetwo"
        assert [await watch.next() for _ in range(3)] == [("after one", None), ("end", None), ("scope", None)]


async def test_a_client_that_leaves_ends_the_stream(api):
    """The generator is closed, the scope learns that the client has left, and nothing is logged as a failure."""
    watch = Watch()

    @http.get("/")
    async def stream(unit: Unit) -> c.AsyncIterator[http.Event]:
        try:
            while True:
                yield http.Event("x" * 1000)
                await asyncio.sleep(0.001)
        finally:
            watch.note("generator")

    async with api(stream, plugins=[watch.prepare]) as client:
        reader, writer = await client.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"data: x")
        writer.transport.abort()
        assert await watch.next() == ("generator", None)
        what, error = await watch.next()
        assert what == "scope"
        assert error is not None
        assert client.events() == []


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("item", [http.Event("one"), "one"])
async def test_a_client_that_leaves_ends_a_stream_that_is_silent(api, item, before):
    """It ends too while it waits for its next item, or its first one: nothing stays open for who is not there."""
    watch = Watch()

    @http.get("/")
    async def stream(unit: Unit) -> c.AsyncIterator[object]:
        for _ in range(before):
            yield item
        watch.note("waits")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            watch.note("generator", error)
            raise
        yield item

    async with api(stream, plugins=[watch.prepare]) as client:
        _, writer = await client.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await watch.next() == ("waits", None)
        writer.close()
        assert await watch.next() == ("generator", "CancelledError")
        assert await watch.next() == ("scope", "ConnectionResetError")
        assert client.events() == []
        assert len(client.events("client left")) == 1


async def test_a_stop_ends_events_well_and_lets_finite_streams_finish(api):
    """When the server stops, a stream of events ends as if it were through; a stream of text is sent to its end."""
    watch = Watch()
    go = []

    @http.get("/events")
    async def forever(unit: Unit) -> c.AsyncIterator[http.Event]:
        yield http.Event("one")
        watch.note("events")
        await asyncio.Event().wait()

    @http.get("/text")
    async def finite() -> c.AsyncIterator[str]:
        gate = asyncio.Event()
        go.append((asyncio.get_running_loop(), gate))
        yield "one"
        watch.note("text")
        await gate.wait()
        yield "two"

    async with api(forever, finite, plugins=[watch.prepare]) as client:
        first, second = await client.connect(), await client.connect()
        first[1].write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        second[1].write(b"GET /text HTTP/1.1\r\nHost: x\r\n\r\n")
        assert {await watch.next(), await watch.next()} == {("events", None), ("text", None)}

        async def ended():
            told = await first[0].read()
            loop, gate = go[0]
            loop.call_soon_threadsafe(gate.set)
            return told, await second[0].read()

        reading = asyncio.create_task(ended())
    told, finished = await reading
    assert told.endswith(b"data: one\n\n\r\n0\r\n\r\n")
    assert finished.endswith(b"one\r\n3\r\ntwo\r\n0\r\n\r\n")
    for _, writer in (first, second):
        writer.close()
    assert await watch.next() == ("scope", None)
    assert client.events() == []


async def test_slow_readers_hold_the_generator_back(api):
    """A client that does not read is not written to without end."""
    made = []

    @http.get("/")
    async def stream() -> c.AsyncIterator[bytes]:
        for number in range(1000):
            made.append(number)
            yield bytes(100_000)

    async with api(stream) as client:
        reader, writer = await client.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(1000)
        writer.transport.pause_reading()
        before = -1
        while len(made) != before:
            before = len(made)
            await client.get("/nowhere")
        assert len(made) < 1000
        writer.transport.abort()
