"""What all benchmarks share: rows of interleaved samples, and their table.

Each row sets our samples beside a peer's, taken in turn: A B A B. The figure that counts is the ratio of the two in one
round, since whatever else the machine does meets both alike.
"""

from __future__ import annotations

import math
import statistics
import typing as t

import attrs

if t.TYPE_CHECKING:
    import collections.abc as c


S = t.TypeVar("S")

Sampler: t.TypeAlias = "c.Callable[[], float]"


@attrs.frozen
class Row:
    """Our samples of *case* beside those of *peer*, both in *unit*, one for each round; *peer* may be absent.

    What never came about is infinite, and what could not be measured, since the server had died, is not a number.
    """

    case: str
    unit: str
    ours: tuple[float, ...] = attrs.field(converter=tuple[float, ...])
    peer: str | None = None
    theirs: tuple[float, ...] = attrs.field(default=(), converter=tuple[float, ...])
    target: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours by theirs, round by round, where both came about."""
        pairs = zip(self.ours, self.theirs, strict=False)
        return tuple(ours / theirs for ours, theirs in pairs if math.isfinite(ours + theirs) and theirs)

    def cells(self) -> tuple[str, ...]:
        ratio, span = ("-", "-")
        if self.ratios:
            ratio = f"{statistics.median(self.ratios):.2f}"
            span = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}"
        theirs = figure(middle(self.theirs)) if self.theirs else "-"
        ours = figure(middle(self.ours))
        return (self.case, self.unit, ours, self.peer or "-", theirs, ratio, span, self.target)

    def record(self) -> dict[str, t.Any]:
        """Return what ``--json`` writes of this row."""
        told = {"ours": written(self.ours), "theirs": written(self.theirs)}
        return {**attrs.asdict(self), **told, "ratios": self.ratios}


@attrs.frozen
class Losses:
    """How many requests were lost, by kind, of how many that were *asked*."""

    asked: int = 0
    kinds: dict[str, int] = attrs.field(factory=dict)

    def __add__(self, other: Losses) -> Losses:
        names = sorted({*self.kinds, *other.kinds})
        kinds = {name: self.kinds.get(name, 0) + other.kinds.get(name, 0) for name in names}
        return Losses(self.asked + other.asked, kinds)

    @property
    def total(self) -> int:
        return sum(self.kinds.values())

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {name}" for name, number in self.kinds.items())
        return f"{self.total} of {self.asked}" + (f" ({kinds})" if kinds else "")


@attrs.frozen
class LossRow:
    """What we lost in all rounds beside what *peer* did. Whole numbers, since a ratio to none says nothing."""

    case: str
    ours: Losses
    peer: str | None = None
    theirs: Losses | None = None
    target: str = ""
    unit: str = "lost"

    def cells(self) -> tuple[str, ...]:
        theirs = "-" if self.theirs is None else str(self.theirs)
        return (self.case, self.unit, str(self.ours), self.peer or "-", theirs, "-", "-", self.target)

    def record(self) -> dict[str, t.Any]:
        """Return what ``--json`` writes of this row."""
        return attrs.asdict(self)


@attrs.frozen
class Table:
    """The rows of one benchmark, under a title, and below them a *note*, if there is one."""

    title: str
    rows: c.Sequence[Row | LossRow]
    note: str = ""

    def __str__(self) -> str:
        head = ("case", "unit", "buvar", "peer", "peer's", "ratio", "min-max", "target")
        made = table(self.title, [head, *(row.cells() for row in self.rows)])
        return f"{made}\n\n{self.note}" if self.note else made


def table(title: str, lines: list[tuple[str, ...]]) -> str:
    """Write *lines*, of which the first is the head, as a table in Markdown."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    ruled = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
    body = ("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in ruled)
    return "\n".join((f"### {title}", "", *body))


def figure(value: float) -> str:
    """Write *value* with three significant digits, and no exponent."""
    if not math.isfinite(value):
        return "died" if math.isnan(value) else "never"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def middle(values: c.Sequence[float]) -> float:
    """Return the median of what was measured."""
    return statistics.median([each for each in values if not math.isnan(each)] or [math.nan])


def written(values: c.Iterable[float]) -> list[float | str]:
    """Return *values* as JSON can hold them."""
    return [each if math.isfinite(each) else figure(each) for each in values]


def interleave(samplers: c.Mapping[str, c.Callable[[], S]], rounds: int) -> dict[str, list[S]]:
    """Call all *samplers* in turn, *rounds* times, and return what each gave. Every other round goes backwards."""
    samples: dict[str, list[S]] = {name: [] for name in samplers}
    for turn in range(rounds):
        for name in list(samplers)[:: -1 if turn % 2 else 1]:
            samples[name].append(samplers[name]())
    return samples


def compare(
    case: str,
    unit: str,
    samples: c.Mapping[str, c.Sequence[float]],
    targets: c.Mapping[str, str] | None = None,
) -> list[Row]:
    """Set the samples of the first name, which is ours, beside those of each other one."""
    (_, ours), *others = samples.items()
    rows = [Row(case, unit, ours, name, theirs, (targets or {}).get(name, "")) for name, theirs in others]
    return rows or [Row(case, unit, ours)]


def compare_losses(case: str, samples: c.Mapping[str, c.Sequence[Losses]], target: str = "") -> list[LossRow]:
    """Set what the first name, which is ours, lost in all rounds beside what each other one did."""
    (_, ours), *others = ((name, sum(taken, Losses())) for name, taken in samples.items())
    rows = [LossRow(case, ours, name, theirs, target) for name, theirs in others]
    return rows or [LossRow(case, ours, target=target)]
