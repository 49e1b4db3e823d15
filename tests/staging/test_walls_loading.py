"""Walls, and who loads whom in a stage: each plugin is prepared once for all, and a stage leaves nothing behind."""

import asyncio
import gc
import threading
import weakref

import pytest

from buvar import context, di, errors, plugin
from buvar.plugins import bg
from tests.staging.shop import ROUNDS, Engine, Left, Right, SqlUsers, Users, audit, got, looking, run, users

pytestmark = pytest.mark.usefixtures("registry")


# -- loading


def test_a_walled_plugin_is_prepared_once_for_all_loaders():
    """However often, by whomever, and at whatever time it is loaded: there is one of it, and each loader has it."""
    seen = []

    @plugin.exports(Left)
    async def exporting():
        seen.append("prepared")
        await asyncio.sleep(0)
        context.add(Left())

    async def look():
        return context.get(Left)

    both = [looking(seen, look, exporting, exporting, walled=True) for _ in range(2)]

    async def concurrent(load: plugin.Loader):
        await asyncio.gather(*(load(each) for each in both))

    run(concurrent, looking(seen, lambda: context.get(Left, default=None)), looking(seen, look, exporting))
    assert seen[0] == "prepared"
    assert isinstance(seen[1], Left)
    assert seen[1] is seen[2]
    assert seen[3] is None
    assert seen[4] is seen[1]


def test_a_circle_with_a_walled_plugin_is_an_error():
    """Nobody could have what is exported: the path is told. Without walls a circle is a warning."""

    async def first(load: plugin.Loader):
        await load(second)

    async def second(load: plugin.Loader):
        await load(third)

    async def third(load: plugin.Loader):
        await load(first)

    stage = plugin.Stage()
    stage.load(first)
    assert len(stage.plugins.circles) == 1
    stage.run_teardown()
    plugin.exports()(second)
    for start in first, second, third:
        with pytest.raises(errors.UsageError, match=r"second has walls, .* in a circle, .* -> .* -> .* -> "):
            run(start)


def test_a_circle_of_open_plugins_below_a_walled_one_is_a_warning():
    """The walled plugin waits for the circle, and is no part of it."""

    async def first(load: plugin.Loader):
        await load(second)

    async def second(load: plugin.Loader):
        await load(first)

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(first)

    stage = plugin.Stage()
    stage.load(walled)
    assert len(stage.plugins.circles) == 1
    stage.run_teardown()


def test_an_async_generator_has_walls():
    """A prepare that yields tasks, and suspends itself, exports as any other; all of it runs in its context."""
    seen = []

    @plugin.exports(Users)
    async def exporting(teardown: plugin.Teardown):
        context.add(Engine("home"))
        di.register(SqlUsers)
        teardown.add(lambda: seen.append(("callback", context.get(Engine).url)))

        async def task():
            seen.append(("task", context.get(Engine).url))

        yield task()
        yield
        seen.append(("end", context.get(Engine).url))

    async def asking(load: plugin.Loader):
        await load(exporting)
        assert (await di.nject(Users)).engine.url == "home"

    run(asking)
    assert seen == [("task", "home"), ("end", "home"), ("callback", "home")]


def test_tasks_and_jobs_run_in_the_context_of_their_plugin():
    """Tasks, jobs, and what is torn down see components and adapters of the plugin that they are from."""
    seen = []

    async def look(what):
        engine = await di.nject(Engine)
        assert context.get(Engine) is engine
        seen.append((what, engine.url, (await di.nject(Users)).engine.url, context.current_context().owner[-6:]))

    @plugin.exports()
    async def walled(load: plugin.Loader, teardown: plugin.Teardown):
        await load("buvar.plugins.bg")
        context.add(Engine("home"))
        di.register(SqlUsers)
        teardown.add(look("teardown"))
        teardown.add(lambda: look("callback"))
        context.get(bg.Jobs).add(look("job"))

        async def task():
            await context.get(bg.Jobs).add(look("job of a task"))
            await asyncio.create_task(look("task"))

        yield task()

    async def shared():
        context.add(Engine("shared"))

    run(shared, walled)
    assert sorted(what for what, *_ in seen) == ["callback", "job", "job of a task", "task", "teardown"]
    assert {tuple(where) for _, *where in seen} == {("home", "home", "walled")}


# -- stages


def engine_named(url):
    @plugin.exports(Users)
    async def exporting():
        context.add(Engine(url))
        di.singleton(SqlUsers)

    return exporting


def test_the_next_stage_sees_nothing_of_this_one(registry):
    """What was exported to all is withdrawn with the end of the stage, after a failed start too, and let go."""
    kept = []
    seen = []

    async def asking(load: plugin.Loader):
        await load(engine_named("first"))
        kept.extend([weakref.ref(await di.nject(Users)) for _ in ROUNDS])

    async def failing():
        raise OSError("no")

    run(asking)
    assert len(registry) == 0
    with pytest.raises(OSError):
        run(asking, failing)
    assert len(registry) == 0
    run(looking(seen, lambda: got(Users)))
    assert seen == [None]
    gc.collect()
    assert {ref() for ref in kept} == {None}
    run(looking(seen, lambda: di.nject(Users), engine_named("second")))
    assert seen[1].engine.url == "second"


def test_what_was_registered_before_is_there_after(registry):
    """A stage takes out its exports alone, and leaves the order of the others."""
    registry.register(Users, SqlUsers)
    before = list(registry)
    run(looking([], lambda: None, audit, users))
    assert list(registry) == before


def test_two_stages_at_once_have_their_own_exports(registry):
    """Stages in two threads that share a registry each get what their own plugins export."""
    seen = {}
    both = threading.Barrier(2, timeout=20)

    def stage(url):
        di.buvar_adapters.set(registry)

        async def asking(load: plugin.Loader):
            await load(engine_named(url))

            async def task():
                await asyncio.to_thread(both.wait)
                for _ in ROUNDS:
                    seen.setdefault(url, []).append((await di.nject(Users)).engine.url)
                await asyncio.to_thread(both.wait)

            yield task()

        run(asking)

    threads = [threading.Thread(target=stage, args=(url,)) for url in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": ["a"] * 4, "b": ["b"] * 4}


def test_what_a_plugin_added_is_listed_once():
    """The record of a walled plugin has what it added, with the line that did, though it is shared too."""

    @plugin.exports(Left)
    async def exporting():
        context.add(Left())
        context.add(Right())

    stage = plugin.Stage()
    stage.load(looking([], lambda: None, exporting))
    stage.run_teardown()
    (record,) = [each for each in stage.plugins if each.walls is not None]
    assert [type(entry.item) for entry in record.added()] == [Left, Right]
    assert {entry.place.file for entry in record.added()} == {__file__}
