"""The rehearsal: plugins are prepared, looked after, and taken down again; no task runs.

A start fails at the first error, since nothing good can follow. A rehearsal goes on: what else can be prepared is, so
that all that is wrong is told at once.
"""

from __future__ import annotations

import typing as t

import attrs

from buvar.di import signature
from buvar.diagnostic import Diagnostic
from buvar.staging import codes
from buvar.staging.stage import Stage

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.staging.loader import PluginRef
    from buvar.staging.record import PluginRecord

#: seconds from which a plugin, without those that it loads, takes long to prepare
SLOW: t.Final = 1.0

#: what may be found only since plugins failed
_AFTER: t.Final = frozenset({"BV106", "BV107", "BV301"})
_ORDER: t.Final = ("error", "warning", "info")


class Rehearsal(Stage):
    """A stage that goes on where a plugin fails, and never runs a task; it is made as a `Stage` is."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.plugins.goes_on = True
        #: whether it was told to stop, so that not all was found
        self.interrupted = False

    def rehearse(
        self, *plugins: PluginRef, slow: float = SLOW, look: c.Callable[[], None] | None = None
    ) -> tuple[Diagnostic, ...]:
        """Prepare *plugins*, take them down again, and return all that is to be said of them, errors first.

        *look* is called in between, when they are prepared. A plugin that takes more than *slow* seconds is told.
        """
        failed: list[Exception | SystemExit] = []
        try:
            self.load(*plugins)
            self.interrupted = self.stopped
        except (Exception, SystemExit) as error:  # a plugin may end the process; that a start would end is a finding
            failed.append(error)
            self.interrupted = self.stopped and not isinstance(error, SystemExit)
        except BaseException as error:
            self._teardown_after(error)
            raise
        if look is not None:
            look()
        torn: list[Diagnostic] = []
        try:
            self.run_teardown()
        except BaseExceptionGroup as group:
            torn = [attrs.evolve(each, code="BV208") for each in codes.diagnose(group)]
        reaching = self._reaching(failed)
        failures = (told for each in reaching.values() for told in codes.diagnose(each))
        found = [*failures, *self._told(reaching), *torn, *self._circles(), *self._slow(slow)]
        once: dict[t.Hashable, Diagnostic] = {}  # two may come upon the same fault
        for each in found:
            once.setdefault((each.code, each.message, each.place, each.plugin), each)
        return tuple(sorted(once.values(), key=lambda each: _ORDER.index(each.severity)))

    async def _load_all(self, plugins: tuple[PluginRef, ...]) -> None:
        failed: Exception | None = None
        try:
            await self.loader(*plugins)
        except Exception as error:
            failed = error
        try:
            await self.plugins.settle()
        except Exception as error:
            failed = failed or error
        await self.look.run()
        if failed is not None:
            raise failed

    def _reaching(self, failed: list[Exception | SystemExit]) -> dict[int, BaseException]:
        """Return why plugins failed, by the id of the error, but not what a plugin that loads them has dealt with."""
        failures = self.plugins.failures
        reaching: dict[int, BaseException] = {id(each): each for each in failed}
        reaching |= {id(error): error for plugin in self.plugins if (error := _unseen(plugin)) is not None}
        for _ in failures:  # who fails because of what it loads is told of by whoever loads it: up to the stage itself
            for loader, error in failures:
                if loader is None or id(loader.failure) in reaching:
                    reaching[id(error)] = error
        return reaching

    def _told(self, reaching: c.Container[int]) -> c.Iterator[Diagnostic]:
        """Tell what the look found, apart what may be there only since plugins failed, whose errors are *reaching*."""
        found = [each for finding in self.look.found for each in codes.of_finding(finding)]
        failed = [plugin.name for plugin in self.plugins if id(plugin.failure) in reaching]
        if not failed:
            yield from found
            return
        # what they would have provided, or read, is no fault of its own
        after = [each for each in found if each.code in _AFTER and "did you mean" not in each.message]
        yield from (each for each in found if each not in after)
        if after:
            number = "1 more finding" if len(after) == 1 else f"{len(after)} more findings"
            message = f"{number}, perhaps only since these plugins failed: {', '.join(failed)}"
            yield Diagnostic("BV306", message, "info", notes=tuple(each.message for each in after))

    def _circles(self) -> c.Iterator[Diagnostic]:
        for path in self.plugins.circles:
            message = f"plugins load each other in a circle: {' -> '.join(path)}"
            advice = "load them from one side only; the inner load returned before its plugin was prepared"
            yield Diagnostic("BV205", message, "warning", advice=advice, plugin=path[0])

    def _slow(self, limit: float) -> c.Iterator[Diagnostic]:
        for plugin in self.plugins:
            if plugin.own_seconds > limit:
                message = f"{plugin.name} took {plugin.own_seconds:.1f} s to prepare"
                place = signature.place_of(plugin.prepare)
                yield Diagnostic("BV206", message, "info", place, plugin=plugin.name)


def _unseen(plugin: PluginRecord) -> Exception | None:
    error = plugin.failure
    return error if isinstance(error, Exception) and not plugin.seen else None
