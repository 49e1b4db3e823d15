"""What plugins declare is collected over a whole stage, walls or not, with the context of who declared it."""

import attrs
import pytest

from buvar import Components, context, di, errors, plugin
from buvar.staging.rehearsal import Rehearsal
from tests.staging.shop import Engine, Missing, run

pytestmark = pytest.mark.usefixtures("registry")


@attrs.frozen
class Item(plugin.Declaration):
    url: str = "/"


@attrs.frozen
class Call(plugin.Declaration):
    function: object = None

    @property
    def needs(self):
        return (self.function,)


async def open_one():
    context.add(Item("open"))


@plugin.exports()
async def walled():
    context.add(Engine("walled"))
    context.add(Item("walled"))


@plugin.exports(Item)
async def exporting():
    context.add(Engine("exporting"))
    context.add(Item("exported"))


def collected(*plugins, look=plugin.declared, **options):
    """Return what *look* finds in a task of a stage of *plugins*."""

    async def prepare(load: plugin.Loader):
        await load(*plugins)

        async def task():
            return look(Item)

        yield task()

    return run(prepare, **options)[0]


def test_all_of_a_stage_are_found():
    """What open plugins declare is found, what walled ones keep or export, and what was there before the stage."""
    passed = Components()
    passed.add(Item("passed"))
    found = collected(open_one, walled, exporting, components=passed)
    assert {name: each.item for name, each in found.items()} == {
        "passed": Item("passed"),
        "open": Item("open"),
        "exported": Item("exported"),
        "walled": Item("walled"),
    }
    owners = {name: each.owner for name, each in found.items()}
    assert owners.pop("passed") is None
    assert owners == {
        "open": f"{__name__}:open_one",
        "walled": f"{__name__}:walled",
        "exported": f"{__name__}:exporting",
    }
    assert all(str(each.place).startswith(__file__) for each in found.values())


def test_a_walled_plugin_collects_all_too():
    """Who collects from behind walls finds the same as all others."""
    seen = []

    @plugin.exports()
    async def prepare(load: plugin.Loader):
        await load(open_one, walled, exporting)
        seen.append({*plugin.declared(Item)})

    run(prepare)
    assert seen == [{"open", "walled", "exported"}]


def test_one_that_several_add_is_found_once():
    """The same object may be declared by several plugins; it belongs to the first of them."""
    shared = Item("shared")

    @plugin.exports()
    async def one():
        context.add(shared)

    @plugin.exports()
    async def two():
        context.add(shared)

    found = collected(one, two)
    assert [(each.item is shared, each.owner.rpartition(".")[2]) for each in found.values()] == [(True, "one")]


def test_at_home_its_plugin_is_at_home():
    """In the context that comes with a declaration, what its plugin has behind its walls is found."""

    def look(kind):
        found = plugin.declared(kind)
        engines = {}
        for name, each in found.items():
            with each.at_home():
                engines[name] = (context.get(Engine, default=None), di.nject_now(Engine).url)
        assert context.get(Engine, default=None) is None, "only inside of the block"
        return {name: engine.url for name, (engine, url) in engines.items() if engine and engine.url == url}

    assert collected(walled, exporting, look=look) == {"walled": "walled", "exported": "exporting"}


def test_outside_of_a_stage_the_context_is_all_there_is():
    """Where no stage is, what the current context has is found."""
    with context.child():
        item = context.add(Item("here"))
        found = plugin.declared(Item)["here"]
        assert (found.item, found.owner) == (item, None)
        with found.at_home():
            assert context.get(Item, name="here") is item


def test_none_are_found():
    """Where nothing was declared, nothing is found."""
    assert collected() == {}


def test_all_that_is_declared_twice_stops_the_start():
    """Names that two plugins with walls between them have taken are told before the run, all at once, with both."""

    @plugin.exports()
    async def other():
        context.add(Item("open"))
        context.add(Item("walled"))
        context.add(Call("walled", open_one))

    with pytest.raises(ExceptionGroup) as caught:
        run(open_one, walled, other)
    name = f"{__name__}:"
    assert {type(each) for each in caught.value.exceptions} == {errors.DeclarationError}
    first, second = map(str, caught.value.exceptions)
    assert first.startswith(f"{name[:-1]}.Item 'open' is declared twice: by {name}open_one ({__file__}:")
    assert second.startswith(f"{name[:-1]}.Item 'walled' is declared twice: by {name}walled ({__file__}:")
    assert f" and by {name}" in second
    assert second.endswith("; rename one of them")


def test_collecting_tells_what_is_declared_twice():
    """Who collects while others still prepare is told of the names that are taken twice."""

    @plugin.exports()
    async def other():
        context.add(Item("walled"))

    async def prepare(load: plugin.Loader):
        await load(walled, other)
        with pytest.raises(errors.DeclarationError, match="'walled' is declared twice"):
            plugin.declared(Item)
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        run(prepare)


def test_a_stage_may_have_another_than_what_was_there():
    """What the stage declares hides what was there under that name, which is no clash."""
    passed = Components()
    passed.add(Item("open", "/passed"))
    assert collected(open_one, components=passed)["open"].item == Item("open")


@pytest.mark.parametrize("walls", [False, True])
def test_what_the_functions_of_declarations_need_is_looked_after(walls):
    """A function whose parameters cannot be injected stops the start, and the line that declared it is told."""

    async def function(missing: Missing): ...

    async def prepare():
        context.add(Call("call", function))

    with pytest.raises(ExceptionGroup) as caught:
        run(plugin.exports()(prepare) if walls else prepare)
    (error,) = caught.value.exceptions
    assert "Missing <- " in str(error)
    assert any(note.startswith(f"required at {__file__}:") for note in error.__notes__)


def test_what_the_functions_of_declarations_need_may_be_behind_walls():
    """What a walled plugin has for itself alone is there for the functions that it declares."""

    async def function(engine: Engine): ...

    @plugin.exports()
    async def prepare():
        context.add(Engine())
        context.add(Call("call", function))

    assert run(prepare) == []


def test_a_rehearsal_tells_all_that_is_wrong_with_declarations():
    """Names that are taken twice have a code, whether that is noticed when one is added or when all are prepared."""

    @plugin.exports()
    async def other():
        context.add(Item("open"))

    async def again():
        context.add(Item("open"))

    found = Rehearsal().rehearse(open_one, other, again)
    assert [each.code for each in found] == ["BV210", "BV210"]
    assert all("Item 'open' is declared twice: by" in each.message for each in found)
