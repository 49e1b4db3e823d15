"""When a stage is ready: all plugins are prepared, all tasks are started, and nobody holds it back any more.

A plugin whose task needs a moment before it can serve takes a hold while it prepares and releases it when it serves::

    hold = context.get(plugin.Ready).hold("http server")
    …
    hold.release()
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c


class Hold:
    """What one task still has to do before the stage is ready; see `Ready.hold`."""

    __slots__ = ("_ready", "name")

    def __init__(self, ready: Ready, name: str) -> None:
        self._ready = ready
        self.name = name

    def release(self) -> None:
        """Say that this one is ready; a second release does nothing."""
        self._ready._release(self)


class Ready:
    """The readiness of a stage: an event that is set once, when the tasks are started and no hold is left."""

    def __init__(self) -> None:
        self._holds: list[Hold] = []
        self._started = False
        self._event = asyncio.Event()
        self._callbacks: list[c.Callable[[], None]] = []

    @property
    def holds(self) -> tuple[str, ...]:
        """The names of those who are not ready yet."""
        return tuple(hold.name for hold in self._holds)

    def hold(self, name: str) -> Hold:
        """Keep the stage from being ready until the hold that this returns is released."""
        hold = Hold(self, name)
        self._holds.append(hold)
        return hold

    def is_set(self) -> bool:
        """Tell whether the stage is ready."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until the stage is ready."""
        await self._event.wait()

    def add_callback(self, callback: c.Callable[[], None]) -> None:
        """Call *callback* when the stage is ready, in the adder's context: now, if it is."""
        if self.is_set():
            callback()
        else:
            self._callbacks.append(functools.partial(contextvars.copy_context().run, callback))

    def start(self) -> None:
        """Say that all tasks are started (the stage does)."""
        self._started = True
        self._check()

    def _release(self, hold: Hold) -> None:
        if hold in self._holds:
            self._holds.remove(hold)
            self._check()

    def _check(self) -> None:
        if self._started and not self._holds and not self.is_set():
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()
