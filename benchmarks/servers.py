"""The servers that are compared: how each is started, seen to answer, and stopped."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing as t

import attrs
import psutil

from . import peers

if t.TYPE_CHECKING:
    import collections.abc as c

FOLDER = pathlib.Path(__file__).parent / "served"
BODY = b"Hello, world"
#: seconds that a server may take to answer first, and to stop
PATIENCE = 20.0


#: what runs in our interpreter, by name; the peers with uvloop and without an access log, as ours is
COMMANDS: t.Final = {
    "bare aiohttp": ("bare.py", "{port}", "{workers}"),
    "gunicorn": (
        "-m", "gunicorn", "-k", "aiohttp.GunicornUVLoopWebWorker", "-w", "{workers}", "-b", "127.0.0.1:{port}",
        "application:factory",
    ),
    "uvicorn": (
        "-m", "uvicorn", "asgi:app", "--workers", "{workers}", "--port", "{port}", "--loop", "uvloop",
        "--http", "httptools", "--no-access-log",
    ),
    "granian": (
        "-m", "granian", "asgi:app", "--interface", "asgi", "--workers", "{workers}", "--port", "{port}",
        "--loop", "uvloop", "--respawn-failed-workers",
    ),
}  # fmt: skip
#: those of them that are modules, which may be missing
MODULES: t.Final = ("gunicorn", "uvicorn", "granian")
PEERS: t.Final = (*COMMANDS, "upstream buvar")


@attrs.frozen
class Server:
    """A server of "Hello, world" on *path*: *command* has ``{port}`` and ``{workers}`` in it.

    *patience* is how many seconds it may take to answer first, and to stop; *extra* is added to its environment.
    """

    name: str
    command: tuple[str, ...]
    ours: bool = False
    path: str = "/"
    patience: float = PATIENCE
    extra: dict[str, str] = attrs.field(factory=dict)

    @contextlib.contextmanager
    def running(self, workers: int = 2) -> c.Iterator[Running]:
        """Start it with *workers* on a free port, wait until it answers, and stop it in the end."""
        port = free_port()
        command = [part.format(port=port, workers=workers) for part in self.command]
        with tempfile.TemporaryFile() as said:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=FOLDER, env=self.environment(), stdout=said, stderr=said, start_new_session=True
            )
            try:
                await_answer(process, port, self.path, self.patience)
                yield Running(process.pid, port, time.perf_counter() - began)
            except Exception as error:
                error.add_note(f"{self.name}, exit code {process.poll()}, said last:\n{tail(said)}")
                raise
            finally:
                stop(process, self.patience)

    def environment(self) -> dict[str, str]:
        env = peers.environment(ours=self.ours)
        return {**env, **self.extra, "PYTHONPATH": os.pathsep.join(filter(None, (str(FOLDER), env.get("PYTHONPATH"))))}


@attrs.frozen
class Running:
    """A server that runs: its first process, and the *seconds* that it took to answer first."""

    pid: int
    port: int
    seconds: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def workers(self) -> set[int]:
        """Return the pids of its workers: all of its processes but the first, and Python's helper for semaphores."""
        found = set()
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if is_alive(each.pid) and "resource_tracker" not in " ".join(each.cmdline()):
                        found.add(each.pid)
        return found

    def left(self) -> list[int]:
        """Return the pids of all of its processes that still run, also of those whose parent is gone."""
        return [pid for pid in psutil.pids() if session_of(pid) == self.pid and is_alive(pid)]

    def kill(self) -> None:
        """Kill what is left of it: for what would take its time to stop."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def buvar(*options: str, plugin: str = "plugin") -> Server:
    """Return ours, with *plugin*, and *options* for ``buvar run``."""
    command = ("-m", "buvar", "run", plugin, "--workers", "{workers}", "--bind", "tcp://127.0.0.1:{port}")
    return Server("buvar", (sys.executable, *command, "--loop", "uvloop", *options), ours=True)


def preloaded() -> Server:
    """Return ours with aiohttp imported before the fork, as gunicorn does by its worker class."""
    return buvar("--set", 'buvar.preload=["buvar_aiohttp.server"]')


def all_of(*names: str) -> dict[str, Server]:
    """Return ours, and those of the peers named that can be run here."""
    found = {"buvar": buvar()}
    modules = peers.installed(*set(MODULES).intersection(names))
    for name in names:
        if name in COMMANDS and (name not in MODULES or name in modules):
            found[name] = Server(name, (sys.executable, *COMMANDS[name]))
    if "upstream buvar" in names and (upstream := peers.upstream()):
        found["upstream buvar"] = Server("upstream buvar", (upstream, "upstream.py", "{port}", "{workers}"))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str = "/", patience: float = PATIENCE) -> bool:
    """Make one request; tell whether the answer is the right one. Raises OSError when there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(BODY)


def tail(said: t.IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - 2000))
    return said.read().decode(errors="replace")


def await_answer(process: subprocess.Popen[bytes], port: int, path: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it answered")
        with contextlib.suppress(OSError):
            if ask(port, path, patience):
                return
        time.sleep(0.002)
    raise RuntimeError(f"{process.args!r} gives no right answer after {patience:g} s")


def stop(process: subprocess.Popen[bytes], patience: float = PATIENCE) -> None:
    """Ask to stop, and kill what is left of the session then: not all servers stop their workers."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs: one that is dead, but that nobody has reaped, does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def tree(pid: int) -> list[int]:
    """Return *pid* and all processes below it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
