import asyncio
import gc
import os
import threading

import pytest

from buvar import context, errors, plugin
from buvar.components import Components
from buvar.staging import tasks


class OwnError(Exception):
    pass


async def done(result="done"):
    return result


def logged(logs, event):
    return [entry for entry in logs if entry["event"] == event]


# -- phases


def test_the_phases_one_by_one(loop_factory):
    """load, run_tasks and run_teardown are what run does at once."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        seen.append("prepare")
        teardown.add(lambda: seen.append("teardown"))
        yield done()

    stage = plugin.Stage(loop_factory=loop_factory)
    stage.load(prepare)
    assert seen == ["prepare"]
    assert stage.run_tasks() == ["done"]
    assert seen == ["prepare"]
    stage.run_teardown()
    assert seen == ["prepare", "teardown"]


def test_plugins_may_be_loaded_in_several_goes():
    """A second load adds to the first; what is there already is not prepared again."""
    stage = plugin.Stage()

    async def first():
        yield done(1)

    async def second():
        yield done(2)

    stage.load(first)
    stage.load(first, second)
    assert stage.run_tasks() == [1, 2]
    stage.run_teardown()


def test_phases_only_move_on():
    """There is no load after the tasks ran, and they run once."""
    stage = plugin.Stage()
    stage.load()
    stage.run_tasks()
    with pytest.raises(errors.StageError, match="before the tasks run"):
        stage.load()
    with pytest.raises(errors.StageError, match="run once"):
        stage.run_tasks()
    stage.run_teardown()
    with pytest.raises(errors.StageError, match="the stage is over"):
        stage.run()
    with pytest.raises(errors.StageError, match="the stage is over"):
        stage.run_teardown()


def test_tasks_that_never_run_are_closed():
    """A stage that is torn down before it ran gives up its tasks without a warning."""

    async def prepare():
        yield done()

    stage = plugin.Stage()
    stage.load(prepare)
    stage.run_teardown()
    gc.collect()


async def test_a_stage_is_not_completed_from_inside_of_its_loop():
    """On a running loop the phases are refused with a hint, and the stage's loader can be awaited."""
    stage = plugin.Stage(loop=asyncio.get_running_loop())

    async def prepare():
        context.add("loaded")

    with pytest.raises(errors.StageError, match=r"await stage\.loader"):
        stage.load(prepare)
    await stage.loader(prepare)
    assert stage.context.get(str) == "loaded"
    stage.signals.remove_signal_handlers()


async def test_a_stage_does_not_run_inside_of_another_loop():
    """A thread runs one loop at a time: that is told at once, and leaves nothing behind."""
    loop = asyncio.new_event_loop()
    stage = plugin.Stage(loop=loop)
    with pytest.raises(errors.StageError, match="another loop runs in this thread"):
        stage.load()
    loop.close()


def test_teardown_gives_up_what_is_still_preparing():
    """What was loaded by hand and never got prepared is cancelled before anything is torn down."""
    seen = []
    loop = asyncio.new_event_loop()

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    async def impatient(load):
        await asyncio.wait_for(load(prepare), 0.01)

    stage = plugin.Stage(loop=loop)
    with pytest.raises(TimeoutError):
        loop.run_until_complete(impatient(stage.loader))
    stage.run_teardown()
    assert seen == ["cancelled", "teardown"]
    assert not asyncio.all_tasks(loop)
    loop.close()


# -- the context


def test_the_context_is_a_stack():
    """Import time, passed in, the stage's own, shared by plugins: each layer hides the ones below it."""
    token = context.buvar_context.set(Components())
    try:
        context.add("at import")
        context.add(1)
        components = Components()
        components.add("passed in")
        stage = plugin.Stage(components=components)
        assert stage.context.get(str) == "passed in"
        assert stage.context.get(int) == 1

        async def prepare():
            context.add("shared")

        stage.run(prepare)
        assert stage.context.get(str) == "shared"
        assert components.get(str) == "passed in"
        assert context.get(str) == "at import"
    finally:
        context.buvar_context.reset(token)


def test_two_stages_know_nothing_of_each_other():
    """Each has its own events and layers."""
    first, second = plugin.Stage(), plugin.Stage()
    first.context.add("first")
    assert str not in second.context
    assert first.cancel is not second.cancel
    first.run_teardown()
    second.run_teardown()


# -- the loop


def test_a_loop_that_is_passed_in_stays_open(loop_factory):
    """The stage runs on it and leaves it as it was."""
    loop = loop_factory()
    seen = []

    async def prepare():
        seen.append(asyncio.get_running_loop())

    plugin.stage(prepare, loop=loop)
    assert seen == [loop]
    assert not loop.is_closed()
    loop.close()


def test_an_own_loop_is_closed(loop_factory):
    """A stage that made its loop closes it, with its async generators and its threads."""
    seen = []

    async def generator():
        try:
            yield 1
        finally:
            seen.append("generator closed")

    kept = []

    async def prepare():
        kept.append(generator())
        await anext(kept[0])
        await asyncio.to_thread(threading.get_ident)

    stage = plugin.Stage(loop_factory=loop_factory)
    stage.run(prepare)
    assert stage.loop.is_closed()
    assert seen == ["generator closed"]


def test_an_own_loop_is_closed_after_a_failure():
    """A failed start leaves no open loop."""

    async def prepare():
        raise OwnError

    stage = plugin.Stage()
    with pytest.raises(OwnError):
        stage.run(prepare)
    assert stage.loop.is_closed()


def test_what_is_left_behind_is_cancelled_and_named(logs):
    """A background task that nobody ended is cancelled when the loop closes, and a warning names it."""
    seen = []

    async def background():
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    kept = []

    async def prepare():
        kept.append(asyncio.create_task(background(), name="forgotten"))
        await asyncio.sleep(0)

    plugin.stage(prepare)
    assert seen == ["cancelled"]
    (entry,) = logged(logs, "cancelling what the stage left behind")
    assert entry["tasks"] == ["forgotten"]


def test_a_stage_may_run_in_a_thread():
    """Outside of the main thread there are no signals to handle; all else is the same."""
    seen = []

    async def prepare():
        yield done(threading.current_thread().name)
        yield
        seen.append("finished")

    def run():
        seen.extend(plugin.stage(prepare))

    thread = threading.Thread(target=run, name="the thread")
    thread.start()
    thread.join(20)
    assert seen == ["finished", "the thread"]


def test_a_stage_may_run_inside_of_another_thread_s_stage():
    """Two stages run side by side, each in its thread and on its loop."""
    barrier = threading.Barrier(2, timeout=20)
    results = {}

    def run(name):
        async def prepare():
            context.add(name)
            await asyncio.to_thread(barrier.wait)
            return done(context.get(str))

        results[name] = plugin.stage(prepare)

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {"a": ["a"], "b": ["b"]}


# -- the start


async def deep():
    await deeper()


async def deeper():
    await asyncio.Event().wait()


def test_a_start_that_takes_too_long_shows_who_is_stuck(loop_factory):
    """The error names the plugins that still prepare, and shows where each one is, down to the innermost await."""
    seen = []

    async def stuck_coroutine():
        await deep()

    async def stuck_generator(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        yield done()
        await deep()

    async def fine():
        yield done()

    async def prepare(load: plugin.Loader):
        await asyncio.gather(load(fine), load(stuck_coroutine), load(stuck_generator))

    with pytest.raises(errors.StartTimeoutError) as caught:
        plugin.stage(prepare, start_timeout=0.1, loop_factory=loop_factory)
    error = caught.value
    assert error.seconds == 0.1
    assert [name.rsplit(".", 1)[-1] for name in error.stuck] == ["prepare", "stuck_coroutine", "stuck_generator"]
    *_, coroutine, generator = error.stuck.values()
    for name, stack in (("stuck_coroutine", coroutine), ("stuck_generator", generator)):
        assert f"in {name}" in stack
        assert "await deeper()" in stack
        assert "await asyncio.Event().wait()" in stack
    assert "not started after 0.1 s, still preparing:" in str(error)
    assert seen == ["teardown"]
    assert isinstance(error, TimeoutError)


def test_a_start_may_take_as_long_as_it_likes():
    """start_timeout=None is no limit."""

    async def prepare():
        await asyncio.sleep(0.01)
        yield done()

    assert plugin.stage(prepare, start_timeout=None) == ["done"]


def test_a_plugin_that_ignores_the_end_of_the_start_is_left_behind(monkeypatch):
    """A start that is given up does not hang on a plugin that does not obey its cancellation."""
    monkeypatch.setattr(tasks, "OBEY_TIMEOUT", 0.05)
    release = []

    async def deaf():
        while not release:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass

    loop = asyncio.new_event_loop()
    with pytest.raises(errors.StartTimeoutError):
        plugin.stage(deaf, start_timeout=0.05, loop=loop)
    release.append(True)
    loop.run_until_complete(asyncio.wait(asyncio.all_tasks(loop)))
    loop.close()


def test_stop_while_preparing_gives_the_start_up(logs):
    """stop ends a start that hangs: what prepares is cancelled and named, tasks are not started, teardown runs."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        yield done()
        asyncio.get_running_loop().call_later(0.02, stage.stop)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    stage = plugin.Stage()
    assert stage.run(prepare) == []
    assert seen == ["cancelled", "teardown"]
    assert stage.stopped
    (entry,) = logged(logs, "told to stop while preparing")
    assert [name.rsplit(".", 1)[-1] for name in entry["plugins"]] == ["prepare"]


def test_a_stage_that_nobody_stopped_is_not_stopped():
    """A failed task sets Cancel, but stopped is what somebody asked for."""

    async def prepare():
        async def fails():
            raise OwnError

        yield fails()

    stage = plugin.Stage()
    stage.run(prepare)
    assert stage.cancel.is_set()
    assert not stage.stopped


def test_a_long_chain_of_loads():
    """Many plugins may load one another in a row; their chain is told in full."""
    count = 1500

    def link(number):
        async def prepare(load: plugin.Loader):
            if number == count:
                raise OwnError
            await load(link(number + 1))

        return prepare

    with pytest.raises(OwnError) as caught:
        plugin.stage(link(1))
    assert caught.value.__notes__[0].count("loaded by") == count - 1


# -- nothing is left


def test_a_stage_leaves_no_file_open(loop_factory):
    """After good and bad runs the process has the files open that it had before."""

    async def good(teardown: plugin.Teardown):
        await asyncio.to_thread(str)
        yield done()
        yield

    async def bad():
        yield done()
        raise OwnError

    def once():
        plugin.stage(good, loop_factory=loop_factory)
        with pytest.raises(OwnError):
            plugin.stage(good, bad, loop_factory=loop_factory)

    once()
    gc.collect()
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        once()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("turns", range(6))
def test_a_start_that_is_given_up_leaves_no_plugin_behind(turns):
    """Also one is over whose preparation was cancelled before it began."""

    async def latter():
        await asyncio.sleep(60)

    async def former(load: plugin.Loader):
        stage.stop()
        for _ in range(turns):
            await asyncio.sleep(0)
        await load(latter)

    stage = plugin.Stage()
    assert stage.run(former) == []
    assert all(each.prepared.done() for each in stage.plugins)
