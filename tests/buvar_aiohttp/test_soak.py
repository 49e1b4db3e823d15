"""Faults of all kinds, in any order, under load: in the end the configured workers serve, and nobody noticed.

``BUVAR_SOAK`` is for how many seconds (default 6; the long run has 600), ``BUVAR_SEED`` repeats a run.
"""

import asyncio
import contextlib
import datetime as dt
import os
import random
import signal
import time

import psutil
import pytest

from benchmarks.clients import Kind, Load

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("BUVAR_SOAK", "6"))
PATIENCE = 60.0

SERVICE = """
# change
run(forks=3, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(hang=3), start_timeout=10)
"""
KINDS = [
    Kind("new", 2, path="/", pause=(0.0, 0.01)),
    Kind("busy", 2, keep=True, path="/", pause=(0.0, 0.01)),
    Kind("idle", 6, keep=True, path="/", pause=(0.05, 0.6)),
]


class Faults:
    """What may happen to a service; *held* are the ports of the clients whose connections killed workers had."""

    def __init__(self, service, path, chance):
        self._service = service
        self._path = path
        self._source = path.read_text()
        self._chance = chance
        self._port = int(service.address.rpartition(":")[2])
        self.held = []
        self.kinds = [
            self.kill, self.hang, self.terminate, self.reload, self.reload_broken, self.save_in_a_hurry, self.more,
            self.less, self.storm, self.stop_and_go, self.kill_what_boots, self.kill_fork_server,
        ]  # fmt: skip

    def _workers(self):
        known = set(self._service.workers().values())
        return [each for each in psutil.Process(self._service.pid).children() if each.pid in known]

    async def _freeze(self, worker):
        """Stop a worker, so that it takes no connection any more, and note those that it has."""
        worker.suspend()
        while worker.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
            await asyncio.sleep(0.001)
        connections = worker.net_connections("tcp")
        self.held += [each.raddr.port for each in connections if each.raddr and each.laddr.port == self._port]

    async def kill(self):
        worker = self._chance.choice(self._workers())
        await self._freeze(worker)
        worker.kill()

    async def hang(self):
        await self._freeze(self._chance.choice(self._workers()))

    async def terminate(self):
        self._chance.choice(self._workers()).terminate()

    async def reload(self):
        self._path.write_text(self._source)
        self._service.kill(signal.SIGHUP)

    async def reload_broken(self):
        broken = self._chance.choice(["raise ValueError('broken')", "os._exit(3)", "def broken(:"])
        self._path.write_text(self._source.replace("# change", broken))
        self._service.kill(signal.SIGHUP)
        await asyncio.sleep(self._chance.random())
        self._path.write_text(self._source)

    async def save_in_a_hurry(self):
        """Save what is good, and what is not, in the midst of reloads."""
        for _ in range(4):
            self._path.write_text(self._chance.choice([self._source, self._source[:-20], "raise SystemExit(3)", ""]))
            self._service.kill(signal.SIGHUP)
            await asyncio.sleep(self._chance.random() / 4)
        self._path.write_text(self._source)

    async def more(self):
        self._service.kill(signal.SIGTTIN)

    async def less(self):
        self._service.kill(signal.SIGTTOU)

    async def storm(self):
        for _ in range(20):
            self._service.kill(self._chance.choice([signal.SIGUSR1, signal.SIGWINCH, signal.SIGHUP]))

    async def stop_and_go(self):
        self._service.kill(signal.SIGSTOP)
        await asyncio.sleep(self._chance.random() / 4)
        self._service.kill(signal.SIGCONT)

    async def kill_what_boots(self):
        """Reload, and kill who is there besides the workers that serve: those that boot, or a fork server."""
        self._service.kill(signal.SIGHUP)
        await asyncio.sleep(self._chance.random())
        served = {each["worker"] for each in self._service.events("worker ready")}
        for each in psutil.Process(self._service.pid).children():
            if each.pid not in served:
                await self._freeze(each)  # it may have begun to serve, and not been heard of
                each.kill()

    async def kill_fork_server(self):
        for each in psutil.Process(self._service.pid).children():
            if each.pid in self._service.fork_servers():
                each.kill()


@pytest.mark.timeout(SECONDS + 120)
async def test_nothing_that_happens_is_noticed(run_http, tmp_path):
    """No request is lost but those that a killed worker held; afterwards three workers of one generation serve."""
    seed = int(os.environ.get("BUVAR_SEED", time.time_ns() % 10**6))
    chance = random.Random(seed)
    service = run_http(SERVICE, chance.choice(["asyncio", "uvloop"]))
    service.ready(3)
    faults = Faults(service, tmp_path / "service0.py", chance)
    happened = []
    port = int(service.address.rpartition(":")[2])
    async with contextlib.AsyncExitStack() as stack:
        tallies = [await stack.enter_async_context(Load(port, kind, timeout=30).running()) for kind in KINDS]
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):  # it was on its way out, or nobody serves
                fault = chance.choice(faults.kinds)
                happened.append((clock(time.perf_counter()), fault.__name__))
                await fault()
            await asyncio.sleep(chance.random() / 2)
        await faults.reload()
        after = time.monotonic() + PATIENCE
        while not is_whole(service):
            assert time.monotonic() < after, f"seed {seed}\n{service.log}"
            await asyncio.sleep(0.1)
    lost = [
        (kind.name, each.kind, clock(each.opened), clock(each.at))
        for kind, tally in zip(KINDS, tallies, strict=True)
        for each in tally.failures
        if each.port not in faults.held
    ]
    assert lost == [], f"seed {seed}\n{happened}\n{service.log}"
    assert all(tally.answered > 20 for tally in tallies)
    assert service.stop() == 0, f"seed {seed}\n{service.log}"
    assert service.left() == []


def clock(counted):
    """Return when it was by the clock of the log, of a time by `time.perf_counter`."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=time.perf_counter() - counted)
    return at.strftime("%H:%M:%S.%f")


def is_whole(service):
    """Tell whether the three workers that were configured are all that there are, of the newest generation."""
    done, begun = service.events("reloaded"), service.events("reloading")
    if not done or done[-1]["timestamp"] < begun[-1]["timestamp"]:
        return False
    return len(service.crew()) == 3
