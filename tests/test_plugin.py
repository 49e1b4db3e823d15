"""What upstream's users write with `plugin` goes on working."""

import asyncio
import os
import signal

import pytest

from buvar import Cancel, ComponentLookupError, Teardown, context, plugin, run, stage


def test_the_face_has_the_words_too():
    """`buvar` itself exports what most services use."""
    assert (Cancel, Teardown, run, stage) == (plugin.Cancel, plugin.Teardown, plugin.run, plugin.stage)


@pytest.fixture
def package(write):
    """A package of two plugins, of which the first loads a function of the second by its relative name."""
    write(
        up="",
        **{
            "up.foo": """
            from buvar import context, plugin

            async def prepare(include: plugin.Loader):
                await include(".bar:plugin_bar")
                context.add("foo", name="foo")
                return foo()

            async def foo():
                found = context.find(str)
                context.add(found, "foo_plugin")
                return found
            """,
            "up.bar": """
            from buvar import context, plugin

            async def plugin_bar(include: plugin.Loader):
                context.add("bar", "bar")
                yield bar()
                yield baz()

            async def bar():
                context.get("bar")

            async def baz():
                pass
            """,
            "up.baz": """
            from buvar import plugin

            async def prepare(include: plugin.Loader):
                await include("....not.found")
            """,
        },
    )


@pytest.mark.usefixtures("package")
def test_a_stage_of_modules():
    """Results come in load order, the one who loads first; what was added in the stage is not there afterwards."""
    assert plugin.stage("up.foo") == [{"foo": "foo"}, None, None]
    with pytest.raises(ComponentLookupError) as caught:
        context.get("foo_plugin")
    assert caught.value.args[1] == "foo_plugin"


@pytest.mark.usefixtures("package")
def test_a_relative_name_out_of_all_packages():
    """It is an ImportError."""
    with pytest.raises(ImportError):
        plugin.stage("up.baz")


def test_a_plugin_may_load_itself():
    """The second load does nothing."""
    loaded = []

    async def prepare(load: plugin.Loader):
        loaded.append(1)
        await load(prepare)

    assert plugin.stage(prepare) == []
    assert loaded == [1]


def test_a_task_and_its_teardown():
    """A task that is yielded runs, a coroutine that was given to Teardown is awaited afterwards."""
    seen = []

    async def note(word):
        seen.append(word)

    async def prepare(teardown: plugin.Teardown):
        seen.append("prepare")
        teardown.add(note("teardown"))
        yield note("task")

    plugin.stage(prepare)
    assert seen == ["prepare", "task", "teardown"]


def test_an_iterable_of_tasks():
    """A list of coroutines is run as if they had been yielded."""
    seen = []

    async def note(word):
        seen.append(word)

    async def prepare():
        return [note("a"), note("b")]

    plugin.stage(prepare)
    assert seen == ["a", "b"]


def test_teardown_after_a_broken_plugin():
    """The plugin's error is raised, what it had given to Teardown is awaited."""
    seen = []

    async def note(word):
        seen.append(word)

    async def prepare(teardown: plugin.Teardown):
        teardown.add(note("teardown"))
        raise Exception("Plugin is broken")

    with pytest.raises(Exception, match="Plugin is broken"):
        plugin.stage(prepare)
    assert seen == ["teardown"]


def test_a_function_that_is_not_async_is_no_plugin():
    """It is a ValueError."""
    with pytest.raises(ValueError):
        plugin.resolve_plugin_func(lambda: None)


def test_three_ways_to_end():
    """Who sets Cancel, who waits for it, and who has to be cancelled but answers: all results are there."""

    async def asks(cancel: plugin.Cancel):
        async def task():
            await asyncio.sleep(0)
            cancel.set()
            return "asked"

        yield task()

    async def graceful(cancel: plugin.Cancel):
        async def task():
            await cancel.wait()
            return "graceful"

        yield task()

    async def ungraceful():
        async def task():
            try:
                await asyncio.Future()
            except asyncio.CancelledError:
                return "ungraceful"

        yield task()

    assert plugin.stage(asks, graceful, ungraceful, cancel_timeout=0.05) == ["asked", "graceful", "ungraceful"]


def test_errors_are_results():
    """A cancelled task's CancelledError and a broken task's own error stand in their places."""

    async def prepare(cancel: plugin.Cancel):
        async def asks():
            cancel.set()
            return "asked"

        async def stuck():
            await asyncio.Future()

        async def broken():
            raise LookupError("Task is broken")

        yield asks()
        yield stuck()
        yield broken()

    asked, cancelled, broken = plugin.stage(prepare, cancel_timeout=0.05)
    assert asked == "asked"
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(broken, LookupError)


def test_signals_of_ones_own():
    """A subclass of Signals adds a handler that finds the stage."""

    class Signals(plugin.Signals):
        def handle_usr1(self):
            self.stage.cancel.set()

    async def prepare(cancel: plugin.Cancel):
        async def task():
            os.kill(os.getpid(), signal.SIGUSR1)
            return await cancel.wait()

        yield task()

    assert plugin.stage(prepare, signals=Signals) == [True]


def test_the_stage_s_phases_and_attributes():
    """A Stage has a context, a loop, its components, and the phases as methods."""
    made = plugin.Stage(components=None, loop=None, signals=None, cancel_timeout=1.0)

    async def prepare():
        async def task():
            return "result"

        yield task()

    made.load(prepare)
    assert len(list(made.loader.tasks)) == 1
    assert made.context.get(plugin.Loader) is made.loader
    assert made.context.get(plugin.Cancel) is made.cancel
    assert made.context.get(plugin.Teardown) is made.teardown
    assert made.context.get(plugin.Signals) is made.signals
    assert made.run_tasks() == ["result"]
    made.run_teardown()
