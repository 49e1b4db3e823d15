"""The HTTP benchmark measures only who answers what is asked, and its clients ask for all of that."""

import contextlib
import http.server
import importlib
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import types

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent

RIGHT = (200, "application/json; charset=utf-8", b'{"a": 1}')


@pytest.fixture
def benchmarks(monkeypatch):
    """Return the modules under test, which are a folder of the checkout."""
    monkeypatch.syspath_prepend(ROOT)
    names = ("exchanges", "http", "http_cases", "peers", "servers", "throughput")
    return types.SimpleNamespace(**{name: importlib.import_module(f"benchmarks.{name}") for name in names})


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers each request as its server is told to, and notes it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, body, self.headers.get("Content-Type")))
        status, kind, answer = self.server.answers[(len(self.server.asked) - 1) % len(self.server.answers)]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        if self.server.closing:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves many clients that come at once, until they leave."""

    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def answering(*answers, closing=False):
    """Serve *answers* in turn; give the server, which knows its port and what it was asked."""
    with Server(("127.0.0.1", 0), Answering) as server:
        server.answers, server.closing, server.asked = answers, closing, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("answers", "closing", "problem"),
    [
        ([RIGHT], False, ""),
        ([(200, "application/json", b'{"a":1}')], False, ""),
        ([(200, "application/json", b'{"a": 2}')], False, "GET /x is answered 200 b'{\"a\": 2}'"),
        ([(200, "application/json", b"{")], False, "GET /x is answered 200 b'{'"),
        ([(200, "text/plain", b'{"a": 1}')], False, "as text/plain, not 200"),
        ([(201, "application/json", b'{"a": 1}')], False, "GET /x is answered 201"),
        ([RIGHT, (500, "text/plain", b"")], False, "GET /x is answered 500"),
        ([RIGHT], True, "as the last on its connection"),
    ],
)
def test_a_wrong_answer_is_told(benchmarks, answers, closing, problem):
    """Status, type and value have to be those asked for, the second time too, and the connection has to be kept."""
    asked = benchmarks.exchanges.Exchange("/x", {"a": 1})
    with answering(*answers, closing=closing) as server:
        told = "\n".join(benchmarks.exchanges.verify(server.server_port, [asked]))
    assert problem in told
    assert bool(problem) == bool(told)


@pytest.mark.parametrize(("status", "wrong"), [(400, False), (404, False), (422, False), (200, True), (500, True)])
def test_wrong_input_has_to_be_refused(benchmarks, status, wrong):
    """Who takes wrong input, or fails on it, is told."""
    asked = benchmarks.exchanges.Refused("/x", method="POST", body=b"{}")
    with answering((status, "text/plain", b"")) as server:
        assert bool(benchmarks.exchanges.verify(server.server_port, [asked])) is wrong


def test_who_does_not_answer_is_told(benchmarks):
    """A server that is not there is a problem like others."""
    (told,) = benchmarks.exchanges.verify(benchmarks.servers.free_port(), [benchmarks.exchanges.Exchange("/x")])
    assert "GET /x is not answered" in told


WRK = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@pytest.mark.parametrize("client", [pytest.param("wrk", marks=WRK), "ours"])
def test_the_load_is_all_that_is_asked_for(benchmarks, monkeypatch, client):
    """Both clients make each of the requests, with its method, body and type, in turn."""
    if client == "ours":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    exchange = benchmarks.exchanges.Exchange
    body = json.dumps({"text": 'quoted "x" \\ and more'}).encode()
    asked = [exchange("/a?b=1"), exchange("/c", method="POST", body=body)]
    with answering(RIGHT) as server:
        running = benchmarks.servers.Running(0, server.server_port, 0.0)
        number, rate = benchmarks.throughput.ask(running, 1, asked)
    assert number > 0
    assert rate > 0
    wanted = {("GET", "/a?b=1", b"", None), ("POST", "/c", body, "application/json")}
    assert set(server.asked) == wanted


@pytest.mark.parametrize("client", [pytest.param("wrk", marks=WRK), "ours"])
def test_failures_under_load_end_the_benchmark(benchmarks, monkeypatch, client):
    """A server that answers some requests with an error while it is loaded gets no figure."""
    if client == "ours":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    with answering(RIGHT, (500, "text/plain", b"")) as server:
        running = benchmarks.servers.Running(0, server.server_port, 0.0)
        with pytest.raises(benchmarks.exchanges.Wrong, match="under load"):
            benchmarks.throughput.ask(running, 1, [benchmarks.exchanges.Exchange("/x")])


def test_what_is_written_by_hand_answers_what_is_asked(benchmarks):
    """aiohttp by hand gives the right answers to all that peers are asked, and refuses wrong input."""
    cases = [case for case in benchmarks.http_cases.CASES.values() if not case.alone]
    with benchmarks.http.bare().running(1) as running:
        for case in cases:
            assert benchmarks.exchanges.verify(running.port, (*case.asked, *case.refused)) == []


def test_an_order_has_twenty_fields_and_the_routes_are_the_last_ones(benchmarks):
    """The workloads are those that the page describes."""
    assert len(benchmarks.http_cases.ORDER) == 20
    targets = [each.target for each in benchmarks.http_cases.last_routes(10_000)]
    assert targets == ["/static/1999/leaf", "/tail1999/x", "/middle/x/leaf1999", "/acme/things1999/x", "/pattern1999/x"]


@pytest.mark.slow
def test_wrong_answers_of_any_server_end_the_benchmark(benchmarks):
    """All that is wrong is told at once, with who answers it, and nothing is measured."""
    cases = benchmarks.http_cases
    asked = (benchmarks.exchanges.Exchange("/text", {"no": "JSON"}), benchmarks.exchanges.Exchange("/nowhere"))
    case = cases.Case("case", asked, {}, server=cases.BARE)
    with pytest.raises(benchmarks.exchanges.Wrong) as wrong:
        benchmarks.http.measured([case], {cases.BARE: benchmarks.http.bare()}, [], quick=True)
    lines = str(wrong.value).splitlines()
    assert [line.split(" is ")[0] for line in lines] == ["bare aiohttp: GET /text", "bare aiohttp: GET /nowhere"]


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.http", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


def test_a_workload_that_there_is_not_is_wrong_use():
    """A name that no case has ends with code 2 and the names that there are."""
    done = run("items")
    assert done.returncode == 2
    assert "items" in done.stderr
    assert "text, item, order, around, routes" in done.stderr


def test_a_peer_for_another_python_is_left_out_with_a_word(benchmarks):
    """What cannot be had has no server, and the note below the table says why."""
    told, server = benchmarks.http.Peer("x", ("x",), (3, 99)).found("Framework")
    assert server is None
    assert told == "Framework is left out: it needs Python 3.99, which is not here"


#: it imports little, since valgrind makes that slow; each path is as much work as it says
WORKING = """
import itertools, os, socket, sys

def answer(path):
    if path == "/mark":
        os.getppid()
    for _ in itertools.repeat(None, int(path[1:]) if path[1:].isdigit() else 0):
        pass
    return b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 12\\r\\n\\r\\nHello, world"

with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while received := connection.recv(65536):
                connection.sendall(answer(received.split()[1].decode()))
                if b"Connection: close" in received:
                    break
"""


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="it takes long, and one interpreter shows it")
def test_the_instructions_of_a_request_are_counted(benchmarks, tmp_path):
    """The figure is that of one request, whatever the server did before: ten times the work takes ten times as many."""
    script = tmp_path / "working.py"
    script.write_text(WORKING)
    server = benchmarks.servers.Server("working", (sys.executable, str(script), "{port}"), path="/0")
    none, few, many = (
        (benchmarks.exchanges.Exchange(f"/{work}", "Hello, world", "text/plain"),) for work in (0, 1000, 10_000)
    )
    counts = benchmarks.http.count(server, [none, few, many], quick=True)
    assert 9.5 < (counts[many] - counts[none]) / (counts[few] - counts[none]) < 10.5


@pytest.mark.slow
def test_a_quick_run_gives_the_ratio_to_what_is_written_by_hand():
    """Ours answers as aiohttp by hand does, and the rate of both is told with their ratio, and that of five around."""
    done = run("item", "around", "--quick", "--peer", "bare aiohttp")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    found = {tuple(row[:2]): row for row in rows if row}
    for case, peer in (("item", "bare aiohttp"), ("text, five around", "none around")):
        row = found[case, "requests/s"]
        assert row[3] == peer
        assert float(row[5]) > 0
