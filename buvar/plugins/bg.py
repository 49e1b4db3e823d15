"""Background jobs: work that a handler or a task starts and does not wait for.

Load ``"buvar.plugins.bg"`` and take the `Jobs` from the context::

    jobs = context.get(bg.Jobs)
    jobs.add(send_mail(address))

A job runs in the context of who added it. One that fails is logged. At stop the jobs are drained, before anything that
they may still need is torn down; those that take too long are cancelled and named in the log.
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextlib
import inspect
import typing as t

import attrs
import structlog

from buvar import context, errors, plugin

T = t.TypeVar("T")

log = structlog.get_logger()

#: whatever lets in a few at a time: a semaphore, a lock
Sync = contextlib.AbstractAsyncContextManager[t.Any]

#: seconds that a job may take to obey its cancellation before it is left to itself
OBEY_TIMEOUT = 1.0


class Jobs:
    """The jobs that have not ended yet; it can be counted, listed and waited for.

    *limit*: how many may run at a time, default: all. *drain_timeout*: seconds that `shutdown` lets them run on.
    ``await jobs`` waits until none is left, those that are added meanwhile included, and returns what they returned in
    the order in which they were added, the error in place of the result of one that failed. To give up that wait does
    not touch the jobs.
    """

    def __init__(self, limit: int | None = None, *, drain_timeout: float = 10.0) -> None:
        self.drain_timeout = drain_timeout
        self._limit: Sync = contextlib.nullcontext() if limit is None else asyncio.Semaphore(limit)
        self._jobs: dict[asyncio.Task[t.Any], Job[t.Any]] = {}
        self._watchers: list[list[asyncio.Task[t.Any]]] = []
        self._closed = False

    def add(self, job: c.Awaitable[T], *, sync: Sync | None = None) -> asyncio.Task[T]:
        """Start *job* as soon as *sync* (a semaphore, for one) and the limit let it in; return its task.

        Raises `errors.StageError` after `shutdown`.
        """
        entry = Job(job, sync or contextlib.nullcontext(), self._limit)
        if self._closed:
            entry.close()
            raise errors.StageError(f"background job {entry.name} comes too late: the stage is torn down")
        task = asyncio.get_running_loop().create_task(entry.run(), name=entry.name)
        self._jobs[task] = entry
        for watcher in self._watchers:
            watcher.append(task)
        task.add_done_callback(self._ended)
        log.debug("background job added", job=entry.name, count=len(self))
        return task

    def cancel(self) -> None:
        """Cancel all jobs; ``await jobs`` then waits for their end."""
        for task in list(self._jobs):
            task.cancel()

    async def shutdown(self) -> None:
        """Let the jobs end, cancel and name those that have not after *drain_timeout* seconds; take no more of them."""
        try:
            await self._settle(self.drain_timeout)
        finally:
            self._closed = True
            late = self._others()
            if late:
                names = [self._jobs[task].name for task in late]
                log.warning("background jobs cancelled", jobs=names, seconds=self.drain_timeout)
                self.cancel()
        await self._settle(OBEY_TIMEOUT)
        if deaf := self._others():
            log.error("background jobs ignore their cancellation", jobs=[self._jobs[task].name for task in deaf])

    def __await__(self) -> c.Generator[t.Any, None, list[t.Any]]:
        return self._results().__await__()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> c.Iterator[asyncio.Task[t.Any]]:
        return iter(list(self._jobs))

    def __contains__(self, task: object) -> bool:
        return task in self._jobs

    def __bool__(self) -> bool:
        return True  # an empty set of jobs is no missing one

    def __repr__(self) -> str:
        return f"<Jobs: {len(self)} running or waiting>"

    def _others(self) -> list[asyncio.Task[t.Any]]:
        # a job that waits for the jobs does not wait for itself
        return [task for task in self._jobs if task is not asyncio.current_task()]

    async def _settle(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while others := self._others():
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                return
            await asyncio.wait(others, timeout=left)

    async def _results(self) -> list[t.Any]:
        seen = self._others()
        self._watchers.append(seen)
        try:
            await self._settle(None)
        finally:
            self._watchers = [watcher for watcher in self._watchers if watcher is not seen]
        return [_result(task) for task in seen]

    def _ended(self, task: asyncio.Task[t.Any]) -> None:
        job = self._jobs.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background job failed", job=job.name, exc_info=error)
        if not job.started:
            job.close()
            log.warning("background job was never started", job=job.name)


@attrs.define(eq=False)
class Job(t.Generic[T]):
    """One job: what to await, and what it has to pass before it may start."""

    awaitable: c.Awaitable[T]
    sync: Sync
    limit: Sync
    started: bool = False

    @property
    def name(self) -> str:
        """What a person calls the job: the name of its coroutine or task."""
        if isinstance(self.awaitable, asyncio.Task):
            return self.awaitable.get_name()
        return getattr(self.awaitable, "__qualname__", None) or repr(self.awaitable)

    async def run(self) -> T:
        # the limit last, so that nobody keeps a place in it while waiting for something else
        async with self.sync, self.limit:
            self.started = True
            return await self.awaitable

    def close(self) -> None:
        """Give up what will never be awaited, so that nothing warns of it later."""
        if inspect.iscoroutine(self.awaitable):
            self.awaitable.close()
        elif asyncio.isfuture(self.awaitable):
            self.awaitable.cancel()


def _result(task: asyncio.Task[t.Any]) -> t.Any:
    return asyncio.CancelledError() if task.cancelled() else task.exception() or task.result()


async def prepare(teardown: plugin.Teardown, ready: plugin.Ready) -> None:
    """Add `Jobs` to the context, drained at stop."""
    jobs = context.add(Jobs())
    teardown.add(jobs.shutdown)
    # once more when all others are prepared: so the jobs are drained before what the others set up is torn down
    ready.add_callback(lambda: teardown.add(jobs.shutdown))
