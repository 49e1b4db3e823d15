"""What the tests of wrong requests share: one service with two workers, a client that sends bytes, and what must hold.

Whatever a test sends: afterwards both workers are the same, nothing is open in them that was not before, each scope
that was opened is closed, and the log blames the service for what the test says, and for nothing else.
"""

import collections
import contextlib
import json
import os
import pathlib
import socket
import sys
import time

import attrs
import pytest

from buvar.forking import client as control

SERVICE = pathlib.Path(__file__).with_name("service.py")
#: seconds: far more than anything takes, so that a failure is told and not waited for
PATIENCE = 20.0
PING = b"GET /ping HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
#: nothing of these is told to a client
SECRETS = (b"Traceback", b"secret", b".py", b"site-packages", b"Error:")


@attrs.frozen
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    version: str = "HTTP/1.1"
    #: whether it came to its end
    is_whole: bool = True

    def header(self, name):
        """Return the one header of that name, None if there is none."""
        (value,) = [value for key, value in self.headers if key == name] or [None]
        return value

    @property
    def closes(self):
        default = "keep-alive" if self.version == "HTTP/1.1" else "close"
        return (self.header("connection") or default).lower() == "close"

    def problem(self):
        """Return the problem that it is."""
        assert self.header("content-type") == "application/problem+json", self
        found = json.loads(self.body)
        assert found["status"] == self.status, self
        assert not [each for each in SECRETS if each in self.body], self
        return found


class Answers:
    """Answers as they are read from a *file*."""

    def __init__(self, file):
        self.file = file

    def line(self, line=None):
        line = line or self.file.readline()
        assert line.endswith(b"\r\n"), f"no line: {line}"
        return line[:-2].decode("latin-1")

    def head(self, begun=None):
        """Read the head of an answer, of which the line that is *begun* was read before."""
        version, status, _ = self.line(begun).split(" ", 2)
        assert version in {"HTTP/1.1", "HTTP/1.0", "HTTP/0.9"}
        headers = []
        while line := self.line():
            name, _, value = line.partition(": ")
            headers.append((name.lower(), value))
        return Answer(int(status), headers, version=version)

    def answer(self, method="GET", begun=None):
        head = self.head(begun)
        while head.status == 100:
            head = self.head()
        if method == "HEAD" or head.status in {204, 304}:
            return head
        return attrs.evolve(head, **self._body(head))

    def _body(self, head):
        length, coding = head.header("content-length"), head.header("transfer-encoding")
        assert length is None or coding is None, head
        if length is not None:
            body = self.file.read(int(length))
            return {"body": body, "is_whole": len(body) == int(length)}
        if coding is None:
            return {"body": self.file.read()}
        body = b""
        while line := self.file.readline():
            size = int(line, 16)
            piece = self.file.read(size + 2)
            body += piece[:-2]
            if len(piece) < size + 2:
                break
            if not size:
                return {"body": body}
        return {"body": body, "is_whole": False}

    def all(self):
        """Yield all that there are; the last one may have no end."""
        while line := self.file.readline():
            yield self.answer(begun=line)


class Connection(Answers):
    """A connection to the service, on which any bytes are sent."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        super().__init__(self.socket.makefile("rb"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def reset(self):
        """Leave without good bye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def send(self, data):
        with contextlib.suppress(ConnectionError):  # it may be answered, and closed, before all of it is sent
            self.socket.sendall(data)

    def rest(self):
        """Return what comes until the connection is closed."""
        with contextlib.suppress(ConnectionResetError):  # some of what was sent is not read
            return self.file.read()
        return b""


class Wrong:
    """The service, for one test."""

    def __init__(self, service, folder, port):
        self.service = service
        self.folder = folder
        self.port = port
        self.blamed = collections.Counter()
        self._marks = 0

    def connect(self):
        return Connection(self.port)

    def send(self, data, number=1):
        """Send *data* on a connection of its own; return so many answers.

        No more than these come; where the connection stays open a further request on it is answered as it should be.
        """
        with self.connect() as connection:
            connection.send(data)
            answers = [connection.answer("HEAD" if data.startswith(b"HEAD") else "GET") for _ in range(number)]
            if not answers[-1].closes:
                connection.send(PING)
                assert connection.answer().body == b"pong"
            assert connection.rest() == b""
        return answers if number > 1 else answers[0]

    def request(self, target, *headers, method="GET", body=None):
        """Send a request that is well-formed as far as its parts are; return the answer."""
        return self.send(request(target, *headers, method=method, body=body))

    def blame(self, path, number=1):
        """Say that the log blames the service for requests of that *path*."""
        self.blamed[path] += number

    # what holds afterwards

    def inside(self):
        """Return what each worker has open, the connections for asking aside; nothing while there are others."""
        found = {}
        with contextlib.ExitStack() as stack:
            asked = 0
            while len(found) < 2:
                connection = stack.enter_context(self.connect())
                connection.send(b"GET /inside HTTP/1.1\r\nHost: test\r\n\r\n")
                told = json.loads(connection.answer().body)
                found[told.pop("pid")] = told
                asked += 1
                assert asked < 100, "one worker takes no connection"
            idle = sum(each.pop("connections") for each in found.values()) <= asked
        return found if idle else {}

    def wait_until(self, holds, tell=lambda: ""):
        """Wait until *holds()*; else *tell()* what is wrong."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"{tell()}\n{self.service.log[-5000:]}"
            time.sleep(0.02)

    def await_rest(self, before):
        """Wait until nothing is open in the workers that was not *before*."""
        self.wait_until(lambda: self._is_at_rest(before, self.inside()), lambda: f"{before} became {self.inside()}")

    def _is_at_rest(self, before, found):
        if before.keys() != found.keys() or any(each["opened"] != each["closed"] for each in found.values()):
            return False
        return not any(found[pid][what] > before[pid][what] for pid in before for what in ("tasks", "fds"))

    def await_no_connection(self):
        """Wait until no worker has a connection."""
        self.wait_until(lambda: not any(self.connections().values()), self.connections)

    def connections(self):
        """Return how many connections each worker has, as the supervisor tells it."""
        told = control.ask(control.find(os.environ)[self.service.pid], {"do": "status"})
        return {each["pid"]: each["connections"] for each in told["workers"]}

    def records(self, start):
        """Return what the log has had since so many lines of it, up to now."""
        self._marks += 1
        name = f"{time.monotonic_ns()}"
        assert self.request(f"/mark/{name}").status == 204
        self.service.await_event("mark", name=name)
        return [json.loads(line) for line in self.service.lines[start:] if line.startswith("{")]


def request(target, *headers, method="GET", body=None):
    """Return the bytes of a request."""
    if body is not None and not any(each.lower().startswith("transfer-encoding") for each in headers):
        headers = (*headers, f"Content-Length: {len(body)}")
    lines = [f"{method} {target} HTTP/1.1", "Host: test", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + (body or b"")


def start(run_service, folder, linger):
    """Start the service in *folder*; return it with the number of its port."""
    for name in ("static", "scratch"):
        (folder / name).mkdir()
    # of an upload that is broken aiohttp leaves the file to the garbage collector
    filters = ("-W", "error", "-W", "ignore:Unclosed file:ResourceWarning")
    service = run_service(command=[sys.executable, *filters, str(SERVICE), str(folder), linger])
    service.ready()
    return Wrong(service, folder, int(service.address.rpartition(":")[2]))


@pytest.fixture
def fresh(run_services, tmp_path):
    """A service of one's own, which has not answered anything yet, and lets idle connections stay for long at stop."""
    with run_services(tmp_path) as run_service:
        yield start(run_service, tmp_path, "10")


@pytest.fixture(scope="session")
def faulty(run_services, tmp_path_factory):
    """The service that all tests share, with what each worker has open when it has answered nothing wrong yet."""
    folder = tmp_path_factory.mktemp("faulty")
    with run_services(folder) as run_service:
        found = start(run_service, folder, "0.1")
        warm_up(found)
        found.await_no_connection()  # else nothing is told of what is inside
        yield found, found.inside()
        assert found.service.stop() == 0
        assert found.service.plain == []


def warm_up(wrong):
    """Have both workers do what leaves something open when it is done for the first time."""
    (wrong.folder / "static" / "tea.txt").write_text("tea")
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(wrong.connect())
            connection.send(request("/static/tea.txt"))
            assert connection.answer().body == b"tea"


@pytest.fixture
def wrong(faulty):
    """The service, of which must hold what the docstring of this module says, when the test is over."""
    shared, before = faulty
    found = Wrong(shared.service, shared.folder, shared.port)
    begun = len(found.service.lines)
    yield found
    found.await_rest(before)
    found.await_no_connection()
    blamed = [each for each in found.records(begun) if each["level"] in {"warning", "error", "critical"}]
    assert collections.Counter(each.get("path", each["event"]) for each in blamed) == found.blamed, blamed
    assert list((found.folder / "scratch").iterdir()) == []
    assert found.service.plain == []
