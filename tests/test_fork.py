"""The words of forking: a stage in one process or in many, and who each process is."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from buvar import context, errors, fork, plugin
from buvar.components import Components


@pytest.fixture
def folder():
    """A folder with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield name


# -- one process


def test_one_worker_is_not_forked(folder):
    """With one worker the stage runs here, with its sockets, and its results are returned."""
    seen = {}

    async def prepare():
        seen.update(context.find(fork.Socket), fork=context.get(fork.Fork))

        async def task():
            return os.getpid()

        yield task()

    former = signal.getsignal(signal.SIGTERM)
    assert fork.stage(prepare, forks=1, sockets=["tcp://127.0.0.1:0", f"unix://{folder}/s"]) == [os.getpid()]
    who = seen.pop("fork")
    assert (who.number, who.workers, who.slot, who.pid, who.ppid, who.is_child) == (
        1, 1, 0, os.getpid(), os.getppid(), False,
    )  # fmt: skip
    assert len(seen) == 3
    assert len(set(map(id, seen.values()))) == 2
    assert all(each.fileno() == -1 for each in seen.values())
    assert os.listdir(folder) == []
    assert signal.getsignal(signal.SIGTERM) is former


def test_components_come_along():
    """The components that are passed are there for the plugins, and get the Fork."""
    components = Components()
    components.add("hello")

    async def prepare():
        async def task():
            return context.get(str)

        return task()

    assert fork.stage(prepare, components=components, forks=1) == ["hello"]
    assert components.get(fork.Fork).workers == 1


def test_an_error_in_one_process_is_raised(folder):
    """With one worker a failed prepare raises what it raised, and the socket files are gone."""

    async def prepare():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fork.stage(prepare, forks=1, sockets=[f"unix://{folder}/s"])
    assert os.listdir(folder) == []


def test_a_failed_task_ends_the_one_process_where_that_is_asked_for(folder):
    """With *exits* one process ends as several do: by SystemExit, when all is taken down."""

    async def prepare():
        async def fails():
            raise ValueError

        yield fails()

    (result,) = fork.stage(prepare, forks=1)
    assert isinstance(result, ValueError)
    with pytest.raises(SystemExit) as caught:
        fork.stage(prepare, forks=1, exits=True, sockets=[f"unix://{folder}/s"])
    assert caught.value.code == 1
    assert os.listdir(folder) == []


def test_a_wrong_socket_is_raised_first():
    """A URI that is none, or an address in use, is an error before anything runs."""

    async def prepare():
        raise AssertionError

    with pytest.raises(errors.SocketURIError):
        fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0", "nonsense"])
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(errors.SocketError, match="in use"):
        fork.stage(prepare, forks=2, sockets=[f"tcp://127.0.0.1:{taken.getsockname()[1]}"])


def test_an_unknown_module_to_preload_is_told():
    """The name of a module to preload is looked up as a plugin's is."""
    with pytest.raises(errors.NameNotFoundError, match="did you mean 'json'"):
        fork.stage(forks=2, preload=["jsom"])


def test_zero_means_one_for_each_cpu():
    """Fork(0) has as many workers as the process may use CPUs; less than none there cannot be."""
    assert fork.Fork().workers == fork.Fork(0).workers == len(os.sched_getaffinity(0))
    assert fork.Fork(3).workers == 3
    with pytest.raises(ValueError):
        fork.Fork(-1)


def test_fork_run_with_one_worker_calls():
    """Fork(1).run calls the function here and returns its result."""
    assert fork.Fork(1).run(divmod, 7, 2) == (3, 1)


# -- many


def test_fork_run_calls_in_every_worker(run_service):
    """Fork.run calls the function once in each worker; it returns None, once."""
    service = run_service("""
who = fork.Fork(3)
def work(greeting, *, name):
    print(greeting, name, who.slot, who.is_child, who.pid == os.getpid(), who.ppid == os.getppid() != os.getpid())
print("begin")
print(who.run(work, "hello", name="you"), who.is_child)
""")
    assert service.wait() == 0
    lines = service.stdout.splitlines()
    assert lines[0] == "begin"
    assert sorted(lines[1:-1]) == [f"hello you {slot} True True True" for slot in range(3)]
    assert lines[-1] == "None False"


def test_fork_run_tells_of_a_failure(run_service):
    """The error of a function that fails in a worker is logged with its words, and the worker replaced."""
    service = run_service("""
who = fork.Fork(2)
def work():
    if who.slot == 0 and not os.path.exists("failed"):
        open("failed", "w").close()
        raise ValueError("not today")
    time.sleep(60)
who.run(work)
""")
    assert service.await_event("worker died, replacing it")["error"].startswith("ValueError: not today")
    assert service.stop() == 0
    assert service.plain == []


def test_workers_know_who_they_are(run_service):
    """Each worker has its slot, its pid, its parent's and the sockets, by the URI asked for and by the real one."""
    service = run_service("""
async def prepare(cancel: plugin.Cancel):
    who = context.get(fork.Fork)
    facts = {"slot": who.slot, "own": who.pid == os.getpid(), "parent": who.ppid, "child": who.is_child}
    sockets = {name: sock.getsockname()[1] for name, sock in context.find(fork.Socket).items()}
    log.structlog.get_logger().info("I am", **facts, workers=who.workers, sockets=sockets)
    yield cancel.wait()
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    told = service.await_event("I am", 2)
    port = int(service.address.rpartition(":")[2])
    service.ready()
    sockets = {"tcp://127.0.0.1:0": port, service.address: port}
    for slot, each in enumerate(sorted(told, key=lambda each: each["slot"])):
        assert (each["slot"], each["own"], each["parent"], each["child"]) == (slot, True, service.pid, True)
        assert (each["workers"], each["sockets"]) == (2, sockets)
    assert service.stop() == 0


def test_a_worker_never_returns_to_the_caller(run_service):
    """The caller's code after the stage, its finally and its atexit run once, and what it printed is out once."""
    service = run_service("""
import atexit
atexit.register(print, "atexit")
print("before")
async def prepare():
    print("prepared")
try:
    assert fork.stage(prepare, forks=2) is None
finally:
    print("finally")
print("after")
""")
    assert service.wait() == 0
    assert service.stdout.splitlines() == ["before", "prepared", "prepared", "finally", "after", "atexit"]


def test_a_failed_service_raises_system_exit(run_service):
    """Where the workers cannot start, the stage raises SystemExit with the exit code."""
    service = run_service("""
async def prepare():
    raise ValueError
try:
    fork.stage(prepare, forks=2)
except SystemExit as error:
    print("exit", error.code)
""")
    assert service.wait() == 0
    assert service.stdout == "exit 1\n"


@pytest.mark.parametrize("loop", ["asyncio.new_event_loop()", "uvloop.new_event_loop()"])
def test_workers_have_a_loop_of_their_own(run_service, loop):
    """A loop that is passed is not used after the fork; each worker makes one of its type."""
    pytest.importorskip(loop.partition(".")[0])
    service = run_service(f"""
import {loop.partition(".")[0]}
loop = {loop}
async def prepare():
    mine = asyncio.get_running_loop()
    print(type(mine) is type(loop), mine is loop)
fork.stage(prepare, forks=2, loop=loop)
loop.close()
""")
    assert service.wait() == 0
    assert service.stdout == "True False\n" * 2


def test_the_file_of_a_unix_socket_lives_as_long_as_the_service(run_service, folder):
    """The death of a worker leaves the file alone, the stop removes it, and all clients are served until then."""
    service = run_service(f"fork.stage(serve, forks=2, sockets=['unix://{folder}/s?mode=600'])")
    pids = service.ready()
    assert service.address == f"unix://{folder}/s"
    assert os.stat(f"{folder}/s").st_mode & 0o777 == 0o600
    for signum in (signal.SIGKILL, signal.SIGTERM):
        os.kill(pids[0], signum)
        service.await_event("worker died, replacing it", worker=pids[0])
        assert run_service.ask(service.address)[1] == "hello"
        service.await_event("worker ready", 3 + (signum == signal.SIGTERM))
        pids = service.workers()
    assert service.stop() == 0
    assert os.listdir(folder) == []


def test_a_file_of_a_killed_service_is_no_hindrance(run_service, folder):
    """Where the supervisor was killed, its file is stale and the next start takes the path over."""
    script = f"fork.stage(serve, forks=2, sockets=['unix://{folder}/s'])"
    first = run_service(script)
    first.ready()
    second = run_service(script)
    assert second.wait() == 1
    assert "another process listens on it" in second.log
    first.stop(signal.SIGKILL)
    first.await_nobody_left()
    third = run_service(script)
    third.ready()
    assert run_service.ask(third.address)[1] == "hello"
    assert third.stop() == 0


@pytest.mark.parametrize("asked", ["", "fd://3", "tcp://127.0.0.1:{port}", "tcp://127.0.0.1:0"])
def test_sockets_of_a_service_manager_are_served(run_service, tmp_path, asked):
    """LISTEN_FDS comes on top of what is asked for, in place of a socket of the same address; no worker sees it."""
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        script = tmp_path / "managed.py"
        script.write_text(f"""{run_service.serve}
async def tell():
    names = [name for name in os.environ if name.startswith("LISTEN_")]
    log.structlog.get_logger().info("sees", names=names, sockets=sorted(context.find(fork.Socket)))
fork.stage(serve, tell, forks=2, sockets={[asked.format(port=port)] if asked else []})
""")
        launch = f"""
import os, sys
os.dup2({theirs.fileno()}, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(sys.executable, [sys.executable, "-W", "error", {str(script)!r}])
"""
        service = run_service(command=[sys.executable, "-c", launch], pass_fds=[theirs.fileno()])
        service.ready()
        theirs.close()
        sees = service.await_event("sees", 2)[0]
        own = {asked} if asked.endswith(":0") else set()
        assert sees["names"] == []
        assert {"fd://3", f"tcp://127.0.0.1:{port}"} <= set(sees["sockets"])
        assert own <= set(sees["sockets"])
        assert len(service.events("listening")) == 1 + len(own)
        assert run_service.ask(f"tcp://127.0.0.1:{port}")[1] == "hello"
        assert service.stop() == 0
        assert service.plain == []


def test_the_stage_of_a_thread_needs_one_process():
    """Only the main thread can supervise; a stage in one process runs in any."""
    code = """
import threading
from buvar import fork
async def prepare():
    return None
thread = threading.Thread(target=lambda: print(fork.stage(prepare, forks=1)))
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_one_worker_is_as_calm_as_several():
    """Signals that nobody handles do nothing in one process either, and its own handlers are back afterwards."""
    names = [signal.Signals[f"SIG{name}"] for name in ("HUP", "QUIT", "ABRT", "WINCH", "USR1", "USR2", "TTIN", "TTOU")]
    former = [signal.getsignal(each) for each in names]

    async def prepare():
        async def task():
            for each in names:
                os.kill(os.getpid(), each)
                await asyncio.sleep(0.01)
            return "calm"

        yield task()

    assert fork.stage(prepare, forks=1) == ["calm"]
    assert [signal.getsignal(each) for each in names] == former


def test_plugin_signals_are_passed_on():
    """A Signals subclass is the one of the stage."""

    class Handlers(plugin.Signals):
        pass

    seen = []

    async def prepare():
        seen.append(type(context.get(plugin.Signals)))

    fork.stage(prepare, forks=1, signals=Handlers)
    assert seen == [Handlers]


@pytest.mark.parametrize("forks", [1, 2])
def test_a_ready_worker_spares_the_collector(run_service, forks):
    """What the start has left is frozen, and the collector looks at young objects less often; so in a lone process."""
    service = run_service(f"""
import gc
async def prepare(ready: plugin.Ready):
    async def tell():
        await ready.wait()
        print(gc.get_freeze_count() > 10_000, gc.get_threshold()[0], flush=True)
    yield tell()
fork.stage(prepare, forks={forks}, exits=True)
""")
    assert service.wait() == 0
    assert service.stdout == "True 5000\n" * forks
