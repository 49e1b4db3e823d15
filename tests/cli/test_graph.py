"""``buvar graph``: what it draws of a service, in which form, and with which code it exits."""

import functools
import json
import pathlib
import re

import attrs
import click
import pytest

from buvar import di
from buvar.cli import forms, tree
from buvar.staging.picture import Load, Picture, PluginNode

pytestmark = pytest.mark.slow

SHOP = """
import asyncio
from buvar import context, di, plugin

class Database: ...
class Users:
    def __init__(self, database: Database, retries: int = 3): ...
class Mailer: ...
class Orders:
    def __init__(self, users: Users, mailer: Mailer): ...

async def prepare(load: plugin.Loader):
    print("preparing")
    await load("buvar.config", "shop:users", "shop:orders")

async def database():
    context.add(Database())
    context.add("hunter2", "password", name="main")
    async def flush():
        raise AssertionError("it does not run")
    yield flush()

@plugin.exports(Users)
async def users(load: plugin.Loader):
    await load("shop:database")
    di.singleton(Users)

@plugin.exports()
async def orders(load: plugin.Loader):
    await load("shop:users", "shop:database")
    di.register(Orders)

async def front(load: plugin.Loader):
    await load("shop:back")

async def back(load: plugin.Loader):
    await load("shop:front")

async def broken(load: plugin.Loader):
    await load("shop:database", "shop:fails", "shop:nowhere")

async def fails():
    raise ValueError("no database")

async def requires():
    di.require(Mailer)
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with a service."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "config.toml").write_text('[buvar]\nplugins = ["shop"]\n')
    return tmp_path


@pytest.fixture
def draw(buvar, shop):
    """Run the verb in the folder of the service."""
    return functools.partial(buvar, shop, "graph")


def test_the_text_is_a_tree_and_what_plugins_give(draw):
    """Each plugin stands below who loaded it first, who loads it again only names it; then comes what each gives."""
    done = draw("-c", "config.toml")
    assert (done.returncode, done.stderr) == (0, "preparing\n")
    head, heads, first, *rows = [line for line in done.stdout.split("\nbuvar.config (")[0].splitlines() if line]
    assert head.startswith("5 plugins loaded in ")
    assert heads.split() == ["own", "in", "all"]
    assert first.split()[0] == "shop"
    assert [re.sub("   .*", "", row) if "ms" in row else row for row in rows] == [
        "├─ buvar.config",
        "├─ shop:users",
        "│  └─ shop:database",
        "└─ shop:orders",
        "   └─ also shop:users, shop:database",
    ]
    assert [row.rpartition("  ")[2] for row in rows if "walls" in row] == [
        "walls, exports Users",
        "walls, exports nothing",
    ]
    users, database, orders = done.stdout.split("\n\n")[-3:]
    assert users == "shop:users (shop.py:23)\n  exports     Users\n  adapters    Users (singleton)"
    assert database.splitlines() == [
        "shop:database (shop.py:16)",
        "  tasks       database.<locals>.flush",
        "  components  Database, 'password' named main",
    ]
    assert orders == "shop:orders (shop.py:28)\n  adapters    Orders (transient)\n"


def test_parts_of_the_text(draw):
    """Only the plugins are told, or only who takes what from whom, with what is missing and what nobody gave."""
    plugins = draw("shop", "--what", "plugins").stdout
    assert "shop:database" in plugins
    assert "Database" not in plugins
    injection = draw("shop", "--what", "injection").stdout
    assert "loaded in" not in injection
    assert "              Orders" not in injection
    orders = injection.split("shop:orders")[1].split("\n\n")[0].splitlines()
    missing = "Mailer <- Orders(mailer): no component and no adapter provides shop.Mailer"
    assert orders[1:] == [
        "  adapters    Orders (transient)",
        "                users: Users ← Users, singleton, of shop:users",
        f"                mailer: Mailer ← missing: {missing}",
    ]
    assert "database: Database ← component Database, of shop:database" in injection
    assert "retries: int ← its default" in injection
    assert "outside of plugins\n  components  Cancel, " in injection


def test_what_keeps_a_service_from_starting_is_drawn_and_told(draw):
    """The picture is written with what failed in it, the errors go to stderr, and the exit code is 1."""
    done = draw("shop:broken", "shop:requires")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "shop:" in line]
    assert "failed: with shop:fails" in lines[0]
    assert lines[2].endswith("failed: ValueError: no database")
    assert "not loaded: 'shop:nowhere' was not found: 'shop' has no 'nowhere'" in lines[3]
    assert "4 of them" not in done.stdout
    assert done.stdout.startswith("5 plugins loaded")
    assert "3 of them not prepared" in done.stdout
    assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("error")] == ["BV203", "BV201"]


def test_what_is_missing_is_told(draw):
    """A service that lacks what is injected would not start either."""
    done = draw("shop:requires", "--format", "mermaid", "--what", "injection")
    assert done.returncode == 1
    assert ":::missing" in done.stdout
    assert done.stderr.startswith("error   BV301")


def test_a_circle_is_drawn(draw):
    """A load that would have closed a circle is told as such; the service starts nevertheless."""
    done = draw("shop:front")
    assert done.returncode == 0
    assert "      └─ shop:front" in done.stdout.replace("   └─ shop:front", "      └─ shop:front")
    assert "a circle: it is not prepared yet" in done.stdout


@pytest.mark.parametrize(
    ("name", "start"),
    {
        "g.txt": "5 plugins loaded",
        "g.mmd": "graph LR",
        "g.mermaid": "graph LR",
        "g.dot": "digraph service {",
        "g.GV": "digraph service {",
        "g.json": "{",
        "g.html": "<!DOCTYPE html>",
        "g.htm": "<!DOCTYPE html>",
    }.items(),
)
def test_the_suffix_of_the_file_says_the_format(draw, shop, name, start):
    """A file is written in the format of its suffix, and what was drawn is told."""
    done = draw("shop", "-o", name)
    assert done.returncode == 0
    assert (shop / name).read_text().startswith(start)
    assert done.stdout.startswith("5 plugins loaded in ")
    assert done.stdout.endswith(f"; see {name}\n")


def test_the_format_wins_over_the_suffix(draw, shop):
    """A file may have any name if the format is said."""
    assert draw("shop", "-o", "picture", "--format", "dot").returncode == 0
    assert (shop / "picture").read_text().startswith("digraph")


SUFFIXES = f"end it with {', '.join(forms.SUFFIXES)}, or say --format"
WRONG = {
    "suffix": (["shop", "-o", "x.png"], f"error: cannot tell the format of 'x.png' by its name; {SUFFIXES}\n"),
    "json has all": (
        ["shop", "--format", "json", "--what", "plugins"],
        "error: json has all; leave --what out, or choose another --format\n",
    ),
    "no folder": (["shop", "-o", "no/x.dot"], "error: cannot write no/x.dot: No such file or directory\n"),
    "no plugin": ([], "error: no plugin is named; config.toml is here: buvar graph -c config.toml\n"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_told(draw, case):
    """What cannot be done is told in one line, and the exit code is 2."""
    arguments, text = WRONG[case]
    done = draw(*arguments)
    assert (done.returncode, done.stderr.removeprefix("preparing\n"), done.stdout) == (2, text, "")


def test_the_document(draw):
    """The JSON has the fields that the documentation names, and what is drawn."""
    done = draw("shop", "--format", "json")
    document = json.loads(done.stdout)
    assert [*document] == ["version", "plugins", "loads", "circles", "seconds", "injection"]
    assert document["version"] == 1
    assert [each["name"] for each in document["plugins"]] == [
        "shop",
        "buvar.config",
        "shop:users",
        "shop:database",
        "shop:orders",
    ]
    by_id = {each["id"]: each["name"] for each in document["plugins"]}
    gives = [
        (by_id[each["loader"]], by_id[each["plugin"]], each["gives"]) for each in document["loads"] if each["gives"]
    ]
    assert gives == [("shop", "shop:users", ["shop.Users"]), ("shop:orders", "shop:users", ["shop.Users"])]


def test_the_document_is_documented():
    """The page on the graph names each field of a plugin, a load, and what is injected."""
    page = (pathlib.Path(__file__).parent.parent.parent / "docs" / "graph.md").read_text()
    shapes = [Picture, PluginNode, Load, di.Graph, *(t for t in attrs_of_graph())]
    missing = {f"{shape.__name__}.{field.name}" for shape in shapes for field in attrs.fields(shape)} - {
        f"{shape.__name__}.{field.name}"
        for shape in shapes
        for field in attrs.fields(shape)
        if f"`{field.name}`" in page
    }
    assert missing == set()


def attrs_of_graph():
    """Return the classes of the nodes and edges of the injection graph."""
    return [attrs.resolve_types(di.Graph) and field.type.__args__[0] for field in attrs.fields(di.Graph)]


def a_picture(**changes):
    node = PluginNode("p1", "a" * 30, "prepared", None, None, None, exports=("x.Y",) * 9, seconds=1.0, own_seconds=0.02)
    return Picture((attrs.evolve(node, **changes),), (Load(None, "p1", "first"),), (), 1.0, di.Graph((), (), (), ()))


def test_what_is_too_wide_for_the_terminal_is_cut():
    """Remarks end where the terminal does, and nothing else is lost."""
    lines = click.unstyle(tree.text(a_picture(), "plugins", 70)).splitlines()
    assert max(map(len, lines)) == 70
    assert lines[-1].endswith("walls, exports Y, Y…")
    assert "20 ms" in lines[-1]
    assert "1.0 s" in lines[-1]


def test_a_terminal_gets_colours():
    """Names are styled for a terminal, by what they are."""
    assert "\x1b[36m" in tree.text(a_picture(), "plugins", 80)
    assert "\x1b[31m" in tree.text(a_picture(state="failed", error="E: x"), "plugins", 80)


def test_what_a_terminal_would_obey_is_escaped():
    """Control characters in names do not reach the terminal."""
    picture = a_picture(name="a\x1b[2Jb\nc", state="failed", error="E: \x07\nmore")
    text = tree.text(picture, "all", 80)
    assert "\\x1b[2Jb\\nc" in text
    assert "E: \\x07" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", None])
def test_any_terminal_can_show_the_tree(encoding):
    """Where the encoding lacks the lines of the tree, there are plainer ones."""
    text = tree.plain("├─ ä\n└─ → …", encoding)
    assert text == {"ascii": "|- \\xe4\n`- \\u2192 ~", "latin-1": "|- ä\n`- \\u2192 ~"}.get(encoding, "├─ ä\n└─ → …")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 ms"), (0.00994, "9.9 ms"), (0.00995, "10 ms"), (0.4, "400 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s")],
)
def test_times(seconds, text):
    """A time has the unit that makes it short."""
    assert tree.took(seconds) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shop.users.Users", "Users"),
        ("dict[str, list[shop.Users]]", "dict[str, list[Users]]"),
        ("shop.make.<locals>.Users", "Users"),
        ("'a.key'", "'a.key'"),
        ("shop:users", "shop:users"),
        ("1.5", "1.5"),
        ("int", "int"),
    ],
)
def test_short_names(name, text):
    """Types are told without their modules, and other keys as they are."""
    assert tree.short(name) == text


def test_the_help_says_what_it_is_for(draw):
    """The help tells how to get a page."""
    done = draw("--help")
    assert "buvar graph -c config.toml -o graph.html" in done.stdout
    assert all(f"|{each}" in done.stdout or f"{each}|" in done.stdout for each in forms.FORMATS)
