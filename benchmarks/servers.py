"""The servers that are compared: how each is started, seen to answer, and stopped."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
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


@attrs.frozen
class Server:
    """A server of "Hello, world": *command* has ``{port}`` and ``{workers}`` in it."""

    name: str
    command: tuple[str, ...]
    ours: bool = False

    @contextlib.contextmanager
    def running(self, workers: int = 2) -> c.Iterator[Running]:
        """Start it with *workers* on a free port, wait until it answers, and stop it in the end."""
        port = free_port()
        command = [part.format(port=port, workers=workers) for part in self.command]
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=FOLDER, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            await_answer(process, port)
            yield Running(process.pid, port, time.perf_counter() - began)
        finally:
            stop(process)

    def environment(self) -> dict[str, str]:
        env = peers.environment(ours=self.ours)
        return {**env, "PYTHONPATH": os.pathsep.join(filter(None, (str(FOLDER), env.get("PYTHONPATH"))))}


@attrs.frozen
class Running:
    """A server that runs: its first process, and the *seconds* that it took to answer first."""

    pid: int
    port: int
    seconds: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


def all_of(*names: str) -> dict[str, Server]:
    """Return those of the servers named that can be run here; ours is always one."""
    python = sys.executable
    found = {"buvar run": Server("buvar run", (
        python, "-m", "buvar", "run", "plugin", "--workers", "{workers}", "--bind", "tcp://127.0.0.1:{port}",
        "--loop", "uvloop",
    ), ours=True)}  # fmt: skip
    if "bare aiohttp" in names:
        found["bare aiohttp"] = Server("bare aiohttp", (python, "bare.py", "{port}", "{workers}"))
    modules = peers.installed(*{"gunicorn", "uvicorn"}.intersection(names))
    if "gunicorn" in modules:
        found["gunicorn"] = Server("gunicorn", (
            python, "-m", "gunicorn", "-k", "aiohttp.GunicornUVLoopWebWorker", "-w", "{workers}",
            "-b", "127.0.0.1:{port}", "application:factory",
        ))  # fmt: skip
    if "uvicorn" in modules:
        found["uvicorn"] = Server("uvicorn", (
            python, "-m", "uvicorn", "asgi:app", "--workers", "{workers}", "--port", "{port}",
            "--loop", "uvloop", "--http", "httptools", "--no-access-log",
        ))  # fmt: skip
    if "upstream buvar" in names and (upstream := peers.upstream()):
        found["upstream buvar"] = Server("upstream buvar", (upstream, "upstream.py", "{port}", "{workers}"))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int) -> bool:
    """Make one request; tell whether the answer is the right one. Raises OSError when there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(BODY)


def await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it answered")
        with contextlib.suppress(OSError):
            if ask(port):
                return
        time.sleep(0.002)
    raise RuntimeError(f"{process.args!r} gives no right answer after {PATIENCE:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask to stop, and kill what is left of the session then: not all servers stop their workers."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tree(pid: int) -> list[int]:
    """Return *pid* and all processes below it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
