"""`buvar init`: the service that it writes passes its own tests and runs; nobody's files are overwritten."""

import configparser
import fnmatch
import functools
import http.client
import importlib.metadata
import importlib.resources
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import __version__, errors
from buvar.cli import VERBS, init
from buvar.forking import uri as uris

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
MADE = {
    ".gitignore",
    "Makefile",
    "README.md",
    "config.toml",
    "my_shop/__init__.py",
    "my_shop/greeter.py",
    "my_shop/web.py",
    "pyproject.toml",
    "tests/test_greeter.py",
    "tests/test_web.py",
}


@pytest.fixture
def create(buvar, tmp_path):
    """Run ``buvar init`` in an empty folder."""
    return functools.partial(buvar, tmp_path, "init")


@pytest.fixture
def made(create, tmp_path):
    """The folder of a new service."""
    done = create("my-shop")
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path / "my-shop"


def files(folder):
    """Return what is in the folder: the path of each file, and its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(command, folder):
    """Run a command in the folder; its output counts where it fails."""
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(init.__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_service_is_written(made):
    """All its files are there, with nothing left to be filled in; the package has underscores for dashes."""
    assert set(files(made)) == MADE
    text = b"\n".join(files(made).values()).decode()
    assert "$name" not in text
    assert "${" not in text
    assert "$$" not in text
    assert "my_shop" in text


def test_the_next_steps_are_told(create):
    """They begin in the folder that was made, run the service, and test it."""
    told = create("my-shop").stdout
    steps = [line.split("  ")[1] for line in told.splitlines() if line.startswith("  ")]
    assert told.startswith("wrote 10 files into my-shop\n")
    assert steps[0] == "cd my-shop"
    assert steps[1] == "buvar run -c config.toml"
    assert steps[-1] == "make test"
    assert "cd " not in create("other", "--here").stdout


def test_the_server_that_is_missing_is_installed_by_make(forks, tmp_path):
    """Where aiohttp is not installed the next step is ``make run``, which installs it."""
    code = "import sys; sys.modules['uvloop'] = None; from buvar.cli import init; init.SERVER = ('no_such_server',); "
    done = forks.run(f"{code}from buvar.cli import main; main(prog_name='buvar')", "init", "shop", cwd=tmp_path)
    assert "\n  make run " in done.stdout
    assert "buvar run" not in done.stdout


def test_the_current_folder_is_written_into(create, tmp_path):
    """With ``--here`` no folder is made, and what else is in the current one stays as it is."""
    (tmp_path / "notes.txt").write_text("mine")
    assert create("my-shop", "--here").returncode == 0
    assert set(files(tmp_path)) == {*MADE, "notes.txt"}


@pytest.mark.slow
def test_its_own_tests_pass(made):
    """The tests of a new service pass, with warnings as errors."""
    ours = not importlib.metadata.entry_points(group="pytest11", name="buvar")
    plugins = ["-p", "buvar.testing", "-p", "buvar_aiohttp.testing"] if ours else []
    told = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins], made)
    assert "4 passed" in told


@pytest.mark.slow
def test_it_runs(made, run_service):
    """The service that was written answers, runs its task, and ends in peace at TERM."""
    command = [sys.executable, "-W", "error", "-m", "buvar", "run", "-c", "config.toml"]
    options = ["--bind", "tcp://127.0.0.1:0", "--set", "my_shop.greeting=Hi", "--set", "my_shop.report_every=0.1"]
    service = run_service(command=[*command, *options], cwd=made)
    address = uris.parse(service.address)
    service.ready()
    connection = http.client.HTTPConnection(address.host, address.port, timeout=20)
    connection.request("GET", "/hello/Ada")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"greeting": "Hi, Ada!"})
    connection.close()
    service.await_event("people greeted", count=1)
    assert service.stop() == 0
    assert len(service.events("greeter closed")) == 2
    assert service.plain == []


@pytest.mark.slow
def test_the_check_finds_nothing(made):
    """What ``make check`` calls says that all is fine, warnings included."""
    assert "fine" in run([sys.executable, "-m", "buvar", "check", "-c", "config.toml", "--strict"], made)


@pytest.mark.slow
@pytest.mark.timeout(180)  # a type checker with an empty cache has much to read
def test_its_fields_are_explained(made, buvar):
    """What the service can be configured to is told with what it is for."""
    done = buvar(made, "config", "env", "-c", "config.toml")
    _, _, ours = done.stdout.partition("# [my_shop]\n")
    assert ours.splitlines()[:4] == [
        'APP_MY_SHOP_GREETING  str = "Hello"',
        "    the words before the name",
        "APP_MY_SHOP_REPORT_EVERY  float = 60.0",
        "    seconds from one report to the next",
    ]


def test_its_types_are_right(made, tmp_path):
    """mypy, as strict as it gets, has nothing to say."""
    run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "my_shop", "tests"], made)


RUFF = shutil.which("ruff", path=os.path.dirname(sys.executable))


@pytest.mark.skipif(RUFF is None, reason="ruff is not installed beside this Python")
@pytest.mark.parametrize("name", ["my-shop", "a", "a-service-with-a-long-name"])
def test_it_is_formatted_and_linted(create, tmp_path, name):
    """ruff as it comes has nothing to say, whatever the length of the name."""
    assert create(name).returncode == 0
    run([RUFF, "check", "--isolated", "--no-cache", "."], tmp_path / name)
    run(
        [RUFF, "format", "--isolated", "--no-cache", "--check", "."],
        tmp_path / name,
    )


def test_its_metadata_are_right(made):
    """It requires this version of buvar, is found as a plugin, and its configuration names its own package."""
    project = tomllib.loads((made / "pyproject.toml").read_text())
    config = tomllib.loads((made / "config.toml").read_text())
    assert project["project"]["name"] == "my-shop"
    assert project["project"]["entry-points"]["buvar.plugins"] == {"my_shop": "my_shop"}
    extras = project["project"]["optional-dependencies"]
    assert project["project"]["dependencies"] == [f"buvar[aiohttp,uvloop] >= {__version__}"]
    assert extras["dev"] == ["my-shop[test]", f"buvar[cli] >= {__version__}"]
    assert "test" in extras
    assert project["tool"]["setuptools"]["packages"] == config["buvar"]["plugins"] == ["my_shop"]
    assert "APP_MY_SHOP_GREETING" in (made / "config.toml").read_text()


def test_its_makefile_says_what_it_does(made):
    """make knows each target that its first lines tell of, and would call verbs that there are."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    told = [line.split()[2] for line in (made / "Makefile").read_text().splitlines() if line.startswith("# make ")]
    assert told == ["run", "test", "check"]
    run(["make", "--dry-run", *told, "clean"], made)


WRONG = {
    "a word of Python": (["class"], "that is a word of the language"),
    "in the standard library": (["json"], "it would hide the module of that name in the standard library"),
    "installed": (["click"], "it would hide an installed module of that name ("),
    "needed": (["uvloop"], "it would hide a package of that name that the service needs"),
    "the tests": (["tests"], "its tests are in a folder of that name"),
    "a space": (["my shop"], "letters, digits and dashes, a letter first, as in my-shop"),
    "a digit first": (["2fast"], "letters, digits and dashes, a letter first, as in fast"),
    "a path": (["../shop"], "letters, digits and dashes, a letter first, as in shop"),
    "not ASCII": (["café"], "letters, digits and dashes, a letter first, as in caf"),
    "nothing": ([""], "'' cannot name a package"),
    "no name": ([], "Missing argument 'NAME'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_name_that_makes_no_service_is_refused(create, tmp_path, case):
    """It is told why, with a name that would do; nothing is written, and the exit code is 2."""
    arguments, text = WRONG[case]
    done = create(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


@given(st.text(max_size=12) | st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True))
def test_a_name_is_refused_or_can_be_imported(name):
    """A name that is taken makes a module that Python can import and a distribution that pip can name."""
    try:
        package = init._package(name)
    except errors.UsageError as error:
        assert repr(name) in str(error)
    else:
        assert package.isidentifier()
        assert package.isascii()
        assert name[0].isalpha()
        assert name[-1].isalnum()
        assert package not in sys.stdlib_module_names


def test_what_is_there_is_not_overwritten(create, tmp_path):
    """A folder, a file or a dangling link of that name is named, and stays as it was."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "README.md").write_text("mine")
    (tmp_path / "other").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("shop", "other", "link"):
        done = create(name)
        assert done.returncode == 2
        assert done.stderr == (
            f"error: this is in the way, and nothing was written; move it, or choose another name:\n  {name}\n"
        )
    assert files(tmp_path) == {"shop/README.md": b"mine", "other": b"mine"}


def test_an_empty_folder_is_not_in_the_way(create, tmp_path):
    """A folder that was made for the service is taken; one with anything in it, or a link to nothing, is not."""
    (tmp_path / "my-shop").mkdir()
    done = create("my-shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path / "my-shop").keys() == MADE
    (tmp_path / "shop").mkdir()
    assert create("shop").returncode == 0
    (tmp_path / "other" / "nothing").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert [create(name).returncode for name in ("other", "link")] == [2, 2]


def test_all_that_is_in_the_way_is_told(create, tmp_path):
    """In the current folder each file that would be overwritten is listed, and a module that would be hidden."""
    for name in ("Makefile", "shop.py", "tests/test_web.py", "tests/test_mine.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    done = create("shop", "--here")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["  shop.py", "  Makefile", "  tests/test_web.py"]
    assert set(files(tmp_path).values()) == {b"mine"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """What was begun is taken back, so that nothing is left of a service that could not be written whole."""
    (tmp_path / "file").write_text("mine")
    wanted = {tmp_path / "new" / "a" / "x.py": "x", tmp_path / "file" / "y.py": "y"}
    with pytest.raises(errors.UsageError, match="nothing was written") as caught:
        init._write(wanted)
    assert str(tmp_path / "file") in str(caught.value)
    assert files(tmp_path) == {"file": b"mine"}
    assert os.listdir(tmp_path) == ["file"]


def test_a_module_of_the_current_folder_is_no_installed_one(run_service, tmp_path):
    """``python -m buvar`` has the current folder on its path: what lies there hides nothing."""
    (tmp_path / "shop.py").write_text("raise SystemExit('run')")
    done = subprocess.run(
        [sys.executable, "-m", "buvar", "init", "shop"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_written_is_in_the_distribution():
    """Each file of the template matches what the distribution is told to take along, and is a plain one."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    globs = [each.strip() for each in setup["options.package_data"]["buvar.cli"].split(",")]
    template = pathlib.Path(str(importlib.resources.files("buvar.cli") / "template"))
    found = [path for path in template.rglob("*") if path.is_file()]
    assert len(found) == len(MADE)
    for path in found:
        name = path.relative_to(template.parent).as_posix()
        assert any(fnmatch.fnmatchcase(name, glob) and name.count("/") == glob.count("/") for glob in globs), name
        assert not stat.S_IMODE(path.stat().st_mode) & 0o111


def test_the_verb_is_in_the_list():
    """A newcomer finds it first."""
    assert next(iter(VERBS.values()))[0].name == "init"
