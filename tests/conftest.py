"""What all tests share: pytest's tester, our plugins where they are not installed but lie beside us, and services."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import hypothesis
import psutil
import pytest
import structlog

from buvar.forking import uri as uris

pytest_plugins = ["pytester"]

# how long one example takes says more about what else the machine does
hypothesis.settings.register_profile("patient", deadline=None)
# for one more Python, where another one has seen all of them
hypothesis.settings.register_profile("few", deadline=None, max_examples=25)
hypothesis.settings.load_profile("patient")

if not importlib.metadata.entry_points(group="pytest11", name="buvar"):
    pytest_plugins += ["buvar.testing", "buvar_aiohttp.testing"]


def pytest_configure():
    # a run in the background of a shell ignores INT, and all that it starts would too
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # as it comes, structlog has rich draw each error that is logged, with all local variables: that takes a second
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


@pytest.fixture(autouse=True, scope="session")
def _control_folder():
    """Control sockets go to a folder of the tests, with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUVAR_CONTROL_FOLDER", f"{folder}/c")
        yield


@dataclasses.dataclass(frozen=True)
class RigidError(Exception):
    """Forbids all attributes, and so notes; a frozen class of attrs would allow them."""

    text: str


@pytest.fixture
def rigid():
    """The class of an error that no note can be added to."""
    return RigidError


# seconds: far more than anything takes, so that a failure is told and not waited for
PATIENCE = 20.0


class Service:
    """A process in a session of its own, whose log (JSON lines on stderr) can be waited for."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options
        )
        self.pid = self.process.pid
        self.lines = []
        self.stdout = ""
        self._silent = False
        self._news = threading.Condition()
        self._readers = [threading.Thread(target=each, daemon=True) for each in (self._read_log, self._read_output)]
        for each in self._readers:
            each.start()

    def _read_log(self):
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line.decode().rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()

    def _read_output(self):
        self.stdout = self.process.stdout.read().decode()

    @property
    def log(self):
        return "\n".join(self.lines)

    @property
    def plain(self):
        """What is on stderr and no log line."""
        return [line for line in self.lines if not line.startswith("{")]

    def events(self, event, **facts):
        """Return the log lines of that event with those facts."""
        records = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [r for r in records if r["event"] == event and all(r.get(key) == facts[key] for key in facts)]

    def events_of(self, *events):
        """Return the log lines of these events, in their order."""
        return [r for r in map(json.loads, (e for e in self.lines if e.startswith("{"))) if r["event"] in events]

    def await_event(self, event, number=1, **facts):
        """Wait until there have been *number* of the event, and return them all; where one is enough, the last one."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while len(found := self.events(event, **facts)) < number:
                if self._silent or not self._news.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError(f"no {event!r} with {facts}, number {number}, in:\n{self.log}")
        return found if number > 1 else found[-1]

    @property
    def address(self):
        """The first address that it listens on."""
        return self.await_event("listening")["address"]

    def ready(self, number=2):
        """Wait until that many workers are ready and return their pids by slot."""
        self.await_event("worker ready", number)
        return self.workers()

    def workers(self):
        """Return the pids of the workers that are ready and live, by slot."""
        ends = ("worker died, replacing it", "worker stopped", "worker failed while stopping", "worker finished")
        gone = {each["worker"] for each in self.events_of(*ends)}
        return {e["slot"]: e["worker"] for e in self.events("worker ready") if e["worker"] not in gone}

    def kill(self, signum):
        """Send a signal to the first process alone."""
        self.process.send_signal(signum)

    def kill_group(self, signum):
        """Send a signal to all its processes, as a terminal does."""
        os.killpg(self.pid, signum)

    def wait(self):
        """Wait for the end of the process and of what it writes, and return its exit code."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.log}") from None
        for each in self._readers:
            each.join(PATIENCE)
        return code

    def stop(self, signum=signal.SIGTERM):
        """Send a signal and return the exit code."""
        self.kill(signum)
        return self.wait()

    def left(self):
        """Return the processes of the session that still run, the first one aside."""
        found = []
        for each in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.Error):
                if os.getsid(each.pid) == self.pid != each.pid and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(each)
        return found

    def fork_servers(self):
        """Return the pids of the fork servers that there were, but of those that have become workers."""
        workers = {each["worker"] for each in self.events("worker forked")}
        return {each["process"] for each in self.events("fork server started")} - workers

    def crew(self):
        """Return the pids of all workers that still run, those that drain and those that boot included."""
        return {each.pid for each in self.left()} - self.fork_servers()

    def await_crew(self, number=None):
        """Wait until those that are ready are all workers that there are, so many; return their pids by slot."""
        deadline = time.monotonic() + PATIENCE
        while (crew := self.crew()) != set((ready := self.workers()).values()) or number not in {None, len(ready)}:
            assert time.monotonic() < deadline, f"{crew}, ready are {ready}\n{self.log}"
            time.sleep(0.02)
        return ready

    def await_nobody_left(self):
        """Wait until no process of the session runs any more."""
        deadline = time.monotonic() + PATIENCE
        while left := self.left():
            assert time.monotonic() < deadline, f"still there: {left}\n{self.log}"
            time.sleep(0.01)

    def close(self):
        """End what is left, and tell whether anything was that should not have been."""
        ended = self.process.poll() is not None
        left = self.left() if ended else []
        # the pid of one that was reaped may be another process's
        for each in (*(() if ended else (self.pid,)), *(process.pid for process in self.left())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self.process.wait()
        for each in self._readers:
            each.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        assert not left, f"orphans: {left}\n{self.log}"


def connect(address):
    """Return a connection to the address of a URI."""
    uri = uris.parse(address)
    connection = socket.socket(uri.family)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(uri.path if uri.scheme == "unix" else (uri.host, uri.port))
    except OSError:
        connection.close()
        raise
    return connection


def ask(address, line="hello"):
    """Send a line to a service that runs `serve` and return the pid of the worker that answered, and the answer."""
    with connect(address) as connection, connection.makefile("rw") as file:
        file.write(f"{line}\n")
        file.flush()
        pid, _, answer = file.readline().partition(" ")
        return int(pid), answer.rstrip("\n")


SERVE = '''
import asyncio, os, signal, sys, time
from buvar import context, fork, log, plugin
log.LogConfig(tty=False, level="debug").setup()

async def serve(cancel: plugin.Cancel):
    """Answer each line with the worker's pid and the line; 'sleep 0.5' takes its time."""
    busy = set()
    async def answer(reader, writer):
        while line := (await reader.readline()).decode():
            busy.add(writer)
            if line.startswith("sleep"):
                await asyncio.sleep(float(line.split()[1]))
            writer.write(f"{os.getpid()} {line}".encode())
            await writer.drain()
            busy.discard(writer)
        writer.close()
    sockets = set(context.find(fork.Socket).values())
    servers = [await asyncio.start_server(answer, sock=each) for each in sockets]
    yield cancel.wait()
    yield
    for server in servers:
        server.close()
    while busy:
        await asyncio.sleep(0.01)
'''


@contextlib.contextmanager
def services_in(folder):
    """Start services in *folder*, and end them."""
    started = []

    def start(script=None, *, command=None, env=None, **options):
        if script is not None:
            path = folder / f"service{len(started)}.py"
            path.write_text(SERVE + script)
            command = [sys.executable, "-W", "error", str(path)]
        options.setdefault("cwd", folder)
        # what is printed is buffered, as it is for users
        service = Service(command, env={**os.environ, "PYTHONUNBUFFERED": "", **(env or {})}, **options)
        started.append(service)
        return service

    start.ask = ask
    start.connect = connect
    start.serve = SERVE
    yield start
    for each in started:
        each.close()


@pytest.fixture
def run_service(tmp_path):
    """Start services: a command, or a script, which is preceded by the plugin `serve`; see `SERVE`."""
    with services_in(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def run_services():
    """Start services that several tests share: ``with run_services(folder) as run_service``."""
    return services_in


# forks for each request, and runs its code there as `python -c` does; all that is imported here need not be there
FORKS = """
import asyncio, json, os, socket, sys, types, warnings
import attrs, cattrs, click, structlog
import buvar.cli.run, buvar.cli.serving, buvar.fork, buvar.log.lossy, buvar.plugin

channel = socket.socket(fileno=int(sys.argv[1]))
lines = channel.makefile()
for line in lines:
    pid = os.fork()
    if not pid:
        break
    channel.sendall(b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
else:
    os._exit(0)
lines.close()
channel.close()
request = json.loads(line)
os.chdir(request["cwd"])
os.environ.clear()
os.environ.update(request["env"])
for fd, path in enumerate(request["outputs"], 1):
    opened = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.dup2(opened, fd)
    os.close(opened)
if request["strict"]:
    warnings.simplefilter("error")
sys.argv = request["argv"]
sys.modules["__main__"] = main = types.ModuleType("__main__")
exec(compile(request["code"], "<string>", "exec"), main.__dict__)
"""


class Forks:
    """Runs code in processes that are fresh, but for what they have imported: most of a short run is imports."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    def _start(self):
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(2 * PATIENCE)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", FORKS, str(theirs.fileno())],
                env={**os.environ, "PYTHONUNBUFFERED": ""},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def run(self, code, *arguments, cwd=None, env=None, strict=False):
        """Return what `subprocess.run` does; with *strict* warnings are errors."""
        if self.process is None:
            self._start()
        outputs = [self.folder / name for name in ("stdout", "stderr")]
        for each in outputs:
            each.write_bytes(b"")
        request = {
            "code": code,
            "argv": ["-c", *map(str, arguments)],
            "cwd": os.fspath(cwd or os.getcwd()),
            "env": dict(os.environ if env is None else env),
            "outputs": [os.fspath(each) for each in outputs],
            "strict": strict,
        }
        try:
            self.channel.sendall(json.dumps(request).encode() + b"\n")
            returncode = int(self.channel.recv(100))
        except BaseException:
            self.close()
            raise
        stdout, stderr = (each.read_text() for each in outputs)
        return subprocess.CompletedProcess(request["argv"], returncode, stdout, stderr)

    def close(self):
        if self.process is not None:
            self.channel.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """Run code as `python -c` does: ``forks.run(code, …)``; see `Forks`."""
    with contextlib.closing(Forks(tmp_path_factory.mktemp("forks"))) as found:
        yield found


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write modules into a folder on the import path: ``write(shop="…", **{"shop.users": "…"})``."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**modules):
        for name, text in modules.items():
            package = any(other.startswith(f"{name}.") for other in modules)
            path = tmp_path.joinpath(*name.split("."))
            path = path / "__init__.py" if package else path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    return write


# setuptools builds each in a process of its own, as pip has it do, but is imported once: that takes most of the time
BUILD = """
import os, sys
import setuptools.build_meta
for folder in sys.argv[2:]:
    pid = os.fork()
    if not pid:
        os.chdir(folder)
        setuptools.build_meta.build_wheel(sys.argv[1])
        sys.exit()
    assert os.waitpid(pid, 0)[1] == 0, folder
"""

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""

SHOP_MAIL = {
    "pyproject.toml": """
[project]
name = "shop-mail"
version = "1.0"
[project.entry-points."buvar.plugins"]
shop-mail = "shop_mail"
[project.entry-points."shop.plugins"]
letters = "shop_mail:letters"
[tool.setuptools]
py-modules = ["shop_mail"]
""",
    "shop_mail.py": """
async def prepare():
    print("mail 1.0")

async def letters():
    print("letters")
""",
}
OLD_SHOP_MAIL = {name: text.replace("1.0", "0.9") for name, text in SHOP_MAIL.items()}
SHOP_SEARCH = {
    "setup.cfg": """
[metadata]
name = shop-search
version = 2.0
[options]
packages = shop_search
[options.entry_points]
buvar.plugins =
    shop-search = shop_search.plugin:prepare_search
""",
    "shop_search/__init__.py": "",
    "shop_search/plugin.py": """
from buvar import plugin

async def prepare_search(load: plugin.Loader):
    await load("shop_mail")
    print("search")
""",
}
SHOP_BROKEN = {
    "setup.cfg": """
[metadata]
name = shop-broken
version = 0.1
[options]
py_modules = shop_broken, shop_broken_import
[options.entry_points]
broken =
    good = shop_broken
    no-module = shop_brokn
    no-attribute = shop_broken:prepar
    no-import = shop_broken_import
    not-async = shop_broken:sync
failing =
    fails = shop_broken:fails
""",
    "shop_broken.py": """
async def prepare():
    print("prepared")

async def fails():
    raise ValueError("no database")

def sync(): ...
""",
    "shop_broken_import.py": "import there_is_no_such_module",
}
SHOP_POST = {
    "setup.cfg": """
[metadata]
name = shop-post
version = 3.0
[options]
py_modules = shop_post
[options.entry_points]
buvar.plugins =
    shop-search = shop_post
    shop-vault = shop_post:prepare_vault
""",
    "shop_post.py": """
from buvar import context, plugin

async def prepare():
    print("post")

@plugin.exports("key")
async def prepare_vault():
    context.add("sesame", "key")
    print("vault")
""",
}
PIP = "-m pip --quiet --disable-pip-version-check install --no-index --no-deps --no-compile".split()
SITES = {"shop": [SHOP_MAIL, SHOP_SEARCH, SHOP_BROKEN], "other": [OLD_SHOP_MAIL, SHOP_POST]}


@pytest.fixture(scope="session")
def sites(tmp_path_factory):
    """The folder with the folders that distributions are installed into: ``sites / "shop"``; see `SITES`."""
    try:
        version = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    if tuple(map(int, version.split(".")[:2])) < (70, 1):
        pytest.skip("building distributions needs setuptools 70.1, as the extra 'test' has it")
    root = tmp_path_factory.mktemp("sites")
    run = functools.partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
    for site, distributions in SITES.items():
        folders = [root / "sources" / site / str(number) for number in range(len(distributions))]
        for folder, files in zip(folders, distributions):
            for name, text in {"pyproject.toml": "", **files}.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(PYPROJECT + text if name == "pyproject.toml" else text)
        run([sys.executable, "-c", BUILD, root / "wheels" / site, *folders])
        wheels = (root / "wheels" / site).iterdir()
        run([sys.executable, *PIP, "--target", root / site, *wheels])
    return root
