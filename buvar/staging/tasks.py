"""The run phase: all tasks together until they have ended, one has failed, or the stage is asked to stop.

A task that fails is logged at once and sets `Cancel`, which asks the others to finish. Those that have not finished
when the grace is over are named and cancelled. A task that ends well does not end the others.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import typing as t

import attrs
import structlog

from buvar import context, errors
from buvar.staging import lead

if t.TYPE_CHECKING:
    import collections.abc as c
    import contextvars

log = structlog.get_logger(__name__)

#: seconds that a task may take to obey its cancellation before it is left to itself
OBEY_TIMEOUT = 5.0


class Cancel(asyncio.Event):
    """Set when the stage shall stop: a task that waits for it can finish in its own time."""


@attrs.frozen(eq=False)
class StageTask:
    """An awaitable that a plugin yielded, with the plugin's name and the context to run it in."""

    awaitable: c.Awaitable[t.Any]
    plugin: str | None = None
    context: contextvars.Context | None = None

    @property
    def name(self) -> str:
        """What a person calls the task: the coroutine's name."""
        return getattr(self.awaitable, "__qualname__", None) or repr(self.awaitable)

    def start(self) -> asyncio.Future[t.Any]:
        """Start it on the running loop, in a copy of its context; a future is taken as it is."""
        if asyncio.isfuture(self.awaitable):
            return self.awaitable
        own = None if self.context is None else self.context.copy()
        task = asyncio.create_task(self._coroutine(), name=self.name, context=own)
        if isinstance(self.awaitable, lead.Leader):
            task.add_done_callback(lambda _: self.close())  # it may have ended before what it was to run began
        return task

    def _coroutine(self) -> c.Coroutine[t.Any, t.Any, t.Any]:
        if isinstance(self.awaitable, lead.Leader):
            return self.awaitable.run()
        return self.awaitable if inspect.iscoroutine(self.awaitable) else _wait_for(self.awaitable)

    def close(self) -> None:
        """Give up an awaitable that will never be started, so that nothing warns of it later."""
        if inspect.iscoroutine(self.awaitable) or isinstance(self.awaitable, lead.Leader):
            self.awaitable.close()
        elif asyncio.isfuture(self.awaitable):
            self.awaitable.cancel()


async def _wait_for(awaitable: c.Awaitable[t.Any]) -> t.Any:
    return await awaitable


@attrs.define(eq=False)
class Runner:
    """Runs tasks to their end.

    *cancel* asks them to finish, *hurry* ends the grace of *cancel_timeout* seconds early. *running* has those that run
    just now. After `run`, *failures* has the error of each task that failed, in the order in which they did.
    """

    cancel: Cancel
    hurry: asyncio.Event
    cancel_timeout: float = 60.0
    failures: list[BaseException] = attrs.field(factory=list, init=False)
    running: dict[asyncio.Future[t.Any], StageTask] = attrs.field(factory=dict, init=False)
    _asked: set[asyncio.Future[t.Any]] = attrs.field(factory=set, init=False)

    async def run(
        self,
        tasks: c.Sequence[StageTask],
        started: c.Callable[[], None] = lambda: None,
        stopping: c.Callable[[], None] = lambda: None,
    ) -> list[t.Any]:
        """Return the results in the order of *tasks*; the error stands in place of the result of a task that failed.

        *started* is called when every task has taken its first step, and none has failed in it; *stopping* when all
        have ended, or are asked to finish.
        """
        futures = [task.start() for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            self.running[future] = task
            future.add_done_callback(functools.partial(self._ended, task))
        try:
            await asyncio.sleep(0)  # the first steps
            await asyncio.sleep(0)  # and what is told of those that ended in them
            if not self.failures:
                started()
            await first(all_ended(futures), self.cancel.wait())
        finally:  # no task outlives the run phase, whatever ended it
            self.cancel.set()  # also where all have ended: whoever still waits for the end of the stage learns of it
            try:
                stopping()
            finally:
                await self._stop(tasks, futures)
        return [_result(future) for future in futures]

    def _ended(self, task: StageTask, future: asyncio.Future[t.Any]) -> None:
        self.running.pop(future, None)  # who yields a future twice has two tasks of it
        if future.cancelled():
            if future in self._asked:
                return
            error: BaseException | None = asyncio.CancelledError(f"{task.name} was cancelled, not by the stage")
        else:
            error = future.exception()
        if error is not None:
            self.failures.append(error)
            # wrong use is told in a sentence; where in the code it was noticed helps nobody
            facts = errors.facts(errors.explain(error)) if isinstance(error, errors.UsageError) else {"exc_info": error}
            log.error("task failed", task=task.name, plugin=task.plugin, **facts)
            self.cancel.set()

    async def _stop(self, tasks: c.Sequence[StageTask], futures: list[asyncio.Future[t.Any]]) -> None:
        await first(all_ended(futures), self.hurry.wait(), timeout=self.cancel_timeout)
        pending = [future for future in futures if not future.done()]
        if not pending:
            return
        names = [task.name for task, future in zip(tasks, futures, strict=True) if not future.done()]
        log.warning("cancelling tasks that did not finish", tasks=names, seconds=self.cancel_timeout)
        self._asked.update(pending)
        for future in pending:
            future.cancel()
        await first(all_ended(pending), timeout=OBEY_TIMEOUT)
        if deaf := [name for name, future in zip(names, pending, strict=True) if not future.done()]:
            log.error("tasks ignore their cancellation", tasks=deaf, seconds=OBEY_TIMEOUT)
            self.failures += [TimeoutError(f"task {name} ignored its cancellation") for name in deaf]


def _result(future: asyncio.Future[t.Any]) -> t.Any:
    if not future.done():
        return TimeoutError("the task ignored its cancellation")
    if future.cancelled():
        return asyncio.CancelledError()
    error = future.exception()
    return future.result() if error is None else error


async def all_ended(futures: c.Collection[asyncio.Future[t.Any]]) -> None:
    """Wait until each of *futures* has ended, in whatever way."""
    if futures:
        await asyncio.wait(futures)


async def first(*waits: c.Coroutine[t.Any, t.Any, t.Any], timeout: float | None = None) -> None:  # noqa: ASYNC109 - a bound, not an error
    """Wait until one of *waits* has ended or *timeout* seconds are over; give up the waits, not what they wait for."""
    waiters = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(waiters, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)


async def run(
    tasks: c.Iterable[c.Awaitable[t.Any]], *, evt_cancel: Cancel | None = None, cancel_timeout: float = 60.0
) -> list[t.Any]:
    """Run *tasks* together and return their results in order, the error in place of the result of one that failed.

    *evt_cancel* (default: a new `Cancel`, added to the current context) asks them to finish; those that have not after
    *cancel_timeout* seconds are cancelled.
    """
    cancel = context.add(Cancel()) if evt_cancel is None else evt_cancel
    runner = Runner(cancel, asyncio.Event(), cancel_timeout)
    return await runner.run([StageTask(task) for task in tasks])
