"""What a shell completes, asked as it asks: a process that is told the words so far."""

import os
import shlex
import shutil
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

EXPLODES = "raise SystemExit('the code of a service was run')"


@pytest.fixture
def folder(tmp_path):
    """A folder with a package of plugins, none of which may be run, and configuration files."""
    for name in (
        "shop/__init__.py",
        "shop/web/__init__.py",
        "shop/web/admin.py",
        "shop/users.py",
        "single.py",
        "_own.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(EXPLODES)
    for name in ("config.toml", "conf.json", "deploy/live.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    return tmp_path


@pytest.fixture
def script(tmp_path_factory):
    """The folder of a script ``buvar``, as an installer writes it."""
    path = tmp_path_factory.mktemp("bin") / "buvar"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom buvar.cli import main\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n"
    )
    path.chmod(0o755)
    return path.parent


@pytest.fixture
def complete(folder, script):
    """Return the words that a shell is offered for the last one of a line."""

    def complete(line, shell="bash"):
        words = line.split(" ")
        env = {
            **os.environ,
            "_BUVAR_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        done = subprocess.run([script / "buvar"], cwd=folder, env=env, capture_output=True, text=True, timeout=30)
        assert done.stderr == ""
        return [text.removeprefix("plain,") for text in done.stdout.splitlines() if text]

    return complete


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("buvar st", "status stop"),
        ("buvar --v", "--version"),
        ("buvar run ", "shop single"),
        ("buvar run s", "shop single"),
        ("buvar run _", "_own"),
        ("buvar run sh", "shop shop.users shop.web"),
        ("buvar run shop.", "shop.users shop.web"),
        ("buvar run shop.w", "shop.web shop.web.admin"),
        ("buvar run shop.web.", "shop.web.admin"),
        ("buvar run single shop.u", "shop.users"),
        ("buvar run buvar.plugins.b", "buvar.plugins.bg"),
        ("buvar run nowhere.", ""),
        ("buvar run shop..", ""),
        ("buvar run shop:", ""),
        ("buvar run -c ", "config.toml"),
        ("buvar run -c con", "config.toml"),
        ("buvar run -c de", "dir,de"),
        ("buvar run -c deploy/", "deploy/live.toml"),
        ("buvar run -c nowhere/", "dir,nowhere/"),
        ("buvar run --loop ", "asyncio uvloop"),
        ("buvar run --wor", "--workers"),
        ("buvar status --j", "--json"),
        ("buvar check si", "single"),
        ("buvar config show -c con", "config.toml"),
        ("buvar completion ", "bash zsh fish"),
    ],
)
def test_a_word_is_completed(complete, line, words):
    """Verbs, options and their values, modules by their names, TOML files; no code of the service is run for it."""
    assert complete(line) == words.split()


def test_verbs_come_with_their_help(complete):
    """In zsh, which shows it, each verb is told with what it is for."""
    assert "Run a service made of plugins." in complete("buvar ", "zsh")


def test_completion_imports_next_to_nothing(folder):
    """A TAB costs no more than click: none of what runs a service is imported."""
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    code += "from buvar.cli import main; main(prog_name='buvar')"
    env = {**os.environ, "_BUVAR_COMPLETE": "bash_complete", "COMP_WORDS": "buvar run sh", "COMP_CWORD": "2"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=30)
    assert "plain,shop\n" in done.stdout
    heavy = ("attr", "cattrs", "structlog", "asyncio", "buvar.errors", "buvar.fork", "shop")
    assert [name for name in done.stderr.split() if name.startswith(heavy)] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "words"),
    [("buvar rel", "reload"), ("buvar run sh", "shop shop.users shop.web"), ("buvar run -c conf", "config.toml")],
)
def test_bash_completes(folder, script, line, words):
    """A real bash that has read the script offers the words."""
    typed = line.split(" ")
    asked = textwrap.dedent(f"""
        set -e
        eval "$(buvar completion bash)"
        complete -p buvar > /dev/null
        COMP_WORDS=({shlex.join(typed)}) COMP_CWORD={len(typed) - 1}
        _buvar_completion buvar
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """)
    env = {**os.environ, "PATH": f"{script}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "--norc", "-c", asked]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=30)
    assert (done.stdout.split(), done.stderr) == (words.split(), "")


@pytest.fixture
def buvar(forks, tmp_path):
    """Run the command with a shell of that name in the environment."""

    def buvar(*arguments, shell="/bin/bash"):
        env = {**os.environ, "SHELL": shell}
        return forks.run("from buvar.cli import main; main(prog_name='buvar')", *arguments, cwd=tmp_path, env=env)

    return buvar


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_written_for_each_shell(buvar, shell):
    """It goes to stdout, is for the command ``buvar``, and can be read by that shell where there is one."""
    done = buvar("completion", shell)
    assert done.returncode == 0
    assert f"_BUVAR_COMPLETE={shell}_complete" in done.stdout
    if (found := shutil.which(shell)) is not None:
        subprocess.run([found, "-n"], input=done.stdout, text=True, check=True, timeout=30)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_without_a_shell_it_is_told_how_to_install_it(buvar, shell):
    """The shell is that of the environment; the line to install its script is told."""
    done = buvar("completion", shell=f"/usr/bin/{shell}")
    assert done.returncode == 0
    assert f"buvar completion {shell}" in done.stdout


def test_an_unknown_shell_is_told(buvar):
    """Where the shell cannot be guessed, or is none that can be served, those that can are named."""
    done = buvar("completion", shell="/bin/tcsh")
    assert done.returncode == 2
    assert "name one of bash, zsh, fish" in done.stderr
    assert buvar("completion", "tcsh").returncode == 2
