"""Components and context: nanoseconds a call, beside upstream's Cython build."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys
import typing as t

import attrs

from . import peers, rounds

SCRIPT = pathlib.Path(__file__).parent / "measured" / "components.py"
TARGETED = {"get", "get one layer down", "get three layers down", "get named", "miss", "push", "child"}


class Measured:
    """A process that times calls on request."""

    def __init__(self, python: str, script: pathlib.Path = SCRIPT, *arguments: str, ours: bool) -> None:
        self.process = subprocess.Popen(
            [python, "-P", str(script), *arguments],
            env=peers.environment(ours=ours), cwd=script.parent,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.cases = self._read().split("\t")

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        return line

    def __call__(self, case: str, seconds: float) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{case}\t{seconds}\n")
        self.process.stdin.flush()
        return float(self._read())

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


@attrs.frozen
class Effort:
    """How long it may take: *pairs* of fresh processes, *turns* for each case in each, *seconds* for one turn."""

    pairs: int
    turns: int
    seconds: float


QUICK = Effort(pairs=1, turns=2, seconds=0.001)
FULL = Effort(pairs=7, turns=30, seconds=0.004)


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure each case in pairs of processes, since addresses and hashes fall differently in each."""
    effort = QUICK if quick else FULL
    pythons = {"buvar": sys.executable}
    if with_peers and (upstream := peers.upstream()):
        pythons["upstream (Cython)"] = upstream
    samples: dict[str, dict[str, list[float]]] = {}
    for _ in range(effort.pairs):
        for case, taken in pair(pythons, effort):
            for name, values in taken.items():
                samples.setdefault(case, {}).setdefault(name, []).append(min(values))
    rows = [row for case, taken in samples.items() for row in rounds.compare(case, "ns", taken, targets(case))]
    return rounds.Table("Components", rows)


def targets(case: str) -> dict[str, str]:
    return {"upstream (Cython)": "<= 1.00" if case in TARGETED else ""}


def pair(pythons: dict[str, str], effort: Effort) -> t.Iterator[tuple[str, dict[str, list[float]]]]:
    """Yield each case with the samples of fresh processes, one for each of *pythons*."""
    running = {name: Measured(python, ours=name == "buvar") for name, python in pythons.items()}
    try:
        for case in running["buvar"].cases:
            samplers = {name: functools.partial(one, case, effort.seconds) for name, one in running.items()}
            yield case, rounds.interleave(samplers, effort.turns)
    finally:
        for one in running.values():
            one.__exit__()
