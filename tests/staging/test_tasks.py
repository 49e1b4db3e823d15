import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import context, plugin
from buvar.components import Components
from buvar.staging import tasks


class OwnError(Exception):
    pass


async def done(result="done"):
    return result


async def fails(error=OwnError("broken")):
    raise error


async def forever():
    await asyncio.Event().wait()


def logged(logs, event):
    return [entry for entry in logs if entry["event"] == event]


def test_results_come_in_load_order(loop_factory):
    """Each task's result stands where its plugin was loaded, whichever ended first."""

    async def slow():
        yield asyncio.sleep(0.02, "slow")
        yield done("second of slow")

    async def quick():
        return done("quick")

    assert plugin.stage(slow, quick, loop_factory=loop_factory) == ["slow", "second of slow", "quick"]


def test_no_tasks_no_results():
    """A stage whose plugins yield nothing ends at once."""

    async def prepare(): ...

    assert plugin.stage(prepare) == []
    assert plugin.stage() == []


def test_a_task_that_ends_well_does_not_end_the_others():
    """The stage goes on until all have ended."""

    async def prepare(cancel: plugin.Cancel):
        async def late():
            await asyncio.sleep(0.02)
            return cancel.is_set()

        yield done()
        yield late()

    assert plugin.stage(prepare) == ["done", False]


def test_a_failing_task_is_logged_at_once_and_stops_the_stage(logs, loop_factory):
    """The others are asked to finish; the error stands in place of the result and in the failures of the stage."""
    seen = []

    async def prepare(cancel: plugin.Cancel):
        async def graceful():
            await cancel.wait()
            seen.extend(logged(logs, "task failed"))
            return "graceful"

        yield graceful()
        yield fails()

    stage = plugin.Stage(loop_factory=loop_factory)
    first, second = stage.run(prepare)
    assert first == "graceful"
    assert isinstance(second, OwnError)
    assert stage.failures == (second,)
    (entry,) = seen
    assert entry["exc_info"] is second
    assert entry["log_level"] == "error"
    assert entry["task"] == "fails"
    assert entry["plugin"].endswith("prepare")


def test_all_failures_are_kept_in_their_order():
    """Each failed task is one of the failures, in the order in which they failed."""

    async def prepare(cancel: plugin.Cancel):
        async def later():
            await cancel.wait()
            raise OwnError("later")

        yield later()
        yield fails(OwnError("first"))

    stage = plugin.Stage()
    results = stage.run(prepare)
    assert [str(error) for error in results] == ["later", "first"]
    assert [str(error) for error in stage.failures] == ["first", "later"]


def test_a_result_is_not_judged():
    """A returned exception is a result, not a failure; an error that counts as false is an error all the same."""

    class Falsy(Exception):
        def __bool__(self):
            return False

    async def prepare():
        yield done(OwnError("returned"))
        yield fails(Falsy())

    stage = plugin.Stage()
    first, second = stage.run(prepare)
    assert isinstance(first, OwnError)
    assert isinstance(second, Falsy)
    assert stage.failures == (second,)


def test_cancel_asks_tasks_to_finish(loop_factory):
    """A task that waits for Cancel ends in its own time and keeps its result."""

    async def prepare(cancel: plugin.Cancel):
        async def server():
            await cancel.wait()
            await asyncio.sleep(0.01)
            return "served"

        async def asks():
            await asyncio.sleep(0)
            cancel.set()
            return "asked"

        yield server()
        yield asks()

    assert plugin.stage(prepare, loop_factory=loop_factory) == ["served", "asked"]


def test_cancel_may_be_set_in_prepare():
    """The tasks are started all the same, and asked to finish at once."""

    async def prepare(cancel: plugin.Cancel):
        async def server():
            await cancel.wait()
            return "finished"

        cancel.set()
        yield server()

    assert plugin.stage(prepare) == ["finished"]


def test_cancel_is_set_when_all_tasks_have_ended():
    """Whoever else waits for the end of the stage learns of it."""
    seen = []

    async def prepare(cancel: plugin.Cancel, teardown: plugin.Teardown):
        teardown.add(lambda: seen.append(cancel.is_set()))
        yield done()

    plugin.stage(prepare)
    assert seen == [True]


def test_ungraceful_tasks_are_cancelled_and_named(logs, loop_factory):
    """After the grace they are cancelled: one warning names them, and the results say what became of each."""

    async def prepare(cancel: plugin.Cancel):
        async def last_words():
            try:
                await forever()
            except asyncio.CancelledError:
                return "last words"

        async def asks():
            cancel.set()

        yield asks()
        yield forever()
        yield last_words()

    stage = plugin.Stage(cancel_timeout=0.05, loop_factory=loop_factory)
    first, second, third = stage.run(prepare)
    assert first is None
    assert isinstance(second, asyncio.CancelledError)
    assert third == "last words"
    (entry,) = logged(logs, "cancelling tasks that did not finish")
    assert [name.rsplit(".", 1)[-1] for name in entry["tasks"]] == ["forever", "last_words"]
    assert entry["seconds"] == 0.05
    assert stage.failures == ()  # who is cancelled by the stage has not failed


def test_a_task_that_fails_when_it_is_cancelled_has_failed():
    """An error in the clean-up of a cancelled task is a failure as any other."""

    async def prepare(cancel: plugin.Cancel):
        async def clumsy():
            try:
                await forever()
            finally:
                raise OwnError("clumsy")

        cancel.set()
        yield clumsy()

    stage = plugin.Stage(cancel_timeout=0.01)
    (error,) = stage.run(prepare)
    assert isinstance(error, OwnError)
    assert stage.failures == (error,)


def test_a_task_that_ignores_its_cancellation_is_left_to_itself(logs, monkeypatch):
    """The stage ends without it: it is named, and its result is a TimeoutError."""
    monkeypatch.setattr(tasks, "OBEY_TIMEOUT", 0.05)
    release = []

    async def prepare(cancel: plugin.Cancel):
        async def deaf():
            while not release:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    pass

        cancel.set()
        yield deaf()
        yield done()

    loop = asyncio.new_event_loop()
    try:
        first, second = plugin.stage(prepare, cancel_timeout=0.01, loop=loop)
        assert isinstance(first, TimeoutError)
        assert second == "done"
        (entry,) = logged(logs, "tasks ignore their cancellation")
        assert [name.rsplit(".", 1)[-1] for name in entry["tasks"]] == ["deaf"]
    finally:
        release.append(True)
        loop.run_until_complete(asyncio.wait(asyncio.all_tasks(loop)))
        loop.close()


def test_a_task_that_somebody_else_cancels_has_failed(logs):
    """A cancellation that the stage did not ask for is logged and stops the stage."""

    async def prepare(cancel: plugin.Cancel):
        victim = asyncio.create_task(forever())
        asyncio.get_running_loop().call_later(0.01, victim.cancel)

        async def waits():
            await cancel.wait()
            return "stopped"

        yield victim
        yield waits()

    stage = plugin.Stage()
    first, second = stage.run(prepare)
    assert isinstance(first, asyncio.CancelledError)
    assert second == "stopped"
    assert len(stage.failures) == 1
    assert len(logged(logs, "task failed")) == 1


def test_tasks_run_in_the_context_of_their_plugin():
    """A task finds what its plugin finds, and what it adds all others find."""

    async def prepare():
        async def adds():
            context.add("from a task")

        async def looks():
            await asyncio.sleep(0.01)
            return context.get(str)

        yield adds()
        yield looks()

    assert plugin.stage(prepare) == [None, "from a task"]


def test_system_exit_in_a_task_ends_the_stage():
    """sys.exit in a task is passed on, after teardown."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        yield fails(SystemExit(4))
        yield forever()

    with pytest.raises(SystemExit) as caught:
        plugin.stage(prepare, cancel_timeout=0.1)
    assert caught.value.code == 4
    assert seen == ["teardown"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_tasks_finish_before_teardown_also_after_an_exit(kind, loop_factory):
    """What leaves the loop at once, twice even, does not set the teardown beside the tasks that still run."""
    seen = []

    async def prepare(teardown: plugin.Teardown, cancel: plugin.Cancel):
        async def server():
            await cancel.wait()
            await asyncio.sleep(0.05)
            seen.append("served")

        async def fails_late():
            await cancel.wait()
            raise kind(5)

        teardown.add(lambda: seen.append("teardown"))
        yield fails(kind(4))
        yield fails_late()
        yield server()

    with pytest.raises(kind) as caught:
        plugin.stage(prepare, loop_factory=loop_factory)
    assert caught.value.args == (4,)
    assert seen == ["served", "teardown"]


def test_an_error_of_a_ready_callback_stops_the_tasks():
    """It is raised when the tasks have finished, and teardown follows."""
    seen = []

    def breaks():
        raise OwnError("callback")

    async def prepare(ready: plugin.Ready, cancel: plugin.Cancel):
        async def server():
            await cancel.wait()
            seen.append("served")

        ready.add_callback(breaks)
        yield server()
        yield
        seen.append("teardown")

    with pytest.raises(OwnError, match="callback"):
        plugin.stage(prepare)
    assert seen == ["served", "teardown"]


def test_who_cancels_all_tasks_of_the_loop_ends_the_stage_in_order():
    """Tasks come to their end, plugins that are suspended leave their blocks, and what is left is torn down."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        async def cancels_all():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        async def server():
            try:
                await forever()
            finally:
                await asyncio.sleep(0.01)
                seen.append("task")

        teardown.add(lambda: seen.append("teardown"))
        yield server()
        yield cancels_all()
        try:
            yield
        finally:
            seen.append("plugin")

    with pytest.raises(asyncio.CancelledError):
        plugin.stage(prepare)
    assert sorted(seen) == ["plugin", "task", "teardown"]
    assert seen[-1] == "teardown"


# -- plugin.run


async def test_run_returns_results_in_order():
    """plugin.run runs awaitables together on the running loop."""
    assert await plugin.run([asyncio.sleep(0.01, "a"), done("b")]) == ["a", "b"]
    assert await plugin.run([]) == []


async def test_run_is_stopped_by_the_event():
    """evt_cancel asks the tasks to finish, and is set when they have."""
    cancel = plugin.Cancel()

    async def server():
        await cancel.wait()
        return "stopped"

    asyncio.get_running_loop().call_later(0.01, cancel.set)
    first, second = await plugin.run([server(), forever()], evt_cancel=cancel, cancel_timeout=0.05)
    assert first == "stopped"
    assert isinstance(second, asyncio.CancelledError)

    fresh = plugin.Cancel()
    await plugin.run([done()], evt_cancel=fresh)
    assert fresh.is_set()


async def test_run_adds_its_event_to_the_context():
    """Without evt_cancel there is a Cancel in the current context while the tasks run."""

    async def task():
        context.get(plugin.Cancel).set()
        return "found"

    token = context.buvar_context.set(Components())
    try:
        assert await plugin.run([task()]) == ["found"]
    finally:
        context.buvar_context.reset(token)


async def test_run_returns_errors():
    """The error of a failed task stands in place of its result, and the others are stopped."""
    first, second = await plugin.run([fails(), forever()], evt_cancel=plugin.Cancel(), cancel_timeout=0.01)
    assert isinstance(first, OwnError)
    assert isinstance(second, asyncio.CancelledError)


# what a task does: pauses, then how it ends
OUTCOMES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["return", "raise", "wait", "forever", "stubborn"])), max_size=8
)


@given(OUTCOMES)
@settings(max_examples=60, deadline=None)
def test_whatever_tasks_do_each_has_its_place(outcomes):
    """A stage of any tasks ends; each result says what its task did, and failures are exactly those that raised."""

    async def prepare(cancel: plugin.Cancel):
        async def act(number, pauses, ending):
            for _ in range(pauses):
                await asyncio.sleep(0)
            if ending == "raise":
                raise OwnError(number)
            if ending == "wait":
                await cancel.wait()
            if ending == "forever":
                await forever()
            if ending == "stubborn":
                try:
                    await forever()
                except asyncio.CancelledError:
                    pass
            return number

        for number, (pauses, ending) in enumerate(outcomes):
            yield act(number, pauses, ending)
        if not any(ending == "raise" for _, ending in outcomes):
            yield asks()

    async def asks():
        for _ in range(5):
            await asyncio.sleep(0)
        context.get(plugin.Cancel).set()

    stage = plugin.Stage(cancel_timeout=0.005)
    results = stage.run(prepare)
    for number, ((_, ending), result) in enumerate(zip(outcomes, results, strict=False)):
        if ending == "raise":
            # a failure elsewhere never keeps a task from ending by itself within the grace
            assert isinstance(result, OwnError)
        elif ending == "forever":
            assert isinstance(result, asyncio.CancelledError)
        else:
            assert result == number
    assert sorted(error.args[0] for error in stage.failures) == [
        number for number, (_, ending) in enumerate(outcomes) if ending == "raise"
    ]


def test_what_runs_is_known_with_its_plugin():
    """While tasks run it is known which future is whose, and no longer when one has ended."""
    found = []

    async def prepare(signals: plugin.Signals):
        running = signals.stage.runner.running

        async def look():
            while len(running) > 1:
                await asyncio.sleep(0)
            found.extend((future is asyncio.current_task(), task.plugin) for future, task in running.items())

        yield done()
        yield look()

    stage = plugin.Stage()
    stage.run(prepare)
    ((is_own, owner),) = found
    assert is_own
    assert owner.endswith("prepare")
    assert not stage.runner.running
