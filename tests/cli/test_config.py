"""`buvar config`: what a service is configured to and why, what can be configured, and what is wrong with it."""

import json
import os
import subprocess
import sys
import tomllib

import pytest

pytestmark = pytest.mark.slow

APP = '''
import enum, pathlib, typing as t
import attrs
from buvar import config, di, plugin

class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"

@attrs.frozen
class Pool:
    """Connections that are kept."""
    #: how many
    size: int = attrs.field(default=5, validator=attrs.validators.gt(0))
    ratio: float = float("inf")

@attrs.frozen
class ShopConfig(config.Config, section="shop"):
    """The shop."""
    #: what it is called
    name: str = "corner"
    open: bool = config.bool_var(False)
    #: signs the sessions
    key: str = config.secret_var("")
    level: Level = Level.LOW
    mode: t.Literal["fast", "safe"] = "safe"
    folder: pathlib.Path = pathlib.Path("/srv")
    tags: list[str] = attrs.Factory(list)
    limits: dict[str, int] = attrs.Factory(dict)
    pool: Pool = Pool(size=20)
    spare: t.Optional[Pool] = None
    pools: list[Pool] = attrs.Factory(list)

async def prepare(load: plugin.Loader):
    await load("buvar.config")
    di.require(ShopConfig)

async def strict(load: plugin.Loader):
    @attrs.frozen
    class StrictConfig(config.Config, section="strict"):
        host: str
        port: int

    await load("buvar.config")
    await di.nject(StrictConfig)

async def twice(load: plugin.Loader):
    @attrs.frozen
    class TwiceConfig(config.Config, section="twice"):
        pool: Pool = Pool()
        pool_size: int = 1

    await load("buvar.config")
    await di.nject(TwiceConfig)

async def again(load: plugin.Loader):
    """Reads what another plugin reads too, and a bit more."""
    from buvar import ConfigSource, context

    @attrs.frozen
    class Again:
        name: str = "again"
        open: bool = False

    await load("app")
    context.get(ConfigSource).load(ShopConfig, "shop")

async def broken(load: plugin.Loader):
    await load("app")
    raise ValueError("no database")
'''


@pytest.fixture
def app(tmp_path):
    """A folder to run in, with an application."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


BOOLEAN = "a boolean (true or false; as text also yes, on, 1, no, off, 0)"

# what is wrong -> the document, arguments and environment, and what is told: code, message, place
WRONG = {
    "integer": (
        '[shop.pool]\nsize = "many"',
        {},
        ["BV101 shop.pool.size: expected an integer, got 'many'", "c.toml:2"],
    ),
    "number": ("[shop.pool]\nratio = true", {}, ["BV101 shop.pool.ratio: expected a number, got True", "c.toml:2"]),
    "boolean": ("[shop]\nopen = 'ture'", {}, [f"BV101 shop.open: expected {BOOLEAN}, got 'ture'", "c.toml:2"]),
    "text": ("[shop]\nname = 5", {}, ["BV101 shop.name: expected a string, got 5", "c.toml:2"]),
    "enum": ("[shop]\n\nlevel = 'mid'", {}, ["BV101 shop.level: expected one of 'low', 'high', got 'mid'", "c.toml:3"]),
    "literal": ("[shop]\nmode = ''", {}, ["BV101 shop.mode: expected one of 'fast', 'safe', got ''", "c.toml:2"]),
    "path": ("[shop]\nfolder = 1", {}, ["BV101 shop.folder: expected a path, got 1", "c.toml:2"]),
    "list": ("[shop]\ntags = 'a'", {}, ["BV101 shop.tags: expected a list, got a string", "c.toml:2"]),
    "element": ("[shop]\ntags = [\n'a', 1]", {}, ["BV101 shop.tags[1]: expected a string, got 1", "c.toml:2"]),
    "table": ("[shop]\nlimits = []", {}, ["BV101 shop.limits: expected a table, got a list", "c.toml:2"]),
    "in a table": (
        "[shop.limits]\n'a b'=1.5",
        {},
        ['BV101 shop.limits."a b": expected an integer, got 1.5', "c.toml:2"],
    ),
    "class": ("[shop]\npool = 1", {}, ["BV101 shop.pool: expected a table, got an integer", "c.toml:2"]),
    "optional class": ("[shop]\nspare = []", {}, ["BV101 shop.spare: expected a table, got a list", "c.toml:2"]),
    "in a list of classes": (
        "[[shop.pools]]\nsize = 1\n[[shop.pools]]\nsize = {}",
        {},
        ["BV101 shop.pools[1].size: expected an integer, got a table", "c.toml:4"],
    ),
    "secret": ("[shop]\nkey = {x = 's3cr3t'}", {}, ["BV101 shop.key: expected a string, got ***", "c.toml:2"]),
    "section": ("shop = 's3cr3t'", {}, ["BV101 shop: expected a table, got a string", "c.toml:1"]),
    "refused": ("[shop.pool]\nsize = 0", {}, ["BV101 shop.pool.size: 'size' must be > 0: 0", "c.toml:2"]),
    "misspelt key": ("[shop]\nnmae = 1", {}, ["BV102 shop.nmae: unknown key; did you mean 'name'?", "c.toml:2"]),
    "unknown key": (
        "[shop.pool]\nzzz = 1",
        {},
        ["BV102 shop.pool.zzz: unknown key; the keys are size, ratio", "c.toml:2"],
    ),
    "variable": (
        "",
        {"APP_SHOP_OPEN": "ja"},
        [f"BV101 shop.open: expected {BOOLEAN}, got 'ja'", "environment variable APP_SHOP_OPEN"],
    ),
    "bad JSON": (
        "",
        {"APP_SHOP_LIMITS": '{"a": 1'},
        ["BV101 shop.limits: expected a JSON object, got '{\"a\": 1'", "environment variable APP_SHOP_LIMITS"],
    ),
    "JSON of another type": (
        "",
        {"APP_SHOP_LIMITS": '{"a": "1.5"}'},
        ["BV101 shop.limits.a: expected an integer, got '1.5'", "environment variable APP_SHOP_LIMITS"],
    ),
    "secret file": (
        "",
        {"APP_SHOP_KEY_FILE": "nowhere"},
        [
            (
                "BV110 shop.key: cannot read the secret from the file 'nowhere': No such file or directory;"
                " correct APP_SHOP_KEY_FILE or the file"
            ),
            "environment variable APP_SHOP_KEY_FILE",
        ],
    ),
    "secret twice": (
        "",
        {"APP_SHOP_KEY": "s3cr3t", "APP_SHOP_KEY_FILE": "nowhere"},
        [
            "BV112 shop.key: is set twice, by environment variable APP_SHOP_KEY too; unset one of them",
            "environment variable APP_SHOP_KEY_FILE",
        ],
    ),
    "option": (
        "[shop.pool]\nsize = 1",
        {"--set": "shop.pool.size=x"},
        ["BV101 shop.pool.size: expected an integer, got 'x'", "--set shop.pool.size"],
    ),
    "unknown key of an option": (
        "",
        {"--set": "shop.nmae=s3cr3t"},
        ["BV102 shop.nmae: unknown key; did you mean 'name'?", "--set shop.nmae"],
    ),
    "missing": (
        "[strict]\nhost = 'h'",
        {"app": "app:strict"},
        [
            "BV103 strict.port: is required; set 'port' in [strict] or the environment variable APP_STRICT_PORT",
            "c.toml:1",
        ],
    ),
    "shared variable": (
        "",
        {"app": "app:twice"},
        [
            (
                "BV105 app.twice.<locals>.TwiceConfig: its fields pool.size and pool_size share the environment"
                " variable APP_TWICE_POOL_SIZE; rename one of them"
            ),
            None,
        ],
    ),
}

# what cannot even be read: `config check` tells it as it tells all else, the others end at once
UNREADABLE = {
    "bad TOML": ("[shop]\nname = \n", {}, ["BV104 does not parse as TOML: Invalid value", "c.toml:2:8"]),
    "key twice": (
        "[shop]\n[shop]\n",
        {},
        ["BV104 does not parse as TOML: Cannot declare ('shop',) twice", "c.toml:2:6"],
    ),
    "no such file": (
        "",
        {"-c": "nope.toml"},
        ["BV104 there is no such configuration file; create it, or correct the path", "nope.toml"],
    ),
    "unreadable file": (
        "",
        {"-c": "."},
        ["BV104 the configuration file cannot be read: Is a directory; correct the path or its rights", "."],
    ),
    "nothing to include": (
        "[buvar]\ninclude = ['base.toml']",
        {},
        ["BV104 buvar.include: there is no file base.toml; create it, or correct the name", "c.toml:2"],
    ),
    "table and value": (
        "shop = 5",
        {"--set": "shop.name=s3cr3t"},
        ["BV108 shop: is an integer in c.toml:1, but a table here", "--set shop.name"],
    ),
    "no assignment": (
        "",
        {"--set": "shop.key: s3cr3t"},
        ["BV111 --set shop.key is no assignment; write --set section.field=value", None],
    ),
    "no path": (
        "",
        {"--set": "shop..key=s3cr3t"},
        ["BV111 'shop..key' is no path of keys; write --set section.field=value", None],
    ),
    "too late": (
        "",
        {"--set": "buvar.include=[]"},
        ["BV111 --set buvar.include comes too late: files say that, before options are looked at", None],
    ),
}


@pytest.fixture
def told(buvar, app):
    """Run a verb on a case of the tables above; return the exit code, and all that it writes."""

    def told(case, *verb):
        document, given, (text, place) = case
        (app / "c.toml").write_text(f"{document}\n")
        options = [part for name, value in given.items() if name.startswith("-") for part in (name, value)]
        env = {name: value for name, value in given.items() if name.startswith("APP_")}
        done = buvar(app, *verb, given.get("app", "app"), "-c", "c.toml", *options, **env)
        assert "s3cr3t" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        code, _, message = text.partition(" ")
        return done, code, message, place

    return told


def diagnostic(severity, code, message, place):
    """Return how a diagnostic is written."""
    at = [] if place is None else [f"               at {place}"]
    return [f"{severity:<8}{code}  {message}", *at]


@pytest.mark.parametrize("case", [*WRONG, *UNREADABLE])
def test_check_tells_all_that_is_wrong(told, case):
    """`config check` says what is wrong, with a code and the place, and exits with 1."""
    done, code, message, place = told({**WRONG, **UNREADABLE}[case], "config", "check")
    lines = [line for line in done.stdout.splitlines() if "in the check" not in line and "while preparing" not in line]
    assert (lines, done.returncode, done.stderr) == (
        [*diagnostic("error", code, message, place), "1 error"],
        1,
        "",
    )


@pytest.mark.parametrize("case", ["class", "variable", "option", "secret", "section", "missing"])
def test_show_tells_what_is_wrong_beside_what_is(told, case):
    """`config show` shows the values all the same, tells what is wrong on stderr, and exits with 1."""
    done, code, message, place = told(WRONG[case], "config", "show")
    found = done.stderr.splitlines()
    expected = diagnostic("error", code, message, place)
    assert (found[: len(expected)], done.returncode) == (expected, 1)
    assert tomllib.loads(done.stdout)["buvar"]["workers"] == 1


@pytest.mark.parametrize("verb", [["config", "show"], ["config", "env"], ["config", "template"], ["run"]])
@pytest.mark.parametrize("case", ["bad TOML", "no such file", "table and value", "no path", "no assignment"])
def test_what_cannot_be_read_ends_all_verbs(told, verb, case):
    """Where there is nothing to show or run, that is one line on stderr, and the exit code is 2."""
    done, _, message, place = told(UNREADABLE[case], *verb)
    where = "" if place is None else f" ({place})"
    assert (done.stdout, done.stderr, done.returncode) == ("", f"error: {message}{where}\n", 2)


@pytest.mark.parametrize("case", ["in a list of classes", "misspelt key", "secret file", "secret twice", "missing"])
def test_what_is_wrong_stops_a_start(told, case):
    """`run` tells the same, and exits with 2."""
    done, _, message, place = told(WRONG[case], "run")
    assert done.returncode == 2
    assert f"{message} ({place})" in done.stderr


def test_all_that_is_wrong_is_told_at_once(buvar, app):
    """Of files, variables and options each has its line, with the count at the end."""
    (app / "c.toml").write_text("[shop]\nnmae = 1\n[shop.pool]\nsize = 'x'\n[shpo]\n")
    options = ["--set", "shop.tags=[1]"]
    done = buvar(app, "config", "check", "app", "-c", "c.toml", *options, APP_SHOP_MODE="slow", APP_SHOP_MODES="x")
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("error", "warning"))]
    assert found == ["BV101", "BV101", "BV101", "BV102", "BV106", "BV107"]
    assert done.stdout.endswith("4 errors, 2 warnings\n")
    done = buvar(app, "config", "check", "app", "--set", "a", "--set", "b..c=1", "--set", "buvar.env_prefix=X")
    assert done.stdout.endswith("3 errors\n")


def test_what_nobody_reads_is_a_warning(buvar, app):
    """With the nearest and advice; the exit code is 0, and with --strict 1; a service runs with it."""
    (app / "c.toml").write_text("[shpo]\n")
    expected = (
        "warning BV106  nothing reads the section [shpo]; did you mean 'shop'?\n"
        "               at c.toml:1\n"
        "               load the plugin that reads it, or remove it\n"
        "warning BV107  the environment variable APP_SHOP_NMAE feeds nothing; did you mean 'APP_SHOP_NAME'?\n"
        "               at environment variable APP_SHOP_NMAE\n"
        "               correct or unset it; 'buvar config env' lists those that there are\n"
        "2 warnings\n"
    )
    done = buvar(app, "config", "check", "app", "-c", "c.toml", APP_SHOP_NMAE="x")
    assert (done.stdout, done.returncode) == (expected, 0)
    done = buvar(app, "config", "check", "--strict", "app", "-c", "c.toml", APP_SHOP_NMAE="x")
    assert (done.stdout, done.returncode) == (expected, 1)
    done = buvar(app, "run", "app", "-c", "c.toml", APP_SHOP_NMAE="x")
    assert done.returncode == 0
    assert "the environment variable APP_SHOP_NMAE feeds nothing; did you mean 'APP_SHOP_NAME'?" in done.stderr


def test_a_configuration_that_fits_is_fine(buvar, app):
    """One word, and the exit code 0."""
    done = buvar(app, "config", "check", "--strict", "app", APP_SHOP_NAME="x")
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


def test_check_as_json(buvar, app):
    """Other programs get the same as JSON, with the place in parts."""
    (app / "c.toml").write_text("[shop]\nname = 1\n")
    done = buvar(app, "config", "check", "--json", "app", "-c", "c.toml", "--set", "shop.open=x")
    first, second = json.loads(done.stdout)["diagnostics"]
    assert (first["code"], first["severity"], first["place"]["line"]) == ("BV101", "error", 2)
    assert second["place"] == "--set shop.open"


DOCUMENT = """\
[buvar]
plugins = ["app"]

[shop]
name = 'a "shop"'
key = "s3cr3t"
tags = ["a", "b"]
limits = {"a.b" = 1}

[[shop.pools]]
size = 7
"""


def test_show_tells_values_and_where_they_came_from(buvar, app):
    """Lines, variables, options and defaults; secrets are masked."""
    (app / "c.toml").write_text(DOCUMENT)
    (app / "key").write_text("s3cr3t")
    done = buvar(
        app, "config", "show", "--section", "shop", "-c", "c.toml", "--set", "shop.pool.size=9",
        APP_SHOP_OPEN="yes", APP_SHOP_KEY_FILE="key",
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == (
        (
            "[shop]\n"
            'name = "a \\"shop\\""                  # c.toml:5\n'
            "open = true                          # environment variable APP_SHOP_OPEN\n"
            'key = "***"                          # environment variable APP_SHOP_KEY_FILE\n'
            'level = "low"                        # default\n'
            'mode = "safe"                        # default\n'
            'folder = "/srv"                      # default\n'
            'tags = ["a", "b"]                    # c.toml:7\n'
            'limits = { "a.b" = 1 }               # c.toml:8\n'
            "# spare =                            # default\n"
            "pools = [{ size = 7, ratio = inf }]  # c.toml:10\n"
            "\n"
            "[shop.pool]\n"
            "size = 9     # --set shop.pool.size\n"
            "ratio = inf  # default\n"
        ),
        "",
        0,
    )


def test_what_is_shown_is_a_configuration(buvar, app):
    """It is valid TOML that says the same when it is read, but for secrets."""
    (app / "c.toml").write_text(DOCUMENT.replace("s3cr3t", "***"))
    shown = buvar(app, "config", "show", "-c", "c.toml").stdout
    (app / "shown.toml").write_text(shown)
    again = buvar(app, "config", "show", "-c", "shown.toml")
    assert tomllib.loads(again.stdout) == tomllib.loads(shown)
    assert tomllib.loads(shown)["shop"]["limits"] == {"a.b": 1}
    assert buvar(app, "run", "-c", "shown.toml").returncode == 0


def test_what_several_classes_read_is_shown_once(buvar, app):
    """A document has each table once, whoever reads it."""
    done = buvar(app, "config", "show", "app:again")
    assert (done.stdout.count("[shop]"), done.returncode) == (1, 0)
    assert tomllib.loads(done.stdout)["shop"]["name"] == "corner"


def test_show_as_json(buvar, app):
    """Other programs get path, value, origin, and whether it is secret; places have parts, infinity is text."""
    (app / "c.toml").write_text(DOCUMENT)
    done = buvar(app, "config", "show", "--json", "--section", "shop", "-c", "c.toml")
    settings = {each["path"]: each for each in json.loads(done.stdout, parse_constant=pytest.fail)["settings"]}
    assert settings["shop.key"] == {
        "path": "shop.key",
        "value": "***",
        "origin": {"file": "c.toml", "line": 6, "column": None},
        "secret": True,
    }
    assert settings["shop.pool.ratio"]["value"] == "inf"
    assert settings["shop.pools"]["value"] == [{"size": 7, "ratio": "inf"}]
    assert "s3cr3t" not in done.stdout


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("shop.pool", "[shop.pool]\nsize = 20    # default\nratio = inf  # default\n"),
        ("shop.limits", '[shop]\nlimits = { "a.b" = 1 }  # c.toml:8\n'),
        ("shop.spare", "[shop]\n# spare =  # default\n"),
        ("buvar.log", '[buvar.log]\nlevel = "INFO"  # default\n# tty =         # default\n'),
    ],
)
def test_show_of_a_table_in_a_section(buvar, app, name, shown):
    """What `config show` has a header for can be shown alone."""
    (app / "c.toml").write_text(DOCUMENT)
    done = buvar(app, "config", "show", "--section", name, "-c", "c.toml")
    assert (done.stdout, done.stderr, done.returncode) == (shown, "", 0)


def test_show_of_a_section_that_nobody_reads(buvar, app):
    """The nearest one is named, and the exit code is 2; a value is no section."""
    assert buvar(app, "config", "show", "--section", "shop.name", "app").returncode == 2
    done = buvar(app, "config", "show", "--section", "shop.poool", "app")
    assert (done.stderr, done.returncode) == (
        "error: nothing reads a section 'shop.poool'; did you mean 'shop.pool'?\n",
        2,
    )
    done = buvar(app, "config", "show", "--section", "shpo", "app")
    assert (done.stderr, done.returncode) == ("error: nothing reads a section 'shpo'; did you mean 'shop'?\n", 2)


def test_show_of_a_service_that_fails(buvar, app):
    """What is known is shown, with what fails; what only that plugin reads may be missing."""
    done = buvar(app, "config", "show", "app:broken")
    assert "[shop]" in done.stdout
    assert "plugins fail to prepare, what only they read is not told here; see buvar check:" in done.stderr
    assert "no database" in done.stderr


@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["env"], ["template"], ["check"]])
def test_nobody_has_to_read_to_the_end(app, arguments):
    """When who reads goes away, as `head` does, the command ends without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "buvar", "config", *arguments, "app"],
        cwd=app, stdout=writing, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.stderr, done.returncode) == (b"", 1)


def test_env_lists_all_variables(buvar, app):
    """Name, type, default, whether it is secret or set, and what it is for."""
    done = buvar(app, "config", "env", "app", APP_SHOP_NAME="x")
    shop = done.stdout[done.stdout.index("# [shop]") :]
    assert shop.splitlines() == [
        "# [shop]",
        'APP_SHOP_NAME  str = "corner"  (set)',
        "    what it is called",
        "APP_SHOP_OPEN  bool = false",
        'APP_SHOP_KEY  str = ""  (secret)',
        "    signs the sessions",
        "APP_SHOP_KEY_FILE  path of a file that holds the value  (secret)",
        "    signs the sessions",
        "APP_SHOP_LEVEL  'low' | 'high' = \"low\"",
        "APP_SHOP_MODE  'fast' | 'safe' = \"safe\"",
        'APP_SHOP_FOLDER  Path = "/srv"',
        "APP_SHOP_TAGS  list[str] = []",
        "APP_SHOP_LIMITS  dict[str, int] = {}",
        "APP_SHOP_POOL_SIZE  int = 20",
        "    how many",
        "APP_SHOP_POOL_RATIO  float = inf",
        "APP_SHOP_SPARE_SIZE  int = 5",
        "    how many",
        "APP_SHOP_SPARE_RATIO  float = inf",
        "APP_SHOP_POOLS  list[Pool] = []",
    ]
    assert (done.stderr, done.returncode) == ("", 0)


def test_env_as_json(buvar, app):
    """Other programs get the same as JSON."""
    found = json.loads(buvar(app, "config", "env", "--json", "app:strict").stdout, parse_constant=pytest.fail)
    variables = {each["variable"]: each for each in found["variables"]}
    assert variables["APP_STRICT_PORT"] == {
        "variable": "APP_STRICT_PORT",
        "path": "strict.port",
        "type": "int",
        "default": None,
        "required": True,
        "secret": False,
        "set": False,
        "help": "",
    }
    assert variables["APP_SHOP_POOL_RATIO"]["default"] == "inf"


def test_a_template_is_a_configuration(buvar, app):
    """What `config template` writes names the plugins, and the service starts with it."""
    done = buvar(app, "config", "template", "app")
    assert (done.stderr, done.returncode) == ("", 0)
    assert tomllib.loads(done.stdout) == {"buvar": {"plugins": ["app"]}, "shop": {}}
    (app / "c.toml").write_text(done.stdout)
    assert buvar(app, "config", "check", "--strict", "-c", "c.toml").stdout == "fine\n"
    assert buvar(app, "run", "-c", "c.toml").returncode == 0


def test_no_plugin_is_told(buvar, app):
    """What to do is said."""
    done = buvar(app, "config", "show")
    assert (done.stderr, done.returncode) == (
        "error: no plugin is named; name one, or set plugins = […] in the table [buvar]\n",
        2,
    )
