"""The teardown phase: what was set up is taken down one by one, the last first, each attempted, each in its time."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import typing as t

import attrs
import structlog

from buvar import errors

if t.TYPE_CHECKING:
    import collections.abc as c
    import contextlib

T = t.TypeVar("T")
Task: t.TypeAlias = "c.Awaitable[t.Any] | c.Callable[[], t.Any]"

log = structlog.get_logger(__name__)

#: seconds that a task may take to obey its cancellation when its deadline is over
OBEY_TIMEOUT = 1.0


@attrs.frozen(eq=False)
class Entry:
    """One thing to take down, and the context to do it in: that of whoever added it."""

    task: Task
    context: contextvars.Context = attrs.field(factory=contextvars.copy_context)

    @property
    def name(self) -> str:
        return getattr(self.task, "__qualname__", None) or repr(self.task)

    async def run(self) -> None:
        task = self.task() if callable(self.task) else self.task
        if inspect.isawaitable(task):
            await task


class Teardown:
    """What is to be taken down when the stage ends, the last added first.

    *timeout* is the deadline of each, in seconds. *failed* is called when something that was entered ends by itself.
    """

    def __init__(self, timeout: float = 30.0, failed: c.Callable[[], object] | None = None) -> None:
        self.timeout = timeout
        self._failed = failed
        self._entries: list[Entry] = []

    def add(self, task: Task) -> None:
        """Run *task* at the end, in the adder's context: an awaitable, or a callable that may return one."""
        if not (callable(task) or inspect.isawaitable(task)):
            raise TypeError(f"{task!r} cannot be torn down: add an awaitable or a function")
        self._entries.append(Entry(task))

    async def enter(self, manager: contextlib.AbstractAsyncContextManager[T]) -> T:
        """Enter an async context manager, return its value, and leave it at the end, from the task that entered it."""
        holder = Holder(manager, self._failed)
        value = await holder.enter()
        self.add(holder.leave)
        return t.cast("T", value)

    @property
    def tasks(self) -> list[Task]:
        """What is to be taken down, in the order in which it was added."""
        return [entry.task for entry in self._entries]

    def __iter__(self) -> c.Iterator[Task]:
        return reversed(self.tasks)

    def __len__(self) -> int:
        return len(self._entries)

    async def wait(self) -> None:
        """Take all down, also what is added meanwhile.

        Raises one ExceptionGroup of all that failed (a BaseExceptionGroup where one of them is no Exception).
        """
        failures: list[BaseException] = []
        while self._entries:
            entry = self._entries.pop()
            error = await self._attempt(entry)
            if error is not None:
                log.error("teardown failed", task=entry.name, exc_info=error)
                errors.note(error, f"while tearing down {entry.name}")
                failures.append(error)
        if failures:
            raise BaseExceptionGroup("teardown failed", failures)

    async def _attempt(self, entry: Entry) -> BaseException | None:
        task = asyncio.create_task(_caught(entry), name=f"teardown {entry.name}", context=entry.context)
        try:
            await asyncio.wait({task}, timeout=self.timeout)
        except asyncio.CancelledError:
            # whoever tidies up by cancelling all tasks of the loop hits us too; the others must be torn down still
            await asyncio.wait({task}, timeout=self.timeout)
        if task.done():
            return asyncio.CancelledError() if task.cancelled() else task.result()
        task.cancel()
        await asyncio.wait({task}, timeout=OBEY_TIMEOUT)
        return TimeoutError(f"{entry.name} was not torn down after {self.timeout:g} s")


async def _caught(entry: Entry) -> BaseException | None:
    # an error is a value here: SystemExit from one must not keep the others from being torn down
    try:
        await entry.run()
    except BaseException as error:
        return error
    return None


class Holder:
    """Keeps an async context manager open in a task of its own: many must be left by the task that entered them."""

    def __init__(
        self, manager: contextlib.AbstractAsyncContextManager[t.Any], failed: c.Callable[[], object] | None
    ) -> None:
        self._manager = manager
        self._failed = failed
        self._leaving = asyncio.Event()
        self.__qualname__ = str(getattr(manager, "name", type(manager).__qualname__))

    async def enter(self) -> object:
        self._entered: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(), name=f"hold {self.__qualname__}")
        try:
            waits: list[asyncio.Future[t.Any]] = [self._task, self._entered]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait({self._task})
            raise
        if not self._entered.done():
            await self._task
            raise RuntimeError(f"{self.__qualname__} ended before it was entered")
        self._task.add_done_callback(self._ended)
        return self._entered.result()

    async def _hold(self) -> None:
        async with self._manager as value:
            self._entered.set_result(value)
            await self._leaving.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self._leaving.is_set() and not task.cancelled():
            log.error("context manager ended by itself", manager=self.__qualname__, exc_info=task.exception())
            if self._failed is not None:
                self._failed()

    async def leave(self) -> None:
        self._leaving.set()
        await self._task
