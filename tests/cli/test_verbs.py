"""What all verbs have in common: how they are listed, and how they tell what went wrong."""

import importlib
import os
import subprocess
import sys

import click
import pytest

from buvar.cli import VERBS, main

pytestmark = pytest.mark.slow

TABLE = [verb for verbs in VERBS.values() for verb in verbs]
NAMES = [verb.name for verb in TABLE]

HEAVY = ("attr", "cattrs", "structlog", "asyncio", "importlib.metadata", "rich", "buvar.errors", "buvar.di")


@pytest.fixture
def oops(forks, tmp_path):
    """Run a verb whose function has this body, in a file of its own."""
    (tmp_path / "verb.py").write_text("")

    def run(body, *arguments):
        (tmp_path / "verb.py").write_text(f"import click, os, signal\n@click.command()\ndef command():\n    {body}\n")
        code = """
import sys
sys.path.insert(0, "")
import verb
from buvar.cli import main
from buvar.cli.verbs import Verb
sys.modules["buvar.cli.verb"] = verb
main.verbs["verb"] = Verb("verb", "Fail.")
main(prog_name="buvar")
"""
        return forks.run(code, "verb", *arguments, cwd=tmp_path)

    return run


@pytest.mark.parametrize("verb", TABLE, ids=NAMES)
def test_the_table_says_what_the_verb_says_of_itself(verb):
    """The line in the list of verbs is the first sentence of the help of the verb, and short."""
    command = importlib.import_module(f"buvar.cli.{verb.name}").command
    assert (command.name, command.get_short_help_str(1000)) == (verb.name, verb.help)
    assert len(verb.help) <= 66


def test_help_lists_the_verbs_by_purpose(buvar, tmp_path):
    """Each verb stands in the order of the table, below its purpose; the exit codes and the first steps are told."""
    done = buvar(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    words = [f"\n{title}:\n" for title in VERBS]
    assert sorted(words, key=done.stdout.index) == words
    assert [
        line.split()[0] for line in done.stdout.splitlines() if line.split()[:1] and line.split()[0] in NAMES
    ] == NAMES
    for line in ("buvar init", "VERB --help", "wrong use or configuration"):
        assert line in done.stdout
    assert buvar(tmp_path, "-h").stdout == done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in NAMES)], ids=" ".join)
def test_help_imports_next_to_nothing(arguments):
    """To tell what there is, nothing is imported but click, the verb that is asked, and small modules of Python."""
    code = """
import sys
from buvar.cli import main
try:
    main(prog_name="buvar")
finally:
    print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    imported = done.stderr.split()
    assert [name for name in imported if name.startswith(HEAVY)] == []
    assert {name for name in imported if name in {f"buvar.cli.{verb}" for verb in NAMES}} <= {
        f"buvar.cli.{arguments[0]}"
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_verb_tells_how_it_is_used(buvar, tmp_path, name):
    """The help of a verb has an example, and that of what it does the option that shows a traceback."""
    told = buvar(tmp_path, name, "--help").stdout
    assert f"Usage: buvar {name} " in told
    assert f"\n    buvar {name}" in told or f"$(buvar {name}" in told
    verb = importlib.import_module(f"buvar.cli.{name}").command
    inner = [[name, each] for each in verb.commands] if isinstance(verb, click.Group) else [[name]]
    assert [each for each in inner if "--traceback" not in buvar(tmp_path, *each, "--help").stdout] == []
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rum"], "Error: No such verb 'rum'; did you mean 'run'?"),
        (["xyzzy"], f"Error: No such verb 'xyzzy'; there are {', '.join(NAMES)}."),
        (["run", "--wokers", "2"], "'--wokers'"),
        (["--verison"], "'--verison'"),
    ],
)
def test_a_misspelt_word_gets_the_nearest(buvar, tmp_path, arguments, text):
    """What there is not is told with what was probably meant; the exit code is 2."""
    done = buvar(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    if "'--wokers'" in text:
        assert "--workers" in done.stderr


def test_an_error_is_one_message(oops):
    """Whatever a verb raises is told without a traceback, with the place in the code that is not ours."""
    done = oops("raise ValueError('no such thing')")
    assert (done.returncode, done.stdout) == (1, "")
    first, place = done.stderr.splitlines()
    assert first == "error: ValueError: no such thing"
    assert place.endswith("verb.py:4 in command")


def test_an_error_has_a_traceback_if_one_is_asked_for(oops):
    """``--traceback`` works for every verb, and shows the verb's own lines, none of click's."""
    done = oops("raise ValueError('no such thing')", "--traceback")
    assert done.returncode == 1
    assert "Traceback (most recent call last):" in done.stderr
    assert "verb.py" in done.stderr
    assert os.path.dirname(click.__file__) not in done.stderr


def test_wrong_use_in_a_verb_exits_with_2(buvar, tmp_path):
    """An error of ours that means wrong use, here that nothing runs that could be stopped, has its own exit code."""
    done = buvar(tmp_path, "stop", BUVAR_CONTROL_FOLDER=str(tmp_path))  # not that of services beside these tests
    assert done.returncode == 2
    assert done.stderr.startswith("error: no service of yours is running")
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_ends_a_verb_quietly(oops):
    """The exit code is that of an interrupt, and nothing is said."""
    done = oops("os.kill(os.getpid(), signal.SIGINT); signal.pause()")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


PIPED = [["--help"], ["run", "--help"], ["completion", "bash"], ["--version"], ["config", "show", "buvar.plugins.bg"]]


@pytest.mark.parametrize("arguments", PIPED, ids=" ".join)
def test_a_broken_pipe_ends_a_verb_quietly(arguments):
    """When nobody reads what is written, as behind ``| head -1``, nothing is said of it."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-W", "error", "-m", "buvar", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=30)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_version_is_told(buvar, tmp_path):
    """It is that of the package, installed or not."""
    import buvar as face

    assert buvar(tmp_path, "--version").stdout == f"buvar {face.__version__}\n"
    assert main.list_commands(None) == NAMES
