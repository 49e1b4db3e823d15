"""Walls: a plugin that says what it exports keeps all else to itself."""

import asyncio
import gc
import threading
import typing as t
import weakref

import attrs
import pytest

from buvar import context, di, errors, plugin
from buvar.plugins import bg

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


@attrs.frozen(eq=False)
class Engine:
    url: str = "default"


class Users:
    """What others ask for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class SqlUsers(Users): ...


@attrs.frozen(eq=False)
class Orders:
    users: Users
    engine: Engine


@attrs.frozen(eq=False)
class Request:
    path: str = "/"


@attrs.frozen(eq=False)
class Audit:
    request: Request
    engine: Engine


class Left: ...


class Right: ...


class Missing: ...


class Needy:
    def __init__(self, missing: Missing) -> None: ...


@pytest.fixture(autouse=True)
def registry():
    """What is registered is forgotten after the test."""
    adapters = di.Adapters()
    token = di.buvar_adapters.set(adapters)
    yield adapters
    di.buvar_adapters.reset(token)


def run(*plugins, **options):
    """Run a stage; raise the error of a task that failed."""
    results = plugin.stage(*plugins, **options)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def got(key):
    """Return what *key* is resolved to here, None where it is not to be had."""
    try:
        return await di.nject(key)
    except errors.ResolveError:
        return None


def looking(seen, look, *loads, walled=False):
    """Return a plugin that loads others, and then appends to *seen* what *look* finds."""

    async def prepare(load: plugin.Loader):
        await load(*loads)
        found = look()
        seen.append(await found if asyncio.iscoroutine(found) else found)

    return plugin.exports()(prepare) if walled else prepare


@plugin.exports(Users)
async def users():
    context.add(Engine("users"))
    di.register(SqlUsers)


@plugin.exports(Audit)
async def audit():
    context.add(Engine("audit"))
    di.scoped(Audit)


# -- what is private


def test_what_a_walled_plugin_adds_others_do_not_find():
    """Components of a walled plugin are not found by other plugins, open or walled, nor by the stage."""
    seen = []

    @plugin.exports()
    async def walled():
        context.add(Engine("private"))
        context.add(Engine("private"), name="replica")
        assert context.get(Engine).url == "private"

    def look():
        return context.find(Engine)

    stage = plugin.Stage()
    stage.load(looking(seen, look, walled), looking(seen, look, walled, walled=True), looking(seen, look))
    assert seen == [{}, {}, {}]
    assert stage.context.get(Engine, default=None) is None
    stage.run_teardown()


def test_what_a_walled_plugin_registers_others_do_not_get(registry):
    """Adapters of a walled plugin build for that plugin alone, and the registry of all has none of them."""
    seen = []

    @plugin.exports()
    async def walled():
        di.register(Left)
        assert isinstance(await di.nject(Left), Left)
        assert isinstance(di.nject_now(Left), Left)

    run(looking(seen, lambda: got(Left), walled), looking(seen, lambda: got(Left), walled, walled=True))
    assert seen == [None, None]
    assert len(registry) == 0


@pytest.mark.parametrize("walls", [plugin.exports(), plugin.exports(Right)])
def test_a_walled_plugin_sees_what_is_shared(walls, registry):
    """Behind walls all is seen that open plugins, the stage and the process have."""
    registry.register(Left)

    async def open_one():
        context.add(Engine("shared"))
        di.register(Users)

    @walls
    async def walled(load: plugin.Loader, cancel: plugin.Cancel):
        assert context.get(plugin.Cancel) is cancel
        assert context.get(plugin.Loader) is load
        assert context.get(Engine).url == "shared"
        assert (await di.nject(Users)).engine.url == "shared"
        assert isinstance(await di.nject(Left), Left)
        context.add(Right())

    run(open_one, walled)


def test_two_plugins_have_private_things_of_one_type():
    """Each walled plugin finds its own, also where all share one of that type."""
    seen = []

    def walled(url):
        async def prepare():
            context.add(Engine(url))
            di.singleton(SqlUsers)

            async def task():
                seen.append((context.get(Engine).url, (await di.nject(Users)).engine.url))

            await task()
            yield task()

        prepare.__qualname__ = url
        return plugin.exports()(prepare)

    async def shared():
        context.add(Engine("shared"))

    run(walled("a"), shared, walled("b"), looking(seen, lambda: context.get(Engine).url))
    assert seen == [("a", "a"), ("b", "b"), "shared", ("a", "a"), ("b", "b")]


def test_two_plugins_of_one_name_have_walls_of_their_own():
    """What two functions of one factory export is told apart."""
    seen = []

    def walled(cls):
        @plugin.exports(cls)
        async def prepare():
            context.add(cls())

        return prepare

    def look():
        return type(context.get(Left)), type(context.get(Right))

    run(looking(seen, look, walled(Left), walled(Right), walled=True))
    assert seen == [(Left, Right)]


def test_what_open_plugins_add_later_is_seen_inside():
    """What becomes shared is there for who looks next, though what was built before is as it was."""

    async def later():
        context.add(Engine("later"))
        di.register(Left)

    @plugin.exports()
    async def walled(load: plugin.Loader):
        for _ in ROUNDS:
            assert await got(Left) is None
        assert context.get(Engine, default=None) is None
        await load(later)
        for _ in ROUNDS:
            assert isinstance(await di.nject(Left), Left)
        assert context.get(Engine).url == "later"

    run(walled)


def test_an_adapter_that_replaces_others_does_so_behind_walls():
    """A later open adapter that replaces is taken inside too."""

    async def first():
        di.register(Users)

    async def later():
        di.register(SqlUsers, replace=True)

    @plugin.exports()
    async def walled(load: plugin.Loader):
        context.add(Engine())
        await load(first)
        assert type(await di.nject(Users)) is Users
        await load(later)
        assert type(await di.nject(Users)) is SqlUsers

    run(walled)


def test_an_open_plugin_loaded_from_behind_walls_is_open():
    """What it adds all see; it sees nothing private of who loaded it."""
    seen = []

    async def open_one():
        seen.append(context.get(Engine, default=None))
        context.add(Left())
        di.register(Right)

    @plugin.exports()
    async def walled(load: plugin.Loader):
        context.add(Engine())
        await load(open_one)

    run(walled, looking(seen, lambda: context.get(Left)), looking(seen, lambda: got(Right)))
    assert seen[0] is None
    assert isinstance(seen[1], Left)
    assert isinstance(seen[2], Right)


# -- exports


def test_a_walled_loader_keeps_what_it_loads_to_itself():
    """Exports go to the walled plugin that loads, components and adapters alike, and to nobody else."""
    seen = []

    @plugin.exports(Left, Users)
    async def exporting():
        context.add(Left())
        context.add(Engine("home"))
        di.register(SqlUsers)

    def look():
        return context.get(Left, default=None)

    run(
        looking(seen, look, exporting, walled=True),
        looking(seen, lambda: got(Users), exporting, walled=True),
        looking(seen, look),
        looking(seen, lambda: got(Users)),
        looking(seen, look, walled=True),
        looking(seen, lambda: got(Users), walled=True),
    )
    assert isinstance(seen[0], Left)
    assert seen[1].engine.url == "home"
    assert seen[2:] == [None] * 4


def test_an_open_loader_shares_what_it_loads():
    """What an open plugin gets all see, and the stage too."""
    seen = []

    @plugin.exports(Left, Users)
    async def exporting():
        context.add(Left())
        context.add(Engine("home"))
        di.register(SqlUsers)

    async def open_one(load: plugin.Loader):
        await load(exporting)

    def look():
        return context.get(Left, default=None)

    stage = plugin.Stage()
    stage.load(
        open_one,
        looking(seen, look),
        looking(seen, lambda: got(Users)),
        looking(seen, look, walled=True),
        looking(seen, lambda: got(Users), walled=True),
    )
    assert seen[0] is seen[2] is stage.context.get(Left)
    assert [found.engine.url for found in seen[1::2]] == ["home", "home"]
    stage.run_teardown()


def test_to_be_named_in_the_stages_list_shares_nothing():
    """The stage itself is nobody to export to."""
    seen = []
    run(users, looking(seen, lambda: got(Users)), looking(seen, lambda: got(Users), walled=True))
    assert seen == [None, None]


def test_what_is_imported_is_exported_again_on_demand():
    """A walled plugin passes on what it loads if it exports that too, to any depth; what it does not name stays."""
    seen = []

    @plugin.exports(Users, Left, "menu")
    async def first():
        context.add(Engine("first"))
        context.add("menu", "menu")
        context.add(Left())
        di.singleton(SqlUsers)

    @plugin.exports(Users, "menu")
    async def second(load: plugin.Loader):
        await load(first)
        assert isinstance(context.get(Left), Left)

    @plugin.exports(Users, "menu")
    async def third(load: plugin.Loader):
        await load(second)

    @plugin.exports()
    async def last(load: plugin.Loader):
        await load(third)
        assert context.get("menu") == "menu"
        assert context.get(Left, default=None) is None
        for _ in ROUNDS:
            seen.append(await di.nject(Users))
            seen.append(di.nject_now(Users))

    run(last, looking(seen, lambda: got(Users), first, walled=True))
    assert len(set(seen)) == 1
    assert seen[0].engine.url == "first"


def test_names_and_keys_are_exported():
    """A key is whatever a component is filed under; all names of it go along."""
    seen = []

    @plugin.exports("menu", ("a", 1), Engine, list[Left])
    async def exporting():
        context.add(["home"], "menu")
        context.add(["more"], "menu", name="more")
        context.add("tuple", ("a", 1))
        context.add(Engine("main"))
        context.add(Engine("replica"), name="replica")
        di.register(lefts)

    def lefts() -> list[Left]:
        return [Left()]

    async def look():
        main, replica = await di.nject(Engine, t.Annotated[Engine, di.Name("replica")])
        assert len(await di.nject(list[Left])) == 1
        return context.find("menu"), context.get(("a", 1)), main.url, replica.url

    run(
        looking(seen, look, exporting, walled=True),
        looking(seen, look, exporting),
        looking(seen, look),
    )
    assert seen == [({None: ["home"], "more": ["more"]}, "tuple", "main", "replica")] * 3


def test_a_base_exports_what_derives_from_it_as_that_base():
    """An exported base is found by the base; the type behind it stays private."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        context.add(SqlUsers(Engine()))

    async def look():
        return type(context.get(Users)), context.get(SqlUsers, default=None), await got(SqlUsers)

    run(looking(seen, look, exporting))
    run(looking(seen, lambda: got(SqlUsers), users, walled=True))
    assert seen == [(SqlUsers, None, None), None]


def test_the_own_is_preferred_to_what_is_imported_and_that_to_what_is_shared():
    """A walled plugin takes its own first, then what it loads, then what all share."""

    def engine(url):
        def build() -> Engine:
            return Engine(url)

        return build

    async def shared():
        context.add("shared", "word")
        di.register(engine("shared"))

    @plugin.exports("word", Engine)
    async def exporting():
        context.add("imported", "word")
        di.register(engine("imported"))

    @plugin.exports()
    async def walled(load: plugin.Loader):
        assert (context.get("word"), (await di.nject(Engine)).url) == ("shared", "shared")
        await load(exporting)
        assert (context.get("word"), (await di.nject(Engine)).url) == ("imported", "imported")
        context.add("own", "word")
        di.register(engine("own"))
        assert (context.get("word"), (await di.nject(Engine)).url) == ("own", "own")

    run(shared, walled)


@pytest.mark.parametrize("key", [Left, "menu", Users, list[Left]])
def test_to_export_what_is_not_provided_is_an_error(key):
    """It ends the start, whoever else has that thing, and names plugin and key."""

    async def shared():
        context.add(Left())
        context.add("menu", "menu")
        di.register(Users)

    @plugin.exports(key)
    async def empty(load: plugin.Loader):
        await load(shared)

    with pytest.raises(errors.ExportError, match="it provides none") as caught:
        run(empty)
    assert caught.value.key == key
    assert caught.value.plugin.endswith("empty")
    assert "while preparing plugin" in caught.value.__notes__[0]


def test_a_suspended_plugin_is_finished_where_its_exports_are_wrong():
    """What follows the bare yield runs at teardown, as after any failed start."""
    seen = []

    @plugin.exports(Left)
    async def suspended():
        yield
        seen.append("finished")

    with pytest.raises(errors.ExportError):
        run(suspended)
    assert seen == ["finished"]


def test_one_key_is_exported_by_one_plugin():
    """A second plugin that exports it is an error which names both, also where nobody would meet both."""

    def exporting(name):
        async def prepare():
            context.add(Left())

        prepare.__qualname__ = name
        return plugin.exports(Left)(prepare)

    first, second = exporting("first"), exporting("second")
    with pytest.raises(errors.ExportError, match=r"second exports .*Left: .*first exports that too"):
        run(looking([], lambda: None, first, walled=True), looking([], lambda: None, second, walled=True))


def test_who_passes_on_a_key_has_nothing_of_its_own_under_it():
    """To export something else under an imported key is a second export, though the first one is loaded."""

    @plugin.exports(Users)
    async def shadowing(load: plugin.Loader):
        await load(users)
        context.add(Engine())
        di.register(type("OwnUsers", (Users,), {}))

    with pytest.raises(errors.ExportError, match="users exports that too"):
        run(shadowing)


def test_two_may_pass_on_the_same():
    """To export again what another plugin exports is no second export of it, on however many ways it comes."""
    seen = []

    def passing(name):
        async def prepare(load: plugin.Loader):
            await load(users)

        prepare.__qualname__ = name
        return plugin.exports(Users)(prepare)

    async def look():
        return (await di.nject(Users)).engine.url

    ways = passing("a"), passing("b"), users
    run(looking(seen, look, *ways), looking(seen, look, *ways, walled=True))
    assert seen == ["users", "users"]


def test_all_of_a_type_has_each_exported_thing_once():
    """What comes on several ways, or back to where it is from, is collected once."""
    seen = []
    every = t.Annotated[list[Left], di.All]

    @plugin.exports(Left)
    async def exporting():
        di.register(Left)

        async def task():
            seen.append(len(await di.nject(every)))

        yield task()

    @plugin.exports(Left)
    async def passing(load: plugin.Loader):
        await load(exporting)

    async def look():
        return len(await di.nject(every))

    run(looking(seen, look, exporting, passing, walled=True), looking(seen, look, exporting, passing))
    assert seen == [1, 1, 1]


def test_exports_needs_its_parentheses():
    """`@exports` on a function without a call is refused with the way to write it."""

    async def prepare(): ...

    with pytest.raises(TypeError, match=r"@exports\(\)"):
        plugin.exports(prepare)


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


# -- what is built at home


def builds(kind, cls):
    """Return an adapter of a kind for what needs an engine."""
    if kind == "class":
        return cls

    def function(engine: Engine):
        return cls(engine)

    async def coroutine(engine: Engine):
        await asyncio.sleep(0)
        return cls(engine)

    def generator(engine: Engine):
        yield cls(engine)

    async def async_generator(engine: Engine):
        yield cls(engine)

    made = {
        "function": (function, cls),
        "coroutine": (coroutine, cls),
        "generator": (generator, t.Iterator[cls]),
        "async generator": (async_generator, t.AsyncIterator[cls]),
    }
    adapter, returns = made[kind]
    adapter.__annotations__["return"] = returns
    return adapter


KINDS = ["class", "function", "coroutine", "generator", "async generator"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
@pytest.mark.parametrize("walled", [True, False])
def test_an_exported_adapter_builds_from_what_its_plugin_has(kind, lifetime, walled):
    """Whatever it is and however long it lives, it gets what is at home; who asks has another of that."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.register(builds(kind, SqlUsers), lifetime=lifetime)

    async def asking(load: plugin.Loader):
        await load(exporting)
        context.add(Engine("asker"))
        di.register(Orders)
        for _ in ROUNDS:
            async with context.scope("request"):
                for _ in range(2):
                    orders = await di.nject(Orders)
                    assert orders.engine.url == "asker"
                    assert orders.users.engine.url == "home"
                    seen.append(orders.users)
                assert (await di.nject(Users)).engine.url == "home"

    run(plugin.exports()(asking) if walled else asking)
    assert len(set(seen)) == {"transient": 8, "scoped": 4, "singleton": 1}[lifetime]


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_built_once_for_all_who_ask_at_the_same_time(kind, lifetime):
    """At home, through an open and through a walled loader, concurrently: one object."""
    asked = []

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.register(builds(kind, SqlUsers), lifetime=lifetime)
        asked.append(context.current_context())

    async def remember():
        asked.append(context.current_context())

    def here(components):
        adapters = components.home.adapters

        async def ask():
            return await adapters.nject(Users)

        return context.run(components)(lambda: asyncio.create_task(ask()))()

    async def concurrent(load: plugin.Loader):
        await load(looking([], remember, exporting, walled=True), looking([], remember, exporting))
        for _ in ROUNDS:
            async with context.scope("request") as scope:
                found = await asyncio.gather(*(here(scope.at(each.home)) for each in asked))
            assert len(found) == 3
            assert len(set(found)) == 1

    run(concurrent)


def test_a_request_is_seen_on_both_sides():
    """What was pushed for a request, and what the scope keeps, is there for who asks and for what is built at home."""

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(audit)
        context.add(Engine("asker"))
        for number in ROUNDS:
            async with context.scope("request"):
                request = context.add(Request(str(number)))
                found = await di.nject(Audit)
                assert found.request is request
                assert found.engine.url == "audit"
                assert await di.nject(Audit) is found
                assert di.nject_now(Audit) is found
                with context.child():
                    assert await di.nject(Audit) is found
                async with context.scope("inner"):
                    assert await di.nject(Audit) is not found
                assert await di.nject(Audit) is found

    run(asking)


def test_a_layer_on_top_is_seen_by_what_is_built_for_the_call():
    """What a block pushes reaches a transient thing at home, and is gone for the next."""
    seen = []

    @plugin.exports(Audit)
    async def exporting():
        context.add(Engine("home"))
        di.register(Audit)

    async def asking(load: plugin.Loader):
        await load(exporting)
        for _ in ROUNDS:
            with context.child() as components:
                components.add(Request("inner"))
                seen.append((await di.nject(Audit)).request.path)
                with context.child() as inner:
                    inner.add(Request("innermost"))
                    seen.append((await di.nject(Audit)).request.path)
            assert context.get(Request, default=None) is None

    run(asking)
    assert seen == ["inner", "innermost"] * 4


def test_what_the_scope_keeps_sees_what_the_scope_began_with():
    """A scoped thing outside gets an exported one that is built from the scope, not from a layer on top of it."""

    @plugin.exports(Audit)
    async def exporting():
        context.add(Engine("home"))
        di.register(Audit)

    @attrs.frozen(eq=False)
    class Log:
        audit: Audit

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.scoped(Log)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request("scope"))
                with context.child() as inner:
                    inner.add(Request("inner"))
                    assert (await di.nject(Log)).audit.request.path == "scope"

    run(asking)


def test_components_are_not_compared():
    """A component whose comparison fails may stand in a scope and on top of it."""

    class Touchy:
        def __eq__(self, other):
            raise TypeError("do not compare me")

        __hash__ = object.__hash__

    @attrs.frozen(eq=False)
    class Log:
        left: Left

    @plugin.exports(Left)
    async def exporting():
        di.register(Left)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.scoped(Log)
        async with context.scope("request"):
            context.add(Touchy())
            with context.child() as inner:
                inner.add(Touchy())
                assert isinstance((await di.nject(Log)).left, Left)

    run(asking)


@pytest.mark.parametrize(("is_async", "now"), [(False, False), (False, True), (True, False)])
def test_an_exported_generator_is_finalised_at_home(is_async, now):
    """What follows its yield runs when its owner closes, dependants first, and sees what its plugin sees."""
    seen = []

    def left() -> t.Iterator[Left]:
        yield Left()
        seen.append(("scoped", context.get(Engine).url, di.nject_now(Users).engine.url))

    def right() -> t.Iterator[Right]:
        yield Right()
        seen.append(("singleton", context.get(Engine).url, di.nject_now(Users).engine.url))

    async def async_left() -> t.AsyncIterator[Left]:
        yield Left()
        seen.append(("scoped", context.get(Engine).url, (await di.nject(Users)).engine.url))

    async def async_right() -> t.AsyncIterator[Right]:
        yield Right()
        seen.append(("singleton", context.get(Engine).url, (await di.nject(Users)).engine.url))

    @plugin.exports(Left, Right)
    async def exporting():
        context.add(Engine("home"))
        di.register(SqlUsers)
        di.scoped(async_left if is_async else left)
        di.singleton(async_right if is_async else right)

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        context.add(Engine("asker"))
        di.register(Users)
        for _ in ROUNDS:
            async with context.scope("request"):
                if now:
                    di.nject_now(Left, Right)
                else:
                    await di.nject(Left, Right)
            seen.append("closed")

    run(asking)
    assert seen == [("scoped", "home", "home"), "closed"] * 4 + [("singleton", "home", "home")]


def test_an_exported_singleton_closes_after_what_depends_on_it():
    """Teardown finalises what stands on both sides of walls in the right order, each once."""
    seen = []

    def left() -> t.Iterator[Left]:
        yield Left()
        seen.append("exported")

    def right(left: Left) -> t.Iterator[Right]:
        yield Right()
        seen.append("dependant")

    @plugin.exports(Left)
    async def exporting():
        di.singleton(left)

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        di.singleton(right)
        await di.nject(Right)
        await di.nject(Right, Left)

    run(asking, looking([], lambda: di.nject(Left), exporting))
    assert seen == ["dependant", "exported"]


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
def test_what_is_shared_and_kept_is_the_same_behind_walls(lifetime):
    """A shared adapter keeps one object for all, and that never holds anything private, whoever asks first."""
    seen = []

    async def shared():
        context.add(Engine("shared"))
        di.register(Users, lifetime=lifetime)
        seen.append(context.current_context())

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(shared)
        context.add(Engine("private"))
        (outside,) = seen
        for _ in ROUNDS:
            async with context.scope("request") as scope:
                inside = await di.nject(Users)
                assert inside.engine.url == "shared"
                assert di.nject_now(Users) is inside
                asking = context.run(scope.at(outside.home))(outside.home.adapters.nject_now)
                assert asking(Users) is inside
            async with context.scope("request") as scope:
                asking = context.run(scope.at(outside.home))(outside.home.adapters.nject_now)
                assert asking(Users) is await di.nject(Users)

    run(walled)


def test_what_is_shared_and_lives_for_the_call_is_built_from_what_the_asker_sees():
    """A transient shared adapter holds what is private to who asks: it lives no longer than the call."""
    seen = []

    async def shared():
        context.add(Engine("shared"))
        di.register(Users)

    @plugin.exports()
    async def walled():
        context.add(Engine("private"))
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])

    run(shared, walled, looking(seen, lambda: di.nject(Users)))
    assert seen[:4] == ["private"] * 4
    assert seen[4].engine.url == "shared"


def test_a_classmethod_serves_subclasses_behind_walls():
    """One that returns its own class does so for a walled plugin too, shared or private, and keeps what it built."""

    class Model:
        @classmethod
        def create(cls) -> t.Self:
            return cls()

    class Mine(Model): ...

    class Own(Model): ...

    outside = []

    async def shared():
        di.singleton(Model.create)
        outside.append(await di.nject(Mine))

    async def later():
        di.register(Left)

    @plugin.exports()
    async def private(load: plugin.Loader):
        di.singleton(Model.create)
        own = await di.nject(Own)
        await load(later)
        assert await di.nject(Own) is own

    @plugin.exports()
    async def asking():
        assert await di.nject(Mine) is outside[0]

    run(private)
    run(shared, asking)


# -- plans, keywords, fakes


def test_a_plan_looks_behind_walls():
    """What is there at home may change from request to request: each gets what a first one would get."""
    seen = []

    @attrs.frozen(eq=False)
    class Log:
        audit: Audit | None = None

    @plugin.exports(Audit)
    async def exporting():
        context.add(Engine())
        di.register(Audit)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Log)
        for _ in ROUNDS:
            for request in Request(), None, Request():
                async with context.scope("request"):
                    if request is not None:
                        context.add(request)
                    log = await di.nject(Log)
                    seen.append((log.audit and log.audit.request) is request)
                    assert (di.nject_now(Log).audit is None) is (request is None)

    run(asking)
    assert seen == [True] * 12


@pytest.mark.parametrize("now", [False, True])
def test_what_is_not_to_be_had_at_home_is_told_each_time(now):
    """An exported adapter that lacks something is an error with the path to who asked, nothing having been built."""
    built = []

    class Built:
        def __init__(self) -> None:
            built.append(self)

    @attrs.frozen
    class Asking:
        built: Built
        needy: Needy

    @plugin.exports(Needy)
    async def exporting():
        di.register(Needy)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Asking, Built)
        for _ in ROUNDS:
            with pytest.raises(errors.ResolveError) as caught:
                di.nject_now(Asking) if now else await di.nject(Asking)
            assert "Missing" in str(caught.value)
            assert "Needy(missing)" in str(caught.value)
            assert "Asking(needy)" in str(caught.value)

    run(asking)
    assert not built


def test_what_can_be_built_elsewhere_is_taken_where_an_export_cannot():
    """An exported adapter that lacks something gives way to the next one, as any adapter does."""

    class Full(Needy):
        def __init__(self) -> None: ...

    @plugin.exports(Needy)
    async def exporting():
        di.register(Needy)

    async def asking(load: plugin.Loader):
        di.register(Full)
        await load(exporting)
        for _ in ROUNDS:
            assert type(await di.nject(Needy)) is Full
        context.add(Missing())
        for _ in ROUNDS:
            assert type(await di.nject(Needy)) is Needy

    run(asking)


def test_keywords_do_not_cross_walls():
    """A dependency given by keyword is for what stands on this side, by name and by type."""

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(users)
        context.add(Engine("asker"))
        di.register(Orders)
        given = Engine("given")
        asks = di.bind(Orders, engine=Engine)
        for _ in ROUNDS:
            for orders in await di.nject(Orders, engine=given), di.nject_now(Orders, engine=given), await asks(given):
                assert orders.engine is given
                assert orders.users.engine.url == "users"
            assert (await di.nject(Users, other=given)).engine.url == "users"

    run(asking)


def test_what_is_exported_can_be_given():
    """A keyword, and a component on top, stand in for what is exported."""

    async def asking(load: plugin.Loader):
        await load(users)
        context.add(Engine())
        di.register(Orders)
        given = Users(Engine("given"))
        for _ in ROUNDS:
            assert (await di.nject(Orders, users=given)).users is given
            with context.child() as components:
                components.add(given)
                assert (await di.nject(Orders)).users is given
            assert (await di.nject(Orders)).users.engine.url == "users"

    run(asking)


def test_without_awaiting():
    """nject_now goes through walls; what is asynchronous behind them is refused, unless it is kept and there."""
    built = []

    class Built:
        def __init__(self) -> None:
            built.append(self)

    @attrs.frozen
    class Asking:
        built: Built
        left: Left

    async def left() -> Left:
        return Left()

    async def right() -> Right:
        return Right()

    @plugin.exports(Users, Left, Right)
    async def exporting():
        context.add(Engine("home"))
        di.register(SqlUsers, left)
        di.singleton(right)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Asking, Built)
        for _ in ROUNDS:
            assert di.nject_now(Users).engine.url == "home"
            for refused in Left, Right, Asking:
                with pytest.raises(errors.ResolveError, match="asynchronously"):
                    di.nject_now(refused)
        found = await di.nject(Right)
        for _ in ROUNDS:
            assert di.nject_now(Right) is found

    run(asking)
    assert not built


@pytest.mark.parametrize("lifetime", ["transient", "singleton"])
def test_a_fake_stands_in_on_both_sides(lifetime):
    """An override holds for all code of the process: for what is exported, and for what that needs at home."""

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.register(SqlUsers, lifetime=lifetime)

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        for _ in ROUNDS:
            with di.override(Engine, Engine("fake")):
                assert (await di.nject(Users)).engine.url == "fake"
                assert di.nject_now(Users).engine.url == "fake"
            assert (await di.nject(Users)).engine.url == "home"
            fake = Users(Engine())
            with di.override(Users, fake):
                assert await di.nject(Users) is fake
            assert (await di.nject(Users)).engine.url == "home"

    run(asking)


@pytest.mark.parametrize("built_before", [True, False])
def test_a_fake_reaches_what_is_kept_on_this_side(built_before):
    """What is kept outside and built from an exported thing is built anew with the fake, and is itself again after."""

    @attrs.frozen(eq=False)
    class Kept:
        users: Users

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.singleton(SqlUsers)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.singleton(Kept)
        if built_before:
            await di.nject(Kept)
        for _ in ROUNDS:
            with di.override(Engine, Engine("fake")):
                assert (await di.nject(Kept)).users.engine.url == "fake"
            assert (await di.nject(Kept)).users.engine.url == "home"

    run(asking)


# -- circles of what is needed


@attrs.frozen(eq=False)
class Hen:
    egg: "Egg"


@attrs.frozen(eq=False)
class Egg:
    hen: Hen


@attrs.frozen(eq=False)
class FirstEgg(Egg):
    hen: Hen | None = None


def farm(egg, *more, lifetime="transient", walled=True):
    async def hens():
        di.register(*more, Hen, lifetime=lifetime)

    async def eggs():
        di.register(egg, lifetime=lifetime)

    if walled:
        plugin.exports(Hen)(hens)
        plugin.exports(Egg)(eggs)

    async def both(load: plugin.Loader):
        await load(hens, eggs)

    return both


@pytest.mark.parametrize(
    "walled",
    [
        False,
        True,
    ],
)
@pytest.mark.parametrize("key", [Hen, Egg])
@pytest.mark.parametrize("now", [False, True])
def test_a_circle_is_told_by_its_path_with_walls_or_without(key, now, walled):
    """Two plugins whose adapters need each other: an error, and nothing else."""

    async def asking():
        for _ in ROUNDS:
            with pytest.raises(errors.ResolveError, match="circle") as caught:
                di.nject_now(key) if now else await di.nject(key)
            assert "Hen(egg)" in str(caught.value)
            assert "Egg(hen)" in str(caught.value)

    run(farm(Egg, walled=walled), asking)


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
def test_a_circle_ends_at_a_default_with_walls_or_without(lifetime, walled):
    """Where a parameter in the circle has a default, that is taken."""

    async def asking():
        for _ in ROUNDS:
            async with context.scope("request"):
                assert (await di.nject(Hen)).egg.hen is None
            async with context.scope("request"):
                assert (await di.nject(Egg)).hen is None

    run(farm(FirstEgg, lifetime=lifetime, walled=walled), asking)


@pytest.mark.parametrize("walled", [False, True])
def test_a_circle_takes_the_next_adapter_with_walls_or_without(walled):
    """An adapter never feeds itself, also not through another plugin: the next one for the type is taken."""

    class Chick(Hen):
        def __init__(self) -> None: ...

    async def asking():
        for _ in ROUNDS:
            hen = await di.nject(Hen)
            assert type(hen) is Hen
            assert type(hen.egg.hen) is Chick

    run(farm(Egg, Chick, walled=walled), asking)


def test_who_wraps_what_another_exports():
    """A walled plugin may wrap what it imports: its own adapter gets the other one's object."""

    @attrs.frozen(eq=False)
    class Cached(Users):
        users: Users

    @plugin.exports(Cached)
    async def caching(load: plugin.Loader):
        await load(users)
        di.register(Cached)
        for _ in ROUNDS:
            found = await di.nject(Users)
            assert type(found) is Cached
            assert type(found.users) is SqlUsers

    async def asking(load: plugin.Loader):
        await load(caching)
        for _ in ROUNDS:
            assert (await di.nject(Cached)).users.engine.url == "users"
            assert type(await di.nject(Users)) is Cached

    run(asking)


# -- the check, and what outlives what


def test_a_singleton_outside_cannot_hold_what_is_exported_and_scoped():
    """It is an error of the check before the run, which tells both."""

    @attrs.frozen(eq=False)
    class Keeper:
        audit: Audit

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(audit)
        di.singleton(Keeper)

    with pytest.raises(ExceptionGroup) as caught:
        run(asking)
    (error,) = caught.value.exceptions
    assert "Keeper(audit)" in str(error)
    assert "a singleton, which outlives each scope" in str(error)


def test_a_singleton_outside_is_not_built_with_what_is_exported_and_scoped():
    """It is refused before anything is built, also inside of a scope."""
    seen = []

    @attrs.frozen(eq=False)
    class Keeper:
        audit: Audit

    async def asking(load: plugin.Loader):
        await load(audit)
        di.singleton(Keeper)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request())
                with pytest.raises(errors.ResolveError, match="singleton"):
                    await di.nject(Keeper)
        seen.append("refused")

    with pytest.raises(ExceptionGroup):  # the check finds it too
        run(asking)
    assert seen == ["refused"]


def test_without_a_scope_an_exported_scoped_thing_is_refused_before_anything_is_built():
    """The error says what to do, and what else was needed has not been built."""
    built = []

    class Built:
        def __init__(self) -> None:
            built.append(self)

    @attrs.frozen(eq=False)
    class Asking:
        built: Built
        audit: Audit

    async def asking(load: plugin.Loader):
        await load(audit)
        context.add(Request())
        di.register(Asking, Built)
        for _ in ROUNDS:
            with pytest.raises(errors.ResolveError, match="no scope is open"):
                await di.nject(Asking)

    run(asking)
    assert not built


def test_the_check_looks_behind_walls():
    """What a walled plugin requires, and its singletons, are looked after at home before a task runs; all at once."""
    ran = []

    @plugin.exports()
    async def first():
        di.require(Missing)

        async def task():
            ran.append("task")

        yield task()

    @plugin.exports()
    async def second():
        di.singleton(Needy)

    with pytest.raises(ExceptionGroup) as caught:
        run(first, second)
    assert len(caught.value.exceptions) == 2
    assert not ran


def test_the_check_follows_exports():
    """What an open plugin requires through an export is looked after as far as that needs."""

    @plugin.exports(Needy)
    async def exporting():
        di.register(Needy)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.require(Needy)

    with pytest.raises(ExceptionGroup) as caught:
        run(asking)
    assert "Missing" in str(caught.value.exceptions[0])
    run(asking, looking([], lambda: context.add(Missing())))


def test_the_check_asks_for_each_root_where_it_was_declared():
    """What all can have is fine, though behind some walls there would be a choice."""

    class OwnUsers(Users): ...

    async def shared():
        context.add(Engine())
        di.register(SqlUsers)
        di.require(Users)

    @plugin.exports()
    async def walled():
        di.register(type("One", (Users,), {}), OwnUsers)

    run(shared, walled)


def test_what_is_required_behind_walls_may_be_private():
    """A walled plugin requires what it alone has, or imports."""

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(users, audit)
        context.add(Engine())
        di.register(Orders)
        di.require(Orders)
        di.require(Audit, given=[Request])

    run(walled)


# -- hints


def error_of(seen, look, *plugins, loads=()):
    async def asking(load: plugin.Loader):
        await load(*loads)
        found = look()
        seen.append(await found if asyncio.iscoroutine(found) else found)

    with pytest.raises((errors.ResolveError, errors.ComponentLookupError)) as caught:
        run(*plugins, asking)
    return str(caught.value)


@plugin.exports(Right)
async def secretive():
    context.add(Left())
    context.add(Right())
    context.add(Engine("x"), name="replica")
    context.add("secret", "secret")
    di.register(SqlUsers)


@pytest.mark.parametrize("key", [Left, "secret"])
def test_a_component_that_is_private_is_told(key):
    """The error of a look-up says whose it is."""
    assert f"{errors.describe(key)} is private to {__name__}:secretive" in error_of(
        [], lambda: context.get(key), secretive
    )


def test_a_component_that_is_exported_is_told():
    """The error of a look-up says who exports it, and who would have to load that."""
    message = error_of([], lambda: context.get(Right), secretive)
    assert f"{__name__}:secretive exports it, {__name__}:error_of" in message
    assert f"does not load {__name__}:secretive" in message


def test_an_adapter_that_is_private_is_told():
    """So does the error of an injection, for what is asked for and for what that needs."""
    message = error_of([], lambda: di.nject(SqlUsers), secretive)
    assert f"SqlUsers is private to {__name__}:secretive" in message

    async def needs():
        di.register(Needs)
        await di.nject(Needs)

    @attrs.frozen
    class Needs:
        left: Left

    message = error_of([], needs, secretive)
    assert f"Left is private to {__name__}:secretive" in message
    assert "Needs(left)" in message


def test_an_adapter_that_is_exported_is_told():
    """The error of an injection says who exports what is asked for."""
    message = error_of([], lambda: di.nject(Users), users)
    assert f"{__name__}:users exports it" in message
    assert f"does not load {__name__}:users" in message


@pytest.mark.parametrize("asked", [Users | None, t.Optional[Right]])
def test_a_member_of_a_union_that_is_exported_is_told(asked):
    """A type in a union is told as it is alone."""

    async def look():
        await di.nject(asked)

    message = error_of([], look, secretive, users)
    assert "exports it" in message


def test_a_base_of_what_is_exported_is_told():
    """Who asks for a base is told who exports what derives from it."""

    @plugin.exports(SqlUsers)
    async def exporting():
        context.add(SqlUsers(Engine()))

    for look in lambda: context.get(Users), lambda: di.nject(Users):
        message = error_of([], look, exporting)
        assert "private" not in message
        assert "exporting exports" in message


def test_a_name_that_is_private_is_told():
    """A named component is told where it is, and not where there is none of that name."""
    name = t.Annotated[Engine, di.Name("replica")]
    for look in lambda: context.get(Engine, name="replica"), lambda: di.nject(name):
        assert f"private to {__name__}:secretive" in error_of([], look, secretive)
    name = t.Annotated[Engine, di.Name("main")]
    for look in lambda: context.get(Engine, name="main"), lambda: di.nject(name):
        assert "private" not in error_of([], look, secretive)


def test_who_loads_is_not_told_to_load():
    """Where an export is an adapter, the error of a look-up for a component does not say that it is not loaded."""
    message = error_of([], lambda: context.get(Users), loads=[users])
    assert "does not load" not in message
    assert message.endswith(f"; an adapter of {__name__}:users builds it: await di.nject(Users)")


def test_an_adapter_of_nobody_is_told_to_who_looks_for_a_component(registry):
    """Walls or not: what would be built is not found by a look-up, and the error says how to have it."""
    registry.register(SqlUsers)
    message = error_of([], lambda: context.get(Users))
    assert message.endswith("; an adapter builds it: await di.nject(Users)")


def test_the_stage_is_not_told_to_load():
    """What the stage loads itself goes to nobody: the error says that an open plugin would have to load it."""
    stage = plugin.Stage()
    stage.load(users)
    with pytest.raises(errors.ComponentLookupError, match=r"users exports it, no open plugin loads .*users$"):
        stage.context.get(Users)
    stage.run_teardown()


def test_a_plugin_is_not_told_that_others_have_its_own():
    """Who imports something is not whose it is."""

    @plugin.exports(Users)
    async def own():
        context.add(Engine())
        di.register(SqlUsers)

        async def look():
            context.get(Users)

        yield look()

    @plugin.exports(Users)
    async def again(load: plugin.Loader):
        await load(own)

    with pytest.raises(errors.ComponentLookupError, match=r"own builds it: await di\.nject\(Users\)$"):
        run(again)


def test_what_is_exported_again_is_told_of_who_does():
    """Who stands before another plugin is told, as the one to load."""

    @plugin.exports(Users)
    async def again(load: plugin.Loader):
        await load(users)

    message = error_of([], lambda: di.nject(Users), again)
    assert "again exports it, " in message


def test_what_satisfies_a_protocol_is_told():
    """An exported class that looks like a protocol is told, and is not called private."""

    @t.runtime_checkable
    class Closes(t.Protocol):
        def close(self): ...

    class Closing(Users):
        def close(self): ...

    @plugin.exports(Closing)
    async def exporting():
        context.add(Engine())
        di.register(Closing)

    for asked in Closes, Closes | None:
        message = error_of([], lambda asked=asked: di.nject(asked), exporting)
        assert f"exporting exports {errors.describe(Closing)}, " in message


def test_an_export_of_another_name_is_not_told():
    """A name that nobody has is not told, nor is a type that is there under names alone."""

    @plugin.exports(Engine)
    async def exporting():
        context.add(Engine(), name="replica")

    for look in lambda: context.get(Engine), lambda: context.get(Engine, name="main"), lambda: di.nject(Engine):
        assert "exporting" not in error_of([], look, exporting)
    assert "exporting exports it" in error_of([], lambda: context.get(Engine, name="replica"), exporting)


def test_the_name_of_a_parameter_is_told():
    """A parameter takes the component of its name, so that is told too."""

    class Reads:
        def __init__(self, replica: Engine) -> None: ...

    async def look():
        di.register(Reads)
        await di.nject(Reads)

    message = error_of([], look, secretive)
    assert f"{errors.describe(Engine)} named 'replica' is private to {__name__}:secretive" in message


def test_a_hint_does_not_hide_the_names_that_are_there():
    """Components of that type under other names are still told."""

    async def named():
        context.add(Right(), name="mine")

    for look in lambda: context.get(Right), lambda: di.nject(Right):
        message = error_of([], look, secretive, named)
        assert "'mine'" in message
        assert "secretive exports it" in message


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


# -- what is inside comes first


@pytest.mark.parametrize("now", [False, True])
def test_what_a_plugin_builds_for_itself_comes_before_what_all_share(now):
    """A plugin with walls has what it registers, or imports, and its own components, before all that others share."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        di.singleton(Engine, lambda: Engine("home"))
        di.register(SqlUsers)

    async def look():
        users, engine, orders = di.nject_now(Users, Engine, Orders) if now else await di.nject(Users, Engine, Orders)
        assert (orders.users.engine.url, orders.engine.url) == (users.engine.url, engine.url)
        return users.engine.url, engine.url

    @plugin.exports()
    async def asking(load: plugin.Loader):
        await load(exporting)
        di.singleton(Engine, lambda: Engine("asker"))
        di.register(Orders)
        for _ in ROUNDS:
            seen.append(await look())
            async with context.scope("request"):
                seen.append(await look())
                context.add(Engine("request"))
                seen.append(await look())

    async def sharing():
        context.add(Engine("all"))
        context.add(Users(Engine("all")))

    run(sharing, asking)
    assert seen == [("home", "asker"), ("home", "asker"), ("request", "request")] * 4


def test_what_all_share_can_be_wrapped_behind_walls():
    """An adapter that needs what it builds gets that from outside, a component or an adapter."""
    seen = []

    async def outer(engine: Engine) -> Users:
        return Users(engine)

    def wrapped(engine: Engine) -> Engine:
        return Engine(f"wrapped {engine.url}")

    def wrapped_users(users: Users, engine: Engine) -> Users:
        return Users(Engine(f"{engine.url}, {users.engine.url}"))

    async def sharing():
        context.add(Engine("all"))
        di.register(outer)

    @plugin.exports()
    async def asking():
        di.register(wrapped, wrapped_users)
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])

    run(sharing, asking)
    assert seen == ["wrapped all, wrapped all"] * 4


def test_what_cannot_be_built_inside_comes_from_outside():
    """Where a plugin's own adapter lacks something, what all share is taken, and a keyword comes before both."""
    seen = []

    def mine(missing: Missing) -> Engine:
        return Engine("mine")

    async def sharing():
        context.add(Engine("all"))

    @plugin.exports()
    async def asking():
        di.register(mine, Users)
        for _ in ROUNDS:
            seen.append((await di.nject(Users)).engine.url)
            seen.append((await di.nject(Users, missing=Missing())).engine.url)
            seen.append((await di.nject(Users, engine=Engine("given"))).engine.url)

    run(sharing, asking)
    assert seen == ["all", "mine", "given"] * 4


def test_what_is_inside_is_not_ambiguous_with_what_is_outside():
    """The check names several candidates only where none of them is nearer."""

    class Other(Users): ...

    async def sharing():
        context.add(Engine())
        di.register(Other)

    @plugin.exports()
    async def asking():
        di.register(SqlUsers)
        di.require(Users)
        assert type(await di.nject(Users)) is SqlUsers

    run(sharing, asking)


def test_one_request_builds_once_in_each_home():
    """Two exports that need the same transient share it within one request, and have another one in the next."""

    class Needing(Left):
        def __init__(self, engine: Engine) -> None:
            self.engine = engine

    class Pair:
        def __init__(self, users: Users, left: Needing) -> None:
            self.same = users.engine is left.engine

    @plugin.exports(Users, Needing)
    async def exporting():
        di.register(Engine, SqlUsers, Needing)

    async def asking(load: plugin.Loader):
        await load(exporting)
        di.register(Pair)
        engines = []
        for _ in ROUNDS:
            assert (await di.nject(Pair)).same
            assert di.nject_now(Pair).same
            engines.append((await di.nject(Users)).engine)
        assert len(set(engines)) == len(ROUNDS)

    run(asking)


def test_what_is_scoped_behind_walls_looks_around_each_time():
    """A scoped object that needs what some layer once held is built by a plan as it is at first."""
    seen = []

    @plugin.exports(Audit)
    async def exporting():
        di.scoped(Audit)
        di.register(Engine)

    async def asking(load: plugin.Loader):
        await load(exporting)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request())
                seen.append((await di.nject(Audit)).engine.url)
        with context.child() as child:
            child.add(Engine("layer"))
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request())
                seen.append((await di.nject(Audit)).engine.url)

    run(asking)
    assert seen == ["default"] * 8


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_what_is_registered_after_loading_is_preferred(replace, walled):
    """It may wrap what was loaded, or replace it."""
    seen = []

    def wrapped(users: Users) -> Users:
        return Users(Engine(f"wrapped {users.engine.url}"))

    def mine() -> Users:
        return Users(Engine("mine"))

    async def asking(load: plugin.Loader):
        await load(users)
        di.register(mine if replace else wrapped, replace=replace)
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])
        seen.append(len(await di.nject(t.Annotated[list[Users], di.All])))

    run(plugin.exports()(asking) if walled else asking)
    assert seen == [*["mine" if replace else "wrapped users"] * 4, 1 if replace else 2]


def test_a_singleton_with_a_fake_is_built_once_for_all_who_ask():
    """While something that it needs is overridden, too, and with or without awaiting."""
    seen = []

    @plugin.exports(Users)
    async def exporting():
        context.add(Engine("home"))
        di.singleton(Users)
        seen.append(await di.nject(Users))

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(exporting)
        seen.extend([await di.nject(Users), await di.nject(Users), di.nject_now(Users)])

    async def asking(load: plugin.Loader):
        await load(exporting, walled)
        seen.extend([await di.nject(Users), await di.nject(Users), di.nject_now(Users)])

    with di.override(Engine, Engine("fake")):
        run(asking)
    assert len(seen) == 7
    assert len(set(seen)) == 1
    assert seen[0].engine.url == "fake"


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("own", ["bound", "adapters"])
def test_what_was_bound_at_home_asks_at_home(own, walled):
    """A service that holds a bound request, or its adapters, resolves by what its plugin sees, whoever calls it."""
    seen = []

    class Letter:
        def __init__(self, engine: Engine, request: Request) -> None:
            self.told = engine.url, context.get(Engine).url, request.path

    class Writer:
        def __init__(self) -> None:
            adapters = di.buvar_adapters.get()
            self.write = di.bind(Letter) if own == "bound" else lambda: adapters.nject(Letter)
            self.now = lambda: adapters.nject_now(Letter)

    async def writing():
        context.add(Engine("home"))
        di.register(Letter)
        context.add(Writer())

    async def calling():
        writer = context.get(Writer)
        for _ in ROUNDS:
            async with context.scope("request"):
                context.add(Request("/here"))
                seen.append((await writer.write()).told)
                seen.append(writer.now().told)

    @plugin.exports()
    async def elsewhere(load: plugin.Loader):
        await load(calling)
        context.add(Engine("elsewhere"))
        await calling()

    async def asking(load: plugin.Loader):
        await load(plugin.exports(Writer)(writing) if walled else writing, elsewhere)

    run(asking)
    assert set(seen) == {("home", "home", "/here")}
    assert len(seen) == 16


@pytest.mark.parametrize("useless", [False, True])
def test_what_is_inside_comes_first_whatever_its_name(useless):
    """Neither the name of what others share, nor an adapter that cannot build, changes which component is taken."""
    seen = []

    def never(missing: Missing) -> Engine: ...

    async def sharing():
        context.add(Engine("shared"))
        context.add(Engine("named"), name="engine")

    @plugin.exports()
    async def asking():
        if useless:
            di.register(never)
        di.register(Users)
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])
        seen.append((await di.nject(Users, other=Engine("given"))).engine.url)
        context.add(Engine("own"))
        seen.extend([(await di.nject(Users)).engine.url for _ in ROUNDS])

    run(sharing, asking)
    assert seen == [*["named"] * 4, "given", *["own"] * 4]


def test_an_annotated_key_is_the_type_that_it_annotates():
    """What is beside the type plays no part."""

    @plugin.exports(t.Annotated[Users, "of the shop"])
    async def exporting():
        di.register(SqlUsers, Engine)

    async def asking(load: plugin.Loader):
        await load(exporting)
        assert type(await di.nject(Users)) is SqlUsers

    run(asking)


# -- the graph


def test_the_graph_of_a_stage_leads_through_walls():
    """Each adapter is there once, with its owner, and the edges lead to what is behind the walls, and there."""
    place = __name__

    @plugin.exports(Users)
    async def exporting():
        di.singleton(Engine)
        di.register(SqlUsers)
        di.scoped(Left)  # nobody asks for it

    @plugin.exports()
    async def private(load: plugin.Loader):
        await load(exporting)
        di.register(Needy)

    async def asking(load: plugin.Loader):
        await load(exporting, private)
        di.register(Orders)
        context.add(Engine("all"))

    stage = plugin.Stage()
    stage.load(asking)
    graph = stage.graph()
    stage.run_teardown()
    nodes = {node.id: node for node in (*graph.adapters, *graph.components)}
    inner = "test_the_graph_of_a_stage_leads_through_walls.<locals>."
    assert [(node.label, node.lifetime, node.owner.split(":")[1].removeprefix(inner)) for node in graph.adapters] == [
        ("Orders", "transient", "asking"),
        ("SqlUsers", "transient", "exporting"),
        ("Engine", "singleton", "exporting"),
        ("Left", "scoped", "exporting"),
        ("Needy", "transient", "private"),
    ]
    assert all(node.owner.startswith(place) for node in graph.adapters)
    edges = [(nodes[edge.asker].label, edge.parameter, nodes.get(edge.provider), edge.how) for edge in graph.edges]
    assert [(asker, parameter, how) for asker, parameter, _, how in edges] == [
        ("Orders", "users", "adapter"),
        ("Orders", "engine", "component"),
        ("SqlUsers", "engine", "adapter"),
        ("Engine", "url", "default"),
        ("Needy", "missing", "missing"),
    ]
    assert edges[0][2].label == "SqlUsers"
    assert edges[1][2].owner.endswith("asking")
