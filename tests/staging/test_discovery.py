"""Discovery: plugins of distributions that setuptools has built and pip has installed, and such as may be absent."""

import importlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import errors, plugin
from buvar.staging import discovery

HEAD = """
import sys
sys.path[:0] = sys.argv[1:]
from buvar import errors, log, plugin
log.LogConfig(tty=False, level="WARNING").setup()
"""
TAIL = """
try:
    plugin.stage(prepare)
except Exception as error:
    print(type(error).__name__, errors.exit_code(error))
    print(errors.explain(error))
"""


@pytest.fixture
def load(forks, sites):
    """Load installed plugins of sites, by the arguments of `load.installed`, and return what is printed."""

    def load(arguments="", *folders, more=""):
        body = f"async def prepare(load: plugin.Loader):\n    await load.installed({arguments})\n    {more}\n"
        done = forks.run(HEAD + body + TAIL, *(sites / each for each in folders or ["shop"]), strict=True)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return load


def declared(name, value, by="shop-broken 0.1", group="broken"):
    return f"declared by {by} in the entry-point group {group!r}: {name} = {value}"


# -- installed


def test_installed_plugins_are_loaded_by_name(load):
    """All plugins that distributions declare in the group are prepared, in the order of their names."""
    assert load() == ["mail 1.0", "search"]
    assert load("'failing', ()") == []
    assert load("'nobody.declares.any'") == []


def test_a_plugin_loads_what_it_needs(load):
    """What a plugin loads itself is prepared before it; who loaded whom is known as for any plugin."""
    assert load("only=['shop-search']", more="print(*(each.chain for each in load.plugins), sep='\\n')") == [
        "mail 1.0",
        "search",
        "['__main__']",
        "['shop_search.plugin:prepare_search', '__main__']",
        "['shop_mail', 'shop_search.plugin:prepare_search', '__main__']",
    ]


def test_only_what_is_allowed_is_loaded(load):
    """With `only` no other plugin is imported; it may be any iterable, and its order does not matter."""
    unknown = "import sys; print('shop_search' in sys.modules)"
    assert load("only=['shop-mail']", more=unknown) == ["mail 1.0", "False"]
    assert load("only={'shop-search', 'shop-mail'}") == ["mail 1.0", "search"]
    assert load("only=iter(['shop-search', 'shop-mail', 'shop-mail'])") == ["mail 1.0", "search"]
    assert load("only=[]") == []


def test_a_service_has_groups_of_its_own(load):
    """Any group of entry points will do."""
    assert load("group='shop.plugins'") == ["letters"]


def test_what_nobody_declares_is_told_at_once(load):
    """Names that no distribution declares are wrong use, all told with the nearest, or with those that there are."""
    place = "in the entry-point group 'buvar.plugins'"
    assert load("only=['shop-serch', 'shop-mail', 'letters']")[:3] == [
        "ConfigError 2",
        f"no installed distribution declares the plugin 'letters' {place}; there is 'shop-mail', 'shop-search'",
        f"no installed distribution declares the plugin 'shop-serch' {place}; did you mean 'shop-search'?",
    ]
    assert load("group='x', only=['y']")[1].endswith("the plugin 'y' in the entry-point group 'x'; there is none")


def test_a_text_is_no_list_of_names(load):
    """One name, where several are asked for, is not taken for its letters."""
    assert load("only='shop-mail'")[:2] == [
        "UsageError 2",
        "only='shop-mail' is no list of names; write only=['shop-mail']",
    ]


def test_two_distributions_may_not_declare_one_name(load):
    """Both are told, with what they declare, and nothing is prepared; whoever is not allowed may be there twice."""
    kind, told, *_ = load("", "shop", "other")
    assert kind == "ConfigError 2"
    assert told == (
        "the plugin 'shop-search' in the entry-point group 'buvar.plugins' is declared by shop-post 3.0 (shop_post)"
        " and by shop-search 2.0 (shop_search.plugin:prepare_search); uninstall all but one, or allow only other names"
    )
    assert load("only=['shop-mail', 'shop-vault']", "shop", "other") == ["mail 1.0", "vault"]


def test_a_distribution_that_is_there_twice_counts_once(load):
    """Of two versions of one distribution on the import path the first counts, as it does for the import."""
    assert load("only=['shop-mail']", "other", "shop") == ["mail 0.9"]
    assert load("only=['shop-mail']", "shop", "shop") == ["mail 1.0"]


@pytest.mark.parametrize(
    ("name", "value", "kind", "told"),
    [
        ("no-module", "shop_brokn", "NameNotFoundError 2", "no module 'shop_brokn' on the import path; did you mean"),
        ("no-attribute", "shop_broken:prepar", "NameNotFoundError 2", "'shop_broken' has no 'prepar'; did you mean"),
        ("no-import", "shop_broken_import", "ModuleNotFoundError 1", "No module named 'there_is_no_such_module'"),
        ("not-async", "shop_broken:sync", "PluginError 2", "is not a plugin: it is not async; write 'async def'"),
    ],
)
def test_a_broken_one_is_told_with_its_distribution(load, name, value, kind, told):
    """The error keeps its type, a note says which distribution declares the plugin, and how; nothing is prepared."""
    lines = load(f"group='broken', only=['good', '{name}']")
    assert lines[0] == kind
    assert told in lines[1]
    assert declared(name, value) in lines
    assert "prepared" not in lines


def test_all_broken_ones_are_told_at_once(load):
    """Several errors come as a group: each with its distribution, the names that nobody declares among them."""
    lines = load("group='broken', only=['good', 'no-module', 'no-import', 'bad']")
    assert lines[0] == "ExceptionGroup 1"
    assert lines[1] == "installed plugins cannot be loaded"
    told = "\n".join(lines)
    assert "declares the plugin 'bad' in the entry-point group 'broken'" in told
    assert f"  {declared('no-module', 'shop_brokn')}" in lines
    assert f"  {declared('no-import', 'shop_broken_import')}" in lines
    assert "prepared" not in lines
    assert load("group='broken', only=['no-module', 'not-async']")[0] == "ExceptionGroup 2"


def test_what_fails_to_prepare_is_told_as_for_any_plugin(load):
    """The error keeps its type, and a note says who loaded the plugin."""
    lines = load("group='failing'")
    assert lines[:3] == [
        "ValueError 1",
        "ValueError: no database",
        "while preparing plugin shop_broken:fails, loaded by __main__",
    ]


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Write what a distribution declares, without its metadata: as an interrupted uninstallation leaves it."""
    folder = tmp_path / "left_over-1.0.dist-info"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    return (folder / "entry_points.txt").write_text


def test_a_distribution_without_metadata_is_told(declare):
    """A distribution whose name is not known does not keep the error from being told."""
    declare("[left]\nover = over_and_gone\n")
    found, failure = discovery.plugins("left", None, plugin.resolve_plugin_func)
    assert found == {}
    assert isinstance(failure, errors.NameNotFoundError)
    assert failure.__notes__ == [declared("over", "over_and_gone", "an unknown distribution", "left")]


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        ("a.b", "a.b"),
        ("a.b:c.d", "a.b:c.d"),
        ("a.b : c [extra, more]", "a.b:c"),
        ("a.b [extra]", "a.b"),
    ],
)
def test_a_value_may_have_spaces_and_extras(declare, value, reference):
    """What the format allows beside the reference is left out."""
    declare(f"[left]\nover = {value}\n")
    assert discovery.plugins("left", None, str) == ({"over": reference}, None)


LINE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1).map(str.strip).filter(bool)


@settings(deadline=None, max_examples=50)
@given(LINE)
def test_whatever_is_declared_is_a_reference_or_told(tmp_path_factory, value):
    """A value of any text refers to a module or to something in it, or the error says what one would look like."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "left_over-1.0.dist-info").mkdir()
    (folder / "left_over-1.0.dist-info" / "entry_points.txt").write_text(f"[left]\nover = {value}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        assert discovery.check("left", None) == ["over"]
        found, failure = discovery.plugins("left", None, str)
    if failure is None:
        assert value.replace(" ", "").startswith(found["over"])
    else:
        assert isinstance(failure, errors.DottedNameError)
        assert "write 'package.module:attribute'" in str(failure)


# -- optional


MARKET = {
    "market": "async def function(): ...\nnothing = None",
    "market.present": "from .core import prepare",
    "market.core": "async def prepare(): ...",
    "market.broken": "import there_is_none",
    "market.wrong": "raise RuntimeError('at import')",
    "market.empty": "",
    "market.sub": "from . import deep",
    "market.sub.deep": "from .deeper import prepare",
    "market.needs": """
        from buvar import plugin
        async def prepare(load: plugin.Loader):
            await load("there_is_none")
    """,
    "market.looks": "from buvar import plugin\nplugin.resolve_plugin_func('there_is_none')",
}


@pytest.fixture
def load_from_market(write):
    """Load plugins from a plugin of the package `market`; return the names of what was prepared beside it."""
    write(**MARKET)

    def load(*plugins, **options):
        async def prepare(load: plugin.Loader):
            await load(*plugins, **options)
            found.extend(each.name for each in load.plugins[1:])

        prepare.__module__ = "market"
        importlib.import_module("market")
        found = []
        plugin.stage(prepare)
        return found

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == "market"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("absent", "reason"),
    [
        ("there_is_none", "no module 'there_is_none' on the import path"),
        ("there_is_none.sub.deep", "no module 'there_is_none' on the import path"),
        ("there_is_none:function", "no module 'there_is_none' on the import path"),
        ("market.absent", "no module 'market.absent' in the package 'market'"),
        (".absent:function", "no module 'market.absent' in the package 'market'"),
        ("market.nothing", "no module 'market.nothing' in the package 'market'"),
        ("market.empty.absent", "'market.empty' is a module, not a package"),
    ],
)
def test_an_optional_plugin_may_be_absent(load_from_market, logs, absent, reason):
    """Where there is no such module, or no package on the way to it, the next plugin is loaded; the log tells of it."""
    assert load_from_market(absent, ".present", optional=True) == ["market.core"]
    (entry,) = (each for each in logs if each["event"] == "optional plugin is absent")
    assert entry["log_level"] == "debug"
    assert (entry["plugin"], entry["loader"]) == (absent, "market:load_from_market.<locals>.load.<locals>.prepare")
    assert reason in entry["reason"]
    with pytest.raises(errors.NameNotFoundError):
        load_from_market(absent)


@pytest.mark.parametrize(
    ("present", "kind", "told"),
    [
        ("market.broken", ModuleNotFoundError, "No module named 'there_is_none'"),
        ("market.wrong", RuntimeError, "at import"),
        ("market.empty", errors.PluginError, "the module has no function 'prepare'"),
        ("market.core:prepar", errors.NameNotFoundError, "did you mean 'prepare'"),
        ("market.core:prepare.x", errors.NameNotFoundError, "has no 'x'"),
        ("market.core.prepare", errors.NameNotFoundError, "write 'market.core:prepare'"),
        ("market.function", errors.NameNotFoundError, "write 'market:function'"),
        ("market.sub", ModuleNotFoundError, "No module named 'market.sub.deeper'"),
        ("market.sub.deeper", ModuleNotFoundError, "No module named 'market.sub.deeper'"),
        ("market.needs", errors.NameNotFoundError, "'there_is_none' was not found"),
        ("market.looks", errors.NameNotFoundError, "'there_is_none' was not found"),
        ("...absent", errors.NameNotFoundError, "leads out of the package"),
        ("market:", errors.DottedNameError, "is no name of a module"),
    ],
)
def test_an_optional_plugin_may_not_be_broken(load_from_market, present, kind, told):
    """What is there and lacks the function, misses something, or fails, is an error; so is what is no name at all."""
    with pytest.raises(kind, match=told):
        load_from_market(present, optional=True)


def test_an_optional_plugin_is_loaded_where_it_is_there(load_from_market):
    """A module, a function and a name are loaded as without the word."""
    assert load_from_market("market.present", "market:function", optional=True) == ["market.core", "market:function"]
