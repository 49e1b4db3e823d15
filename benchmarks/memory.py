"""Memory: PSS of the process tree with idle workers, in MiB, after each of them has answered."""

from __future__ import annotations

import concurrent.futures
import functools
import pathlib
import time

from . import rounds, servers

#: the processes settle within that many seconds, or are measured as they are
PATIENCE = 15.0
MIB = 1 << 20
PRELOAD = "preload"


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure 2 and 8 workers; ours as it comes, and with aiohttp preloaded, as gunicorn does by its worker class."""
    found = {PRELOAD: servers.preloaded(), **servers.all_of(*(servers.PEERS if with_peers else ()))}
    rows = []
    for workers in (2, 8):
        samplers = {name: functools.partial(pss, server, workers) for name, server in found.items()}
        samples = rounds.interleave(samplers, 1 if quick else 3)
        shared = samples.pop(PRELOAD)
        rows += rounds.compare(f"{workers} workers", "MiB", samples)
        rows += rounds.compare(f"{workers} workers, {PRELOAD}", "MiB", {**samples, "buvar": shared})
    return rounds.Table("Memory", rows)


def pss(server: servers.Server, workers: int) -> float:
    """Return the proportional set size of *server* and all of its processes, once it has come to rest."""
    with server.running(workers) as running:
        before = 0.0
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.5)
            now = measure(running.pid)
            if len(servers.tree(running.pid)) > workers and abs(now - before) < now / 200:
                break
            before = now
        with concurrent.futures.ThreadPoolExecutor(workers * 4) as pool:
            list(pool.map(servers.ask, [running.port] * workers * 16))
        time.sleep(0.2)
        return measure(running.pid)


def measure(pid: int) -> float:
    return sum(map(of_process, servers.tree(pid)))


def of_process(pid: int) -> float:
    """Return the PSS of one process in MiB, 0 for one that has just ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    found = next((line for line in lines if line.startswith("Pss:")), "Pss: 0")
    return int(found.split()[1]) * 1024 / MIB
