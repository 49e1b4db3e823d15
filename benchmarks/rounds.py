"""What all benchmarks share: rows of interleaved samples, and their table.

Each row sets our samples beside a peer's, taken in turn: A B A B. The figure that counts is the ratio of the two in one
round, since whatever else the machine does meets both alike.
"""

from __future__ import annotations

import statistics
import typing as t

import attrs

if t.TYPE_CHECKING:
    import collections.abc as c


S = t.TypeVar("S")

Sampler: t.TypeAlias = "c.Callable[[], float]"


@attrs.frozen
class Row:
    """Our samples of *case* beside those of *peer*, both in *unit*, one for each round; *peer* may be absent."""

    case: str
    unit: str
    ours: tuple[float, ...] = attrs.field(converter=tuple[float, ...])
    peer: str | None = None
    theirs: tuple[float, ...] = attrs.field(default=(), converter=tuple[float, ...])
    target: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours by theirs, round by round."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=False))

    def cells(self) -> tuple[str, ...]:
        ratio, span = ("-", "-")
        if self.ratios:
            ratio = f"{statistics.median(self.ratios):.2f}"
            span = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}"
        theirs = figure(statistics.median(self.theirs)) if self.theirs else "-"
        ours = figure(statistics.median(self.ours))
        return (self.case, self.unit, ours, self.peer or "-", theirs, ratio, span, self.target)

    def record(self) -> dict[str, t.Any]:
        """Return what ``--json`` writes of this row."""
        return {**attrs.asdict(self), "ratios": self.ratios}


@attrs.frozen
class Table:
    """The rows of one benchmark, under a title."""

    title: str
    rows: list[Row]

    def __str__(self) -> str:
        head = ("case", "unit", "buvar", "peer", "peer's", "ratio", "min-max", "target")
        lines = [head, *(row.cells() for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        lines.insert(1, tuple("-" * width for width in widths))
        body = ("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)
        return "\n".join((f"### {self.title}", "", *body))


def figure(value: float) -> str:
    """Write *value* with three significant digits, and no exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


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
