"""The service as a process, and a client for it that knows only HTTP."""

from __future__ import annotations

import collections.abc as c
import contextlib
import http.client
import json
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
import pytest

ROOT = pathlib.Path(__file__).parents[3]

CONFIG = """
[buvar]
plugins = ["examples.links"]
workers = {workers}
sockets = ["tcp://127.0.0.1:{port}"]
preload = ["aiohttp.web", "aiosqlite"]

[buvar.timeouts]
start = 20
cancel = 10
teardown = 10
shutdown = 20

[database]
path = "{folder}/data/links.sqlite3"
busy_timeout = {busy_timeout}

[links]
max_page_size = 50

[statistics]
interval = {interval}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@attrs.frozen
class Answer:
    """What the service answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)


@attrs.define
class Client:
    """One keep-alive connection, and so one worker."""

    port: int
    connection: http.client.HTTPConnection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def request(self, method: str, path: str, body: t.Any = None, **headers: str) -> Answer:
        self.connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        response = self.connection.getresponse()
        return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, url: t.Any) -> Answer:
        return self.request("POST", "/links", json.dumps({"url": url}), Content_Type="application/json")

    def add(self, url: str = "https://example.org/") -> str:
        answer = self.post(url)
        assert answer.status == 201, answer
        return str(answer.json["code"])

    def hits(self, code: str) -> int:
        return int(self.get(f"/links/{code}").json["hits"])


@attrs.define
class Service:
    """`buvar run`, with a database in *folder*."""

    folder: pathlib.Path
    workers: int = 2
    interval: float = 0.2
    busy_timeout: float = 5.0
    port: int = attrs.field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> None:
        """Start it, and do not wait until it serves."""
        if not arguments:
            config = self.folder / "config.toml"
            config.write_text(CONFIG.format(**attrs.asdict(self, filter=attrs.filters.exclude("process"))))
            arguments = ("-c", str(config))
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "buvar", "run", *arguments]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def start(self, *arguments: str) -> None:
        self.run(*arguments)
        self.wait_until(self.serves)

    def wait_until(self, happened: c.Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen\n{self.log()}"
            time.sleep(0.05)

    def serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log().replace("\\n", "\n")
        # all workers: one that is still starting would be told to stop before it has begun
        if len(self.pids()) < (self.workers if self.workers > 1 else 0):
            return False
        with contextlib.suppress(OSError, http.client.HTTPException), self.client() as client:
            return client.get("/").status == 200
        return False

    def pids(self) -> list[int]:
        """The workers, the oldest first."""
        assert self.process is not None
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def stop(self) -> int:
        """Stop gracefully and return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """Leave nothing running, whatever the test did."""
        if self.process is None or self.process.poll() is not None:
            return
        supervisor = psutil.Process(self.process.pid)
        supervisor.suspend()  # or else it would replace the workers
        for process in (*supervisor.children(recursive=True), supervisor):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)

    @property
    def database(self) -> pathlib.Path:
        return self.folder / "data" / "links.sqlite3"

    def log(self) -> str:
        return (self.folder / "log").read_text()

    @contextlib.contextmanager
    def client(self) -> c.Iterator[Client]:
        client = Client(self.port)
        try:
            yield client
        finally:
            client.connection.close()


@pytest.fixture(autouse=True, scope="session")
def no_configuration_from_outside() -> c.Iterator[None]:
    """Whoever runs the tests may have variables set for a service of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("APP_")]:
            patch.delenv(name)
        yield


@pytest.fixture
def make_service(tmp_path: pathlib.Path) -> c.Iterator[c.Callable[..., Service]]:
    """Make a service that is killed after the test if the test did not stop it."""
    services: list[Service] = []

    def make(**options: t.Any) -> Service:
        services.append(Service(tmp_path, **options))
        return services[-1]

    yield make
    for service in services:
        service.kill()


@pytest.fixture(scope="module")
def one_service(tmp_path_factory: pytest.TempPathFactory) -> c.Iterator[Service]:
    """One service of a single worker for all tests of a module."""
    service = Service(tmp_path_factory.mktemp("links"), workers=1)
    try:
        service.start()
        yield service
        assert service.stop() == 0, service.log()
        assert "request failed" not in service.log()
    finally:
        service.kill()


@pytest.fixture
def client(one_service: Service) -> c.Iterator[Client]:
    with one_service.client() as client:
        yield client
