"""Forking: what a supervisor does when workers die, when code is reloaded, and when it is told to stop.

``python -m benchmarks.fork [case …] [--quick] [--peer NAME …]`` runs some of the cases, beside some of the peers.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import functools
import signal
import typing as t

import attrs

from . import faults, rounds, servers

if t.TYPE_CHECKING:
    import collections.abc as c

    from .faults import Sample
    from .servers import Running, Server

PRELOAD: t.Final = "preload"
PEERS: t.Final = ("gunicorn", "uvicorn", "granian", "upstream buvar")


@attrs.frozen
class Plan:
    """How much of one kind of load is made around a reload: *requests* and *reloads* in a round."""

    requests: int = 25_000
    reloads: int = 2


QUICK = Plan(requests=1_000, reloads=1)


@attrs.frozen
class Case:
    """One thing that is done to a server, in so many rounds; what waits long is done to all servers *together*.

    Where it counts how fast a worker boots, ours is measured as it comes, and with aiohttp *preloaded*.
    """

    measure: c.Callable[[Running, Plan], c.Coroutine[t.Any, t.Any, Sample]]
    rounds: int
    together: bool = False
    preloaded: bool = False


def plain(measure: c.Callable[[Running], c.Coroutine[t.Any, t.Any, Sample]], rounds: int = 3, **kwargs: bool) -> Case:
    return Case(lambda running, _: measure(running), rounds, **kwargs)


def reload(kind: faults.Kind) -> Case:
    return Case(lambda running, plan: faults.reload(running, kind, plan.requests, plan.reloads), 4, preloaded=True)


CASES: t.Final = {
    "kill": plain(faults.kill, 10, preloaded=True),
    "reload-new": reload(faults.NEW),
    "reload-busy": reload(faults.BUSY),
    "reload-idle": reload(faults.IDLE),
    "term": plain(faults.term, 5),
    "storm": plain(faults.storm),
    "interrupt": plain(faults.interrupt),
    "orphan": plain(faults.orphan, 5),
    "stopped": plain(faults.stop_worker, 1, together=True),
    "blocked": plain(faults.block_worker, 1, together=True),
}
#: what is left out of a quick run: it waits for the better part of a minute
LONG: t.Final = frozenset({"stopped", "blocked"})
TARGETS: t.Final = {
    "worker killed, to serving again": "<= 0.1",
    "worker killed, not held by it": "0",
    "reload, new connections": "<= 1",
    "reload, new connections, lost": "0",
    "reload, busy keep-alive": "<= 1",
    "reload, busy keep-alive, lost": "0",
    "reload, idle keep-alive, lost": "0",
    "TERM, in flight": "0",
    "TERM, new ones not refused": "0",
    "supervisor killed, to no worker": "<= 0.2",
}


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Do it all to ours and the peers, in turn; a quick run makes few requests, and leaves out what waits long."""
    cases = [name for name in CASES if not (quick and name in LONG)]
    return table(cases, PEERS if with_peers else (), quick=quick)


def table(cases: c.Iterable[str], peers: c.Sequence[str], *, quick: bool) -> rounds.Table:
    found = servers.all_of(*peers)
    with interruptible():
        rows = [row for name in cases for row in measured(CASES[name], found, quick=quick)]
    return rounds.Table("Forking", rows)


def measured(case: Case, found: dict[str, Server], *, quick: bool) -> list[rounds.Row | rounds.LossRow]:
    plan = QUICK if quick else Plan()
    if case.preloaded:
        found = {**found, PRELOAD: servers.preloaded()}
    if case.together:
        with concurrent.futures.ThreadPoolExecutor(len(found)) as pool:
            waiting = {name: pool.submit(once, server, case, plan) for name, server in found.items()}
            samples = {name: [each.result()] for name, each in waiting.items()}
    else:
        samplers = {name: functools.partial(once, server, case, plan) for name, server in found.items()}
        samples = rounds.interleave(samplers, 1 if quick else case.rounds)
    preloaded = samples.pop(PRELOAD, None)
    rows = [row for key in samples["buvar"][0] for row in rows_of(key, samples)]
    if preloaded:
        samples["buvar"] = preloaded
        rows += [
            attrs.evolve(row, case=f"{row.case}, {PRELOAD}") for key in preloaded[0] for row in rows_of(key, samples)
        ]
    return rows


def once(server: Server, case: Case, plan: Plan) -> Sample:
    """Start a server, do to it what is to be done, and leave nothing of it."""
    with server.running(faults.WORKERS) as running:
        try:
            return asyncio.run(case.measure(running, plan))
        finally:
            running.kill()


def rows_of(key: str, samples: dict[str, list[Sample]]) -> list[rounds.Row | rounds.LossRow]:
    taken = {name: [each[key] for each in given] for name, given in samples.items()}
    target = TARGETS.get(key, "")
    if isinstance(taken["buvar"][0], rounds.Losses):
        return [*rounds.compare_losses(key, t.cast("dict[str, list[rounds.Losses]]", taken), target)]
    rows = rounds.compare(key, "s", t.cast("dict[str, list[float]]", taken))
    return [attrs.evolve(row, target=target) for row in rows]


@contextlib.contextmanager
def interruptible() -> c.Iterator[None]:
    """Let servers obey Ctrl-C also when we run in the background of a shell, which has all that it starts ignore it."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m benchmarks.fork", description=(__doc__ or "").split("\n")[0])
    words.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)} (default: all)")
    words.add_argument("--quick", action="store_true", help="one round with few requests")
    words.add_argument("--peer", action="append", choices=PEERS, help="beside this one; may be repeated (default: all)")
    words.add_argument("--no-peers", action="store_true", help="measure ours alone")
    given = words.parse_args()
    if unknown := sorted(set(given.cases) - set(CASES)):
        words.error(f"no case is named {', '.join(unknown)}; there are {', '.join(CASES)}")
    peers = () if given.no_peers else given.peer or PEERS
    print(table(given.cases or CASES, peers, quick=given.quick))


if __name__ == "__main__":
    main()
