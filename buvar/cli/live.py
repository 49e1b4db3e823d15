"""The live view of ``buvar status``, drawn with rich."""

from __future__ import annotations

import time
import typing as t

import attrs
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from buvar.cli import view
from buvar.errors import NoServiceError

if t.TYPE_CHECKING:
    from rich.console import RenderableType

    from buvar.cli.services import Service
    from buvar.forking.status import Status, WorkerFacts

#: seconds between two looks
PERIOD: t.Final = 1.0
#: how old a beat may be before it looks odd, and before it looks bad, in seconds
ODD, BAD = 3.0, 10.0
#: how wide a bar is, in characters
BAR: t.Final = 14

RATE: t.Final = "req/s"
SHARE: t.Final = "share"
#: the columns: rates come after the numbers that they are made of
HEADS: t.Final = tuple(each for head in view.HEADS for each in ([head, RATE, SHARE] if head == "requests" else [head]))
#: the columns that are left out where the terminal is too narrow for all, the first one first
DISPENSABLE: t.Final = (SHARE, "ready after", "leader", "age", "gen", "requests", "memory", "beat", "conns")

STATES: t.Final = {
    "booting": "yellow",
    "ready": "green",
    "running": "green",
    "reloading": "yellow",
    "stopping": "magenta",
}


def watch(service: Service) -> None:
    """Show the service until it ends, or until Ctrl-C."""
    rates = Rates()
    status = service.status()  # that there is no service is told plainly
    with Live(console=Console(), auto_refresh=False) as screen:
        try:
            while True:
                screen.update(render(status, rates.of(status, time.monotonic()), screen.console.width), refresh=True)
                time.sleep(PERIOD)
                status = service.status()
        except NoServiceError:
            screen.console.print(Text(f"the service ended (pid {status.supervisor.pid})", "bold"))


@attrs.define
class Rates:
    """Requests a second of each worker, from one look to the next."""

    _seen: dict[int, tuple[float, int]] = attrs.field(factory=dict)

    def of(self, status: Status, now: float) -> dict[int, float]:
        """Return the rates by pid; a worker that is new has none yet."""
        seen = {each.pid: (now, each.requests) for each in status.workers}
        known = {pid: (*self._seen[pid], *seen[pid]) for pid in seen if pid in self._seen}
        self._seen = seen
        return {
            pid: max(0.0, (requests - before) / (at - since))
            for pid, (since, before, at, requests) in known.items()
            if at > since
        }


def render(status: Status, rates: dict[int, float], width: int) -> RenderableType:
    """Return what is to be drawn on a terminal of that width."""
    return Group(_head(status, rates), Text(), _table(status, rates, width))


def _head(status: Status, rates: dict[int, float]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, text in view.facts(status):
        line = Text(text)
        if name == "service":
            line.highlight_words([status.supervisor.state], STATES.get(status.supervisor.state, ""))
        if name == "in all" and rates:
            line.append(f", {sum(rates.values()):,.0f} requests/s", "bold")
        if name == "reload" and status.supervisor.last_reload and not status.supervisor.last_reload.ok:
            line.stylize("red")
        grid.add_row(Text(name, "dim"), line)
    return grid


def _table(status: Status, rates: dict[int, float], width: int) -> Table:
    most = max([*rates.values(), 1.0])
    columns: dict[str, list[RenderableType]] = {head: [] for head in HEADS}
    for worker in status.workers:
        for head, cell in _row(worker, rates.get(worker.pid), most).items():
            columns[head].append(cell)
    heads = _fitting(columns, width)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, justify="left" if head in {*view.LEFT, SHARE} else "right", no_wrap=True)
    for row in zip(*(columns[head] for head in heads), strict=True):
        table.add_row(*row)
    return table


def _row(worker: WorkerFacts, rate: float | None, most: float) -> dict[str, RenderableType]:
    cells = zip(view.HEADS, view.cells(worker), strict=True)
    return {
        **{head: Text(text, _style(head, worker)) for head, text in cells},
        RATE: Text("-" if rate is None else f"{rate:,.0f}"),
        SHARE: ProgressBar(total=most, completed=rate or 0, width=BAR, complete_style="cyan", finished_style="cyan"),
    }


def _fitting(columns: dict[str, list[RenderableType]], width: int) -> list[str]:
    """Return the columns that a terminal has room for: rather fewer of them than half of each."""
    widths = {head: max(len(head), *map(_width, cells), 0) + 2 for head, cells in columns.items()}
    heads = [*columns]
    for head in DISPENSABLE:
        if sum(widths[each] for each in heads) - 2 > width:
            heads.remove(head)
    return heads


def _width(cell: RenderableType) -> int:
    return len(cell) if isinstance(cell, Text) else BAR


def _style(head: str, worker: WorkerFacts) -> str:
    if head == "state":
        return STATES.get(worker.state, "")
    if head == "beat":
        return "red" if worker.beat_age > BAD else "yellow" if worker.beat_age > ODD else ""
    return {"leader": "cyan", "pid": "bold"}.get(head, "")
