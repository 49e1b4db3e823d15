"""The routes of health: what a real server answers, alone and among siblings, and while it drains."""

import asyncio
import logging
import os
import signal
import time

import pytest
import structlog

from buvar import context, plugin
from buvar.plugins import health
from buvar_aiohttp.health import HealthConfig

pytestmark = pytest.mark.slow

PATIENCE = 20.0


class Check:
    """A check whose behaviour a test sets; it counts its runs."""

    def __init__(self, name="database", **options):
        self.name, self.options = name, options
        self.runs = 0
        self.behave = self.fine

    async def fine(self):
        pass

    async def fail(self):
        raise ConnectionError("no route to db1, password hunter2")

    async def hang(self):
        await asyncio.Event().wait()

    async def be_cancelled(self):
        raise asyncio.CancelledError

    async def run(self):
        self.runs += 1
        await self.behave()

    async def prepare(self, load: plugin.Loader):
        await load("buvar_aiohttp.health")
        context.add(health.HealthCheck(self.name, self.run, **self.options))


@pytest.fixture
def logged():
    """The log lines of the test: structlog's test processor, which all threads share."""
    former = structlog.get_config()
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    yield lambda: [each for each in capture.entries if each["event"].startswith("health checks")]
    structlog.configure(**former)


async def probe(session, path="/health/ready"):
    async with session.get(path) as response:
        return response.status, await response.json()


async def test_a_fit_service_lives_and_is_ready(served):
    """Both routes answer 200 with the results by name, in JSON that nobody stores."""
    async with served(Check().prepare, Check("loop", kind="live").prepare) as session:
        assert await probe(session, "/health/live") == (200, {"ok": True, "checks": {"loop": True}})
        async with session.get("/health/ready") as response:
            assert response.status == 200
            assert await response.json() == {"ok": True, "checks": {"database": True}, "state": "running"}
            assert response.content_type == "application/json"
            assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("behaviour", ["fail", "hang", "be_cancelled"])
@pytest.mark.parametrize(("kind", "other"), [("ready", "live"), ("live", "ready")])
async def test_a_check_that_is_not_fine_makes_it_503(served, behaviour, kind, other):
    """Whether it raises, hangs or is cancelled: 503 for its kind, 200 for the other, and no text of the error."""
    check = Check(kind=kind, timeout=0.05)
    check.behave = getattr(check, behaviour)
    async with served(check.prepare) as session:
        async with session.get(f"/health/{kind}") as response:
            assert response.status == 503
            assert response.headers["Cache-Control"] == "no-store"
            body = await response.json()
            assert (body["ok"], body["checks"]) == (False, {"database": False})
            assert "db1" not in await response.text()
        assert (await probe(session, f"/health/{other}"))[0] == 200


async def test_head_answers_as_get_does_without_a_body(served):
    """A probe may use HEAD: it gets the status."""
    check = Check()
    async with served(check.prepare) as session:
        assert (await session.head("/health/ready")).status == 200
        check.behave = check.fail
        response = await session.head("/health/ready")
        assert (response.status, await response.read()) == (503, b"")


async def test_the_log_tells_changes_alone(served, logged):
    """However often somebody asks, a failure is logged once, with its error, and so is that it is over."""
    check = Check()
    async with served(check.prepare) as session:
        for behaviour in (check.fine, check.fail, check.fine):
            check.behave = behaviour
            for _ in range(3):
                await probe(session)
        failed, fine = logged()
    assert (failed["event"], failed["log_level"], failed["kind"]) == ("health checks fail", "warning", "ready")
    assert failed["checks"]["database"].startswith("ConnectionError: no route to db1")
    assert (fine["event"], fine["log_level"]) == ("health checks are fine again", "info")


async def test_who_asks_at_once_shares_a_run(served):
    """Polls that come while a check runs wait for the result of that run."""
    check, seen = Check(), []

    async def slow():
        seen.append(asyncio.get_running_loop())
        await asyncio.sleep(0.2)

    check.behave = slow
    async with served(check.prepare) as session:
        answers = await asyncio.gather(*(probe(session) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert check.runs < 20


async def test_the_prefix_is_configured(served):
    """The routes are where the section says, and nowhere else."""

    async def prepare(load: plugin.Loader):
        context.add(HealthConfig(prefix="/internal/probes"))
        await load("buvar_aiohttp.health")

    async with served(prepare) as session:
        assert (await probe(session, "/internal/probes/ready"))[0] == 200
        assert (await session.get("/health/ready")).status == 404


@pytest.mark.parametrize("prefix", ["health", "/health/", "/", "/{x}", "/a?b"])
def test_a_prefix_that_is_no_path_is_refused(prefix):
    """It begins with a slash, does not end with one, and has no pattern in it."""
    with pytest.raises(ValueError, match="is not a path such as '/health'"):
        HealthConfig(prefix=prefix)


PROBED = """
import pathlib
from buvar.plugins import health

async def probed(load: plugin.Loader):
    await load(http, "buvar_aiohttp.health")
    async def look():
        if pathlib.Path(f"sick-{context.get(fork.Fork).slot}").exists():
            raise ConnectionError("no route to db1")
    context.add(health.HealthCheck("database", look))

run(probed, sockets=['tcp://127.0.0.1:0'], forks="""


@pytest.mark.parametrize("forks", [1, 2])
def test_what_drains_is_not_ready_but_lives(run_http, forks):
    """On a connection that is kept alive, a service that was told to stop answers 503, and to live 200."""
    service = run_http(f"{PROBED}{forks})")
    service.await_event("http server listens", forks)
    with service.client() as one, service.client() as two, service.client() as busy:
        assert one.get("/health/ready")[0] == "200"
        assert two.get("/health/live")[0] == "200"
        busy.send("/sleep/1")
        service.await_event("sleeping")
        service.kill(signal.SIGTERM)
        await_refusal(service)
        status, headers, body = one.get("/health/ready")
        assert (status, headers["cache-control"]) == ("503", "no-store")
        assert '"state": "stopping"' in body
        assert two.get("/health/live")[0] == "200"
    assert service.wait() == 0


def await_refusal(service):
    """Wait until no worker listens any more."""
    deadline = time.monotonic() + PATIENCE
    address = service.address
    while time.monotonic() < deadline:
        try:
            service.client(address).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was closing just then
            continue
        time.sleep(0.01)
    raise AssertionError("it still listens")


def test_a_sick_worker_takes_readiness_from_all(run_http, tmp_path):
    """Where a check fails in one of two workers, both answer 503, and both 200 again when it is over."""
    service = run_http(f"{PROBED}2)")
    workers = service.ready(2)
    clients = clients_by_worker(service)
    assert set(clients) == set(workers.values())
    for client in clients.values():
        assert client.get("/health/ready")[0] == "200"
    fit, sick = clients[workers[0]], clients[workers[1]]
    (tmp_path / "sick-1").touch()
    # nobody asks the sick one: the fit one does
    body = await_status(fit, "503")
    assert '"database": true' in body
    assert '"siblings": false' in body
    assert "db1" not in body
    assert sick.get("/health/ready")[0] == "503"
    (line,) = service.events("health checks fail")
    assert line["checks"]["database"].startswith("ConnectionError: no route to db1")
    (tmp_path / "sick-1").unlink()
    await_status(fit, "200")
    assert sick.get("/health/ready")[0] == "200"
    for client in clients.values():
        client.close()
    assert service.stop() == 0


def test_a_sick_worker_that_dies_does_not_count(run_http, tmp_path):
    """What was known of a worker is forgotten with it: its successor is sick only if its own checks say so."""
    service = run_http(f"{PROBED}2)")
    workers = service.ready(2)
    clients = clients_by_worker(service)
    (tmp_path / "sick-1").touch()
    fit = clients[workers[0]]
    await_status(fit, "503")
    (tmp_path / "sick-1").unlink()
    os.kill(workers[1], signal.SIGKILL)
    await_status(fit, "200")
    for client in clients.values():
        client.close()
    assert service.stop() == 0


def clients_by_worker(service):
    """Return a connection to each of two workers, by the worker's pid."""
    found, deadline = {}, time.monotonic() + PATIENCE
    while len(found) < 2 and time.monotonic() < deadline:
        client = service.client()
        pid = int(client.get("/")[2])
        if pid in found:
            client.close()
        else:
            found[pid] = client
    return found


def await_status(client, status):
    """Ask, over and over, whether the service is ready, until it answers so; return the body."""
    deadline = time.monotonic() + PATIENCE
    while (answer := client.get("/health/ready"))[0] != status:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer[2]
