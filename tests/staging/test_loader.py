import asyncio
import contextvars
import functools
import itertools
import sys
import types

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import context, di, errors, plugin
from buvar.components import Components
from buvar.staging import record


def notes(error):
    return "\n".join(getattr(error, "__notes__", ()))


# -- what prepare may be


async def task(result="done"):
    return result


async def nothing(): ...


async def one_awaitable():
    return task("one")


async def several_awaitables():
    return [task("first"), task("second")]


async def a_generator_of_several():
    return (task(n) for n in range(3))


async def yields():
    yield task("first")
    yield task("second")


async def yields_nothing():
    return
    yield


async def yields_futures():
    future = asyncio.get_running_loop().create_future()
    future.set_result("future")
    yield future
    yield asyncio.create_task(task("task"))


class Custom:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "custom"


async def yields_objects():
    yield Custom()


@pytest.mark.parametrize(
    ("prepare", "results"),
    [
        (nothing, []),
        (one_awaitable, ["one"]),
        (several_awaitables, ["first", "second"]),
        (a_generator_of_several, [0, 1, 2]),
        (yields, ["first", "second"]),
        (yields_nothing, []),
        (yields_futures, ["future", "task"]),
        (yields_objects, ["custom"]),
        (functools.partial(task, None), []),
    ],
)
def test_prepare_may_return_or_yield_awaitables(prepare, results, loop_factory):
    """What prepare returns or yields, alone or several, futures and other awaitables too, is run; nothing is fine."""
    assert plugin.stage(prepare, loop_factory=loop_factory) == results


@pytest.mark.parametrize("result", [42, "text", b"bytes", {"a": 1}, object])
def test_prepare_may_not_return_anything_else(result):
    """What is neither an awaitable nor several of them is refused, and the message says what to return."""

    async def prepare():
        return result

    with pytest.raises(errors.PluginError, match="return nothing, an awaitable"):
        plugin.stage(prepare)


def test_prepare_may_not_return_a_list_of_anything_else():
    """A list that holds something that cannot be awaited is refused; what it holds beside that is closed."""

    async def prepare():
        return [task(), task, task()]

    with pytest.raises(errors.PluginError, match="no awaitable; yield task"):
        plugin.stage(prepare)


def test_a_generator_may_not_yield_anything_else():
    """A yielded function is refused, the hint is to call it, and the generator is closed before teardown."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        try:
            yield task
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    with pytest.raises(errors.PluginError, match="yield task\\(\\), not task"):
        plugin.stage(prepare)
    assert seen == ["closed", "teardown"]


# -- bare yield


def test_a_bare_yield_suspends_until_teardown(loop_factory):
    """What follows a bare yield runs at teardown, the last prepared plugin first."""
    seen = []

    def suspending(name):
        async def prepare():
            seen.append(f"prepare {name}")
            yield work(name)
            yield
            seen.append(f"finish {name}")

        return prepare

    async def work(name):
        seen.append(f"run {name}")

    plugin.stage(suspending("a"), suspending("b"), loop_factory=loop_factory)
    assert seen == ["prepare a", "prepare b", "run a", "run b", "finish b", "finish a"]


def test_what_follows_a_bare_yield_runs_after_a_failed_start():
    """A suspended plugin is finished also when another one fails to prepare."""
    seen = []

    async def suspending():
        yield
        seen.append("finished")

    async def failing():
        raise OSError("no")

    with pytest.raises(OSError):
        plugin.stage(suspending, failing)
    assert seen == ["finished"]


def test_a_suspended_plugin_counts_as_prepared():
    """Who loads a plugin that suspends itself goes on when it has."""
    seen = []

    async def suspending():
        seen.append("suspended")
        yield

    async def prepare(load: plugin.Loader):
        await load(suspending)
        seen.append("loaded")

    plugin.stage(prepare)
    assert seen == ["suspended", "loaded"]


@pytest.mark.parametrize("late", [None, "coroutine", 42])
def test_nothing_may_be_yielded_after_a_bare_yield(late):
    """A second yield is an error of teardown, which names the plugin; a coroutine that it yields is closed."""

    async def prepare():
        yield
        yield task() if late == "coroutine" else late

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    (error,) = caught.value.exceptions
    assert isinstance(error, errors.PluginError)
    assert "after its bare yield" in str(error)


def test_with_blocks_around_a_bare_yield_close_in_the_same_task():
    """A plugin may suspend inside of a cancel scope: it is left by the task that entered it."""
    seen = []

    async def prepare():
        async with asyncio.TaskGroup() as group, asyncio.timeout(10):
            group.create_task(asyncio.sleep(0))
            yield
            seen.append("left")

    plugin.stage(prepare)
    assert seen == ["left"]


# -- parameters


@attrs.frozen
class Url:
    text: str


class Service:
    def __init__(self, url: Url):
        self.url = url


@pytest.mark.usefixtures("buvar_adapters_setup_contextvars")
def test_parameters_are_injected():
    """By type, by name and type, from an adapter, or else from the default; strings are annotations too."""
    di.register(Service)
    components = Components()
    components.add(Url("unnamed"))
    components.add(Url("named"), name="replica")
    seen = []

    async def prepare(url: Url, replica: "Url", service: Service, load: plugin.Loader, flag: bytes = b"default"):
        seen.extend([url.text, replica.text, service.url.text, type(load), flag])

    plugin.stage(prepare, components=components)
    assert seen == ["unnamed", "named", "unnamed", plugin.Loader, b"default"]


def test_what_the_stage_provides_is_injected():
    """Cancel, Teardown, Ready, Signals and Loader are those of the stage."""
    seen = []

    async def prepare(
        cancel: plugin.Cancel,
        teardown: plugin.Teardown,
        ready: plugin.Ready,
        signals: plugin.Signals,
        load: plugin.Loader,
    ):
        seen.extend([cancel, teardown, ready, signals])

    stage = plugin.Stage()
    stage.run(prepare)
    assert seen == [stage.cancel, stage.teardown, stage.ready, stage.signals]


def test_a_missing_parameter_is_told():
    """What nothing provides is a ResolveError whose path ends with the plugin."""

    async def prepare(service: Service): ...

    with pytest.raises(errors.ResolveError, match="Service") as caught:
        plugin.stage(prepare)
    assert "while preparing plugin" in notes(caught.value)


# -- once, and who waits


def test_a_plugin_is_prepared_once():
    """However often a plugin is loaded, by name, module or function, it is prepared once."""
    count = []

    async def shared():
        count.append(1)

    async def prepare(load: plugin.Loader):
        await load(shared, shared)
        await asyncio.gather(load(shared), load(shared))

    plugin.stage(prepare, shared, prepare)
    assert count == [1]


def test_concurrent_loads_wait_for_the_one_preparation():
    """Who loads a plugin that another is just preparing goes on only when it is prepared."""
    seen = []

    async def shared():
        await asyncio.sleep(0.02)
        context.add("shared")
        seen.append("shared")

    def needing(name):
        async def prepare(load: plugin.Loader):
            await load(shared)
            seen.append((name, context.get(str)))

        return prepare

    async def root(load: plugin.Loader):
        await asyncio.gather(load(needing("a")), load(needing("b")))
        seen.append("root")

    plugin.stage(root)
    assert seen == ["shared", ("a", "shared"), ("b", "shared"), "root"]


def test_plugins_share_what_they_add():
    """What a plugin adds, who loads it finds, and the tasks of all find it too."""

    async def provider():
        context.add(Url("of provider"))

    async def prepare(load: plugin.Loader):
        await load(provider)
        assert context.get(Url).text == "of provider"

        async def task():
            return context.get(Url).text

        yield task()

    assert plugin.stage(prepare) == ["of provider"]


def test_what_plugins_add_stays_in_the_stage():
    """Neither the current context nor the components passed in know of it afterwards."""
    components = Components()

    async def prepare():
        context.add(Url("inside"))

    plugin.stage(prepare, components=components)
    assert Url not in components
    assert Url not in context.current_context()


def test_additions_carry_the_name_of_the_plugin():
    """The context can be listed: each addition says which plugin made it."""

    async def provider():
        context.add(Url("of provider"))

    async def prepare(load: plugin.Loader):
        await load(provider)
        context.add(Service(Url("x")))

    stage = plugin.Stage()
    stage.run(prepare)
    owners = {type(entry.item): entry.owner for entry in stage.context.entries()}
    assert owners[Url].endswith("provider")
    assert owners[Service].endswith("prepare")


def test_each_plugin_has_its_own_context_variables():
    """A context variable that one plugin sets does not reach another, but does reach its own tasks."""
    variable = contextvars.ContextVar("variable", default="unset")

    async def setter():
        variable.set("set")

        async def task():
            return variable.get()

        yield task()

    async def other(load: plugin.Loader):
        await load(setter)

        async def task():
            return variable.get()

        return task()

    assert plugin.stage(other) == ["unset", "set"]


# -- circles


def circle_warnings(logs):
    return [entry["path"] for entry in logs if entry["event"] == "plugins load each other in a circle"]


CIRCLES = {
    "self": {"a": ["a"]},
    "two": {"a": ["b"], "b": ["a"]},
    "three": {"a": ["b"], "b": ["c"], "c": ["a"]},
}


@pytest.mark.parametrize("graph", CIRCLES.values(), ids=CIRCLES)
def test_a_circle_returns_at_once_and_is_told(graph, logs):
    """The load that would close a circle returns, all plugins are prepared, and one warning has the path."""
    prepared = []
    plugins = graph_plugins(graph, prepared)
    plugin.stage(plugins["a"])
    assert sorted(prepared) == sorted(graph)
    (path,) = circle_warnings(logs)
    # the load that closes it is that of the last one, so the path starts there and comes back
    names = [name.rsplit(":", 1)[-1].rsplit(".", 1)[-1] for name in path.split(" -> ")]
    *steps, last = [*graph, next(iter(graph))]
    assert names == [steps[-1], *steps]
    assert last == "a"


def test_a_circle_of_concurrent_loads_does_not_block(logs):
    """Two plugins that are loaded at the same time and load each other both get prepared."""
    prepared = []
    plugins = graph_plugins({"root": ["a", "b"], "a": ["b"], "b": ["a"]}, prepared, concurrent={"root"})
    plugin.stage(plugins["root"])
    assert sorted(prepared) == ["a", "b", "root"]
    assert len(circle_warnings(logs)) == 1


def graph_plugins(graph, prepared, concurrent=(), pauses=None):
    """Make a plugin for each node; it loads its successors, in turn or at once, and yields a task with its name."""
    plugins = {}

    def make(name):
        async def prepare(load: plugin.Loader):
            for _ in range((pauses or {}).get(name, 0)):
                await asyncio.sleep(0)
            successors = [plugins[each] for each in graph[name]]
            if name in concurrent:
                await asyncio.gather(*map(load, successors))
            else:
                await load(*successors)
            prepared.append(name)
            yield task(name)

        prepare.__qualname__ = prepare.__name__ = name
        return prepare

    for name in graph:
        plugins[name] = make(name)
    return plugins


@st.composite
def graphs(draw):
    names = "abcdefgh"[: draw(st.integers(1, 8))]
    graph = {name: draw(st.lists(st.sampled_from(names), max_size=4)) for name in names}
    concurrent = draw(st.sets(st.sampled_from(names)))
    pauses = draw(st.dictionaries(st.sampled_from(names), st.integers(0, 3)))
    roots = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    return graph, concurrent, pauses, roots


def reachable(graph, roots):
    found, todo = set(), list(roots)
    while todo:
        if (name := todo.pop()) not in found:
            found.add(name)
            todo.extend(graph[name])
    return found


def has_cycle(edges):
    edges = {name: set(successors) for name, successors in edges.items()}
    while leaves := [name for name, successors in edges.items() if not successors & edges.keys()]:
        for leaf in leaves:
            del edges[leaf]
    return bool(edges)


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_any_graph_of_loads_is_prepared_once_and_never_blocks(drawn):
    """Whatever loads what, in turn or at once: each is prepared once, results come in load order, circles are told."""
    graph, concurrent, pauses, roots = drawn
    prepared = []
    plugins = graph_plugins(graph, prepared, concurrent, pauses)
    stage = plugin.Stage(start_timeout=20.0)
    results = stage.run(*(plugins[name] for name in roots))
    wanted = reachable(graph, roots)
    assert sorted(prepared) == sorted(wanted)
    names = {each.prepare: each.prepare.__name__ for each in stage.plugins}
    assert results == list(names.values())
    loaded = {name: set(graph[name]) for name in wanted}
    shown = {each.name: each.prepare.__name__ for each in stage.plugins}
    for circle in stage.plugins.circles:
        path = [shown[name] for name in circle]
        assert path[0] == path[-1]
        assert all(after in loaded[before] for before, after in itertools.pairwise(path))
    # each circle of the graph has a load that returned at once; without those loads there is none left
    closed = {(shown[circle[0]], shown[circle[1]]) for circle in stage.plugins.circles}
    left = {name: {each for each in loads if (name, each) not in closed} for name, loads in loaded.items()}
    assert not has_cycle(left)
    assert bool(closed) == has_cycle(loaded)


def test_a_wide_and_deep_graph_of_waits_is_searched_quickly():
    """Looking for a circle visits each waiting plugin once, however many paths lead to it."""
    depth = 30
    graph = {f"{side}{level}": [f"a{level + 1}", f"b{level + 1}"] for level in range(depth) for side in "ab"}
    graph |= {f"a{depth}": ["end"], f"b{depth}": ["end"], "end": []}
    # `late` loads what all others wait in, and nobody in there waits for it: there are 2**30 paths, and no circle
    graph |= {"root": ["a0", "late"], "late": ["a0"]}
    prepared = []
    plugins = graph_plugins(graph, prepared, concurrent=set(graph), pauses={"late": 200, "end": 400})
    plugin.stage(plugins["root"], start_timeout=20.0)
    assert sorted(prepared) == sorted(reachable(graph, ["root"]))


# -- names


def test_dotted_names_lead_to_plugins(write):
    """A module, a function in it, and names relative to the plugin that loads are all plugins."""
    write(
        shop="""
        from buvar import plugin

        async def prepare(load: plugin.Loader):
            await load(".users", ".orders:start", "shop.users")
            yield task()

        async def task():
            return "shop"
        """,
        **{
            "shop.users": """
            from buvar import plugin

            async def prepare(load: plugin.Loader):
                await load(".orders:start")
                return task()

            async def task():
                return "users"
            """,
            "shop.orders": """
            async def start():
                return task()

            async def task():
                return "orders"
            """,
        },
    )
    stage = plugin.Stage()
    assert stage.run("shop") == ["shop", "users", "orders"]
    assert [each.name for each in stage.loader.plugins] == ["shop", "shop.users", "shop.orders:start"]
    assert [each.loader and each.loader.name for each in stage.loader.plugins] == [None, "shop", "shop.users"]


def test_a_module_is_a_plugin():
    """A module object with a prepare is loaded as well as its name."""
    module = types.ModuleType("made_up")
    module.prepare = one_awaitable
    assert plugin.stage(module) == ["one"]


@pytest.mark.parametrize("name", [".users", "..users"])
def test_a_relative_name_needs_a_package(name):
    """The stage itself has no package that a relative name could start from."""
    with pytest.raises(errors.NameNotFoundError, match="write the whole name"):
        plugin.stage(name)


def test_a_relative_name_may_not_leave_the_package(write):
    """More dots than there are packages is an ImportError that says so."""
    write(
        **{
            "outer": "",
            "outer.inner": """
            from buvar import plugin

            async def prepare(load: plugin.Loader):
                await load("...elsewhere")
            """,
        }
    )
    with pytest.raises(ImportError, match="leads out of the package 'outer'") as caught:
        plugin.stage("outer.inner")
    assert "while preparing plugin outer.inner" in notes(caught.value)


def test_an_unknown_plugin_has_a_nearest_name(write):
    """A misspelt module is an ImportError with the spelling that was probably meant."""
    write(warehouse="async def prepare(): ...")
    with pytest.raises(errors.NameNotFoundError, match="did you mean 'warehouse'"):
        plugin.stage("warehuose")


def test_an_unknown_function_has_a_nearest_name(write):
    """A misspelt function is told apart from a misspelt module."""
    write(warehouse2="async def prepare_stock(): ...")
    with pytest.raises(errors.NameNotFoundError, match="did you mean 'prepare_stock'"):
        plugin.stage("warehouse2:prepare_stocks")


def test_a_module_without_prepare_is_no_plugin(write):
    """The error says which module lacks prepare, and what in it is nearly called so."""
    write(careless="async def prepares(): ...")
    with pytest.raises(errors.PluginError, match=r"careless is not a plugin.*'prepare'.*did you mean 'prepares'"):
        plugin.stage("careless")


def test_a_prepare_that_is_not_async_is_refused(write):
    """The error says to write async def."""
    write(blocking="def prepare(): ...")
    with pytest.raises(errors.PluginError, match=r"blocking:prepare is not a plugin: .* write 'async def'"):
        plugin.stage("blocking")


@pytest.mark.parametrize("thing", [lambda: None, 42, object(), None, dict])
def test_what_is_no_plugin_is_refused(thing):
    """Neither a plain function nor a thing is a plugin: a ValueError."""
    with pytest.raises(ValueError, match="is not a plugin"):
        plugin.resolve_plugin_func(thing)


def test_resolve_plugin_func_finds_prepare(write):
    """A module's prepare, another function of it by its name, and a function itself."""
    write(found="async def prepare(): ...\nasync def other(): ...")
    prepare = plugin.resolve_plugin_func("found")
    assert prepare is sys.modules["found"].prepare
    assert plugin.resolve_plugin_func("found", function_name="other") is sys.modules["found"].other
    assert plugin.resolve_plugin_func(prepare) is prepare


def test_an_error_inside_of_a_module_is_not_hidden(write):
    """An import that fails inside of a plugin is that error, with notes that lead there."""
    write(
        first="""
        from buvar import plugin

        async def prepare(load: plugin.Loader):
            await load("second")
        """,
        second="import does_not_exist_anywhere",
    )
    with pytest.raises(ModuleNotFoundError, match="does_not_exist_anywhere") as caught:
        plugin.stage("first")
    assert not isinstance(caught.value, errors.NameNotFoundError)
    assert "while importing 'second'" in notes(caught.value)
    assert "while preparing plugin first" in notes(caught.value)


def test_a_syntax_error_inside_of_a_module_is_not_hidden(write):
    """What is no Python is a SyntaxError with a note that names the plugin."""
    write(broken="def prepare(:")
    with pytest.raises(SyntaxError) as caught:
        plugin.stage("broken")
    assert "while importing 'broken'" in notes(caught.value)


# -- errors


class OwnError(Exception):
    pass


def test_an_error_in_prepare_keeps_its_type_and_tells_the_chain(write):
    """Whoever loads the plugin gets the error itself; its one note says which plugin, and who loaded whom."""
    write(
        one="""
        from buvar import plugin

        async def prepare(load: plugin.Loader):
            await load("two")
        """,
        two="""
        from buvar import plugin

        async def prepare(load: plugin.Loader):
            await load("three:boot")
        """,
        three="""
        async def boot():
            raise LookupError("the database is away")
        """,
    )
    with pytest.raises(LookupError, match="the database is away") as caught:
        plugin.stage("one")
    assert caught.value.__notes__ == ["while preparing plugin three:boot, loaded by two, loaded by one"]


def test_a_loader_may_live_with_a_failed_plugin():
    """Who catches the error of a load goes on; the stage starts."""

    async def failing():
        raise OwnError

    async def prepare(load: plugin.Loader):
        try:
            await load(failing)
        except OwnError:
            yield task("without")

    assert plugin.stage(prepare) == ["without"]


def test_an_error_that_nobody_waited_for_fails_the_start():
    """Who gives up waiting for a plugin does not make its failure go away: the stage does not start without it."""

    async def failing():
        await asyncio.sleep(0.03)
        raise OwnError

    async def prepare(load: plugin.Loader):
        try:
            await asyncio.wait_for(load(failing), 0.001)
        except TimeoutError:
            yield task()

    with pytest.raises(OwnError):
        plugin.stage(prepare)


def test_a_background_load_is_waited_for():
    """The tasks start when all plugins are prepared, also those that nobody waits for."""
    background = []

    async def slow():
        await asyncio.sleep(0.02)
        yield task("slow")

    async def prepare(load: plugin.Loader):
        background.append(asyncio.create_task(load(slow)))
        yield task("quick")

    assert plugin.stage(prepare) == ["quick", "slow"]


def test_a_failing_plugin_ends_the_others():
    """Plugins that are still being prepared are cancelled, may clean up, and what was set up is torn down."""
    seen = []

    async def slow(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cancelled")
            raise

    async def slow_generator():
        try:
            yield task("never started")
            await asyncio.sleep(30)
        finally:
            seen.append("generator closed")

    async def failing():
        await asyncio.sleep(0.01)
        raise OwnError

    async def prepare(load: plugin.Loader):
        await asyncio.gather(load(slow), load(slow_generator), load(failing))

    with pytest.raises(OwnError):
        plugin.stage(prepare)
    assert sorted(seen[:2]) == ["cancelled", "generator closed"]
    assert seen[2:] == ["teardown"]


def test_tasks_that_are_never_started_are_closed():
    """After a failed start nothing warns of coroutines that were never awaited (warnings are errors here)."""
    future = []

    async def prepare():
        future.append(asyncio.get_running_loop().create_future())
        yield task()
        yield future[0]
        raise OwnError

    with pytest.raises(OwnError):
        plugin.stage(yields, several_awaitables, prepare)
    assert future[0].cancelled()


def test_a_plugin_that_cancels_itself_fails_with_a_reason():
    """A CancelledError that the stage did not ask for is an error that names the plugin."""

    async def prepare():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(errors.StageError, match="was cancelled by what it waited for"):
        plugin.stage(prepare)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_in_prepare_ends_the_stage(kind, loop_factory):
    """sys.exit in prepare is passed on after the whole teardown, also where that takes its time."""
    seen = []

    async def suspended():
        yield
        await asyncio.sleep(0.01)
        seen.append("suspended")

    async def prepare(load: plugin.Loader, teardown: plugin.Teardown):
        await load(suspended)

        async def goes():
            await asyncio.sleep(0.01)
            seen.append("teardown")

        teardown.add(goes)
        raise kind(3)

    with pytest.raises(kind) as caught:
        plugin.stage(prepare, loop_factory=loop_factory)
    assert caught.value.args == (3,)
    assert seen == ["teardown", "suspended"]


def test_plugins_are_not_loaded_while_the_stage_runs():
    """A load in a task is refused with a reason; one of a plugin that is there already is fine."""

    async def late(): ...

    async def prepare(load: plugin.Loader):
        async def loads():
            await load(prepare)
            await load(late)

        yield loads()

    (error,) = plugin.stage(prepare)
    assert isinstance(error, errors.StageError)
    assert "loaded too late" in str(error)


# -- what is known


def test_what_is_known_of_each_plugin():
    """Each plugin's loader, time, tasks and components are recorded, in load order."""

    async def inner():
        await asyncio.sleep(0.02)
        context.add(Url("inner"))
        yield task()

    async def outer(load: plugin.Loader):
        await load(inner)

    stage = plugin.Stage()
    stage.run(outer)
    first, second = stage.loader.plugins
    assert (first.prepare, second.prepare) == (outer, inner)
    assert (first.loader, second.loader) == (None, first)
    assert [each.name for each in second.tasks] == ["task"]
    assert [entry.item for entry in second.added()] == [Url("inner")]
    assert first.added() == []
    assert first.seconds >= second.seconds > 0


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [("shop.users", "prepare", "shop.users"), ("shop.users", "boot", "shop.users:boot")],
)
def test_names_of_plugins(module, function, name):
    """The prepare of a module has the module's name, any other function is named as one loads it."""

    async def prepare(): ...

    prepare.__module__, prepare.__qualname__ = module, function
    assert record.plugin_name(prepare) == name


# -- what has no annotation


def test_a_parameter_without_an_annotation_is_told_what_to_write():
    """What a parameter of a plugin is meant to be is said by its name; what has an annotation, or no such name, not."""

    async def bare(load, teardown, shop, ready: plugin.Ready, cancel=None): ...
    async def unknown(shop): ...

    with pytest.raises(errors.ResolveError, match="annotate it") as caught:
        plugin.stage(bare)
    assert "write load: plugin.Loader, teardown: plugin.Teardown" in notes(caught.value).splitlines()
    with pytest.raises(errors.ResolveError, match="annotate it") as caught:
        plugin.stage(unknown)
    assert "write " not in notes(caught.value)
