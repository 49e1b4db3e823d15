"""What is done to a server with two workers, and what comes of it.

Each function takes a server that runs, does one thing to it, and returns what it measured by name: `rounds.Losses`, or
seconds: infinite where what was waited for did not happen, not a number where the server had died before. The server
need not run any more then.
"""

from __future__ import annotations

import asyncio
import math
import os
import pathlib
import signal
import statistics
import time
import typing as t

import psutil

from . import rounds
from .clients import TIMEOUT, Connection, Kind, Load, Lost, Tally, telling
from .servers import Running, is_alive

if t.TYPE_CHECKING:
    import collections.abc as c

Sample: t.TypeAlias = dict[str, float | rounds.Losses]

WORKERS = 2
#: seconds between two looks at what is waited for
POLL = 0.002
#: seconds that are waited: for a replaced worker or orphans, for a reload, for an end, for what is stuck to be found
REPLACED, RELOADED, ENDED, FOUND = 10.0, 30.0, 60.0, 45.0

NEW = Kind("new connections", 16, path="/slow?0.005")
BUSY = Kind("busy keep-alive", 64, keep=True, path="/slow?0.01")
#: the pauses are shorter than the least time for which a peer keeps an idle connection: gunicorn's 2 s
IDLE = Kind("idle keep-alive", 400, keep=True, pause=(0.1, 0.9))
#: what sees who answers, and loads nothing
PROBE = Kind("probe", 2, pause=(0.01, 0.03))
#: what is under way when a worker is killed: there are requests in both workers' hands, and processors to spare
SOME = (Kind("some new", 8, path="/slow?0.02"), Kind("some kept", 16, keep=True, path="/slow?0.05"))


async def until(true: c.Callable[[], object], limit: float) -> float:
    """Return the seconds until *true* is; infinite after *limit* seconds."""
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > limit:
            return math.inf
        await asyncio.sleep(POLL)
    return time.perf_counter() - began


def gone(*pids: int) -> bool:
    """Tell whether none of the processes runs any more."""
    return not any(map(is_alive, pids))


async def ask(port: int, path: str = "/pid", timeout: float = TIMEOUT) -> int:
    """Return the pid that a new connection is answered by. Raises `Lost`."""
    connection = Connection(port)
    try:
        with telling():
            async with asyncio.timeout(timeout):
                await connection.open()
                text, _ = await connection.ask(path)
        return int(text)
    finally:
        connection.close()


async def settle(running: Running) -> set[int]:
    """Return the workers when all have answered, or after a while: not all servers spread connections."""
    seen: set[int] = set()
    workers: set[int] = set()

    async def look() -> None:
        while len(workers) != WORKERS or not workers <= seen:
            workers.clear()
            workers.update(running.workers())
            answers = await asyncio.gather(*(ask(running.port) for _ in range(16)), return_exceptions=True)
            seen.update(each for each in answers if isinstance(each, int))
            await asyncio.sleep(0.02)

    try:
        async with asyncio.timeout(5):
            await look()
    except TimeoutError:
        workers.update(running.workers())
    await asyncio.sleep(0.2)
    return workers


def newcomers(tallies: c.Iterable[Tally], old: c.Container[int], since: float) -> dict[int, float]:
    """Return when each worker that is not among the *old* ones answered first, if that was *since* then."""
    found = (each for tally in tallies for each in tally.first.items())
    return {pid: at for pid, at in sorted(found, key=lambda each: -each[1]) if pid not in old and at >= since}


def is_stopped(pid: int) -> bool:
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/stat")
    return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in tasks)


def kill_now(pid: int, port: int) -> tuple[set[int], float, float]:
    """Kill a worker; return the ports of the clients whose connections it held, when it was stopped, and killed.

    It is stopped before: so it takes no connection that is not seen.
    """
    stopped = time.perf_counter()
    os.kill(pid, signal.SIGSTOP)
    while not is_stopped(pid):
        time.sleep(0.0002)
    held = {
        each.raddr.port for each in psutil.Process(pid).net_connections("tcp") if each.raddr and each.laddr.port == port
    }
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    return held, stopped, began


async def kill(running: Running) -> Sample:
    """Kill one of the workers under some load."""
    workers = await settle(running)
    loads = [Load(running.port, kind) for kind in SOME]
    tallies = [load.tally for load in loads]
    async with loads[0].running(), loads[1].running():
        await asyncio.sleep(0.5)
        held, stopped, began = await asyncio.to_thread(kill_now, min(workers), running.port)
        await until(lambda: newcomers(tallies, workers, began), REPLACED)
        await asyncio.sleep(0.5)
    took = min(newcomers(tallies, workers, began).values(), default=math.inf) - began
    # who came while it was stopped may wait in a queue of its own: it would have been held, had it not been stopped
    lost = sum((tally.losses(held, (stopped, began)) for tally in tallies), rounds.Losses())
    return {"worker killed, to serving again": took, "worker killed, not held by it": lost}


async def reload(running: Running, kind: Kind, requests: int, times: int) -> Sample:
    """Reload some *times* under load by one kind of client, which makes at least so many *requests*."""
    await settle(running)
    load, probe = Load(running.port, kind), Load(running.port, PROBE)
    seconds: list[float] = []
    async with load.running() as tally, probe.running() as probed:
        for turn in range(times):
            await asyncio.sleep(1)
            await made(tally, requests * (turn + 1) // (times + 1))
            seconds.append(await reload_once(running, [tally, probed]))
            if math.isinf(seconds[-1]):
                break
        else:
            await asyncio.sleep(1)
            await made(tally, requests)
    return {f"reload, {kind.name}": statistics.median(seconds), f"reload, {kind.name}, lost": tally.losses()}


async def made(tally: Tally, requests: int) -> None:
    """Wait until so many requests have been made; not for ever, since all of them may hang."""
    await until(lambda: tally.asked >= requests, ENDED)


async def reload_once(running: Running, tallies: list[Tally]) -> float:
    """Return the seconds until all new workers have answered, and all old ones are gone."""
    old = running.workers()
    await asyncio.sleep(0.05)  # the clients go on: they have waited for us meanwhile, and nothing was in flight
    began = time.perf_counter()
    os.kill(running.pid, signal.SIGHUP)

    def is_done() -> bool:
        new = [pid for pid in newcomers(tallies, old, began) if is_alive(pid)]
        return len(new) >= WORKERS and gone(*old)

    return await until(is_done, RELOADED)


async def answered(port: int, path: str) -> rounds.Losses:
    """Make one request, and tell whether it was lost."""
    try:
        await ask(port, path)
    except Lost as lost:
        return rounds.Losses(1, {lost.kind: 1})
    return rounds.Losses(1)


async def term(running: Running) -> Sample:
    """Stop it with four requests in flight, of a second each, while others keep coming."""
    await settle(running)
    flying = [asyncio.create_task(answered(running.port, "/slow?1")) for _ in range(4)]
    await asyncio.sleep(0.3)
    load = Load(running.port, Kind("new ones", 1, pause=(0.005, 0.015)))
    async with load.running() as tally:
        began = time.perf_counter()
        os.kill(running.pid, signal.SIGTERM)
        took = await until(lambda: gone(running.pid), ENDED)
    refused = min((each.at for each in tally.failures if each.kind == "refused"), default=math.inf) - began
    lost = tally.losses()
    return {
        "TERM, in flight": sum(await asyncio.gather(*flying), rounds.Losses()),
        "TERM, new ones not refused": rounds.Losses(
            lost.asked, {kind: number for kind, number in lost.kinds.items() if kind != "refused"}
        ),
        "TERM, to refusing": refused,
        "TERM, to its end": took,
    }


async def storm(running: Running) -> Sample:
    """Reload fifty times in one second, then stop."""
    await settle(running)
    for _ in range(50):
        if gone(running.pid):
            break
        os.kill(running.pid, signal.SIGHUP)
        await asyncio.sleep(0.02)
    return {"50 HUP in a second, TERM to its end": await end(running, signal.SIGTERM)}


async def end(running: Running, signum: signal.Signals) -> float:
    """Send a signal, and return the seconds until no process of it runs any more."""
    if gone(running.pid):
        return math.nan
    os.kill(running.pid, signum)
    return await until(lambda: gone(running.pid) and not running.left(), ENDED)


async def interrupt(running: Running) -> Sample:
    """Press Ctrl-C twice, which reaches all of its processes, while a request hangs."""
    await settle(running)
    hanging = asyncio.create_task(answered(running.port, f"/slow?{2 * ENDED}"))
    await asyncio.sleep(0.3)
    os.killpg(running.pid, signal.SIGINT)
    await asyncio.sleep(1)
    if left := running.left():
        os.killpg(running.pid, signal.SIGINT)
    took = await until(lambda: not running.left(), FOUND) if left else 0.0
    hanging.cancel()
    return {"second Ctrl-C, to its end": took}


async def orphan(running: Running) -> Sample:
    """Kill the first process, and see whether its workers end."""
    workers = await settle(running)
    os.kill(running.pid, signal.SIGKILL)
    return {"supervisor killed, to no worker": await until(lambda: gone(*workers), REPLACED)}


async def stop_worker(running: Running) -> Sample:
    """Stop one of the workers, as a debugger does, and see whether it is found."""
    workers = await settle(running)
    os.kill(stopped := min(workers), signal.SIGSTOP)
    return {"stopped worker, to its end": await until(lambda: gone(stopped), FOUND)}


async def block_worker(running: Running) -> Sample:
    """Block the loop of one of the workers, and see whether it is found."""
    workers = await settle(running)
    blocking = asyncio.create_task(answered(running.port, f"/block?{2 * FOUND:g}"))
    took = await until(lambda: any(gone(each) for each in workers), FOUND)
    blocking.cancel()
    return {"blocked loop, to its end": took}
