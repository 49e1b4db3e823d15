"""Walls: a plugin that says what it exports keeps all else to itself."""

import typing as t

import pytest

from buvar import context, di, errors, plugin
from tests.staging.shop import ROUNDS, Engine, Left, Right, SqlUsers, Users, got, looking, run, users

pytestmark = pytest.mark.usefixtures("registry")


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


@plugin.exports(Left, Users)
async def exporting():
    """Export a component and an adapter."""
    context.add(Left())
    context.add(Engine("home"))
    di.register(SqlUsers)


def test_a_walled_loader_keeps_what_it_loads_to_itself():
    """Exports go to the walled plugin that loads, components and adapters alike, and to nobody else."""
    seen = []

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
