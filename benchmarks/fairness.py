"""Fairness: how many of the connections that a client keeps open the busiest of two workers has, in per cent.

All connections are made at once, and then each of them asks which process serves it. Half of them would be fair.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import socket
import statistics
import typing as t

import attrs

from . import rounds, servers

REQUEST = b"GET /pid HTTP/1.1\r\nHost: localhost\r\n\r\n"
CONNECTIONS = (64, 256)
TARGET = 58
PEERS = servers.PEERS


@attrs.frozen
class Row:
    """The largest share of a worker of *server*, in per cent, round by round."""

    case: str
    server: str
    shares: tuple[float, ...] = attrs.field(converter=tuple[float, ...])
    target: str = ""

    def cells(self) -> tuple[str, ...]:
        median, worst = statistics.median(self.shares), max(self.shares)
        return (self.case, self.server, f"{median:.1f}", f"{worst:.1f}", self.target)

    def record(self) -> dict[str, t.Any]:
        """Return what ``--json`` writes of this row."""
        return attrs.asdict(self)


@attrs.frozen
class Table:
    """The rows of all servers."""

    title: str
    rows: list[Row]

    def __str__(self) -> str:
        head = ("connections", "server", "median %", "worst %", "target")
        return rounds.table(self.title, [head, *(row.cells() for row in self.rows)])


def run(*, quick: bool, with_peers: bool) -> Table:
    """Start all servers, then connect to one after the other, round by round."""
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(each.running()) for name, each in found(with_peers=with_peers).items()}
        rows = [row for number in CONNECTIONS for row in compared(running, number, 2 if quick else 20)]
    return Table("Fairness", rows)


def found(*, with_peers: bool) -> dict[str, servers.Server]:
    both = {f"buvar, {loop}": servers.buvar("--loop", loop) for loop in ("uvloop", "asyncio")}
    peers = servers.all_of(*(PEERS if with_peers else ()))
    return both | {name: each for name, each in peers.items() if not each.ours}


def compared(running: dict[str, servers.Running], number: int, turns: int) -> list[Row]:
    samplers = {name: functools.partial(share, each.port, number) for name, each in running.items()}
    targets = {name: f"<= {TARGET}" for name in running if name.startswith("buvar")}
    samples = rounds.interleave(samplers, turns)
    return [Row(str(number), name, taken, targets.get(name, "")) for name, taken in samples.items()]


def share(port: int, number: int) -> float:
    """Open so many connections, and return the share of them that the busiest worker serves, in per cent."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(connect(port)) for _ in range(number)]
        for each in made:
            each.sendall(REQUEST)
        (_, most), *_ = collections.Counter(map(answer, made)).most_common(1)
    return 100 * most / number


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=servers.PATIENCE)


def answer(connection: socket.socket) -> int:
    """Read the response, and return the number of the process that it comes from."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return int(file.read(length))
