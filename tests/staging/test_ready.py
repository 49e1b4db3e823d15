import asyncio

import pytest

from buvar import context, plugin


def test_a_stage_is_ready_when_its_tasks_are_started(loop_factory):
    """Not while plugins are prepared; as soon as each task has taken its first step."""
    seen = []

    async def prepare(ready: plugin.Ready):
        seen.append(("prepare", ready.is_set()))
        ready.add_callback(lambda: seen.append(("callback", ready.is_set())))

        async def first():
            seen.append(("first step", ready.is_set()))
            await ready.wait()
            seen.append(("waited", ready.is_set()))

        async def second():
            seen.append(("first step", ready.is_set()))

        yield first()
        yield second()

    plugin.stage(prepare, loop_factory=loop_factory)
    assert seen == [
        ("prepare", False),
        ("first step", False),
        ("first step", False),
        ("callback", True),
        ("waited", True),
    ]


def test_a_stage_without_tasks_gets_ready_too():
    """All plugins are prepared, and that is all there is to do."""
    seen = []

    async def prepare(ready: plugin.Ready):
        ready.add_callback(lambda: seen.append("ready"))

    plugin.stage(prepare)
    assert seen == ["ready"]


def test_a_hold_keeps_the_stage_from_being_ready():
    """The stage is ready when the last hold is released; the holds can be listed."""
    seen = []

    def holding(name, seconds):
        async def prepare():
            ready = context.get(plugin.Ready)
            hold = ready.hold(name)

            async def server():
                await asyncio.sleep(seconds)
                seen.append((name, ready.is_set(), ready.holds))
                hold.release()
                hold.release()
                seen.append((name, ready.is_set(), ready.holds))

            yield server()

        return prepare

    plugin.stage(holding("http", 0.01), holding("queue", 0.05))
    assert seen == [
        ("http", False, ("http", "queue")),
        ("http", False, ("queue",)),
        ("queue", False, ("queue",)),
        ("queue", True, ()),
    ]


def test_a_hold_that_is_released_in_prepare_does_not_make_ready():
    """Readiness waits for the tasks however early the holds are gone."""
    seen = []

    async def prepare(ready: plugin.Ready):
        ready.hold("nothing").release()
        seen.append(ready.is_set())

    plugin.stage(prepare)
    assert seen == [False]


def test_a_callback_is_called_once_and_at_once_where_it_is_ready():
    """A callback that comes too late is called right away."""
    seen = []

    async def prepare(ready: plugin.Ready):
        ready.add_callback(lambda: seen.append("early"))

        async def task():
            await ready.wait()
            ready.add_callback(lambda: seen.append("late"))
            ready.hold("after it was ready").release()

        yield task()

    plugin.stage(prepare)
    assert seen == ["early", "late"]


@pytest.mark.parametrize("kind", ["raises", "cancelled"])
def test_a_stage_whose_task_fails_at_once_never_gets_ready(kind):
    """Who cannot even take the first step does not serve."""
    seen = []

    async def prepare(ready: plugin.Ready):
        ready.add_callback(lambda: seen.append("ready"))

        async def fails():
            raise OSError("address in use") if kind == "raises" else asyncio.CancelledError

        yield fails()

    plugin.stage(prepare)
    assert seen == []


def test_a_failed_start_never_gets_ready():
    """Neither do callbacks come, nor is the event set."""
    seen = []

    async def prepare(ready: plugin.Ready):
        ready.add_callback(lambda: seen.append("ready"))
        raise OSError("no")

    stage = plugin.Stage()
    with pytest.raises(OSError):
        stage.run(prepare)
    assert seen == []
    assert not stage.ready.is_set()


def test_a_callback_runs_in_the_context_of_who_added_it():
    """It sees what its plugin sees, also behind walls."""
    seen = []

    def walled(url):
        @plugin.exports()
        async def prepare(ready: plugin.Ready):
            context.add(url)
            ready.add_callback(lambda: seen.append(context.get(str)))

            async def task():
                await ready.wait()

            yield task()

        return prepare

    plugin.stage(walled("a"), walled("b"))
    assert seen == ["a", "b"]
