"""Injection: what it costs to have objects built, as multiples of the code that one writes by hand for them.

Instructions are counted by callgrind, where there is valgrind: whatever else the machine does leaves them alone.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import typing as t

import attrs

from . import components, peers, rounds

SCRIPT = pathlib.Path(__file__).parent / "measured" / "di_child.py"
HAND = "by hand"
OURS = "buvar"
UPSTREAM = "upstream"
MODULES = ("wireup", "dishka", "aioinject")


@attrs.frozen
class Case:
    """How one case is timed: *turns* of *amount* (seconds, or scopes) in each of so many sets of processes."""

    unit: str = "ns"
    amount: float = 0.004
    quick: float = 0.0005
    turns: int = 20
    sets: int = 5
    target: str = ""
    relative: bool = True


#: what counts instructions has its target there
COUNTED: t.Final = {
    "one": "<= 1.70",
    "chain": "<= 1.15",
    "wide": "<= 1.15",
    "diamond": "<= 1.12",
    "scope": "<= 1.45",
    "keyword": "<= 1.90",
    "keyword bound": "<= 1.20",
}
TIMED: t.Final = {
    **dict.fromkeys(COUNTED, Case()),
    "leak": Case("KiB", 1_000_000, quick=2000, turns=1, sets=1, relative=False),
    "concurrent": Case("us", 1, quick=1, turns=7, target="<= 1.50"),
    "memory": Case("bytes", 10_000, quick=200, turns=1, sets=1, relative=False),
    "cold": Case("ms", 1, quick=1, turns=5, target="< 1.5", relative=False),
}


@attrs.frozen
class Rival:
    """Who is measured: by the module ``measured/di_<module>.py``, in the interpreter *python*."""

    module: str
    python: str = sys.executable

    def command(self, *words: str) -> list[str]:
        return [self.python, str(SCRIPT), self.module, *words]

    @property
    def environment(self) -> dict[str, str]:
        return peers.environment(ours=self.module == OURS)


class Measured(components.Measured):
    """A process that measures cases of one rival on request."""

    def __init__(self, rival: Rival) -> None:
        self.process = subprocess.Popen(
            rival.command(), env=rival.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.cases = self._read().split("\t")


@attrs.frozen
class Row:
    """The samples of one case, in *unit*, by rival; *relative* ones are told as multiples of those by hand."""

    case: str
    unit: str
    samples: dict[str, list[float]]
    target: str = ""
    relative: bool = True

    def told(self, name: str) -> list[float]:
        """Return the samples of *name* as they are told: ratios round by round, or the samples themselves."""
        taken = self.samples.get(name, [])
        if not self.relative:
            return taken
        return [one / hand for one, hand in zip(taken, self.samples[HAND], strict=True)] if taken else []

    def cell(self, name: str) -> str:
        told = self.told(name)
        if not told:
            return "-"
        median = statistics.median(told)
        return f"{median:.2f}" if self.relative else f"{rounds.figure(median)} {self.unit}"

    def cells(self, others: t.Iterable[str]) -> list[str]:
        hand = self.samples.get(HAND)
        ours = self.told(OURS)
        span = f"{min(ours):.2f}-{max(ours):.2f}" if len(ours) > 1 else "-"
        figure = f"{rounds.figure(statistics.median(hand))} {self.unit}" if hand else "-"
        return [self.case, figure, self.cell(OURS), span, self.target, *map(self.cell, others)]

    def record(self) -> dict[str, t.Any]:
        """Return what ``--json`` writes of this row."""
        return attrs.asdict(self)


@attrs.frozen
class Table:
    """The rows, with a column for each rival."""

    title: str
    rows: list[Row]

    def __str__(self) -> str:
        others = list(dict.fromkeys(name for row in self.rows for name in row.samples if name not in {HAND, OURS}))
        head = ["case", HAND, OURS, "min-max", "target", *others]
        return rounds.table(self.title, [tuple(head), *(tuple(row.cells(others)) for row in self.rows)])


def run(*, quick: bool, with_peers: bool) -> Table:
    """Count instructions, unless it is to be *quick*, then take times and memory."""
    found = rivals(with_peers=with_peers)
    return Table("Injection", [*([] if quick else counted(found)), *timed(found, quick=quick)])


def rivals(*, with_peers: bool) -> dict[str, Rival]:
    found = {HAND: Rival("hand"), OURS: Rival("buvar")}
    if with_peers:
        found |= {name: Rival(name) for name in peers.installed(*MODULES)}
        if upstream := peers.upstream():
            found[UPSTREAM] = Rival("upstream", upstream)
    return found


def counted(found: dict[str, Rival], *cases: str) -> list[Row]:
    """Return a row of instructions for each of *cases*, or of all."""
    if not shutil.which("valgrind"):
        print("left out: instructions, valgrind is not installed", file=sys.stderr)
        return []
    counts = {name: count(rival, *cases) for name, rival in found.items()}
    return [
        Row(case, "instructions", {name: [each[case]] for name, each in counts.items() if case in each}, target)
        for case, target in COUNTED.items()
        if case in counts[HAND]
    ]


def count(rival: Rival, *cases: str) -> dict[str, float]:
    """Return the instructions that one of each case takes: many runs less few runs, by how many more they are."""
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder, "profile")
        command = [
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--dump-before=getppid",
            f"--callgrind-out-file={profile}",
        ]
        done = subprocess.run(
            [*command, *rival.command("count", *cases)],
            env={**rival.environment, "PYTHONHASHSEED": "0"}, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        # each case leaves three stretches: to warm up, few runs, many runs
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        return {
            case: (total(profile, 3 * turn + 3) - total(profile, 3 * turn + 2)) / int(more)
            for turn, (case, more) in enumerate(lines)
        }


def total(profile: pathlib.Path, stretch: int) -> int:
    found = re.search(r"^totals: (\d+)", profile.with_suffix(f".{stretch}").read_text(), re.MULTILINE)
    assert found, stretch
    return int(found[1])


def timed(found: dict[str, Rival], *, quick: bool) -> list[Row]:
    """Measure in several sets of processes, since addresses and hashes fall differently in each."""
    samples: dict[str, dict[str, list[float]]] = {case: {} for case in TIMED}
    for turn in range(1 if quick else max(case.sets for case in TIMED.values())):
        wanted = {name: case for name, case in TIMED.items() if turn < case.sets}
        for case, taken in together(found, wanted, quick=quick):
            for name, best in taken.items():
                samples[case].setdefault(name, []).append(best)
    return [
        Row(name, case.unit, samples[name], case.target, case.relative) for name, case in TIMED.items() if samples[name]
    ]


def together(
    found: dict[str, Rival], wanted: dict[str, Case], *, quick: bool
) -> t.Iterator[tuple[str, dict[str, float]]]:
    """Yield each case with the best turn of each rival that has it, in a fresh process for each rival."""
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(Measured(rival)) for name, rival in found.items()}
        for name, case in wanted.items():
            amount = case.quick if quick else case.amount
            samplers = {
                rival: functools.partial(one, name, amount) for rival, one in running.items() if name in one.cases
            }
            taken = rounds.interleave(samplers, 2 if quick else case.turns)
            yield name, {rival: min(values) for rival, values in taken.items()}


def main() -> None:
    """``python -m benchmarks.di [case …]``: count the instructions of ours and by hand alone, for a quick look."""
    cases = sys.argv[1:]
    if unknown := sorted(set(cases) - set(COUNTED)):
        sys.exit(f"no case is counted that is named {', '.join(unknown)}; there are {', '.join(COUNTED)}")
    print(Table("Injection", counted(rivals(with_peers=False), *cases)))


if __name__ == "__main__":
    main()
