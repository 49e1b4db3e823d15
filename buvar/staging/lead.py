"""Leadership: what runs in exactly one of several workers, and who may run it.

A plugin declares a task as one for the leader by ``yield plugin.leader(task())``. It starts when the stage leads. A
stage that nobody supervises is alone, and leads from the beginning; a worker leads when its supervisor says so.

A stage that was asked to stop lets go of the leadership as soon as its leader tasks have ended, long before all else
has: so the next one need not wait for the last response of this one.

| state    | on               | becomes                                                                              |
|----------|------------------|--------------------------------------------------------------------------------------|
| GRANTED  | `Lead.withhold`  | WITHHELD: before the stage runs, as a supervisor will say who leads                  |
| WITHHELD | `Lead.grant`     | GRANTED                                                                              |
| GRANTED  | `Cancel`         | RELEASED, when the last leader task has ended                                        |
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import functools
import inspect
import typing as t

from buvar import context, errors

if t.TYPE_CHECKING:
    import collections.abc as c


class State(enum.Enum):
    """Whether a stage leads; once it has let go it never does again."""

    WITHHELD = "withheld"
    GRANTED = "granted"
    RELEASED = "released"


class Lead:
    """The leadership of a stage. *cancel* is the event that asks the stage to stop."""

    def __init__(self, cancel: asyncio.Event) -> None:
        self._cancel = cancel
        self._state = State.GRANTED
        self._running = 0
        self._callbacks: list[c.Callable[[], None]] = []
        # who waits goes on: the stage leads, or it stops without having led
        self._decided = asyncio.Event()
        self._decided.set()

    def is_set(self) -> bool:
        """Tell whether the stage leads now."""
        return self._state is State.GRANTED

    async def wait(self) -> bool:
        """Wait until the stage leads, and return True; return False when it is asked to stop before, or has led.

        The leadership is not kept for who only waits: what must not run twice at a time is a task for `leader`.
        """
        await self._decided.wait()
        return self.is_set()

    def on_release(self, callback: c.Callable[[], None]) -> None:
        """Call *callback* once, in the adder's context, when the stage has let go of the leadership: now, if it has.

        It does so when it had been granted, the stage is asked to stop, and all leader tasks have ended. Where it is
        granted too late, to a stage that stops already, that is at once. A stage that never led lets go of nothing.
        """
        if self._state is State.RELEASED:
            callback()
        else:
            self._callbacks.append(functools.partial(contextvars.copy_context().run, callback))

    def withhold(self) -> None:
        """Wait for `grant` (who supervises the stage says that before it runs). Raises `errors.StageError` later."""
        if self._running or self._state is State.RELEASED:
            raise errors.StageError("leadership is withheld before the stage runs, not after")
        self._state = State.WITHHELD
        self._decided.clear()

    def grant(self) -> None:
        """Let the stage lead (who supervises it says that); a second time changes nothing."""
        if self._state is State.WITHHELD:
            self._state = State.GRANTED
            self._decided.set()
            self._release_if_over()

    def stop(self) -> None:
        """Say that the stage was asked to stop (the stage does)."""
        self._decided.set()
        self._release_if_over()

    async def run(self, awaitable: c.Awaitable[t.Any]) -> t.Any:
        """Await a leader task as soon as the stage leads; return None if it stops before."""
        if not await self.wait():
            return None
        self._running += 1
        try:
            return await awaitable
        finally:
            self._running -= 1
            self._release_if_over()

    def _release_if_over(self) -> None:
        if self._state is State.GRANTED and self._cancel.is_set() and not self._running:
            self._state = State.RELEASED
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()


class Leader:
    """A task that was declared as one for the leader; see `leader`."""

    def __init__(self, awaitable: c.Awaitable[t.Any]) -> None:
        self.awaitable = awaitable
        self.__qualname__ = _name(awaitable)
        self._yielded = False

    def __repr__(self) -> str:
        return f"leader({self.__qualname__})"

    def __await__(self) -> c.Generator[t.Any, None, t.NoReturn]:
        if not self._yielded:  # the stage that has it does the rest
            self.close()
        raise errors.LeaderError(self.__qualname__, "the stage awaits it; yield it from prepare instead")

    def take(self) -> bool:
        """Take it for a stage; return False if one has it already."""
        taken, self._yielded = self._yielded, True
        return not taken

    async def run(self) -> t.Any:
        """Await the task as soon as the stage of the current context leads."""
        lead = context.get(Lead, default=None)
        if lead is None:
            raise errors.LeaderError(self.__qualname__, "there is no stage to lead; yield it from prepare")
        return await lead.run(self.awaitable)

    def close(self) -> None:
        """Give the task up; nothing warns of it later."""
        if inspect.iscoroutine(self.awaitable):
            self.awaitable.close()


def leader(awaitable: c.Awaitable[t.Any]) -> Leader:
    """Declare a task, to be yielded from ``prepare``, that runs in exactly one worker of a service: the one that leads.

    It starts when its worker is appointed, in the context of its plugin. When that worker stops or dies another one is
    appointed, and runs its own. `Cancel` asks it to finish, as any task; its result is None where it never started.
    Without a supervisor it runs at once.

    Raises `errors.LeaderError` for what is no awaitable, and for a future: what that stands for has begun already.
    """
    if (reason := _refusal(awaitable)) is not None:
        raise errors.LeaderError(_name(awaitable), reason)
    return Leader(awaitable)


def _refusal(item: t.Any) -> str | None:
    if isinstance(item, Leader):
        return "it is one already; write plugin.leader(…) once"
    if asyncio.isfuture(item):
        return "it has begun already, in each worker; give the coroutine: plugin.leader(task())"
    if not inspect.isawaitable(item):
        return f"it is no awaitable; {'call it' if callable(item) else 'write'}: plugin.leader(task())"
    return None


def _name(item: object) -> str:
    return str(getattr(item, "__qualname__", None) or repr(item))
