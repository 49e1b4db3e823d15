"""Fairness: for how long a worker leaves a connection to its siblings, when it has more of them than they.

All workers are woken for a connection to a shared socket, and the first one takes it. Which one that is, a busy machine
decides, and connections that are kept alive stay where they are: so one worker may end up with most of the work. On the
board each sees how many connections the others have open. One that has too many waits for a moment, in which a sibling
takes the connection. If none does, it takes it itself, so that no client waits for a worker that is busy or stuck; and
if that happens over and over, it does not wait any more for a while.
"""

from __future__ import annotations

import time
import typing as t

import attrs

if t.TYPE_CHECKING:
    from buvar.forking.board import Board, Row

    from .connections import Server

#: how many connections more than its least loaded sibling a worker has at most: so many, or this part of the sibling's
SLACK: t.Final = 2
PART: t.Final = 8
#: seconds to leave a connection to the siblings for each time that the slack is used up; and the most
PATIENCE: t.Final = 0.005
LONGEST: t.Final = 0.05
#: seconds of waiting in vain, without a success in between, after which a worker does not wait for a while
VAIN: t.Final = 0.1
#: how long that is, in seconds: at first, and at most; it doubles with each time
RELAXED: t.Final = 0.25
MOST_RELAXED: t.Final = 60.0
#: how often to look who the siblings are, and how briefly connections live, in nanoseconds
NEWS: t.Final = 250_000_000
#: connections are brief if that often as many were closed, between two such looks, as there were at once
TURNS: t.Final = 3
#: nanoseconds without a beat after which a sibling does not count
SILENT: t.Final = 2_000_000_000


@attrs.define(eq=False)
class Restraint:
    """Tells the worker of *server* when to leave a connection to its siblings, those on *board* other than *row*.

    Where connections are brief, one for each request for instance, as many of them as there were at once lately may
    come before one is left to others: they are gone before anybody had to bear them.
    """

    server: Server
    row: Row
    board: Board
    _siblings: list[Row] = attrs.field(factory=list, init=False)
    _brief: int = attrs.field(default=0, init=False)
    _lost: int = attrs.field(default=0, init=False)
    _looked: int = attrs.field(default=0, init=False)
    _vain: float = attrs.field(default=0.0, init=False)
    _relaxed: float = attrs.field(default=RELAXED, init=False)
    _relaxed_until: int = attrs.field(default=0, init=False)

    def patience(self) -> float:
        """Return for how many seconds to leave the next connection to the siblings; 0.0: take it now."""
        own = self.row.connections
        if own < SLACK:
            return 0.0
        now = time.monotonic_ns()
        if now - self._looked >= NEWS:
            self._look_around(now)
        if own < self._brief or now < self._relaxed_until:
            return 0.0
        least = own
        for each in self._siblings:
            if each.connections < least and each.accepts(now - SILENT):
                least = each.connections
        slack = max(SLACK, least // PART, self._brief)
        return min(LONGEST, (own - least) // slack * PATIENCE)

    def _look_around(self, now: int) -> None:
        self._siblings = self.board.others(self.row)
        turns = TURNS * (now - self._looked) / NEWS
        peak, lost = self.server.peak, self.server.lost
        self._brief = peak if lost - self._lost >= turns * peak else 0
        self._looked, self._lost, self.server.peak = now, lost, self.row.connections

    def helped(self) -> None:
        """Note that siblings took what was left to them, or have as much as this worker now."""
        self._vain = 0.0
        self._relaxed = RELAXED

    def in_vain(self, seconds: float) -> None:
        """Note that no sibling took what was left to them for so long."""
        self._vain += seconds
        if self._vain >= VAIN:
            self._vain = 0.0
            self._relaxed_until = time.monotonic_ns() + int(self._relaxed * 1e9)
            self._relaxed = min(MOST_RELAXED, 2 * self._relaxed)
