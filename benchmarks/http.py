"""Typed HTTP: one worker on uvloop beside other frameworks, asked by 64 connections that are kept alive.

All servers are seen to give the same answers before they are measured, also to wrong input. Instructions are counted by
callgrind, where there is valgrind: whatever else the machine does leaves them alone.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import typing as t

import attrs

from . import clients, peers, rounds, servers, throughput
from .exchanges import Exchange, Wrong, verify
from .http_cases import BARE, CASES, FEW, MANY, OURS, PATH, Case, Side

if t.TYPE_CHECKING:
    import collections.abc as c

    Servers: t.TypeAlias = dict[str, servers.Server]

SECONDS = 1
ROUNDS = 7
UVICORN = ("uvicorn", "uvloop", "httptools")
MISSING = "MicroAPI is left out: the microapi that pip finds is another project"
#: seconds that ours may take to start with many routes on a machine that is busy with others
BOOT = 120.0
#: seconds that a server may take to start where its instructions are counted
PATIENCE = 300.0
#: it begins to count when the server has started, which would take several times as long
TOOL: t.Final = ("--quiet", "--tool=callgrind", "--instr-atstart=no", "--dump-before=getppid")
#: how many requests are made in a stretch of counting: to warm up, few, many
STRETCHES = (50, 30, 230)
QUICK_STRETCHES = (20, 5, 25)


@attrs.frozen
class Peer:
    """A framework under uvicorn: what it *requires*, its own package first, and the *version* of Python it is for."""

    module: str
    requires: tuple[str, ...]
    version: tuple[int, int] = (3, 11)

    def found(self, name: str) -> tuple[str, servers.Server | None]:
        """Return what there is to know of it, and its server; None where that cannot be had."""
        python = peers.Python.at_least(*self.version)
        if python is None:
            return "{} is left out: it needs Python {}.{}, which is not here".format(name, *self.version), None
        path = peers.venv(self.module, name, (*self.requires, *UVICORN), python)
        if path is None:
            return f"{name} is left out: it cannot be installed here", None
        told = f"{name} {peers.release(path, self.module)}"
        if python.version != sys.version_info[:2]:
            told += " with Python {}.{}".format(*python.version)
        words = ("--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log")
        command = (path, "-m", "uvicorn", f"http_{self.module}:app", *words)
        return told, servers.Server(name, command, path=PATH)


PEERS: t.Final = {
    "Starlette": Peer("starlette", ("starlette", "msgspec")),
    "FastAPI": Peer("fastapi", ("fastapi",)),
    "Litestar": Peer("litestar", ("litestar",)),
    "bustan": Peer("bustan", ("bustan[starlette]",), (3, 13)),
}
NAMES: t.Final = (BARE, *PEERS)


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure rates and processor time, and count instructions unless it is to be *quick*."""
    return table(CASES, NAMES if with_peers else (), quick=quick, rates=True, instructions=not quick)


def table(
    names: c.Iterable[str], beside: c.Collection[str], *, quick: bool, rates: bool, instructions: bool
) -> rounds.Table:
    cases = [CASES[name] for name in names]
    load = os.getloadavg()[0]
    told, theirs = others(beside if rates and not all(case.alone for case in cases) else ())
    if BARE in beside:
        theirs = {BARE: bare(), **theirs}
    found = own() | theirs
    rows = measured(cases, found, tuple(theirs), quick=quick) if rates else []
    if instructions:
        rows += counted([case for case in cases if case.counted], found, [BARE] if BARE in theirs else [], quick=quick)
    note = f"{'; '.join(told)}. The load of the machine was {load:.1f} when it began."
    return rounds.Table("HTTP", rows, note)


def own() -> Servers:
    """Return ours, by what it serves."""
    plugins = {OURS: "http_buvar", f"{FEW} routes": "http_routes:few", f"{MANY:,} routes": "http_routes:many"}
    made = {
        name: servers.buvar("--set", f"buvar.timeouts.start={PATIENCE:g}", plugin=each)
        for name, each in plugins.items()
    }
    return {name: attrs.evolve(server, name=name, path=PATH, patience=BOOT) for name, server in made.items()}


def bare() -> servers.Server:
    return servers.Server(BARE, (sys.executable, "http_bare.py", "{port}"), path=PATH)


def others(names: c.Collection[str]) -> tuple[list[str], Servers]:
    """Return what there is to know of those peers that are other frameworks, and the servers that can be had."""
    told, found = [f"aiohttp {peers.release(sys.executable, 'aiohttp')}"], {}
    for name in PEERS:
        if name in names:
            known, server = PEERS[name].found(name)
            told.append(known)
            if server is not None:
                found[name] = server
    return [*told, *([MISSING] if set(PEERS) <= set(names) else [])], found


def measured(cases: c.Sequence[Case], found: Servers, beside: c.Iterable[str], *, quick: bool) -> list[rounds.Row]:
    """Start all servers, see that they answer rightly, warm them up, then load one after the other, round by round."""
    plans = [(case, case.sides(beside)) for case in cases]
    with contextlib.ExitStack() as stack:
        wanted = dict.fromkeys(side.server for _, sides in plans for side in sides.values())
        running = {name: stack.enter_context(found[name].running(1)) for name in wanted}
        verify_all(running, plans)
        rows = [row for case, sides in plans for row in rows_of(case, sides, running, quick=quick)]
        verify_all(running, plans)
    return rows


def verify_all(running: dict[str, servers.Running], plans: c.Iterable[tuple[Case, dict[str, Side]]]) -> None:
    """Ask each server for all that it will be asked for. Raises `Wrong` with all answers that are not right."""
    problems = [
        f"{side.server}: {problem}"
        for case, sides in plans
        for side in sides.values()
        for problem in verify(running[side.server].port, (*side.asked, *case.refused))
    ]
    if problems:
        raise Wrong("\n".join(dict.fromkeys(problems)))


def rows_of(
    case: Case, sides: dict[str, Side], running: dict[str, servers.Running], *, quick: bool
) -> list[rounds.Row]:
    samplers = {
        name: functools.partial(throughput.load, running[side.server], SECONDS, side.asked)
        for name, side in sides.items()
    }
    for each in samplers.values():
        each()
    samples = rounds.interleave(samplers, 2 if quick else ROUNDS)
    rates = {name: [each.rate for each in taken] for name, taken in samples.items()}
    costs = {name: [each.cost for each in taken] for name, taken in samples.items()}
    rows = rounds.compare(case.title, "requests/s", rates, case.targets)
    return rows + rounds.compare(case.title, "us/request", costs)


def counted(cases: c.Sequence[Case], found: Servers, beside: c.Iterable[str], *, quick: bool) -> list[rounds.Row]:
    """Return a row of instructions for each case: of ours beside *beside*, or ours alone."""
    if not shutil.which("valgrind"):
        print("left out: instructions, valgrind is not installed", file=sys.stderr)
        return []
    plans = [(case, case.sides(beside)) for case in cases]
    asked: dict[str, dict[tuple[Exchange, ...], float]] = {}
    for _, sides in plans:
        for side in sides.values():
            asked.setdefault(side.server, {})[side.asked] = 0.0
    counts = {name: count(found[name], list(wanted), quick=quick) for name, wanted in asked.items()}
    rows = []
    for case, sides in plans:
        taken = {name: [counts[side.server][side.asked]] for name, side in sides.items()}
        rows += rounds.compare(case.title, "instructions", taken)
    return rows


def count(
    server: servers.Server, asked: list[tuple[Exchange, ...]], *, quick: bool
) -> dict[tuple[Exchange, ...], float]:
    """Return the instructions outside of the kernel that one request takes, on one connection that is kept.

    That is many requests less few, by how many more they are.
    """
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder, "profile")
        tool = ("valgrind", *TOOL, f"--callgrind-out-file={profile}")
        counting = attrs.evolve(
            server, command=(*tool, *server.command), patience=PATIENCE, extra={"PYTHONHASHSEED": "0"}
        )
        with counting.running(1) as running:
            throughput.output("callgrind_control", "--instr=on", str(running.pid))
            return {each: count_one(running.port, each, profile, quick=quick) for each in asked}


def count_one(port: int, asked: tuple[Exchange, ...], profile: pathlib.Path, *, quick: bool) -> float:
    if problems := verify(port, asked):
        raise Wrong("\n".join(problems))
    stretches = QUICK_STRETCHES if quick else STRETCHES
    requests = [each.raw for each in asked]
    # the server counts all that it does until it is asked to begin anew
    mark = Exchange("/mark").raw
    totals = []
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for times in stretches:
            for each in itertools.islice(itertools.cycle(requests), times):
                make(connection, each)
            make(connection, mark)
            totals.append(total(profile))
    _, few, many = totals
    return (many - few) / (stretches[2] - stretches[1])


def make(connection: socket.socket, request: bytes) -> None:
    """Make one request, and read its answer."""
    connection.sendall(request)
    received = b""
    while clients.parse(received) is None:
        more = connection.recv(65536)
        if not more:
            raise clients.Lost("short answer")
        received += more


def total(profile: pathlib.Path) -> int:
    """Return the instructions of the stretch that ended last."""
    number = max(int(each.suffix[1:]) for each in profile.parent.glob(f"{profile.name}.*"))
    found = re.search(r"^totals: (\d+)", profile.with_suffix(f".{number}").read_text(), re.MULTILINE)
    assert found, number
    return int(found[1])


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m benchmarks.http", description=(__doc__ or "").split("\n")[0])
    words.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)} (default: all)")
    words.add_argument("--quick", action="store_true", help="few rounds: to see that it works, not to learn a figure")
    words.add_argument("--instructions", action="store_true", help="count instructions beside bare aiohttp alone")
    words.add_argument("--peer", action="append", choices=NAMES, help="beside this one; may be repeated (default: all)")
    words.add_argument("--no-peers", action="store_true", help="measure ours alone")
    given = words.parse_args()
    if unknown := sorted(set(given.cases) - set(CASES)):
        words.error(f"no case is named {', '.join(unknown)}; there are {', '.join(CASES)}")
    beside = () if given.no_peers else given.peer or NAMES
    counts = given.instructions
    print(table(given.cases or CASES, beside, quick=given.quick, rates=not counts, instructions=counts))


if __name__ == "__main__":
    main()
