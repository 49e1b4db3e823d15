"""What a worker does: it runs a stage, tells the supervisor how that goes, and does what the supervisor says."""

from __future__ import annotations

import contextlib
import gc
import signal
import time
import typing as t

import structlog

from buvar import errors
from buvar.forking.worker import do_nothing

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.board import Row
    from buvar.forking.notify import Notifier
    from buvar.forking.worker import Report
    from buvar.staging.loader import PluginRef
    from buvar.staging.stage import Stage

log = structlog.get_logger(__name__)

#: how many more containers a worker makes than it drops before the collector looks at the young ones
GC_THRESHOLD = 5000
#: seconds after which a process that is alone sees whether there is anything to tell
TICK = 1.0


class Duty:
    """The duty of one worker, whose loop beats every *beat* seconds. *on_orphaned* is called when it has no parent."""

    def __init__(
        self, stage: Stage, report: Report, row: Row, *, beat: float, on_orphaned: c.Callable[[], None]
    ) -> None:
        self._stage = stage
        self._report = report
        self._row = row
        self._beat_every = beat
        self._on_orphaned = on_orphaned

    def run(self, *plugins: PluginRef) -> int:
        """Run the stage to its end and return the exit code; raises what the stage raises."""
        stage, report = self._stage, self._report
        stage.ready.add_callback(settle)
        stage.ready.add_callback(report.ready)
        stage.lead.withhold()
        # a second one while the process ends would kill it, and with it what it has not written out yet
        stage.signals.afterwards[signal.SIGTERM] = do_nothing
        stage.lead.on_release(lambda: report.led(failed=bool(stage.failures)))
        stage.loop.add_reader(report.fileno(), self._listen)
        stage.loop.call_soon(self._beat)
        stage.run(*plugins)
        if stage.failures:
            report.failed(stage.failures[0])
            return exit_code(stage)
        if not stage.stopped:
            report.ended()
        return 0

    def _beat(self) -> None:
        self._row.beat()
        self._stage.loop.call_later(self._beat_every, self._beat)

    def _listen(self) -> None:
        for message in self._report.read():
            if message.get("lead"):
                self._stage.lead.grant()
            if message.get("stop"):
                self._stop()
        if self._report.supervisor_gone:
            self._stage.loop.remove_reader(self._report.fileno())
            log.warning("supervisor is gone, stopping")
            self._on_orphaned()
            self._stop()

    def _stop(self) -> None:
        if not self._stage.stopped:
            self._stage.stop()


def exit_code(stage: Stage) -> int:
    """Return the exit code of a process whose stage is over."""
    return (errors.exit_code(stage.failures[0]) or errors.EXIT_FAILED) if stage.failures else 0


@contextlib.contextmanager
def managed(stage: Stage, notifier: Notifier) -> c.Iterator[None]:
    """Tell the service manager of a stage that runs inside of the block, alone, without a supervisor."""
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            notifier.stopping()

    def look() -> None:
        if stage.stopped:
            stop()
        now = time.monotonic()
        notifier.tick(now)
        stage.loop.call_later(TICK if notifier.due is None else max(0.0, min(TICK, notifier.due - now)), look)

    if notifier.address is not None:
        stage.ready.add_callback(lambda: notifier.ready("1 process"))
        stage.loop.call_soon(look)
    try:
        yield
    finally:
        stop()


def settle() -> None:
    """Keep the garbage collector away from what a process has that is ready, and let it come less often.

    What a start leaves mostly stays until the end: to look through it again and again is in vain. See the docs.
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if young:  # 0: somebody has switched it off
        gc.set_threshold(max(young, GC_THRESHOLD), *older)
