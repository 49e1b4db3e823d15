"""Leadership: one worker of all generations is appointed to run what runs only once.

It leads until it has said that its leader tasks have ended, as it does when it is told to stop, or until it was reaped:
so no two ever lead at a time. Who has led does not lead again: it is on its way out. Where one fails soon after it was
appointed the next ones are appointed in growing pauses, so that a leader task which fails at once does not take one
worker after the other down.
"""

from __future__ import annotations

import time
import typing as t

import structlog

from buvar.forking.slot import Slot

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.worker import Worker

log = structlog.get_logger(__name__)

#: seconds that a worker must have led for its failure not to count as one in a row
SETTLED = 2.0


class Leadership:
    """Appoints one of the workers that *crew* lists."""

    def __init__(self, crew: c.Iterable[Worker]) -> None:
        self._crew = crew
        self._place = Slot()
        self._since = 0.0

    @property
    def not_before(self) -> float:
        """When the next one may be appointed, in seconds of `time.monotonic`."""
        return self._place.not_before

    @property
    def leader(self) -> Worker | None:
        """Who leads."""
        return next((each for each in self._crew if each.row.leader), None)

    def appoint(self, stays: c.Callable[[Worker], bool]) -> None:
        """Appoint a worker that is ready, if nobody leads; first of all one that *stays*."""
        now = time.monotonic()
        if now < self.not_before or self.leader is not None:
            return
        able = [each for each in self._crew if each.serves and not each.led]
        if able:
            leader = max(able, key=lambda each: (stays(each), -each.slot))
            leader.row.leader = True
            leader.channel.send(lead=True)
            self._since = now
            log.info("worker leads", worker=leader.pid, slot=leader.slot)

    def end(self, worker: Worker, *, failed: bool) -> None:
        """Note that *worker* leads no more, if it has led."""
        if not worker.row.leader:
            return
        worker.row.leader = False
        worker.led = True
        now = time.monotonic()
        if not failed or now - self._since > SETTLED:
            self._place.strikes = 0
        if failed and (pause := self._place.strike(now, at_once=True)):
            log.warning("leaders fail in a row, appointing the next one later", pause=round(pause, 1))
