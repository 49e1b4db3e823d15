"""The picture of a stage: its plugins, who loaded whom, what went through walls, and what failed."""

import json
import sys
import types

import attrs
import pytest

from buvar import context, di, errors, plugin
from buvar.staging import rehearsal
from tests.staging.shop import Engine, SqlUsers, Users

pytestmark = pytest.mark.usefixtures("registry")


class Secret:
    def __repr__(self):
        return "hunter2"


def picture_of(*plugins):
    """Return the picture of a rehearsal of *plugins*."""
    pictures = []
    stage = rehearsal.Rehearsal()
    stage.rehearse(*plugins, look=lambda: pictures.append(stage.picture()))
    return pictures[0]


def short(name):
    """Return the last part of a name: that of a function."""
    return name if name is None else name.rpartition(".")[2]


def loads(picture):
    names = {node.id: short(node.name) for node in picture.plugins}
    return [(names.get(load.loader), names[load.plugin], load.kind, load.gives) for load in picture.loads]


def test_a_plugin_is_told():
    """A plugin has its name, what it is about, place, loader, tasks and what it gave, by ids of the injection graph."""

    async def inner():
        """Give an engine.

        And more.
        """
        context.add(Engine(), name="main")
        di.register(SqlUsers)
        di.require(Users)

        async def work(): ...

        yield work()

    async def outer(load: plugin.Loader):
        await load(inner)

    picture = picture_of(outer)
    first, second = picture.plugins
    assert [(each.id, short(each.name), each.loader, each.state) for each in picture.plugins] == [
        ("p1", "outer", None, "prepared"),
        ("p2", "inner", "p1", "prepared"),
    ]
    assert (first.about, second.about) == (None, "Give an engine.")
    assert second.place == errors.Place(__file__, inner.__code__.co_firstlineno)
    assert [short(task) for task in second.tasks] == ["work"]
    assert (first.exports, first.error, first.failed_with, first.tasks) == (None, None, None, ())
    graph = picture.injection
    assert [each.label for each in graph.adapters if each.id in second.adapters] == ["SqlUsers"]
    assert [each.name for each in graph.components if each.id in second.components] == ["main"]
    assert [each.id for each in graph.roots] == [*second.roots]
    assert first.adapters == first.components == first.roots == ()


def test_each_load_is_told():
    """Who loads what is there already, or closes a circle, is told too, once; the stage is nobody."""

    async def base(load: plugin.Loader):
        await load(middle)

    async def middle(load: plugin.Loader):
        await load(base)

    async def top(load: plugin.Loader):
        await load(base, base)
        await load(middle)

    picture = picture_of(top, base)
    assert loads(picture) == [
        (None, "top", "first", ()),
        ("top", "base", "first", ()),
        ("base", "middle", "first", ()),
        ("middle", "base", "circle", ()),
        ("top", "middle", "again", ()),
        (None, "base", "again", ()),
    ]
    assert [tuple(map(short, path)) for path in picture.circles] == [("middle", "base", "middle")]


def test_what_goes_through_walls_is_told():
    """A load of a walled plugin gives what it exports; the stage itself gets nothing."""

    @plugin.exports(Engine)
    async def walled():
        context.add(Engine())

    @plugin.exports()
    async def closed(load: plugin.Loader):
        await load(walled)

    picture = picture_of(walled, closed)
    assert [each.exports for each in picture.plugins] == [(errors.describe(Engine),), ()]
    assert loads(picture) == [
        (None, "walled", "first", ()),
        (None, "closed", "first", ()),
        ("closed", "walled", "again", (errors.describe(Engine),)),
    ]


def test_a_circle_through_walls_is_told():
    """A circle that walls forbid is a load too, and both have failed by it."""

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(back)

    async def back(load: plugin.Loader):
        await load(walled)

    picture = picture_of(walled)
    assert loads(picture)[-1] == ("back", "walled", "circle", ())
    assert [(each.state, each.failed_with) for each in picture.plugins] == [("failed", "p2"), ("failed", None)]


def test_a_plugin_that_fails_is_told():
    """A failed plugin has the error; one that failed only with what it loads says with which."""

    async def fails():
        raise ValueError("no database")

    async def asks(load: plugin.Loader):
        await load(fails)

    picture = picture_of(asks)
    assert [(each.state, each.failed_with) for each in picture.plugins] == [("failed", "p2"), ("failed", None)]
    assert picture.plugins[1].error.splitlines()[0] == "ValueError: no database"
    assert loads(picture) == [(None, "asks", "first", ()), ("asks", "fails", "first", ())]


def test_a_plugin_that_is_not_there_is_told(monkeypatch):
    """What could not be found or imported is a plugin too, by its whole name, once for all who load it."""
    package = types.ModuleType("gone_shop")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "gone_shop", package)
    module = types.ModuleType("gone_shop.web")
    module.__package__ = "gone_shop"
    monkeypatch.setitem(sys.modules, "gone_shop.web", module)

    async def prepare(load: plugin.Loader):
        await load(".mail", "...", 5)

    async def other(load: plugin.Loader):
        await load("gone_shop.mail")

    prepare.__module__ = "gone_shop.web"
    picture = picture_of(prepare, other)
    missing = [each for each in picture.plugins if each.state == "missing"]
    assert [(each.id, each.name, each.loader) for each in missing] == [
        ("p3", "gone_shop.mail", "p1"),
        ("p4", "...", "p1"),
        ("p5", "5", "p1"),
    ]
    assert missing[0].error.startswith("'.mail' was not found: no module 'gone_shop.mail'")
    assert [(each.loader, each.plugin, each.kind) for each in picture.loads[2:]] == [
        ("p1", "p3", "first"),
        ("p1", "p4", "first"),
        ("p1", "p5", "first"),
        ("p2", "p3", "again"),
    ]


def test_a_plugin_that_is_not_prepared_yet_is_told():
    """While a stage loads, what it has not prepared yet is unfinished."""
    seen = []

    async def looks():
        seen.append(stage.picture())

    stage = plugin.Stage()
    stage.load(looks)
    stage.run_teardown()
    (node,) = seen[0].plugins
    assert (node.state, node.error) == ("unfinished", "it was still being prepared")


def test_times_are_of_the_plugin_itself(tmp_path, monkeypatch):
    """The import of a plugin belongs to it, and not to who loads it."""
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.2)\nasync def prepare(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)

    async def loading(load: plugin.Loader):
        await load("slow_to_import")

    picture = picture_of(loading)
    first, second = picture.plugins
    assert second.own_seconds >= 0.2
    assert first.own_seconds <= first.seconds - 0.2
    assert first.seconds >= second.seconds >= second.own_seconds
    assert first.began == 0.0 <= second.began
    assert picture.seconds >= first.seconds


def test_a_picture_is_json_without_values():
    """The picture is JSON; of components it tells types and names, whatever these are, and never a value."""

    async def adds():
        context.add(Secret(), name=Secret)
        context.add(Secret(), "key", name=("a", 1))

    document = json.dumps(attrs.asdict(picture_of(adds)))
    assert "hunter2" not in document
    assert f"{__name__}.Secret" in document
    assert "('a', 1)" in document


def test_a_stage_without_plugins_has_a_picture():
    """There is a picture before anything is loaded."""
    stage = plugin.Stage()
    picture = stage.picture()
    stage.run_teardown()
    assert (picture.plugins, picture.loads, picture.circles, picture.seconds) == ((), (), (), 0.0)
