"""Whatever bytes are sent, the service answers or closes, blames itself for nothing, and goes on."""

import contextlib
import io
import socket

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from tests.buvar_aiohttp.wrong.conftest import Answers, request

JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
PART = b"--b\r\nContent-Disposition: form-data; name=%b\r\nContent-Type: %b\r\n\r\n1\r\n--b--\r\n"
ORDER = b'{"id":1,"items":[{"name":"tea","price":{"net":1.5,"currency":"EUR"},"tags":["a"]}],"notes":{"a":1}}'
SEEDS = [
    request("/ping"),
    request("/items/1?size=5&tag=a&tag=b", "X-Token: 3", "Cookie: visits=1; x=y"),
    request("/names/%F0%9F%8D%B5?q=%20"),
    request("/orders", JSON, method="POST", body=ORDER),
    request("/orders", JSON, "Expect: 100-continue", method="POST", body=ORDER),
    request("/orders", JSON, CHUNKED, method="POST", body=b'5\r\n{"id"\r\n1;x=y\r\n:\r\n0\r\n\r\n'),
    request("/forms", FORM, method="POST", body=b"number=1&tag=a&tag=%20b"),
    request("/forms", MULTIPART, method="POST", body=PART % (b"number", b"text/plain; charset=utf-8")),
    request("/files", MULTIPART, method="POST", body=PART % (b'file; filename="a.png"', b"image/png")),
    request("/shelves/1", JSON, "Content-Encoding: gzip", method="PUT", body=b"\x1f\x8b"),
    request("/static/tea.txt", "Range: bytes=0-1", "If-None-Match: x", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"),
    request("/static/..%2ftea.txt", "Accept-Encoding: gzip, br"),
    request("/guarded/1", "Authorization: yes"),
    request("/talk", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: x"),
    request("/stream/3", "Connection: close"),
    request("*", method="OPTIONS"),
]  # fmt: skip
WORDS = [
    b"\r\n", b"\n", b"\r", b" ", b"\0", b"\xff", b"%", b"%ff", b"%00", b"..", b"/", b"?", b"&", b"=", b":", b";", b",",
    b"[", b"{", b'"', b"\\ud800", b"-", b"9" * 20, b"x" * 9000, b"HTTP/1.1", b"HTTP/1.0", b"Host: test\r\n", b"POST ",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"Content-Length: 99999999\r\n", b"0\r\n\r\n",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Content-Encoding: deflate\r\n", b"charset=utf-7", b"e9999",
]  # fmt: skip
#: one service is for all examples
FUZZ = hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
#: ends any head, and then is none
POISON = b"\r\n\r\n" + b"\0\r\n\r\n" * 20


@st.composite
def mutated(draw):
    """A good request that something has happened to, a few times."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data = (
            data[:start]
            + draw(st.sampled_from(WORDS) | st.binary(max_size=8) | st.just(data[start:end] * 2))
            + (data[end:] if draw(st.booleans()) else data[start:])
        )
    return data


requests = mutated() | st.binary(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=30).map(b"".join)


def finish(connection):
    """Return all that comes on a connection, on which nothing more is sent when nothing more comes."""
    data = b""
    connection.socket.settimeout(0.2)
    with contextlib.suppress(TimeoutError, ConnectionError):
        while more := connection.socket.recv(65536):
            data += more
    connection.socket.settimeout(20.0)
    with contextlib.suppress(OSError):
        connection.socket.shutdown(socket.SHUT_WR)
        while more := connection.socket.recv(65536):
            data += more
    return data


@FUZZ
@given(st.lists(requests, min_size=1, max_size=20))
def test_any_bytes(wrong, batch):
    """Any bytes are answered with what is no fault of the service, or with nothing, and each connection ends."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(wrong.connect()) for _ in batch]
        for connection, data in zip(connections, batch, strict=True):
            connection.send(data + POISON)
        for connection, data in zip(connections, batch, strict=True):
            for answer in Answers(io.BytesIO(finish(connection))).all():
                assert answer.status < 500, (data, answer)
                if answer.status >= 400 and answer.is_whole:
                    answer.problem()
    assert wrong.request("/ping").body == b"pong"


UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + "eHh4" * 5 + "eA==",
)
frames = st.tuples(
    st.sampled_from([0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8A, 0xC1]) | st.integers(0, 255),
    st.sampled_from([0x80, 0x81, 0x85, 0xFE, 0xFF]) | st.integers(0, 255),
    st.binary(max_size=20),
).map(lambda parts: bytes(parts[:2]) + parts[2])


@FUZZ
@given(st.lists(frames, max_size=8).map(b"".join))
def test_any_frames(wrong, data):
    """Any bytes on a web socket end it at the latest when the client leaves, and are no fault of the service."""
    hypothesis.assume(b"fail" not in data)
    with wrong.connect() as connection:
        connection.send(request("/talk", *UPGRADE) + data)
        assert connection.head().status == 101
        connection.socket.shutdown(socket.SHUT_WR)
        connection.rest()
