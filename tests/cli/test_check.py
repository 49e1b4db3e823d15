"""``buvar check``: what it says, as what, and with which code it exits."""

import functools
import json
import signal
import sys

import pytest

from buvar import diagnostic
from buvar.cli import remedies

pytestmark = pytest.mark.slow

SHOP = """
import asyncio, pathlib
import attrs
from buvar import config, context, di, plugin

class Database: ...
class Users:
    def __init__(self, database: Database): ...

@attrs.frozen
class ShopConfig(config.Config, section="shop"):
    #: what it is called
    name: str = "corner"
    port: int = 80

async def prepare():
    async def run():
        pathlib.Path("ran").touch()
    yield run()

async def broken():
    raise ValueError("no database")

async def needs(load: plugin.Loader):
    await load("buvar.config")
    di.register(Users)
    di.require(Users, ShopConfig)

async def tells():
    context.add(plugin.Diagnostic("SHOP1", "the shelf is empty", "warning", advice="fill it"))

async def slow():
    await asyncio.sleep(0.2)

async def loads(load: plugin.Loader):
    await load(".shop_s", "shop:broken", "shop:tells")
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with a service."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "config.toml").write_text('[buvar]\nplugins = ["shop"]\n\n[shop]\nname = "x"\n')
    return tmp_path


@pytest.fixture
def check(buvar, shop):
    """Run the verb in the folder of the service."""
    return functools.partial(buvar, shop, "check")


def lines(done):
    """Return what was written, without the summary, which ends with a time."""
    *told, summary = done.stdout.splitlines()
    assert "prepared in" in summary
    return told


def test_a_service_that_would_start_is_fine(check, shop):
    """Nothing is wrong: it says so and exits with 0; no task has run."""
    done = check("-c", "config.toml")
    assert done.returncode == 0
    assert done.stdout.startswith("fine; 1 plugin prepared in ")
    assert done.stderr == ""
    assert not (shop / "ran").exists()


def test_all_that_is_wrong_is_told(check):
    """Faults of plugins, of what is injected and of the configuration come together, errors first."""
    done = check("shop:needs", "shop:tells", "-c", "config.toml", "--set", "shop.port=http", "--set", "shpo.name=y")
    assert done.returncode == 1
    assert lines(done) == [
        "error   BV301  Database <- Users(database): no component and no adapter provides shop.Database",
        "               at shop.py:7",
        "                 Users(database) is at shop.py:7",
        f"               required at shop.py:{SHOP[: SHOP.index('di.require(')].count(chr(10)) + 1}",
        "error   BV101  shop.port: expected an integer, got 'http'",
        "               at --set shop.port",
        "warning SHOP1  the shelf is empty",
        "               plugin shop:tells",
        "               fill it",
        "warning BV106  nothing reads the section [shpo]; did you mean 'shop'?",
        "               at --set shpo.name",
        "               load the plugin that reads it, or remove it",
    ]
    assert done.stdout.splitlines()[-1].startswith("2 errors, 2 warnings; 3 plugins prepared in ")
    assert done.stderr == ""


def test_plugins_that_fail_are_told_by_who_loads_them(check):
    """A plugin that fails does not hide the next one; the same fault is told once."""
    done = check("shop:loads", "nope")
    assert done.returncode == 1
    told = lines(done)
    assert (
        "error   BV201  '.shop_s' was not found: a relative name needs a package to start from; write the whole name"
        in told
    )
    assert "error   BV203  ValueError: no database" in told
    assert "               while preparing plugin shop:broken, loaded by shop:loads" in told
    assert any(line.startswith("error   BV201  'nope' was not found") for line in told)
    assert sum("no database" in line for line in told) == 1
    assert "warning SHOP1  the shelf is empty" in told


def test_warnings_count_if_that_is_strict(check):
    """A warning exits with 0, with --strict with 1; information never counts."""
    assert check("shop:tells").returncode == 0
    assert check("shop:tells", "--strict").returncode == 1
    done = check("shop:slow", "--strict", "--slow", "0.1")
    assert done.returncode == 0
    assert done.stdout.startswith("info    BV206  shop:slow took 0.")


def test_json_has_all_of_it(check, shop):
    """With --json it is one document, with places as objects, and the same exit code."""
    (shop / "config.toml").write_text("[shop]\nport = 'http'\n")
    done = check("shop:needs", "shop:tells", "-c", "config.toml", "--json")
    assert done.returncode == 1
    found = {each["code"]: each for each in json.loads(done.stdout)["diagnostics"]}
    assert found.keys() == {"BV101", "BV301", "SHOP1"}
    assert found["BV101"]["place"] == {"file": "config.toml", "line": 2, "column": None}
    assert found["SHOP1"] == {
        "code": "SHOP1",
        "message": "the shelf is empty",
        "severity": "warning",
        "place": None,
        "advice": "fill it",
        "plugin": "shop:tells",
        "notes": [],
    }


def test_files_that_cannot_be_read_are_findings(check, shop):
    """Files that do not parse are told like all else, with their positions."""
    (shop / "bad.toml").write_text("[shop\n")
    done = check("shop", "-c", "bad.toml", "-c", "nope.toml")
    assert done.returncode == 1
    assert [line for line in lines(done) if "BV" in line] == [
        "error   BV104  does not parse as TOML: Expected ']' at the end of a table declaration",
        "error   BV104  there is no such configuration file; create it, or correct the path",
    ]
    assert "               at bad.toml:1:6" in lines(done)


def test_without_a_plugin_it_is_wrong_use(check):
    """Where no plugin is named there is nothing to look after: exit code 2."""
    done = check()
    assert done.returncode == 2
    assert done.stderr == "error: no plugin is named; config.toml is here: buvar check -c config.toml\n"


@pytest.mark.parametrize(
    ("code", "returncode", "text"),
    [
        ("bv106", 0, "BV106: nothing reads a section of the configuration\n"),
        ("BV999", 2, "there is no code BV999; '--explain all' lists those that there are"),
        ("all", 0, "BV203: a plugin fails to prepare\n"),
    ],
)
def test_codes_are_explained(check, code, returncode, text):
    """A code is said in words; an unknown one is wrong use."""
    done = check("--explain", code)
    assert done.returncode == returncode
    assert text in done.stdout + done.stderr


def test_a_code_is_explained_with_cause_and_remedy(check):
    """A single code is told with why it comes and what to do about it."""
    meaning, cause, remedy = check("--explain", "BV112").stdout.splitlines()
    assert meaning == "BV112: two environment variables set one value"
    assert cause == "  why: the variable of a secret and its …_FILE are both set"
    assert remedy == "  do:  unset one of them"


def test_every_code_has_a_cause_and_a_remedy(check):
    """No code is left without; and the help tells how to see all of them."""
    assert remedies.REMEDIES.keys() == diagnostic.CODES.keys()
    assert len(check("--explain", "all").stdout.splitlines()) == len(diagnostic.CODES)
    assert "--explain all" in check("--help").stdout


def test_the_same_findings_stop_a_start(buvar, shop):
    """What the check calls an error, `buvar run` refuses to start with; a warning is logged."""
    wrong = buvar(shop, "run", "shop:needs", "--set", "shop.port=http", APP_SHOP_NAEM="x")
    assert wrong.returncode == 1
    assert "the check before the run found 2 errors" in wrong.stderr
    assert "shop.port: expected an integer, got 'http' (--set shop.port)" in wrong.stderr
    assert "Database <- Users(database)" in wrong.stderr
    fine = buvar(shop, "run", "shop", "-c", "config.toml", APP_SHOP_NAEM="x")
    assert fine.returncode == 0
    (warning,) = (each for each in map(json.loads, fine.stderr.splitlines()) if each["level"] == "warning")
    assert warning["code"] == "BV107"
    assert warning["event"] == "the environment variable APP_SHOP_NAEM feeds nothing; did you mean 'APP_SHOP_NAME'?"


def test_what_plugins_print_does_not_mix_with_the_answer(check, shop):
    """A plugin that prints while it prepares leaves the JSON as it is."""
    (shop / "loud.py").write_text("async def prepare():\n    print('hello')\n")
    done = check("loud", "--json")
    assert json.loads(done.stdout) == {"diagnostics": []}
    assert done.stderr == "hello\n"


def test_who_interrupts_it_gets_no_answer(run_service, shop):
    """A check that is told to stop says nothing of a service that it has not seen to the end: exit code 130."""
    (shop / "stuck.py").write_text("import asyncio\nasync def prepare():\n    print(1)\n    await asyncio.sleep(60)\n")
    command = [sys.executable, "-m", "buvar", "check", "stuck", "--log-level", "DEBUG"]
    service = run_service(command=command, cwd=shop)
    service.await_event("preparing plugin")
    service.kill(signal.SIGINT)
    assert service.wait() == 130
    assert service.stdout == ""


def test_what_the_machine_is_not_made_for_is_told(check, shop):
    """Settings that a start would fail with are told without one: sockets, modules, who workers become, files."""
    (shop / "config.toml").write_text("""
[buvar]
plugins = ["shop"]
sockets = ["tcp://127.0.0.1:0", "http://x", "unix:///nowhere/x.sock"]
preload = ["shop", "shopp"]
user = "nobody-at-all"
pid_file = "/nowhere/shop.pid"
installed = ["nobody-declares-this"]
""")
    done = check("-c", "config.toml", "--json")
    assert done.returncode == 1
    found = [(each["code"], each["message"].partition(";")[0]) for each in json.loads(done.stdout)["diagnostics"]]
    assert [code for code, _ in found] == ["BV113"] * 5 + ["BV209"]
    told = [text for _, text in found]
    assert told[0].startswith("'http://x' is no socket URI")
    assert told[1] == "cannot listen on unix:///nowhere/x.sock: there is no folder /nowhere"
    assert told[2].startswith("'shopp' was not found")
    assert told[3].startswith("cannot run as user 'nobody-at-all'")
    assert told[4] == "cannot write the pid file /nowhere/shop.pid: there is no folder /nowhere"
    assert "no installed distribution declares the plugin 'nobody-declares-this'" in told[5]


def test_a_plugin_that_ends_the_process_is_a_finding(check, shop):
    """SystemExit at import or while preparing is told like any other failure, and exits with 1."""
    (shop / "leaves.py").write_text("import sys\nasync def prepare():\n    sys.exit(5)\n")
    (shop / "gone.py").write_text("import sys\nsys.exit(7)\n")
    for name, number in (("leaves", 5), ("gone", 7)):
        done = check(name)
        assert done.returncode == 1, done.stderr
        assert f"error   BV203  SystemExit: {number}" in done.stdout
        assert done.stdout.splitlines()[-1].startswith(
            "1 error; 0 of 1 plugin" if number == 5 else "1 error; 0 plugins"
        )


def test_an_http_server_without_an_address_is_told(check, shop):
    """A server that would have nothing to listen on is an error, with sockets or an address it is none."""
    (shop / "web.py").write_text(
        "from buvar import plugin\nasync def prepare(load: plugin.Loader):\n    await load('buvar_aiohttp')\n"
    )
    done = check("web")
    assert done.returncode == 1
    assert "error   BV101  aiohttp: nothing to listen on; set host and port" in done.stdout
    assert check("web", "--set", "aiohttp.port=0").returncode == 0
    assert check("web", "--set", "buvar.sockets=['tcp://127.0.0.1:0']").returncode == 0


def test_config_check_is_not_fine_where_plugins_fail(buvar, shop):
    """What could not be looked at is said, and it exits with 1."""
    done = buvar(shop, "config", "check", "shop:broken")
    assert done.returncode == 1
    assert done.stdout == "fine; not all was looked at: 1 more finding keeps plugins from being prepared\n"
    assert "BV203  ValueError: no database" in done.stderr
    more = buvar(shop, "config", "check", "shop:broken", "nowhere")
    assert more.stdout == "fine; not all was looked at: 2 more findings keep plugins from being prepared\n"
