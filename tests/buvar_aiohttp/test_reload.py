"""A reload under load: not one request is lost, whatever kind of client asks, on either loop."""

import asyncio
import signal

import pytest

from benchmarks.clients import Kind, Load

pytestmark = pytest.mark.slow

KINDS = [
    Kind("new", 6, path="/"),
    Kind("busy", 6, keep=True, path="/"),
    Kind("idle", 12, keep=True, pause=(0.05, 0.6), path="/"),
]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_reload_loses_no_request(run_http, kind, loop):
    """New connections, busy ones that are kept, and idle ones: all are answered, in the end by the new workers."""
    service = run_http("run(forks=2, sockets=['tcp://127.0.0.1:0'])", loop)
    old = set(service.ready(2).values())
    load = Load(int(service.address.rpartition(":")[2]), kind)
    async with load.running() as tally:
        await asyncio.sleep(0.5)
        service.kill(signal.SIGHUP)
        await asyncio.to_thread(service.await_event, "reloaded")
        while {each.pid for each in service.left()} & old:
            await asyncio.sleep(0.05)
        new = set(service.workers().values())
        while not new <= set(tally.last):
            await asyncio.sleep(0.05)
    assert tally.failures == []
    assert old & set(tally.first)
    assert tally.asked == tally.answered
    assert service.stop() == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_worker_that_is_recycled_loses_no_request(run_http, loop):
    """Workers that are replaced after so many requests, over and over, drain as those of a reload do."""
    service = run_http("run(forks=2, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(requests=400))", loop)
    service.ready(2)
    load = Load(int(service.address.rpartition(":")[2]), Kind("busy", 4, keep=True, path="/"))
    async with load.running() as tally:
        await asyncio.to_thread(service.await_event, "retiring worker", 3)
    assert tally.failures == []
    assert service.stop() == 0
