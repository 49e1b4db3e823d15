"""The command line: what it runs, what it says when it cannot, and with which code it exits."""

import os
import signal
import socket
import sys
import tempfile

import pytest

pytestmark = pytest.mark.slow

APP = """
import asyncio, json, os
from buvar import ConfigSource, context, fork, plugin

async def prepare(cancel: plugin.Cancel):
    yield cancel.wait()

async def serve(cancel: plugin.Cancel):
    async def answer(reader, writer):
        line = await reader.readline()
        await asyncio.sleep(0.3 if line == b"slow\\n" else 0)
        writer.write(f"{os.getpid()} ".encode() + line)
        await writer.drain()
        writer.close()
    (sock,) = set(context.find(fork.Socket).values())
    server = await asyncio.start_server(answer, sock=sock)
    yield cancel.wait()
    yield
    server.close()
    await asyncio.sleep(0.5)

async def fails():
    raise ValueError("no database")

async def breaks():
    raise BrokenPipeError(32, "Broken pipe")

async def asks():
    import click
    click.get_current_context().fail("no name")

async def crashes():
    async def crash():
        raise ValueError("gone")
    yield crash()

async def cancels():
    async def cancelled():
        raise asyncio.CancelledError
    yield cancelled()

async def returns():
    async def returned():
        return ValueError("a result")
    yield returned()

async def tells():
    print(type(asyncio.get_running_loop()).__module__, json.dumps(context.get(ConfigSource).get("shop")))

def sync():
    pass

async def circle(load: plugin.Loader):
    await load("app:back")

async def back(load: plugin.Loader):
    await load("app:circle")

async def binds():
    async def bind():
        fork.Socket("tcp://192.0.2.1:0").bind()
    yield bind()
"""


@pytest.fixture
def app(tmp_path):
    """A folder to run in, with an application."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    (tmp_path / "empty.py").write_text("")
    return tmp_path


def text_of(done):
    """Return what is on stderr beside the log."""
    return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("{"))


WRONG = {
    "no plugin": ([], "error: no plugin to run; name one, or set plugins = […] in the table [buvar]"),
    "no such file": (
        ["app", "-c", "nope.toml"],
        "error: there is no such configuration file; create it, or correct the path (nope.toml)",
    ),
    "no assignment": (
        ["app", "--set", "workers"],
        "error: --set workers is no assignment; write --set section.field=value",
    ),
    "no key": (
        ["app", "--set", "a..b=1"],
        "error: 'a..b' is no path of keys; write --set section.field=value",
    ),
    "wrong type": (
        ["app", "--set", "buvar.workers=many"],
        "error: buvar.workers: expected an integer, got 'many' (--set buvar.workers)",
    ),
    "unknown key": (["app", "--set", "buvar.worker=2"], "error: buvar.worker: unknown key; did you mean 'workers'?"),
    "unknown log level": (
        ["app", "--set", "buvar.log.level=loud"],
        "buvar.log.level: 'loud' is no log level; write one of",
    ),
    "backlog too large": (
        ["app", "--set", "buvar.backlog=5000000000"],
        "buvar.backlog: 'backlog' must be < 2147483648",
    ),
    "a configuration file": (
        ["c.toml"],
        "error: 'c.toml' is a configuration file and no plugin; write -c c.toml",
    ),
    "files": (
        ["./app.py:tells", "my/shop/__init__.py", "/"],
        (
            "error: './app.py:tells' is a path and no name of a module; write app:tells\n"
            "'my/shop/__init__.py' is a path and no name of a module; write my.shop\n"
            "'/' is a path and no name of a module; write package.module"
        ),
    ),
    "a name too long for a file": ([f"{'x' * 300}"], "no module 'xxx"),
    "unknown module": (
        ["apps"],
        "error: 'apps' was not found: no module 'apps' on the import path; did you mean 'app'?",
    ),
    "no name": (
        ["app:"],
        "error: 'app:' is no name of a module or of something in it; write 'package.module:attribute'",
    ),
    "unknown function": (["app:tell"], "error: 'app:tell' was not found: 'app' has no 'tell'; did you mean 'tells'?"),
    "no plugin in it": (["empty"], "error: empty is not a plugin: the module has no function 'prepare'"),
    "not async": (["app:sync"], "error: app:sync is not a plugin: it is not async; write 'async def'"),
    "no socket URI": (
        ["app", "--bind", "localhost:80"],
        "error: 'localhost:80' is no socket URI: the scheme 'localhost'",
    ),
    "no loop": (["app", "--loop", "none"], "Invalid value for '--loop': 'none' is not one of 'asyncio', 'uvloop'."),
    "no workers": (["app", "--workers", "-1"], "Invalid value for '--workers': -1 is not in the range x>=0."),
    "no module to preload": (["app", "--set", "buvar.preload=jsom"], "did you mean 'json'?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_told_and_exits_with_2(buvar, app, case):
    """What cannot be run is told in one message without a traceback; the exit code is 2."""
    arguments, text = WRONG[case]
    done = buvar(app, "run", *arguments)
    assert done.returncode == 2
    assert text in text_of(done)
    assert text_of(done).count("rror: ") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["run", "check", "graph", "config show"])
def test_the_usual_file_is_proposed(buvar, app, verb):
    """Where no plugin is named and config.toml is here, the command that reads it is told; not where it is read."""
    (app / "config.toml").write_text("")
    done = buvar(app, *verb.split())
    assert done.returncode == 2
    assert f"; config.toml is here: buvar {verb} -c config.toml" in text_of(done)
    done = buvar(app, *verb.split(), "-c", "config.toml")
    assert done.returncode == 2
    assert "; name one, or set plugins = […] in the table [buvar]" in text_of(done)


def test_what_looks_like_a_file_may_be_a_module(buvar, app):
    """A module called toml in a package is a plugin."""
    (app / "shop").mkdir()
    (app / "shop" / "toml.py").write_text("async def prepare():\n    print('it runs')\n")
    assert buvar(app, "run", "shop.toml").stdout == "it runs\n"


def test_all_that_is_wrong_in_a_file_is_told_at_once(buvar, app):
    """Each problem of the table [buvar] is named with its line."""
    (app / "c.toml").write_text('[buvar]\nplugins = ["app"]\nworker = 2\n[buvar.timeouts]\nstart = "soon"\n')
    done = buvar(app, "run", "-c", "c.toml")
    assert done.returncode == 2
    assert "buvar.timeouts.start: expected a number, got 'soon' (c.toml:5)" in text_of(done)
    assert "buvar.worker: unknown key; did you mean 'workers'? (c.toml:3)" in text_of(done)


def test_a_file_that_does_not_parse_is_told(buvar, app):
    """The message has file, line and column."""
    (app / "c.toml").write_text('[buvar]\nplugins = ["app"\nworkers = 2\n')
    done = buvar(app, "run", "-c", "c.toml")
    assert (done.returncode, text_of(done)) == (2, "error: does not parse as TOML: Unclosed array (c.toml:3:1)")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failing_prepare_exits_with_1(buvar, app, workers):
    """The error is told with the plugin and the line, not with a traceback unless one is asked for."""
    done = buvar(app, "run", "app:fails", "--workers", workers)
    assert done.returncode == 1
    assert done.stderr.count("ValueError: no database") == 1
    assert "while preparing plugin app:fails" in done.stderr
    assert "app.py:23 in fails" in done.stderr
    assert "Traceback" not in done.stderr
    again = buvar(app, "run", "app:fails", "--workers", workers, "--traceback")
    assert again.returncode == 1
    assert "Traceback" in again.stderr


@pytest.mark.parametrize(
    ("plugin", "told"),
    [("breaks", "error: BrokenPipeError: [Errno 32] Broken pipe"), ("asks", "error: UsageError: no name")],
)
def test_an_error_that_click_knows_is_told_as_that_of_a_plugin(buvar, app, plugin, told):
    """A pipe that breaks, or click's own error, is none of the command's where a plugin raises it."""
    done = buvar(app, "run", f"app:{plugin}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{told}\nwhile preparing plugin app:{plugin}\n")
    assert f"in {plugin}" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_crash_exits_with_1(buvar, app, workers):
    """A task that fails is logged, and the exit code is 1, in one process and in many."""
    done = buvar(app, "run", "app:crashes", "--workers", workers)
    assert done.returncode == 1
    assert '"event": "task failed", "task": "crashes.<locals>.crash", "plugin": "app:crashes"' in done.stderr
    assert text_of(done) == ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_task_that_cannot_be_exits_with_2(buvar, app, workers):
    """A task that fails because of what was configured, here an address of another machine, is wrong use."""
    done = buvar(app, "run", "app:binds", "--workers", workers)
    assert done.returncode == 2
    assert "cannot listen on tcp://192.0.2.1:0: this machine has no such address" in done.stderr


def test_a_task_that_somebody_cancels_exits_with_1(buvar, app):
    """A task that was cancelled, and not by the stage, has failed."""
    done = buvar(app, "run", "app:cancels")
    assert done.returncode == 1
    assert "was cancelled, not by the stage" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_error_that_a_task_returns_is_a_result(buvar, app, workers):
    """Only an error that is raised fails the service."""
    assert buvar(app, "run", "app:returns", "--workers", workers).returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_error_inside_a_plugin_is_its_own(buvar, app, workers):
    """A module that is there and fails to import is not said to be missing: it is told what it misses; exit code 1."""
    done = buvar(app, "run", "broken", "--workers", workers)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in done.stderr
    assert "while importing 'broken'" in done.stderr
    assert "broken.py:1" in done.stderr


def test_a_circle_of_loads_is_told_and_runs(buvar, app):
    """Plugins that load each other in a circle are a warning with the path."""
    done = buvar(app, "run", "app:circle")
    assert done.returncode == 0
    assert '"path": "app:back -> app:circle' in done.stderr


def test_an_address_in_use_is_one_clear_line(buvar, app):
    """The line names the address and says what to do; the exit code is 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = buvar(app, "run", "app:serve", "--workers", "2", "--bind", uri)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: cannot listen on {uri}: the address is in use; stop the process that has it, or choose another port\n"
    )


def test_the_strongest_setting_wins(buvar, app):
    """An option beats --set, that the environment, that a later file, and that an earlier one."""
    (app / "a.toml").write_text('[buvar]\nplugins = ["app:tells"]\nworkers = 9\n[shop]\na = 1\nb = 1\nc = 1\n')
    (app / "b.toml").write_text("[shop]\nb = 2\nc = 2\n")
    done = buvar(
        app, "run", "-c", "a.toml", "-c", "b.toml", "--set", "shop.c=3", "--workers", "1", APP_BUVAR_WORKERS="8"
    )
    assert done.returncode == 0
    assert done.stdout == 'asyncio.unix_events {"a": 1, "b": 2, "c": 3}\n'


def test_the_environment_sets_the_workers(buvar, app):
    """APP_BUVAR_WORKERS is read, or what env_prefix says instead of APP."""
    done = buvar(app, "run", "app:tells", APP_BUVAR_WORKERS="3")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    (app / "c.toml").write_text('[buvar]\nenv_prefix = "MINE"\nplugins = ["app:tells"]\n')
    done = buvar(app, "run", "-c", "c.toml", MINE_BUVAR_WORKERS="2", APP_BUVAR_WORKERS="3")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    done = buvar(app, "run", "app:tells", APP_BUVAR_WORKERS="two")
    assert done.returncode == 2
    assert "environment variable APP_BUVAR_WORKERS" in text_of(done)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_loop_is_chosen(buvar, app, workers):
    """--loop uvloop runs uvloop in every process."""
    pytest.importorskip("uvloop")
    done = buvar(app, "run", "app:tells", "--loop", "uvloop", "--workers", workers)
    assert done.returncode == 0
    assert done.stdout == "uvloop null\n" * int(workers)


def test_help_and_version_are_there(buvar, app):
    """--help names the options, --version the version; an unknown verb is wrong use."""
    done = buvar(app, "run", "--help")
    assert done.returncode == 0
    for option in ("--config", "--set", "--workers", "--bind", "--loop", "--traceback"):
        assert option in done.stdout
    assert buvar(app, "rum").returncode == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_service_stops_in_peace(run_service, app, workers, signum):
    """TERM, and Ctrl-C to the whole group, finish what is in flight, remove the socket file and exit with 0."""
    with tempfile.TemporaryDirectory() as folder:
        (app / "c.toml").write_text(f"""
[buvar]
plugins = ["app:serve"]
workers = {workers}
sockets = ["unix://{folder}/s?mode=600"]
""")
        command = [
            sys.executable,
            "-W",
            "error",
            "-m",
            "buvar",
            "run",
            "-c",
            "c.toml",
            "--set",
            "buvar.log.level=debug",
        ]
        service = run_service(command=command)
        service.await_event("running tasks", workers)
        with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
            file.write("slow\n")
            file.flush()
            service.kill_group(signum)
            assert file.readline().endswith("slow\n")
        assert service.wait() == 0
        assert service.plain == []
        assert os.listdir(folder) == []


def test_a_socket_file_goes_after_a_failed_start(buvar, app):
    """Where the start fails the file goes too."""
    with tempfile.TemporaryDirectory() as folder:
        for workers in ("1", "2"):
            assert buvar(app, "run", "app:fails", "--workers", workers, "--bind", f"unix://{folder}/s").returncode == 1
            assert os.listdir(folder) == []
