"""Handlers that fail and clients that leave: one answer or none, one line of the log, and all that is opened closed."""

import base64
import contextlib
import struct

import pytest

GET = "GET {} HTTP/1.1\r\nHost: test\r\n{}\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n"
KEY = base64.b64encode(b"x" * 16).decode()
SOCKET = GET.format("/talk", UPGRADE.format(KEY)).encode()
POST = b"POST %b HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n%b\r\n\r\n%b"


def get(target, headers=""):
    return GET.format(target, headers).encode()


def frame(data, code=1, *, masked=True, final=True, length=None):
    """Return a frame of a web socket."""
    size = len(data) if length is None else length
    head = bytes([code | (0x80 if final else 0)])
    if size < 126:
        head += bytes([size | (0x80 if masked else 0)])
    else:
        head += bytes([127 | (0x80 if masked else 0)]) + struct.pack(">Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + data


@contextlib.contextmanager
def talking(wrong):
    with wrong.connect() as connection:
        connection.send(SOCKET)
        assert connection.head().status == 101
        yield connection


@pytest.fixture
def closes(wrong):
    """Return with which error the scope of a request was closed: ``closes(path)`` after ``closes.begin(path)``."""

    class Closes:
        def begin(self, path):
            self.path, self.begun = path, len(wrong.service.events("unit closed", path=path))

        def end(self, number=1):
            wrong.service.await_event("unit closed", number=self.begun + number, path=self.path)
            return wrong.service.events("unit closed", path=self.path)[-1]["failed"]

    return Closes()


# -- handlers


@pytest.mark.parametrize(
    ("how", "status", "failed"),
    [
        ("error", 500, "ValueError"), ("group", 500, "ExceptionGroup"), ("deep", 500, "RecursionError"),
        ("value", 500, "TypeError"), ("timeout", 504, "TimeoutError"), ("closing", 500, None),
        ("connection", 500, "ConnectionRefusedError"), ("problem", 503, "Problem"),
    ],
)  # fmt: skip
def test_a_handler_that_fails(wrong, closes, how, status, failed):
    """The client learns an id, the log has it once, with the error, and the scope of the request learns of it too."""
    closes.begin(f"/fail/{how}")
    answer = wrong.request(f"/fail/{how}")
    found = answer.problem()
    assert (answer.status, set(found) - {"detail"}) == (status, {"title", "status", "request_id"})
    assert closes.end() == failed
    wrong.blame(f"/fail/{how}")
    id_ = found["request_id"]
    (line,) = [each for each in wrong.records(0) if each["event"] == "request failed" and each["request_id"] == id_]
    assert (line["status"], line["method"]) == (status, "GET")


@pytest.mark.parametrize(("how", "status", "failed"), [("own", 409, "Problem"), ("denied", 403, "HTTPForbidden")])
def test_a_handler_that_refuses(wrong, closes, how, status, failed):
    """What a handler refuses is told, is not in the log, and is the error of the scope."""
    closes.begin(f"/fail/{how}")
    assert wrong.request(f"/fail/{how}").problem()["status"] == status
    assert closes.end() == failed


def test_a_handler_that_takes_too_long(wrong, closes):
    """A handler is cancelled when its time is over: 503, and its scope is closed."""
    closes.begin("/slow")
    assert wrong.request("/slow").problem()["status"] == 503
    assert closes.end() == "Problem"
    wrong.blame("/slow")


def test_a_handler_that_is_cancelled(wrong, closes):
    """A handler in which something was cancelled, and not its task, fails as with any other error."""
    closes.begin("/fail/cancelled")
    wrong.blame("/fail/cancelled")
    with wrong.connect() as connection:
        connection.send(get("/fail/cancelled"))
        assert connection.answer().problem()["status"] == 500
    assert closes.end() is not None


@pytest.mark.parametrize("at", [0, 1])
def test_a_stream_that_fails(wrong, closes, at):
    """Before its first item a stream is answered 500, in its midst it is cut off; both are logged once."""
    closes.begin("/broken")
    with wrong.connect() as connection:
        connection.send(get(f"/broken?at={at}"))
        answer = connection.answer()
        assert connection.rest() == b""
    assert (answer.status, answer.is_whole, answer.body == b"x") == ((200, False, True) if at else (500, True, False))
    assert closes.end() == "ValueError"
    wrong.blame("/broken")


def test_after_a_request_that_fails_nothing_is_done(wrong):
    """Work for the time after a response is done once for each that succeeds, and never for one that fails."""

    def done():
        return sum(each["after"] for each in wrong.inside().values())

    before = done()
    for body, status in ((b"", 204), (b"fail", 500), (b"x" * 30_000, 413), (b"ok", 204)):
        assert wrong.request("/later", method="POST", body=body).status == status
    wrong.blame("/later")
    wrong.wait_until(lambda: done() >= before + 2)
    assert done() == before + 2


# -- slow clients


def unfinished():
    """Return requests whose head, or whose body, is not at its end, however it is read."""
    yield from (b"", b"GET", b"GET /ping HTTP/1.1\r\nHost: test\r\nX-A:")
    for target in (b"/orders", b"/bytes", b"/pieces", b"/plain"):
        yield POST % (target, b"Content-Length: 9", b"{")
        yield POST % (target, b"Transfer-Encoding: chunked", b"5\r\n{")
    for target in (b"/forms", b"/files"):
        form = POST.replace(b"application/json", b"multipart/form-data; boundary=b")
        yield form % (target, b"Content-Length: 9", b"--b")
        yield form % (target, b"Transfer-Encoding: chunked", b"9\r\n--b")


def test_what_does_not_come(wrong):
    """Nobody waits for ever for a head or a body, however it is read: 408, once, and the connection is closed."""
    with contextlib.ExitStack() as stack:
        connections = [(data, stack.enter_context(wrong.connect())) for data in unfinished()]
        for data, connection in connections:
            connection.send(data)
        for data, connection in connections:
            answer = connection.answer()
            assert (answer.status, answer.closes) == (408, True), data
            answer.problem()
            assert connection.rest() == b""


# -- clients that leave


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "data",
    [
        b"", b"G", b"GET /ping HTTP/1.1\r\nHost: te",
        *(POST % (target, framing, b"{")
          for target in (b"/orders", b"/bytes", b"/pieces", b"/plain", b"/nothing", b"/later")
          for framing in (b"Content-Length: 9", b"Expect: 100-continue\r\nContent-Length: 9")),
        POST % (b"/bytes", b"Transfer-Encoding: chunked", b"5\r\nab"),
        POST.replace(b"application/json", b"multipart/form-data; boundary=b")
        % (b"/files", b"Content-Length: 99", b"--b\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\na"),
        get("/items/1"), get("/static/tea.txt"), get("/ping") * 20,
    ],
    ids=len,
)  # fmt: skip
def test_a_client_that_leaves(wrong, data, how):
    """Who leaves in the midst of a head, a body or an answer is nobody's fault, and leaves nothing behind."""
    for _ in range(3):
        connection = wrong.connect()
        connection.send(data)
        getattr(connection, how)()


@pytest.mark.parametrize("target", ["/stream/100000", "/events"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_a_stream(wrong, closes, target, how):
    """The scope of a stream learns that its client has left, and what makes the stream ends."""
    closes.begin(target.replace("/100000", "") if target == "/events" else target)
    connection = wrong.connect()
    connection.send(get(target))
    assert connection.head().status == 200
    connection.file.read(100)
    getattr(connection, how)()
    assert closes.end() in {"ConnectionError", "ConnectionResetError", "ClientConnectionResetError"}


def test_a_client_that_leaves_a_handler(wrong, closes):
    """A handler whose client has left goes on to its end, and its scope is closed."""
    closes.begin("/wait")
    waiting = len(wrong.service.events("waiting"))
    connection = wrong.connect()
    connection.send(get("/wait"))
    wrong.service.await_event("waiting", number=waiting + 1)
    connection.reset()

    def go():
        wrong.request("/go")
        return len(wrong.service.events("unit closed", path="/wait")) > closes.begun

    wrong.wait_until(go)
    assert closes.end() is None


# -- web sockets


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("", 426),
        ("Upgrade: tea\r\nConnection: Upgrade\r\n", 426),
        (UPGRADE.format("short"), 400),
        (UPGRADE.format(KEY).replace("13", "99"), 400),
        (UPGRADE.format(KEY).replace("Connection: Upgrade\r\n", ""), 400),
        (UPGRADE.format(KEY).replace(f"Sec-WebSocket-Key: {KEY}\r\n", ""), 400),
        (UPGRADE.format(KEY) + "Origin: http://evil\r\n", 403),
        (UPGRADE.format(KEY) + "Origin: http://\udcff\r\n", 403),
        (UPGRADE.format(KEY) + "Origin: null\r\n", 403),
        (UPGRADE.format(KEY) + "Origin: http://[\r\n", 403),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_web_sockets_that_are_not_opened(wrong, headers, status):
    """What is wrong with the handshake of a web socket is answered by a problem."""
    answer = wrong.send(GET.format("/talk", headers).encode("utf-8", "surrogateescape"))
    assert answer.status == status, answer
    answer.problem()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"x" * 2000), 1009), (frame(b"x", length=2**62), 1009), (frame(b"\xff"), 1007), (frame(b"x", 3), 1002),
        (frame(b"x" * 200, 9), 1002), (frame(b"x", 0), 1002), (b"\xff" * 20, 1002),
        (frame(b"\x03", 8), 1002), (frame(b"\0\1", 8), 1002),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_messages_that_are_none(wrong, closes, data, code):
    """A message that is too long, or none, closes the web socket with the code for that, and is no failure."""
    closes.begin("/talk")
    with talking(wrong) as connection:
        connection.send(frame(b"tea"))
        assert connection.file.read(5) == b"\x81\x03tea"
        connection.send(data)
        rest = connection.rest()
    assert rest[:1] == b"\x88", rest
    assert struct.unpack(">H", rest[2:4])[0] == code
    assert closes.end() is None


def test_a_web_socket_that_fails(wrong, closes):
    """Where the handler fails the web socket is closed with 1011, and the log has it once."""
    closes.begin("/talk")
    with talking(wrong) as connection:
        connection.send(frame(b"fail") + frame(b"more"))
        assert struct.unpack(">H", connection.file.read(4)[2:])[0] == 1011
    assert closes.end() == "ValueError"
    wrong.blame("/talk")


@pytest.mark.parametrize("data", [b"", frame(b"tea"), frame(b"tea")[:4], frame(b"x" * 500) * 200], ids=len)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_a_web_socket(wrong, closes, data, how):
    """A client may leave a web socket without good bye, also in the midst of a message."""
    closes.begin("/talk")
    with talking(wrong) as connection:
        connection.send(data)
        getattr(connection, how)()
    closes.end()
