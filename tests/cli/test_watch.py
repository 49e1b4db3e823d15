"""The watcher tells its supervisor of the files that count, and of nothing else, and lives as long as that does."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from buvar.cli import watch

pytestmark = pytest.mark.slow

PATIENCE = 20.0

PARENT = """
import json, select, structlog
from buvar.cli import watch

tell = structlog.get_logger("parent").info
signal.signal(signal.SIGHUP, lambda *_: tell("hup"))
signal.signal(signal.SIGINT, lambda *_: tell("int"))
"""
WAIT = """
while True:
    signal.pause()
"""


@pytest.fixture
def watched(run_service, tmp_path):
    """Start a process that watches ``start(…)`` and logs each HUP; wait until files are being watched."""

    def start(arguments="", before="", after="", folders=1):
        script = f"{PARENT}{before}\nwatcher = watch.start({arguments})\ntell('started', watcher=watcher.pid)\n"
        service = run_service(script + after + WAIT)
        if folders:
            service.await_event("watching files", folders)
        return service

    return start


def changed(service):
    """Return the files that were told to have changed."""
    return [file for event in service.events("files changed, reloading") for file in event["files"]]


def await_changed(service, *files):
    """Wait until those files were told to have changed; return all that were."""
    deadline = time.monotonic() + PATIENCE
    while not set(files) <= set(changed(service)):
        assert time.monotonic() < deadline, service.log
        time.sleep(0.01)
    return set(changed(service))


def put(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# -- what counts


@pytest.mark.parametrize("name", ["app.py", "shop/users.py", "config.toml", "fast.cpython-311-x86_64-linux-gnu.so"])
def test_a_changed_file_is_a_hup(watched, tmp_path, name):
    """A changed file of the service, in a new folder too, is named in the log, and the parent gets HUP."""
    service = watched()
    put(tmp_path / name)
    await_changed(service, name)
    service.await_event("hup")
    (tmp_path / name).unlink()
    service.await_event("files changed, reloading", 2)
    service.await_event("hup", 2)


IGNORED = [
    "data.db", "notes.txt", "app.pyc", ".app.py.swp", ".#app.py", "app.py~", "flycheck_app.py", "app_flymake.py",
    "__pycache__/app.py", ".git/hook.py", ".venv/lib/x.py", "env/lib/python3.11/site-packages/x.py",
    "node_modules/gyp/setup.py", "deep/.cache/x.py",
]  # fmt: skip


def test_what_does_not_count_is_ignored(watched, tmp_path):
    """Data, caches, virtual environments, hidden folders and what an editor writes beside a file do not count."""
    (tmp_path / "deep").mkdir()
    service = watched()
    for name in IGNORED:
        put(tmp_path / name)
    put(tmp_path / "app.py")
    await_changed(service, "app.py")
    put(tmp_path / "app.py")  # all that could come is older than this
    service.await_event("files changed, reloading", 2)
    assert set(changed(service)) == {"app.py"}
    service.await_event("hup", 2)
    assert len(service.events("hup")) == 2


def test_what_lies_above_is_of_no_account(run_service, tmp_path):
    """A service in a folder that is hidden itself is watched like any other."""
    folder = tmp_path / ".hidden" / "node_modules"
    folder.mkdir(parents=True)
    service = run_service(f"os.chdir({str(folder)!r})\n{PARENT}watch.start()\n{WAIT}")
    service.await_event("watching files")
    put(folder / "app.py")
    await_changed(service, "app.py")
    service.await_event("hup")


def test_more_is_looked_at_where_that_is_asked_for(watched, tmp_path):
    """A glob adds files by their names, one with folders by these; hidden files where it begins with a dot."""
    service = watched("include=['*.html', 'texts/*', '.env']")
    for name in ["other.txt", ".#index.html", ".git/index.html", ".envrc"]:
        put(tmp_path / name)
    names = {"shop/index.html", "texts/a.txt", ".env"}
    for name in names:
        put(tmp_path / name)
    assert await_changed(service, *names) == names


def test_other_folders_are_watched(watched, tmp_path, tmp_path_factory):
    """The folders that are given are watched as well as the current one, also where one lies within the other."""
    other = tmp_path_factory.mktemp("other")
    (tmp_path / ".inner").mkdir()
    service = watched(f"folders=[{str(other)!r}, '.inner']")
    names = {str(other / "shop" / "a.py"), ".inner/b.py", "c.py"}
    for name in names:
        put(tmp_path / name)
    assert await_changed(service, *names) == names


def test_a_package_that_is_moved_in_counts(watched, tmp_path, tmp_path_factory):
    """A folder that comes as a whole is one change, which counts if it holds code."""
    source = tmp_path_factory.mktemp("source")
    for name in ["data/x.txt", "cache/.git/x.py", "code/inner/x.py"]:
        put(source / name)
    service = watched()
    for name in ["data", "cache", "code"]:
        (source / name).rename(tmp_path / name)
    assert await_changed(service, "code/inner/x.py") == {"code/inner/x.py"}


@pytest.mark.parametrize("name", ["service.conf", ".service", "service.toml"])
def test_a_configuration_file_counts_wherever_it_is(watched, tmp_path, tmp_path_factory, name):
    """A configuration file elsewhere counts whatever its name, each time it is replaced, its neighbours do not."""
    folder = tmp_path_factory.mktemp("etc")
    put(folder / name)
    service = watched(f"files=[{str(folder / name)!r}]", folders=2)
    for number in range(1, 4):
        put(folder / "other.toml")
        put(folder / "inner" / name)
        put(folder / "new")
        (folder / "new").replace(folder / name)
        service.await_event("files changed, reloading", number)
    assert set(changed(service)) == {str(folder / name)}


def test_a_configuration_file_counts_behind_a_link(watched, tmp_path, tmp_path_factory):
    """Where the configuration is a link, both the link and what it leads to count."""
    real = tmp_path_factory.mktemp("etc") / "real.conf"
    put(real)
    (tmp_path / "link.conf").symlink_to(real)
    service = watched("files=['link.conf']", folders=2)
    put(real, "x")
    await_changed(service, str(real))
    (tmp_path / "new").symlink_to(real.with_name("other.conf"))
    (tmp_path / "new").replace(tmp_path / "link.conf")
    await_changed(service, "link.conf")


def test_a_burst_is_one_hup(watched, tmp_path):
    """Many files that are saved at once are one reload; the log names the first of them and counts the rest."""
    service = watched()
    watcher = psutil.Process(service.await_event("started")["watcher"])
    watcher.suspend()
    for number in range(25):
        put(tmp_path / f"app{number:02}.py")
    watcher.resume()
    event = service.await_event("files changed, reloading")
    assert event["files"] == [f"app{number:02}.py" for number in range(10)]
    assert event["more"] == 15
    service.await_event("hup")
    put(tmp_path / "last.py")
    await_changed(service, "last.py")
    service.await_event("hup", 2)
    assert len(service.events("hup")) == 2


# -- its life


def test_it_logs_as_the_service_does(run_service, tmp_path):
    """The watcher's lines are for a person where the service's are."""
    service = run_service(f"{PARENT}watch.start(tty=True)\n{WAIT}")
    deadline = time.monotonic() + PATIENCE
    while not any("watching files" in line for line in service.plain):
        assert time.monotonic() < deadline, service.log
        time.sleep(0.01)
    assert service.events("watching files") == []


def test_it_logs_as_little_as_the_service_does(run_service, tmp_path):
    """Where the service tells of errors alone, its watcher does so too."""
    service = run_service(f"{PARENT}watch.start(level='error')\n{WAIT}")
    deadline = time.monotonic() + PATIENCE
    while not service.events("hup"):
        assert time.monotonic() < deadline, service.log
        put(tmp_path / "app.py")
        time.sleep(0.1)
    assert service.events("watching files") == service.events("files changed, reloading") == []


@pytest.mark.parametrize("deaf", [False, True])
def test_it_dies_with_its_parent(watched, deaf):
    """Nobody is left where the parent is killed, also where the signal of its death is not heard."""
    service = watched(before="signal.signal(signal.SIGTERM, signal.SIG_IGN)" if deaf else "")
    service.kill(signal.SIGKILL)
    service.wait()
    service.await_nobody_left()


def test_it_is_ended(watched):
    """It is gone when it is stopped, and to stop it once more, or when it has died, does nothing."""
    service = watched(
        after="""
watcher.close()
tell("stopped", alive=watcher.is_alive())
watcher.close()
other = watch.start()
os.kill(other.pid, signal.SIGKILL)
os.waitpid(other.pid, 0)
other.close()
tell("all stopped")
""",
        folders=0,
    )
    pid = service.await_event("started")["watcher"]
    stopped = service.await_event("stopped")
    assert not psutil.pid_exists(pid)
    assert not stopped["alive"]
    service.await_event("all stopped")
    assert service.left() == []


def test_a_terminal_does_not_end_it(watched, tmp_path):
    """What a terminal sends to the whole group is the parent's to answer, from the watcher's first moment on."""
    service = watched(after="os.killpg(0, signal.SIGINT)")
    for signum in (signal.SIGINT, signal.SIGHUP):
        service.kill_group(signum)
    service.await_event("int", 2)
    service.await_event("hup")
    put(tmp_path / "app.py")
    await_changed(service, "app.py")
    service.await_event("hup", 2)
    assert service.plain == []


def test_it_holds_no_socket(watched):
    """Nothing that the parent has open is open in the watcher, even what it leaves to a program that it executes."""
    service = watched(
        before="""
import socket
sock = socket.create_server(("127.0.0.1", 0))
sock.set_inheritable(True)
"""
    )
    watcher = psutil.Process(service.await_event("started")["watcher"])
    assert watcher.net_connections() == []
    assert psutil.Process(service.pid).net_connections() != []


def test_files_of_the_service_do_not_stand_in_for_the_library(watched, tmp_path):
    """A service may have modules that are called like those of the standard library."""
    for name in ("click", "logging", "threading", "watchfiles"):
        put(tmp_path / f"{name}.py", "raise ImportError('mine')")
    service = subprocess.Popen(
        [sys.executable, "-P", "-c", "from buvar.cli import watch; import time; watch.start(); time.sleep(60)"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert json.loads(service.stderr.readline())["event"] == "watching files"
    finally:
        service.kill()
        service.communicate()


# -- what goes wrong


def run(tmp_path, code):
    command = [sys.executable, "-c", f"import os, sys\n{code}"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False)


def test_what_is_missing_is_told(tmp_path):
    """Without watchfiles there is one line that says how to get it, in the service and in the watcher."""
    missing = "sys.modules['watchfiles'] = None\nfrom buvar import errors\nfrom buvar.cli import watch\n"
    done = run(tmp_path, missing + "try: watch.start()\nexcept errors.UsageError as error: print(error)")
    assert done.stdout == "--reload needs watchfiles, which is not installed; pip install 'buvar[cli]'\n"
    done = run(tmp_path, missing + "watch.command([f'--parent={os.getppid()}', '.'])")
    assert done.returncode == 2
    assert done.stderr == "error: --reload needs watchfiles, which is not installed; pip install 'buvar[cli]'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folders": ["nope"]}, "cannot watch nope: there is no such folder; create it, or correct the path"),
        ({"include": [""]}, "--reload-include '' matches nothing; write a glob, as in '*.html'"),
    ],
)
def test_what_cannot_be_watched_is_told(arguments, message):
    """A folder that is not there, and a glob that is empty, are wrong use; nothing is started."""
    with pytest.raises(watch.errors.UsageError) as caught:
        watch.start(**arguments)
    assert str(caught.value) == message


def test_files_that_the_system_does_not_watch_are_told(tmp_path):
    """Where the system refuses to watch, the watcher says why and exits with 1."""
    done = run(
        tmp_path,
        """
import resource, watchfiles
from buvar.cli import watch
used, (_, hard) = len(os.listdir("/proc/self/fd")) - 1, resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
watch.command([f'--parent={os.getppid()}', '.'])
""",
    )
    assert done.returncode == 1
    event = json.loads(done.stderr)
    assert event["event"] == "cannot watch files"
    assert "Too many open files" in event["error"]


def test_its_death_is_told(run_service):
    """Who reaps the watcher can have it told, with what to do next."""
    service = run_service(f"""{PARENT}
watcher = watch.start()
watcher.died(-9)
watcher.died(1)
""")
    service.wait()
    killed, failed = service.events("watcher died, changed files are not noticed; send HUP to reload")
    assert (killed["signal"], failed["exit"]) == ("SIGKILL", 1)
    service.await_nobody_left()


# -- as `buvar run` uses it


def test_a_block_has_a_watcher_of_its_own(run_service):
    """The watcher runs inside of the block; who reaps it finds by its pid whom to tell."""
    service = run_service(f"""{PARENT}
with watch.watching(level="error") as children:
    (pid,) = children
    os.kill(pid, signal.SIGKILL)
    children[os.waitpid(pid, 0)[0]](-9)
with watch.watching() as children:
    (pid,) = children
    os.kill(pid, 0)
try:
    os.waitpid(pid, 0)
except ChildProcessError:
    tell("gone")
""")
    service.await_event("gone")
    assert service.wait() == 0
    assert service.await_event("watcher died, changed files are not noticed; send HUP to reload")["signal"] == "SIGKILL"
    assert service.left() == []


def test_a_trial_starts_none(run_service):
    """A new generation that is tried out finds out what is wrong, and watches nothing itself."""
    service = run_service(f"""{PARENT}
from buvar import errors
with watch.watching(trial=True) as children:
    tell("tried", children=children)
try:
    with watch.watching(folders=["nope"], trial=True):
        pass
except errors.UsageError as error:
    tell("refused")
""")
    assert service.await_event("tried")["children"] == {}
    service.await_event("refused")
    assert service.wait() == 0
