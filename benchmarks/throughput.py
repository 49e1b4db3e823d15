"""Throughput: two workers on uvloop, asked by 64 connections that are kept alive.

The client shares the processors with the server, and with whatever else runs: the processor time that the server takes
for a request says more about the server alone than the rate does.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

import attrs
import psutil

from . import exchanges, rounds, servers

if t.TYPE_CHECKING:
    import collections.abc as c

CONNECTIONS = 64
#: one turn is short, since what else the machine does comes and goes, and connections fall on workers by chance
SECONDS = 1
TARGETS = {"bare aiohttp": ">= 0.97"}
CLIENT = pathlib.Path(__file__).parent / "measured" / "client.py"


@attrs.frozen
class Load:
    """What one turn of load gave: *rate*, requests a second; *cost*, the server's microseconds of processor for one."""

    rate: float
    cost: float


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Start all servers, warm them up, then load one after the other, round by round."""
    found = servers.all_of(*(servers.PEERS if with_peers else ()))
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(server.running()) for name, server in found.items()}
        samplers = {name: functools.partial(load, each, SECONDS) for name, each in running.items()}
        for each in running.values():
            load(each, SECONDS)
        samples = rounds.interleave(samplers, 2 if quick else 20)
    rates = {name: [each.rate for each in taken] for name, taken in samples.items()}
    costs = {name: [each.cost for each in taken] for name, taken in samples.items()}
    rows = rounds.compare("rate", "requests/s", rates, TARGETS)
    return rounds.Table("Throughput", rows + rounds.compare("processor time", "us/request", costs))


def load(running: servers.Running, seconds: int, asked: c.Sequence[exchanges.Exchange] = ()) -> Load:
    before = processor_time(running.pid)
    requests, rate = ask(running, seconds, asked)
    return Load(rate, (processor_time(running.pid) - before) / requests * 1e6)


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that the processes of a server have taken so far."""
    times = [psutil.Process(each).cpu_times() for each in servers.tree(pid)]
    return float(sum(each.user + each.system for each in times))


def ask(running: servers.Running, seconds: int, asked: c.Sequence[exchanges.Exchange] = ()) -> tuple[int, float]:
    """Return how many requests were answered and how many a second: by wrk, or else by a client of our own.

    They are those that are *asked* for, in turn, or else of the one path that all servers have. Raises `Wrong` when one
    that is asked for is not answered with 200.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if wrk := shutil.which("wrk"):
            file.write(exchanges.script(asked))
            file.flush()
            options = ("-s", file.name) if asked else ()
            said = output(wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options, running.url)
            return counted(said, running.url, strict=bool(asked))
        json.dump([each.raw.decode() for each in asked], file)
        file.flush()
        try:
            said = output(sys.executable, str(CLIENT), str(running.port), str(CONNECTIONS), str(seconds), file.name)
        except subprocess.CalledProcessError as error:
            raise exchanges.Wrong(f"{running.url} is not right under load: {error.stderr.strip()}") from error
        return int(float(said) * seconds), float(said)


def counted(said: str, url: str, *, strict: bool) -> tuple[int, float]:
    """Return what wrk *said* of how many requests were answered, and how many a second."""
    if errors := re.search(r"Socket errors: .*|Non-2xx.*", said):
        print(f"{url}: {errors[0]}", file=sys.stderr)
    if strict and "Non-2xx" in said:
        raise exchanges.Wrong(f"{url} is not right under load: {errors and errors[0]}")
    found = re.search(r"(\d+) requests in .*Requests/sec:\s+([\d.]+)", said, re.DOTALL)
    assert found, said
    return int(found[1]), float(found[2])


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
