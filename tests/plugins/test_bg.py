import asyncio
import contextvars
import gc

import pytest
import structlog

from buvar import components, context, errors, plugin
from buvar.plugins import bg

request = contextvars.ContextVar("request", default=None)


@pytest.fixture
def logged():
    """What is logged meanwhile."""
    with structlog.testing.capture_logs() as events:
        yield events


def worth(events):
    """Return what was logged above debug, as (event, job or jobs)."""
    return [(event["event"], event.get("job", event.get("jobs"))) for event in events if event["log_level"] != "debug"]


async def value(result, seconds=0.0):
    await asyncio.sleep(seconds)
    return result


async def fail():
    raise ValueError("broken")


async def forever():
    await asyncio.Event().wait()


async def deaf():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling() > 1:
                raise


async def test_the_results_come_in_order():
    """Waiting for the jobs returns what they returned in the order of adding, errors in place, and none is left."""
    jobs = bg.Jobs()
    tasks = [jobs.add(value(1, 0.02)), jobs.add(fail()), jobs.add(value(3))]
    assert len(jobs) == 3
    assert list(jobs) == tasks
    assert tasks[0] in jobs
    one, two, three = await jobs
    assert (one, str(two), three) == (1, "broken", 3)
    assert len(jobs) == 0
    assert await jobs == []
    assert jobs, "an empty set of jobs is still a true value"


async def test_jobs_added_meanwhile_are_waited_for():
    """A job that is added by a job, or while somebody waits, is waited for and its result is there."""
    jobs = bg.Jobs()

    async def more(depth):
        if depth:
            jobs.add(more(depth - 1))
        return depth

    jobs.add(more(3))
    assert await jobs == [3, 2, 1, 0]


async def test_a_job_can_wait_for_the_others():
    """A job that waits for the jobs does not wait for itself."""
    jobs = bg.Jobs()

    async def last():
        return await jobs

    jobs.add(value("a", 0.01))
    task = jobs.add(last())
    assert await jobs == ["a", ["a"]]
    assert task.done()


async def test_a_failed_job_is_logged_once(logged):
    """A job that fails is logged with its error, whether or not anybody waits."""
    jobs = bg.Jobs()
    jobs.add(fail())
    await asyncio.sleep(0.01)
    (event,) = [event for event in logged if event["log_level"] == "error"]
    assert event["event"] == "background job failed"
    assert event["job"] == "fail"
    assert str(event["exc_info"]) == "broken"
    assert await jobs == []


async def test_giving_up_the_wait_leaves_the_jobs():
    """A wait that is cancelled, by a timeout for one, does not touch the jobs."""
    jobs = bg.Jobs()
    task = jobs.add(value("done", 0.1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await jobs
    assert await jobs == ["done"]
    assert task.result() == "done"


@pytest.mark.parametrize("own", [True, False])
async def test_few_run_at_a_time(own):
    """No more jobs run at a time than the limit of the set, or a semaphore given with each, lets in; all run."""
    jobs = bg.Jobs(limit=3) if own else bg.Jobs()
    sync = None if own else asyncio.Semaphore(3)
    running, most, done = set(), [], []

    async def count(number):
        running.add(number)
        most.append(len(running))
        await asyncio.sleep(0.001)
        running.remove(number)
        done.append(number)

    for number in range(30):
        jobs.add(count(number), sync=sync)
    await jobs
    assert max(most) == 3
    assert sorted(done) == list(range(30))


async def test_a_job_that_waits_for_its_semaphore_takes_no_place():
    """A job that waits for its own semaphore does not keep others from running under the limit."""
    jobs = bg.Jobs(limit=1)
    lock = asyncio.Lock()
    await lock.acquire()
    blocked = jobs.add(value("blocked"), sync=lock)
    assert await jobs.add(value("free")) == "free"
    assert not blocked.done()
    lock.release()
    assert await jobs == ["blocked"]


async def test_a_job_runs_in_the_context_of_who_added_it():
    """A job sees the components and context variables that were current when it was added."""
    jobs = bg.Jobs()

    async def seen():
        await asyncio.sleep(0)
        return context.get(str), request.get()

    for name in ("one", "two"):
        with context.child():
            context.add(name)
            request.set(name)
            jobs.add(seen())
    assert await jobs == [("one", "one"), ("two", "two")]


async def test_any_awaitable_is_a_job():
    """A task, a future and an object that can be awaited are jobs too."""

    class Awaitable:
        def __await__(self):
            return value("object").__await__()

    jobs = bg.Jobs()
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "future")
    for job in (asyncio.create_task(value("task"), name="named"), future, Awaitable()):
        jobs.add(job)
    assert await jobs == ["task", "future", "object"]


async def test_cancel_ends_all(logged):
    """cancel() cancels the jobs; the one that never started is named and closed, and nothing warns of it later."""
    jobs = bg.Jobs(limit=1)
    jobs.add(forever())
    jobs.add(value("never"))
    await asyncio.sleep(0)
    jobs.cancel()
    results = await jobs
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert worth(logged) == [("background job was never started", "value")]
    gc.collect()


async def test_a_job_cancelled_at_once_is_named(logged):
    """A job that is cancelled before its first step is not lost silently."""
    jobs = bg.Jobs()
    jobs.add(value("never")).cancel()
    await jobs
    assert worth(logged) == [("background job was never started", "value")]


async def test_shutdown_drains(logged):
    """Shutdown lets jobs end that end in time, those that they add too, and is silent about it."""
    jobs = bg.Jobs(limit=1)
    done = []

    async def work(more):
        await asyncio.sleep(0.01)
        done.append(more)
        if more:
            jobs.add(work(more - 1))

    jobs.add(work(2))
    jobs.add(work(0))
    await jobs.shutdown()
    assert sorted(done) == [0, 0, 1, 2]
    assert worth(logged) == []


async def test_shutdown_cancels_and_names_what_takes_too_long(logged):
    """After the grace, shutdown cancels the rest, and names them."""
    jobs = bg.Jobs(drain_timeout=0.01)
    task = jobs.add(forever())
    await jobs.shutdown()
    assert task.cancelled()
    assert worth(logged) == [("background jobs cancelled", ["forever"])]


async def test_shutdown_names_what_ignores_it(logged):
    """A job that ignores its cancellation is named, and keeps nobody from going on."""
    jobs = bg.Jobs(drain_timeout=0.01)
    task = jobs.add(deaf())
    await jobs.shutdown()
    assert worth(logged)[-1] == ("background jobs ignore their cancellation", ["deaf"])
    task.cancel()
    await jobs


async def test_a_shutdown_that_is_cancelled_cancels(logged):
    """A shutdown that is cut short by a deadline cancels the jobs rather than leaving them."""
    jobs = bg.Jobs(drain_timeout=60)
    task = jobs.add(forever())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await jobs.shutdown()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert ("background jobs cancelled", ["forever"]) in worth(logged)


async def test_a_job_after_shutdown_is_refused():
    """After shutdown a job is refused with an error that names it, and its coroutine is closed."""
    jobs = bg.Jobs()
    await jobs.shutdown()
    with pytest.raises(errors.StageError, match="background job value comes too late"):
        jobs.add(value(1))
    gc.collect()


async def test_shutdown_twice_is_fine(logged):
    """A second shutdown finds nothing to do."""
    jobs = bg.Jobs()
    jobs.add(value(1))
    await jobs.shutdown()
    await jobs.shutdown()
    assert worth(logged) == []


def test_the_stage_drains_before_it_tears_down():
    """Jobs added while tasks run are drained before that which a plugin prepared later tears down."""
    order = []

    async def prepare(load: plugin.Loader, teardown: plugin.Teardown):
        await load("buvar.plugins.bg")
        teardown.add(lambda: order.append("closed"))

        async def job():
            await asyncio.sleep(0.02)
            order.append("job")

        async def task():
            context.get(bg.Jobs).add(job())
            return "done"

        yield task()

    assert plugin.stage(prepare, components=components.Components()) == ["done"]
    assert order == ["job", "closed"]


def test_a_failed_start_drains_too():
    """A job that was added while preparing is drained when a prepare fails."""
    order = []

    async def job():
        await asyncio.sleep(0.02)
        order.append("job")

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.bg")
        context.get(bg.Jobs).add(job())
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        plugin.stage(prepare, components=components.Components())
    assert order == ["job"]
