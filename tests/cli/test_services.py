"""`buvar status`, `reload` and `stop` ask a running service: here a supervisor that does nothing but answer."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

import attrs
import pytest
from rich.console import Console

from buvar.cli import live, main, stop, view
from buvar.errors import exit_code
from buvar.forking import board as boards
from buvar.forking import status as states

pytestmark = pytest.mark.slow

PATIENCE = 40.0  # seconds: far more than anything takes, so that a failure is told and not waited for

# what a supervisor does with its control socket; how it goes is said by its first argument
SUPERVISOR = '''
import json, os, selectors, sys, time
from buvar.forking import board as boards
from buvar.forking import control, status

class Supervisor:
    def __init__(self, mode, path):
        self.mode, self.generation, self.last_reload = mode, 1, None
        self.started = time.time()
        self.state, self.looks = status.RUNNING, 0
        self.board = boards.Board()
        for slot in range(2):
            row = self.board.take(slot, 1)
            row.pid, row.state, row.leader = os.getpid() + slot, boards.State.READY, slot == 0
        self.selector = selectors.DefaultSelector()
        if path:
            self.listener = control.listen(path)
        else:
            self.listener = control.listen_by_default(os.getpid(), os.environ)
        self.control = control.Control(self.listener, self.selector, self.answer)

    def answer(self, request):
        if request["do"] == "reload":
            self.looks, self.began = 1, time.time()
        elif request["do"] == "stop":
            self.state = status.STOPPING
        elif self.looks:
            self.look()
        for row in map(self.board.row, range(2)):
            row.requests += 1000
        return self.status().document()

    def status(self):
        facts = status.SupervisorFacts(
            pid=os.getpid(), version="1", command=["buvar", "run", "shop web", "\\x1b[2J"], folder=os.getcwd(),
            started=self.started, generation=self.generation, state=self.state, wanted=2, restarts=3, fork_server=7,
            sockets=[status.SocketFacts(uri="tcp://127.0.0.1:0", address="tcp://127.0.0.1:8080")],
            last_reload=self.last_reload,
        )
        return status.status(facts, self.board, time.monotonic())

    def look(self):
        """Be asked while the reload goes on, which begins late, after another one that was aborted."""
        self.looks += 1
        if self.looks == 3:
            self.state = status.RELOADING
        if self.looks == 4:
            self.last_reload = status.LastReload(at=self.began - 1, generation=99, ok=False, seconds=0.5, error="no")
        if self.looks == 5 and self.mode != "never":
            self.finish()

    def finish(self):
        if self.mode == "dies":
            os._exit(1)
        if self.mode == "stops":
            self.state = status.STOPPING
        if self.mode == "breaks":
            self.state = status.RUNNING
            error = "ValueError: no\\nat shop.py:1"
            self.last_reload = status.LastReload(at=self.began, generation=2, ok=False, seconds=0.5, error=error)
        if self.mode == "good":
            self.state, self.looks = status.RUNNING, 0
            self.generation += 1
            self.last_reload = status.LastReload(at=self.began, generation=self.generation, ok=True, seconds=0.75)

    def run(self):
        print(json.dumps({"event": "up", "pid": os.getpid()}), file=sys.stderr, flush=True)
        while self.state != status.STOPPING or self.mode in {"stays", "stops"}:
            due = self.control.due
            for key, _ in self.selector.select(due and max(0, due - time.monotonic())):
                key.data()
            self.control.tick(time.monotonic())
        self.control.close()

Supervisor(mode=sys.argv[1], path=(sys.argv[2:] or [""])[0]).run()
'''


@pytest.fixture
def home():
    """A folder with a short name, in which the control sockets are."""
    with tempfile.TemporaryDirectory() as name:
        yield name


@attrs.frozen
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def buvar(home, tmp_path, monkeypatch, capsys):
    """Run the command line in this process, in the folder of the services."""
    monkeypatch.setenv("BUVAR_CONTROL_FOLDER", home)

    def run(*arguments, cwd=tmp_path):
        monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as caught:
            main(arguments, prog_name="buvar")
        return Done(exit_code(caught.value), *capsys.readouterr())

    return run


def environ(home, **env):
    """Return the environment of a command on a terminal."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    return {**inherited, "BUVAR_CONTROL_FOLDER": home, "TERM": "xterm", **env}


@pytest.fixture
def start(home, run_service, tmp_path):
    """Start a supervisor, and wait until it answers."""

    def start(mode="good", *path, cwd=tmp_path):
        command = [sys.executable, "-W", "error", "-c", SUPERVISOR, mode, *path]
        service = run_service(command=command, env={"BUVAR_CONTROL_FOLDER": home}, cwd=cwd)
        service.await_event("up")
        return service

    return start


# -- status


def test_status_is_a_table_where_there_is_no_terminal(start, buvar, tmp_path):
    """What there is to know of the supervisor is written, then a line for each worker."""
    pid = start().pid
    done = buvar("status")
    assert (done.returncode, done.stderr) == (0, "")
    head, table = done.stdout.split("\n\n")
    facts = [line.split(maxsplit=1) for line in head.splitlines()]
    assert facts[1:5] == [
        ["command", "buvar run 'shop web' '\\x1b[2J'"],
        ["folder", str(tmp_path)],
        ["listens", "tcp://127.0.0.1:0 (tcp://127.0.0.1:8080)"],
        ["workers", "2 of 2 ready, 3 replaced"],
    ]
    assert facts[0][1].startswith(f"pid {pid}, running, generation 1, up ")
    heads, first, second = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    assert heads == list(view.HEADS)
    assert first[:4] == ["0", str(pid), "1", "ready"]
    assert (first[-1], first[7:9]) == ("yes", ["1,000", "0"])
    assert second[:4] == ["1", str(pid + 1), "1", "ready"]


def test_status_as_json_is_the_document(start, buvar, tmp_path):
    """With --json the document is printed as it came."""
    pid = start().pid
    done = buvar("status", "--json")
    status = states.read(json.loads(done.stdout))
    assert (status.supervisor.pid, status.supervisor.folder) == (pid, str(tmp_path))
    assert [each.slot for each in status.workers] == [0, 1]


class Terminal:
    """`buvar status` on a terminal."""

    def __init__(self, home, *arguments, **env):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, 160, 0, 0))
        command = [sys.executable, "-W", "error", "-m", "buvar", "status", *arguments]
        with os.fdopen(slave):
            self.process = subprocess.Popen(command, env=environ(home, **env), stdout=slave, stderr=slave, stdin=slave)
        self.text = ""

    def _read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        with contextlib.suppress(OSError):  # it has ended
            data = os.read(self.master, 65536)
            self.text += data.decode()
            return bool(data)
        return False

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            assert self._read(max(0, deadline - time.monotonic())), self.text

    def end(self):
        """Wait for the end, and return the exit code."""
        while self._read(PATIENCE):
            pass
        return self.process.wait(PATIENCE)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(home):
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **env: stack.enter_context(contextlib.closing(Terminal(home, *arguments, **env)))


def test_status_is_live_on_a_terminal(start, terminal):
    """The view is drawn again and again, with rates from the second time on; Ctrl-C ends it with code 0."""
    pid = start().pid
    shown = terminal()
    shown.wait_for(" requests/s")
    shown.process.send_signal(signal.SIGINT)
    assert shown.end() == 0
    assert f"pid {pid}, " in shown.text
    assert "req/s" in shown.text
    assert "━" in shown.text
    assert "\x1b[2J" not in shown.text
    assert "Traceback" not in shown.text


def test_the_live_view_ends_with_the_service(start, terminal):
    """When the service ends the view says so, and that is no failure."""
    service = start()
    shown = terminal()
    shown.wait_for("req/s")
    service.stop()
    assert shown.end() == 0
    assert f"the service ended (pid {service.pid})" in shown.text


def test_the_live_view_goes_on_through_a_reload(start, terminal, buvar):
    """The view that is open while the service is reloaded shows the new generation."""
    start()
    shown = terminal()
    shown.wait_for("req/s")
    assert buvar("reload").returncode == 0
    shown.wait_for("generation 2, up")
    shown.process.send_signal(signal.SIGINT)
    assert shown.end() == 0


def test_once_is_a_table_on_a_terminal_too(start, terminal):
    """With --once the table is plain and the command ends."""
    start()
    shown = terminal("--once")
    assert shown.end() == 0
    assert "\x1b" not in shown.text
    assert "gen  state" in shown.text


def test_without_rich_the_table_is_plain(start, terminal, tmp_path):
    """Where rich is not installed the table is printed once, and it is said what the live view needs."""
    start()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "rich.py").write_text("raise ImportError('no rich')")
    paths = [str(tmp_path / "none"), os.environ.get("PYTHONPATH", "")]
    shown = terminal(PYTHONPATH=os.pathsep.join(filter(None, paths)))
    assert shown.end() == 0
    assert "pip install 'buvar[cli]'" in shown.text
    assert "gen  state" in shown.text


@pytest.mark.parametrize(
    ("width", "missing"),
    [
        (140, set()),
        (100, {"share", "ready after"}),
        (80, {"share", "ready after", "leader", "age"}),
        (40, {"share", "ready after", "leader", "age", "gen", "requests", "memory", "beat"}),
    ],
)
def test_the_live_view_fits_the_terminal(width, missing):
    """Where a terminal is too narrow columns are left out, the least telling ones first, and none is cut."""
    rows = [
        boards.WorkerStatus(
            pid=4_000_000 + slot,
            slot=slot,
            generation=3,
            state="stopping",
            born=0.0,
            ready=0.5,
            beat=99_999.0,
            requests=12_345_678 * slot,
            connections=1000,
            leader=slot == 0,
        )
        for slot in range(2)
    ]
    facts = states.SupervisorFacts(
        pid=1, version="1", command=["x"], folder="/", started=0, generation=3, state="running", wanted=2
    )
    status = states.status(facts, rows, 100_000.0, lambda pid: 200 * 2**20)
    text = io.StringIO()
    rates = {4_000_000: 100.0, 4_000_001: 50.0}
    Console(file=text, width=width).print(live.render(status, rates, width))
    table = text.getvalue().splitlines()[-3:]
    heads = set(re.split(r"\s{2,}", table[0].strip()))
    assert {*live.HEADS} - heads == missing
    assert "…" not in "".join(table)
    assert max(len(line.rstrip()) for line in table) <= width


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (3605, "1 h"), (90061, "1 d 1 h"), (-3, "0 s")],
)
def test_spans_are_written_for_people(seconds, text):
    """A span has its two largest units, those that are next to each other."""
    assert view.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1023, "1023 B"), (1024, "1.0 KiB"), (47_290_000, "45.1 MiB"), (2**52, "4096.0 TiB")]
)
def test_sizes_are_written_for_people(number, text):
    """A size has one digit after the point."""
    assert view.size(number) == text


# -- which service


def test_no_service_is_told(buvar, home):
    """Where no service runs that is said, with code 2, for each verb."""
    for verb in ("status", "reload", "stop"):
        done = buvar(verb)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: no service of yours is running under a supervisor")
    done = buvar("status", "--control", f"{home}/c.sock")
    assert (done.returncode, done.stderr) == (2, f"error: no service listens on {home}/c.sock; is it running?\n")


def test_of_several_it_is_the_one_of_the_folder(start, buvar, tmp_path):
    """Among several services the one that was started here is meant; elsewhere they are listed."""
    for name in ("one", "two", "else"):
        (tmp_path / name).mkdir()
    one, two = (start(cwd=tmp_path / name) for name in ("one", "two"))
    assert json.loads(buvar("status", "--json", cwd=tmp_path / "two").stdout)["supervisor"]["pid"] == two.pid
    done = buvar("status", cwd=tmp_path / "else")
    assert done.returncode == 2
    first, *lines = done.stderr.splitlines()
    assert first == "error: 2 services of yours are running, none of them in this folder; say which one with --pid:"
    assert sorted(lines) == sorted(
        f"  {service.pid}  {tmp_path / name}  buvar run 'shop web' '\\x1b[2J'"
        for service, name in ((one, "one"), (two, "two"))
    )
    third = start(cwd=tmp_path / "one")
    done = buvar("stop", cwd=tmp_path / "one")
    assert "error: 3 services of yours are running, 2 of them in this folder; say which one" in done.stderr
    assert json.loads(buvar("status", "--json", "--pid", str(one.pid)).stdout)["supervisor"]["pid"] == one.pid
    done = buvar("status", "--pid", "1")
    assert done.returncode == 2
    assert "error: no supervisor of yours has the pid 1; there is:" in done.stderr
    assert f"  {third.pid}  " in done.stderr


def test_one_that_does_not_answer_is_listed(start, buvar, tmp_path):
    """A supervisor that is stopped is listed as one that does not answer, and does not hide the others."""
    (tmp_path / "one").mkdir()
    stuck, good = start(cwd=tmp_path / "one"), start()
    stuck.kill(signal.SIGSTOP)
    assert json.loads(buvar("status", "--json").stdout)["supervisor"]["pid"] == good.pid
    done = buvar("status", cwd=tmp_path / "one")
    assert f"  {stuck.pid}  (does not answer)" in done.stderr


def test_a_configured_socket_is_named_by_its_path(start, buvar, home):
    """--control names the socket of a service that is not where the default is; it and --pid exclude each other."""
    pid = start("good", f"{home}/shop.sock").pid
    assert buvar("status").returncode == 2
    assert json.loads(buvar("status", "--json", "--control", f"{home}/shop.sock").stdout)["supervisor"]["pid"] == pid
    done = buvar("status", "--control", f"{home}/shop.sock", "--pid", str(pid))
    assert done.returncode == 2
    assert "--pid and --control both say which service" in done.stderr


# -- reload


def test_reload_waits_until_it_is_done(start, buvar, home):
    """It asks again and again, whatever else is reloaded before, until there is the new generation."""
    start()
    command = [sys.executable, "-W", "error", "-m", "buvar", "reload"]
    done = subprocess.run(command, env=environ(home), capture_output=True, text=True, timeout=40, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded, generation 2, 0.8 s\n", "")
    assert buvar("reload").stdout == "reloaded, generation 3, 0.8 s\n"
    assert "reload    generation 3, " in buvar("status").stdout


FAILURES = {
    "breaks": "the reload was aborted, generation 1 serves on: ValueError: no\nat shop.py:1\n"
    "buvar check tells all that is wrong at once",
    "dies": "it ended before it was reloaded",
    "stops": "it stops, and is not reloaded",
}


@pytest.mark.parametrize("mode", FAILURES)
def test_a_reload_that_fails_is_told(start, buvar, mode):
    """A reload that was aborted, or that the end of the service overtakes, exits with 1 and says why."""
    start(mode)
    done = buvar("reload")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f": {FAILURES[mode]}\n")


BROKEN = {
    "prepare fails": (
        "async def prepare():\n    raise ValueError('no database')\n",
        ["ValueError: no database", "while preparing plugin shop", "at {folder}/shop.py:2 in prepare"],
    ),
    "configuration": (
        """
import attrs
from buvar import config, di, plugin
@attrs.frozen
class Shop(config.Config, section="shop"):
    name: str
    port: int
async def prepare(load: plugin.Loader):
    await load("buvar.config")
    await di.nject(Shop)
""",
        ["shop.name: is required", "shop.port: expected an integer, got 'x'"],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_reload_that_is_aborted_tells_what_a_start_would(run_service, buvar, home, tmp_path, case):
    """All lines of the error are there: the plugin, the line of the service, each problem; status has the first."""
    text, told = BROKEN[case]
    (tmp_path / "shop.py").write_text(
        "from buvar import plugin\nasync def prepare(cancel: plugin.Cancel):\n    yield cancel.wait()\n"
    )
    command = [sys.executable, "-W", "error", "-m", "buvar", "run", "shop", "--workers", "2", "--set", "shop.port=x"]
    service = run_service(command=command, env={"BUVAR_CONTROL_FOLDER": home, "PYTHONDONTWRITEBYTECODE": "1"})
    service.ready()
    (tmp_path / "shop.py").write_text(text)
    done = buvar("reload")
    lines = done.stderr.splitlines()
    assert (done.returncode, lines[-1]) == (1, "buvar check tells all that is wrong at once")
    for line in told:
        assert sum(line.format(folder=tmp_path) in each for each in lines) == 1, done.stderr
    (reload,) = [line for line in buvar("status").stdout.splitlines() if line.startswith("reload")]
    assert f"aborted: {lines[0].partition('serves on: ')[2]}" in reload
    assert service.stop() == 0


def test_reload_need_not_wait(start, buvar):
    """With --no-wait it is only asked for; with --timeout who has waited so long is told that it goes on."""
    service = start("never")
    done = buvar("reload", "--no-wait")
    assert (done.returncode, done.stdout) == (0, f"asked pid {service.pid} to reload\n")
    found = [json.loads(buvar("status", "--json").stdout)["supervisor"]["state"] for _ in range(3)]
    assert found == ["running", "reloading", "reloading"]
    done = buvar("reload", "--timeout", "0.3")
    assert done.returncode == 1
    assert "it is not reloaded yet" in done.stderr


# -- stop


def test_stop_waits_until_it_is_gone(start, buvar):
    """When the command is done the process has ended."""
    service = start()
    done = buvar("stop")
    assert (done.returncode, done.stdout) == (0, f"stopped, pid {service.pid}\n")
    assert service.process.poll() is not None or service.wait() == 0


def test_stop_need_not_wait(start, buvar):
    """With --no-wait it is only asked for; with --timeout who has waited so long is told that it goes on."""
    service = start("stays")
    done = buvar("stop", "--no-wait")
    assert (done.returncode, done.stdout) == (0, f"asked pid {service.pid} to stop\n")
    done = buvar("stop", "--timeout", "0.3")
    assert done.returncode == 1
    assert f"pid {service.pid} has not ended after 0.3 s; it goes on stopping" in done.stderr


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_end_of_a_process_is_seen(monkeypatch, pidfd):
    """Whether or not the system tells of it, the end of a process is waited for, and its absence told."""
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with stop._end_of(process.pid) as ended:
        assert not ended(0.1)
        reaper = threading.Thread(target=process.wait)
        reaper.start()
        process.kill()
        assert ended(PATIENCE)
        reaper.join()
    process.stdin.close()
