"""The control socket: who may ask is answered, and nobody can hold the supervisor up."""

import contextlib
import errno
import json
import os
import pathlib
import resource
import selectors
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest
import structlog

from buvar.errors import ControlError, NoServiceError, SocketError, UsageError
from buvar.forking import client, control, places
from buvar.forking.control import CLIENTS, LONGEST, Control

PATIENCE = 40.0  # seconds: far more than anything takes, so that a failure is told and not waited for
NOBODY = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def folder():
    """A folder with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


def reply(request):
    if request["do"] == "fail":
        raise RuntimeError("no idea")
    if request["do"] == "refuse":
        raise UsageError("there is no such verb")
    if request["do"] == "odd":
        return {"answer": object()}
    return {"answer": "x" * request.get("size", 1)}


class Loop:
    """What a supervisor does with its selector, turned by hand or by a thread."""

    def __init__(self, path):
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.control = Control(control.listen(path), self.selector, reply)
        self.thread = None
        self.ended = False

    def turn(self, timeout=0.0):
        """Do what there is to do; return how much that was."""
        ready = self.selector.select(timeout)
        for key, _ in ready:
            key.data()
        return len(ready)

    def settle(self):
        """Turn until there is nothing more to do."""
        while self.turn():
            pass

    def start(self):
        """Turn in a thread from now on."""
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.ended:
            self.turn(0.05)
            self.control.tick(time.monotonic())

    def clients(self):
        return len(self.selector.get_map()) - 1

    def connect(self, data=b""):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(self.path))
            connection.sendall(data)
        except OSError:
            connection.close()
            raise
        return connection

    def close(self):
        self.ended = True
        if self.thread is not None:
            self.thread.join()
        self.control.close()
        self.selector.close()


@pytest.fixture
def loop(folder):
    with contextlib.closing(Loop(folder / "c.sock")) as loop:
        yield loop


def read(connection):
    """Return the answer that was sent until the connection was closed; an empty text when there was none."""
    data = b""
    with connection, contextlib.suppress(ConnectionResetError):  # closed with something of ours unread
        while chunk := connection.recv(65536):
            data += chunk
    return json.loads(data) if data else ""


def line(**request):
    return json.dumps(request).encode() + b"\n"


# -- answers


def test_a_request_is_answered(loop):
    """What is asked over the socket is answered by the function, one client after the other."""
    loop.start()
    assert [client.ask(loop.path, {"do": "x", "size": size}) for size in (1, 3)] == [{"answer": "x"}, {"answer": "xxx"}]


def test_a_large_answer_arrives(loop):
    """An answer that is larger than all buffers arrives whole."""
    loop.start()
    assert len(client.ask(loop.path, {"do": "x", "size": 3_000_000}, PATIENCE)["answer"]) == 3_000_000


def test_a_request_may_come_in_pieces(loop):
    """A request is read when it is whole, however its bytes come."""
    connection = loop.connect()
    for byte in line(do="x"):
        connection.sendall(bytes([byte]))
        loop.settle()
    assert read(connection) == {"answer": "x"}
    assert loop.clients() == 0


def test_who_has_closed_its_half_is_answered(loop):
    """A client that has said all, without an end of line, gets its answer; one that said nothing gets none."""
    for data, answer in ((line(do="x").strip(), {"answer": "x"}), (b"", "")):
        connection = loop.connect(data)
        connection.shutdown(socket.SHUT_WR)
        loop.settle()
        assert read(connection) == answer
    assert loop.clients() == 0


NO_OBJECT = {"error": 'the request is no JSON object; send a line like {"do": "status"}'}
TOO_LONG = {"error": "the request is longer than 65536 bytes"}


@pytest.mark.parametrize(
    ("garbage", "answer"),
    [
        (b"hello\n", NO_OBJECT),
        (b"\n", NO_OBJECT),
        (b"[]\n", NO_OBJECT),
        (b"\xff\xfe\0\n", NO_OBJECT),
        (b"[" * 60000 + b"\n", NO_OBJECT),
        (b"1" * 60000 + b"\n", NO_OBJECT),
        (b"{" + b" " * LONGEST + b"}\n", TOO_LONG),
        (b"x" * (LONGEST + 1), TOO_LONG),
        (b"GET / HTTP/1.1\r\n\r\n", NO_OBJECT),
    ],
    ids=["text", "empty", "list", "bytes", "nested", "number", "long", "endless", "http"],
)
def test_garbage_is_told_to_be_garbage(loop, garbage, answer):
    """What is no request gets an error for an answer, and the next client a real one."""
    connection = loop.connect(garbage)
    loop.settle()
    assert read(connection) == answer
    connection = loop.connect(line(do="x"))
    loop.settle()
    assert read(connection) == {"answer": "x"}


@pytest.mark.parametrize(
    ("verb", "text", "event"),
    [
        ("fail", "RuntimeError: no idea", "control request failed"),
        ("refuse", "there is no such verb", "control request refused"),
        ("odd", "TypeError: Object of type object is not JSON serializable", "control request failed"),
    ],
)
def test_an_answer_that_fails_is_an_error_for_the_client_and_a_log_line(loop, verb, text, event):
    """An exception does not reach the supervisor: the client is told, and it is logged."""
    connection = loop.connect(line(do=verb))
    with structlog.testing.capture_logs() as logs:
        loop.settle()
    assert read(connection) == {"error": text}
    assert [(each["event"], each["request"]) for each in logs] == [(event, verb)]


# -- hostile clients


def test_who_does_not_send_is_dropped(loop):
    """A client that says nothing, or not all of it, is dropped when its time is over; drop by drop gains none."""
    assert loop.control.due is None
    silent, slow = loop.connect(), loop.connect(b'{"do"')
    loop.settle()
    due = loop.control.due
    slow.sendall(b":")
    loop.settle()
    assert loop.control.due == due
    loop.control.tick(due - 0.1)
    assert loop.clients() == 2
    loop.control.tick(due + 1.0)
    assert loop.clients() == 0
    assert loop.control.due is None
    assert read(silent) == read(slow) == ""


def test_who_does_not_read_is_dropped(loop):
    """A client that asks and does not read its answer is dropped when its time is over, and blocks nobody before."""
    connection = loop.connect(line(do="x", size=3_000_000))
    loop.settle()
    assert loop.clients() == 1
    other = loop.connect(line(do="x"))
    loop.settle()
    assert read(other) == {"answer": "x"}
    assert loop.control.due <= time.monotonic() + control.PATIENCE
    loop.control.tick(loop.control.due + 0.1)
    assert loop.clients() == 0
    with connection:
        assert 0 < len(b"".join(iter(lambda: connection.recv(65536), b""))) < 3_000_000


def test_who_is_slow_but_reads_gets_all(loop):
    """An answer goes out piece by piece as its client reads."""
    connection = loop.connect(line(do="x", size=1_000_000))
    connection.setblocking(False)
    data = b""
    while not data.endswith(b"\n"):
        loop.settle()
        with contextlib.suppress(BlockingIOError):
            data += connection.recv(1000)
    connection.close()
    assert len(json.loads(data)["answer"]) == 1_000_000


def test_there_are_only_so_many_clients(loop):
    """Who comes when there are 16 is closed at once; when one of those has gone, there is room again."""
    first = [loop.connect() for _ in range(CLIENTS)]
    loop.settle()
    late = loop.connect()
    loop.settle()
    assert read(late) == ""
    assert loop.clients() == CLIENTS
    first[0].sendall(line(do="x"))
    loop.settle()
    assert read(first[0]) == {"answer": "x"}
    again = loop.connect(line(do="x"))
    loop.settle()
    assert read(again) == {"answer": "x"}
    for each in first:
        each.close()
    loop.settle()
    assert loop.clients() == 0


def test_a_crowd_is_asked_in_again(loop):
    """Many who ask at once are all answered, since those that were turned away come again."""
    loop.start()
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.ask(loop.path, {"do": "x"}, PATIENCE))) for _ in range(60)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert answers == [{"answer": "x"}] * 60


def test_who_goes_before_the_answer_is_forgotten(loop):
    """A client that is gone when its answer is made leaves nothing behind."""
    for size in (1, 3_000_000):
        loop.connect(line(do="x", size=size)).close()
        loop.settle()
        assert loop.clients() == 0
    connection = loop.connect(line(do="x", size=3_000_000))
    loop.settle()
    assert loop.clients() == 1
    connection.close()
    loop.settle()
    assert loop.clients() == 0


@contextlib.contextmanager
def no_descriptors():
    """No file descriptor is left inside of the block."""
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_out_of_descriptors_it_pauses(loop):
    """When nobody can be accepted the selector has nothing to do until the pause is over; then who waited is served."""
    connection = loop.connect(line(do="x"))
    with structlog.testing.capture_logs() as logs, no_descriptors():
        assert loop.turn() == 1
        assert loop.turn() == 0
        loop.control.tick(loop.control.due - 0.1)
        assert loop.turn() == 0
        loop.control.tick(loop.control.due)
        assert loop.control.due is None
        assert loop.turn() == 1
    assert [each["error"] for each in logs] == [str(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))]
    loop.control.tick(loop.control.due)
    loop.settle()
    assert read(connection) == {"answer": "x"}


def test_it_can_be_closed_while_it_pauses(loop):
    """Closing in a pause, and closing again, leaves nothing and raises nothing."""
    with loop.connect(), no_descriptors():
        loop.turn()
        loop.control.close()
    loop.control.close()
    assert len(loop.selector.get_map()) == 0
    assert loop.control.due is None


def run(code, path):
    """Run code in a process of its own, which has only one thread and may fork, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")  # what was left to the garbage collector would be told there
    return done.stdout


@needs_root
def test_another_user_is_closed_at_once(loop):
    """Who is another user, and could connect by an accident of permissions, is told nothing."""
    loop.path.chmod(0o666)
    loop.path.parent.chmod(0o711)
    loop.start()
    code = f"""
import os, socket, sys
os.setuid({NOBODY})
connection = socket.socket(socket.AF_UNIX)
connection.settimeout({PATIENCE})
connection.connect(sys.argv[1])
try:
    connection.sendall(b'{{"do": "x"}}\\n')
    print(connection.recv(100))
except ConnectionError:
    print(b"")
connection.close()
"""
    assert run(code, loop.path) == "b''\n"
    assert client.ask(loop.path, {"do": "x"}) == {"answer": "x"}


# -- ends


def test_close_leaves_nothing(loop):
    """All is closed and unregistered, and what the selector had still to tell is no error."""
    asking, reading = loop.connect(line(do="x")), loop.connect(line(do="x", size=3_000_000))
    loop.turn()
    with loop.connect():
        ready = loop.selector.select(0)
        assert len(ready) == 3
        loop.control.close()
        for key, _ in ready:
            key.data()
    assert len(loop.selector.get_map()) == 0
    assert read(asking) == read(reading) == ""
    with pytest.raises(ConnectionRefusedError):
        loop.connect()


FORK = """
import json, os, selectors, signal, socket, sys
from buvar.forking import control
selector = selectors.DefaultSelector()
served = control.Control(control.listen(sys.argv[1]), selector, lambda request: request)

def turn():
    for key, _ in selector.select(20):
        key.data()

def connect():
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    try:
        connection.connect(sys.argv[1])
        turn()
        return connection
    except OSError:
        connection.close()
        raise

def ask(connection):
    with connection, connection.makefile("rb") as file:
        connection.sendall(b'{"do": "x"}\\n')
        turn()
        return file.read()  # to the end of file

connection, other = connect(), connect()
ours, theirs = os.pipe()
life, line = os.pipe()
if not (pid := os.fork()):
    try:
        os.close(line)
        other.close()
        connection.close()
        served.abandon()
        assert served.due is None
        selector.close()
        os.write(theirs, b"x")
        os.read(life, 1)  # until the parent is gone
    finally:
        os._exit(1)
try:
    assert os.read(ours, 1)
    assert [ask(each) for each in (connection, other, connect())] == [b'{"do": "x"}\\n'] * 3
    served.close()
    assert not selector.get_map()
    try:
        connect()
    except ConnectionRefusedError:
        print("refused")
finally:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def test_a_forked_child_abandons_it(folder):
    """A child holds no connection open, and the parent's selector still knows of all of them."""
    assert run(FORK, folder / "c.sock") == "refused\n"


# -- where it is


def test_only_its_user_can_connect(folder):
    """The file is its user's alone whatever the umask, which is as before, and it goes with the listener."""
    former = os.umask(0o000)
    try:
        listener = control.listen(folder / "c.sock")
        assert stat.S_IMODE((folder / "c.sock").stat().st_mode) == 0o600
    finally:
        assert os.umask(former) == 0o000
    listener.remove()
    assert not (folder / "c.sock").exists()


def test_a_stale_file_is_replaced_and_a_live_one_is_not(folder):
    """The file of a process that is gone is no hindrance; one on which somebody listens is an error."""
    path = folder / "c.sock"
    control.listen(path).close()
    with control.listen(path), pytest.raises(SocketError, match="another process listens on it"):
        control.listen(path)
    path.unlink()
    path.write_text("mine")
    with pytest.raises(SocketError, match="no socket"):
        control.listen(path)
    assert path.read_text() == "mine"


def test_a_path_that_is_too_long_is_told(folder):
    """The message has the length of the path and the limit; at the limit it works."""
    longest = control.LONGEST_PATH
    name = "x" * (longest - len(f"{folder}/"))
    control.listen(folder / name).remove()
    with pytest.raises(SocketError, match=f"the path has {longest + 1} bytes, a socket's has {longest} at most"):
        control.listen(folder / f"{name}x")


def test_the_default_is_in_the_users_runtime_folder(folder):
    """It is the runtime folder that is named, unless it is another user's, or none; then it is one of the user's."""
    assert places.default_path(7, {"XDG_RUNTIME_DIR": str(folder)}) == folder / "buvar" / "7.sock"
    others = "/" if os.geteuid() else str(foreign(folder / "foreign"))
    for runtime in (others, str(folder / "nowhere"), "relative", ""):
        path = control.default_path(7, {"XDG_RUNTIME_DIR": runtime, "TMPDIR": str(folder)})
        run = os.geteuid() == 0 and os.access("/run", os.W_OK)
        assert path == (pathlib.Path("/run/buvar/7.sock") if run else folder / f"buvar-{os.geteuid()}" / "7.sock")


def foreign(path):
    """Make a folder of another user; only root can."""
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    return path


def test_the_default_folder_can_be_chosen(folder, monkeypatch):
    """The folder that is named is the only one, whatever else there is."""
    monkeypatch.chdir(folder)
    for name in (str(folder / "mine"), "mine"):
        environ = {"BUVAR_CONTROL_FOLDER": name, "XDG_RUNTIME_DIR": str(folder)}
        assert places.folders(environ) == [folder / "mine"]
        assert places.default_path(7, environ) == folder / "mine" / "7.sock"


def test_the_default_folder_is_made_for_its_user_alone(folder):
    """The folder of the default path is made where it is missing, with mode 700, and used where it is there."""
    for pid in (7, 8):
        listener = control.listen_by_default(pid, {"XDG_RUNTIME_DIR": str(folder)})
        assert listener.getsockname() == f"{folder}/buvar/{pid}.sock"
        listener.remove()
    assert stat.S_IMODE((folder / "buvar").stat().st_mode) == 0o700


def open_to_all(path):
    path.mkdir(mode=0o755)
    path.chmod(0o755)


def linked(path):
    path.with_name("real").mkdir(mode=0o700)
    path.symlink_to(path.with_name("real"))


def full(path):
    path.mkdir(mode=0o700)
    (path / "7.sock").write_text("mine")


FLAWS = {
    "open": (open_to_all, "others may enter the folder (mode 755, 55 too much); chmod 700 it"),
    "linked": (linked, "it is no folder, or a link to one; remove it"),
    "file": (lambda path: path.write_text(""), "it is no folder"),
    "foreign": (foreign, f"the folder belongs to another user (uid {NOBODY})"),
    "taken": (full, "there is a file of that name that is no socket"),
}


@pytest.mark.parametrize(
    "flaw", [pytest.param(each, marks=needs_root) if each == "foreign" else each for each in FLAWS]
)
def test_a_default_that_is_not_safe_is_a_warning(folder, flaw):
    """Where the default path cannot be had there is a warning that says why, and no control socket."""
    spoil, reason = FLAWS[flaw]
    spoil(folder / "buvar")
    with structlog.testing.capture_logs() as logs:
        assert control.listen_by_default(7, {"XDG_RUNTIME_DIR": str(folder)}) is None
    ((event, level, error),) = [(each["event"], each["log_level"], each["error"]) for each in logs]
    assert (event, level) == ("no control socket", "warning")
    assert reason in error


# -- the other end


def gone():
    """Return the pid of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(PATIENCE)
    return process.pid


def test_services_are_found(folder):
    """Those that listen are found by pid; the file of a dead one is removed, all else is left alone."""
    environ = {"BUVAR_CONTROL_FOLDER": str(folder / "buvar")}
    assert client.find(environ) == {}  # there is no folder yet
    with control.listen_by_default(7, environ), control.listen_by_default(os.getpid(), environ):
        for name in (f"{gone()}.sock", f"{os.getppid()}.sock", "x.sock", "²1.sock"):
            control.listen(folder / "buvar" / name).close()
        (folder / "buvar" / "9.sock").write_text("")
        assert client.find(environ) == {pid: folder / "buvar" / f"{pid}.sock" for pid in (7, os.getpid())}
    names = {path.name for path in (folder / "buvar").iterdir()}
    assert names == {"7.sock", "9.sock", "x.sock", "²1.sock", f"{os.getpid()}.sock", f"{os.getppid()}.sock"}


def test_a_folder_that_is_not_safe_is_not_searched(folder):
    """What others could have put there is not asked."""
    environ = {"BUVAR_CONTROL_FOLDER": str(folder / "buvar")}
    with control.listen_by_default(7, environ):
        (folder / "buvar").chmod(0o777)
        assert client.find(environ) == {}


def test_nobody_to_ask_is_told(folder):
    """Where nobody listens, or ever has, the error says so."""
    control.listen(folder / "c.sock").close()
    for name in ("c.sock", "nothing.sock"):
        with pytest.raises(NoServiceError, match=f"no service listens on .*{name}"):
            client.ask(folder / name, {"do": "x"})


def test_no_answer_is_told(folder):
    """Who does not answer, or is too busy to take one more, is not waited for longer than was said."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "c.sock"))
        listener.listen(0)
        with pytest.raises(ControlError, match=r"no answer within 0.2 s; is the supervisor stopped"):
            client.ask(folder / "c.sock", {"do": "x"}, 0.2)
        waiting = []
        with pytest.raises(BlockingIOError):
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(folder / "c.sock"))
        with pytest.raises(ControlError, match=r"no answer within 0.2 s"):
            client.ask(folder / "c.sock", {"do": "x"}, 0.2)
        for each in waiting:
            each.close()


@contextlib.contextmanager
def answering(path, *answers):
    """Serve one client after the other, each with the next answer; None closes the connection."""
    served = []

    def serve():
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                served.append(answer is None or connection.recv(1000))
                connection.sendall(answer or b"")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        yield served
        thread.join()


def test_a_connection_that_breaks_is_made_again(folder):
    """Who is cut off before there is an answer, or in the midst of it, asks again."""
    with answering(folder / "c.sock", None, b'{"hal', b'{"a": 1}\n') as served:
        assert client.ask(folder / "c.sock", {"do": "x"}, PATIENCE) == {"a": 1}
    assert served == [True, line(do="x"), line(do="x")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"error": "no idea"}\n', "no idea"),
        (b"HTTP/1.1 400\n", "the answer is no JSON object"),
        (b"[]\n", "the answer is no JSON object"),
        (b"x" * (client.LONGEST + 1), "the answer is longer than"),
    ],
    ids=["error", "http", "list", "endless"],
)
def test_a_bad_answer_is_told(folder, answer, reason):
    """An error, and what is no answer of a service, is raised with the path."""
    with answering(folder / "c.sock", answer), pytest.raises(ControlError, match=reason) as caught:
        client.ask(folder / "c.sock", {"do": "x"}, PATIENCE)
    assert caught.value.path == str(folder / "c.sock")
