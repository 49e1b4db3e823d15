"""A service that cannot start says why, once, and is gone: no orphan, no file, the right exit code."""

import os
import tempfile

import pytest

pytestmark = pytest.mark.slow

FAILED = "worker failed to start, stopping"


@pytest.fixture
def folder():
    """A folder with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield name


@pytest.mark.parametrize(
    ("body", "code", "facts", "error"),
    [
        ("raise ValueError('no database')", 1, {"exit": 1}, "ValueError: no database"),
        ("os._exit(5)", 1, {"exit": 5}, None),
        ("os.kill(os.getpid(), 9)", 1, {"signal": "SIGKILL"}, None),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 1, {"signal": "SIGSEGV"}, None),
        ("sys.exit(3)", 1, {"exit": 3}, "SystemExit: 3"),
        ("sys.exit(0)", 1, {"exit": 0}, "SystemExit: 0"),
        ("await load('broken')", 1, {"exit": 1}, "ZeroDivisionError: division by zero"),
        ("await load('needy')", 1, {"exit": 1}, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        (
            "await load('goood')",
            2,
            {"exit": 2},
            "'goood' was not found: no module 'goood' on the import path; did you mean 'good'?",
        ),
        ("await load('empty')", 2, {"exit": 2}, "empty is not a plugin: the module has no function 'prepare'"),
        ("raise errors.ConfigError('shop.port: too high')", 2, {"exit": 2}, "shop.port: too high"),
        ("await asyncio.sleep(60)", 1, {"exit": 1}, "not started after 1 s, still preparing: __main__"),
    ],
)
def test_a_failed_start_is_told_once(run_service, tmp_path, folder, body, code, facts, error):
    """Whatever goes wrong in the first start, there is one message, the exit code, and nothing is left."""
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "needy.py").write_text("import nowhere_to_be_found")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "good.py").write_text("async def prepare(): pass")
    service = run_service(f"""
from buvar import errors
async def prepare(load: plugin.Loader):
    {body}
print("started")
try:
    fork.stage(prepare, forks=2, sockets=["unix://{folder}/s"], start_timeout=1, shutdown_timeout=20)
finally:
    print("ended")
""")
    assert service.wait() == code
    (told,) = service.events(FAILED)
    assert facts.items() <= told.items()
    assert told.get("error", "").startswith(error or "")
    assert ("error" in told) == ("exception" in told) == (error is not None)
    assert service.plain == []
    assert service.stdout == "started\nended\n"
    assert len(service.events("worker forked")) <= 2
    assert os.listdir(folder) == []
    service.await_nobody_left()


def test_a_task_that_fails_at_once_is_a_failed_start(run_service):
    """A worker whose task fails in its first step was never ready."""
    service = run_service("""
async def fail():
    raise ValueError("cannot begin")
async def prepare():
    yield fail()
fork.stage(prepare, forks=2)
""")
    assert service.wait() == 1
    assert service.events("worker ready") == []
    assert "cannot begin" in service.await_event(FAILED)["error"]


def test_a_hold_that_is_not_released_is_not_ready(run_service):
    """A worker is ready when nobody holds it back any more; one that fails before that has failed to start."""
    service = run_service("""
async def begin(hold):
    await asyncio.sleep(0.2)
    raise OSError("cannot listen")
async def prepare(ready: plugin.Ready):
    return begin(ready.hold("server"))
fork.stage(prepare, forks=2)
""")
    assert service.wait() == 1
    assert service.events("worker ready") == []
    assert "OSError: cannot listen" in service.await_event(FAILED)["error"]


def test_without_tracebacks_the_message_is_all(run_service):
    """tracebacks=False leaves the error in words, with the plugin and the line that raised it."""
    service = run_service("""
async def prepare():
    raise ValueError("no database")
fork.stage(prepare, forks=2, tracebacks=False)
""")
    assert service.wait() == 1
    told = service.await_event(FAILED)
    assert told["error"] == "ValueError: no database"
    preparing, place = told["exception"].splitlines()
    assert preparing.startswith("while preparing plugin")
    assert place.endswith(" in prepare")


def test_a_loop_that_cannot_be_made_is_a_failed_start(run_service):
    """What fails before the stage begins is told like all else."""
    service = run_service("""
def broken():
    raise RuntimeError("no loop today")
fork.stage(serve, forks=2, loop_factory=broken)
""")
    assert service.wait() == 1
    assert "no loop today" in service.await_event(FAILED)["error"]
    assert service.plain == []


def test_no_room_for_the_first_worker_is_the_end(run_service):
    """Where not even the first worker can be forked, the service says so and ends."""
    service = run_service("""
import resource
from buvar.forking import supervisor
class Full(supervisor.Supervisor):
    def _fill(self):
        used = len(os.listdir("/proc/self/fd")) - 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        return super()._fill()
sys.exit(Full(2, lambda post, report: 0).run())
""")
    assert service.wait() == 1
    assert "Too many open files" in service.await_event("cannot fork, stopping")["error"]


def test_an_output_that_nobody_reads_stops_nothing(run_service):
    """What the caller printed to a pipe that is closed is lost; the workers are forked all the same."""
    service = run_service("""
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
print("lost")
async def prepare():
    return None
fork.stage(prepare, forks=2)
os._exit(7)
""")
    assert service.wait() == 7
    assert len(service.events("worker finished")) == 2


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_an_address_in_use_leaves_nothing(run_service, folder, whose):
    """Where one of the sockets cannot be bound, SocketError is raised and the others are closed and removed."""
    service = run_service(f"""
import socket
with socket.socket(socket.AF_UNIX) as taken:
    taken.bind("{folder}/taken")
    taken.listen()
    try:
        fork.stage(serve, forks={1 if whose == "ours" else 2}, sockets=["unix://{folder}/s", "unix://{folder}/taken"])
    except OSError as error:
        print(error)
""")
    assert service.wait() == 0
    assert service.stdout == (
        f"cannot listen on unix://{folder}/taken: another process listens on it; "
        "stop that one, or choose another path\n"
    )
    assert os.listdir(folder) == ["taken"]
    assert service.plain == []
