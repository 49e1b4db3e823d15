"""``installed`` in the table [buvar]: which of the installed plugins `buvar run` loads besides."""

import json
import os
import shlex
import shutil
import signal
import sys

import pytest

pytestmark = pytest.mark.slow

COMMAND = "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from buvar.cli import main; main(prog_name='buvar')"

APP = """
from buvar import context, plugin

async def prepare():
    print("app")

async def looks():
    print("key" if context.get("key", default=None) else "no key")

async def graph(load: plugin.Loader):
    yield tell(load.plugins)

async def discovers(load: plugin.Loader):
    await load.installed(group="broken")

async def tell(plugins):
    for each in plugins:
        print(*each.chain)
"""


@pytest.fixture
def run(forks, sites, tmp_path):
    """Run `buvar run`, or another verb, in a folder with an application, with sites on the import path."""
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments, verb=("run",), path=("shop",), **env):
        path = ":".join(str(sites / each) for each in path)
        return forks.run(COMMAND, path, *verb, *arguments, cwd=tmp_path, env={**os.environ, **env}, strict=True)

    return run


@pytest.mark.parametrize(
    ("setting", "workers", "printed"),
    [
        ("true", 1, ["mail 1.0", "search", "app"]),
        ("true", 2, ["mail 1.0", "search", "app"]),
        ('["shop-mail"]', 1, ["mail 1.0", "app"]),
        ("[]", 1, ["app"]),
        ("false", 1, ["app"]),
    ],
)
def test_installed_plugins_are_loaded_besides(run, tmp_path, setting, workers, printed):
    """All of them, or those that the list allows, are loaded before the plugins that are named, in every worker."""
    (tmp_path / "c.toml").write_text(f'[buvar]\nplugins = ["app"]\ninstalled = {setting}\nworkers = {workers}\n')
    done = run("-c", "c.toml")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == sorted(printed * workers)
    if workers == 1:
        assert done.stdout.splitlines() == printed


@pytest.mark.parametrize(("value", "printed"), [("true", ["mail 1.0", "search"]), ("shop-mail", ["mail 1.0"])])
def test_the_environment_tells_what_is_allowed(run, value, printed):
    """A boolean or names, separated by commas, come from the environment too; no other plugin need be named."""
    done = run(APP_BUVAR_INSTALLED=value)
    assert (done.returncode, done.stdout.splitlines()) == (0, printed)


def test_who_loaded_them_has_a_name(run):
    """They are loaded by a plugin whose name says where it comes from."""
    done = run("app:graph", "--set", 'buvar.installed=["shop-search"]')
    assert done.stdout.splitlines()[2:] == [
        "buvar.cli.installed",
        "shop_search.plugin:prepare_search buvar.cli.installed",
        "shop_mail shop_search.plugin:prepare_search buvar.cli.installed",
        "app:graph",
    ]


def test_walls_are_as_for_plugins_that_are_named(run):
    """What an installed plugin with walls exports is shared with nobody, as if it were named in `plugins`."""
    settings = ["--set", 'buvar.installed=["shop-vault"]']
    assert run("app:looks", *settings, path=["other"]).stdout.splitlines() == ["vault", "no key"]


UNKNOWN = (
    "buvar.installed: no installed distribution declares the plugin '{}' in the entry-point group 'buvar.plugins'; {}"
)
MAIL = UNKNOWN.format("shop-mial", "did you mean 'shop-mail'?")
POST = UNKNOWN.format("post", "there is 'shop-mail', 'shop-search'")


def test_a_wrong_list_is_wrong_use(run, tmp_path):
    """Names that no distribution declares are told at once, with file and line, before anything is forked."""
    (tmp_path / "c.toml").write_text('[buvar]\nworkers = 2\ninstalled = ["shop-mial", "post", "shop-mail"]\n')
    done = run("-c", "c.toml")
    assert done.returncode == 2
    assert done.stderr == f"error: {POST} (c.toml:3)\n{MAIL} (c.toml:3)\n"
    assert done.stdout == ""


def test_where_a_wrong_list_comes_from_is_told(run, tmp_path):
    """The place is that of the strongest layer: the command line, the environment, the file."""
    (tmp_path / "c.toml").write_text('[buvar]\ninstalled = ["a"]\n')
    done = run("-c", "c.toml", APP_BUVAR_INSTALLED="shop-mial")
    assert (done.returncode, done.stderr) == (2, f"error: {MAIL} (environment variable APP_BUVAR_INSTALLED)\n")
    done = run("-c", "c.toml", "--set", 'buvar.installed=["shop-mial"]', APP_BUVAR_INSTALLED="a")
    assert (done.returncode, done.stderr) == (2, f"error: {MAIL} (--set buvar.installed)\n")


def test_a_name_that_is_declared_twice_is_wrong_use(run, tmp_path):
    """Both distributions are named; a list that does not have the name is fine."""
    (tmp_path / "c.toml").write_text("[buvar]\ninstalled = true\n")
    done = run("-c", "c.toml", path=["shop", "other"])
    assert done.returncode == 2
    assert done.stderr == (
        "error: buvar.installed: the plugin 'shop-search' in the entry-point group 'buvar.plugins' is declared by"
        " shop-post 3.0 (shop_post) and by shop-search 2.0 (shop_search.plugin:prepare_search);"
        " uninstall all but one, or allow only other names (c.toml:2)\n"
    )
    done = run("-c", "c.toml", "--set", 'buvar.installed=["shop-mail"]', path=["shop", "other"])
    assert (done.returncode, done.stdout) == (0, "mail 1.0\n")


@pytest.mark.parametrize("value", ['"shop-mail"', "1", '[["shop-mail"]]', "{}"])
def test_what_is_no_list_is_wrong_use(run, tmp_path, value):
    """One name alone, a number, a table: the message says what may stand there, and where it stands."""
    (tmp_path / "c.toml").write_text(f"[buvar]\ninstalled = {value}\n")
    done = run("-c", "c.toml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: buvar.installed")
    assert "(c.toml:2)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["run", "check"])
def test_who_names_an_installed_plugin_is_told_how_to_allow_it(run, verb):
    """Its name is that of no module; what is told to write does what was meant."""
    done = run("shop-mail", verb=[verb])
    assert done.returncode == 2
    advice = "--set 'buvar.installed=[\"shop-mail\"]'"
    assert done.stderr == (
        "error: no module 'shop-mail' is found, but an installed distribution declares a plugin of that name; "
        f"allow it with {advice}\n"
    )
    assert run(*shlex.split(advice), verb=[verb]).returncode == 0


def test_no_plugin_at_all_is_wrong_use(run):
    """Where nothing is installed, nothing is named or nothing is allowed, there is no service to run."""
    done = run("--set", "buvar.installed=true", path=[])
    assert done.returncode == 2
    assert done.stderr == (
        "error: buvar.installed: no installed distribution declares a plugin in the entry-point group 'buvar.plugins';"
        " install one, or name one in plugins (--set buvar.installed)\n"
    )
    assert run("app", "--set", "buvar.installed=true", path=[]).stdout == "app\n"
    done = run("--set", "buvar.installed=[]")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no plugin to run; name one")


def test_other_verbs_know_what_is_installed(run, tmp_path):
    """Check and config prepare what `run` does; a wrong list is an error with a code and a place."""
    (tmp_path / "c.toml").write_text("[buvar]\ninstalled = true\n")
    done = run("-c", "c.toml", verb=["check"])
    assert (done.returncode, done.stderr) == (0, "mail 1.0\nsearch\n")
    assert "3 plugins prepared" in done.stdout
    done = run("-c", "c.toml", verb=["config", "template"])
    assert "installed = true" in done.stdout.splitlines()
    assert "plugins = []" in done.stdout.splitlines()
    (tmp_path / "c.toml").write_text('[buvar]\ninstalled = ["shop-mial"]\n')
    done = run("-c", "c.toml", "--json", verb=["check"])
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert done.returncode == 1
    assert (found["code"], found["message"], found["place"]["line"]) == ("BV209", MAIL, 2)


def test_check_goes_on_where_installed_plugins_are_broken(run):
    """All that is wrong is told at once, and what can be prepared is."""
    done = run("app:discovers", "app", "--json", verb=["check"])
    assert done.stderr.splitlines() == ["prepared", "app"]
    found = json.loads(done.stdout)["diagnostics"]
    assert {each["code"] for each in found} == {"BV201", "BV202", "BV203"}
    assert [note.rpartition(": ")[2] for each in found for note in each["notes"] if note.startswith("declared")] == [
        "no-attribute = shop_broken:prepar",
        "no-import = shop_broken_import",
        "no-module = shop_brokn",
        "not-async = shop_broken:sync",
    ]


def test_a_reload_loads_what_is_installed_now(run_service, sites, tmp_path):
    """Workers of a service load installed plugins, also what an upgrade brings, when they are replaced at HUP."""
    site = tmp_path / "site"
    shutil.copytree(sites / "other", site)
    (tmp_path / "app.py").write_text(
        "from buvar import plugin\nasync def prepare(cancel: plugin.Cancel):\n    yield cancel.wait()\n"
    )
    command = [sys.executable, "-W", "error", "-m", "buvar", "run", "app", "--workers", "2"]
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    service = run_service(command=command, env={"PYTHONPATH": path, "APP_BUVAR_INSTALLED": "shop-mail"})
    service.ready()
    shutil.rmtree(site)
    shutil.copytree(sites / "shop", site)
    service.kill(signal.SIGHUP)
    service.await_event("reloaded")
    assert service.stop() == 0
    assert sorted(service.stdout.splitlines()) == ["mail 0.9", "mail 0.9", "mail 1.0", "mail 1.0"], service.log
