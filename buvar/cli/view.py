"""How a status is written for people: the lines above the table, and its cells."""

from __future__ import annotations

import time
import typing as t

from buvar.cli.services import command_line, printable

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.status import LastReload, Status, WorkerFacts

HEADS: t.Final = ("slot", "pid", "gen", "state", "age", "ready after", "beat", "requests", "conns", "memory", "leader")
#: what is a text and no number
LEFT: t.Final = frozenset({"state", "leader"})


def plain(status: Status) -> str:
    """Return the whole status as text."""
    rows = [HEADS, *(cells(each) for each in status.workers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(_pad, HEADS, row, widths)).rstrip() for row in rows]
    return "\n".join([*(f"{name:<10}{text}" for name, text in facts(status)), "", *table])


def _pad(head: str, text: str, width: int) -> str:
    return text.ljust(width) if head in LEFT else text.rjust(width)


def facts(status: Status) -> c.Iterator[tuple[str, str]]:
    """Say what there is to know of the whole: names and texts."""
    known, now = status.supervisor, time.time()
    workers = status.workers
    ready = sum(each.state == "ready" for each in workers)
    memory = [each.memory for each in workers if each.memory is not None]
    yield "service", f"pid {known.pid}, {known.state}, generation {known.generation}, up {span(now - known.started)}"
    yield "command", command_line(status)
    yield "folder", printable(known.folder)
    for each in known.sockets:
        yield "listens", printable(each.uri if each.uri == each.address else f"{each.uri} ({each.address})")
    totals = f"{sum(each.requests for each in workers):,} requests, {sum(w.connections for w in workers):,} connections"
    yield "workers", f"{ready} of {known.wanted} ready, {known.restarts} replaced"
    yield "in all", ", ".join([totals, *([f"{size(sum(memory))}"] if memory else [])])
    if known.fork_server is not None:
        yield "forked by", f"pid {known.fork_server}"
    if known.last_reload is not None:
        yield "reload", reload_line(known.last_reload, now)


def reload_line(last: LastReload, now: float) -> str:
    """Say how the last reload went, and how long ago that was."""
    why, _, _ = (last.error or "for no known reason").partition("\n")  # the rest is for `buvar reload` and --json
    result = "done" if last.ok else f"aborted: {printable(why)}"
    return f"generation {last.generation}, {span(now - last.at)} ago, in {last.seconds:.1f} s, {result}"


def cells(worker: WorkerFacts) -> tuple[str, ...]:
    """Return what is written of a worker under `HEADS`."""
    return (
        str(worker.slot),
        str(worker.pid),
        str(worker.generation),
        worker.state,
        span(worker.age),
        "-" if worker.ready_after is None else f"{worker.ready_after:.2f} s",
        f"{worker.beat_age:.1f} s",
        f"{worker.requests:,}",
        f"{worker.connections:,}",
        "-" if worker.memory is None else size(worker.memory),
        "yes" if worker.leader else "",
    )


def span(seconds: float) -> str:
    """Write a span of time with its two largest units, as ``3 h 5 min``."""
    left, parts = max(0, int(seconds)), []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def size(number: float) -> str:
    """Write a number of bytes, as ``45.1 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
