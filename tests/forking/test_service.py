"""A service as its host sees it: the service manager, the pid file, the user, the control socket, slots."""

import json
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import tempfile

import psutil
import pytest

from buvar import errors
from buvar.forking import client

pytestmark = pytest.mark.slow

root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
FORK = "fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])\n"


@pytest.fixture
def folder():
    """A folder with a short name, which all can enter: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        yield path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# -- the service manager


class Manager:
    """A service manager: what it was told so far, in order."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)
        self.environ = {"NOTIFY_SOCKET": str(path)}

    def told(self, what):
        """Wait for a message that begins with *what*, and return the messages that came before it."""
        before = []
        while not (message := self.socket.recv(4096).decode()).startswith(what):
            before.append(message)
        return before


@pytest.fixture
def manager(folder):
    """A service manager that listens."""
    manager = Manager(folder / "notify")
    yield manager
    manager.socket.close()


def test_the_manager_is_told_of_the_start_a_reload_and_the_stop(run_service, manager, tmp_path):
    """READY when all workers are ready, again after each reload, be it done or given up; STOPPING at the end."""
    service = run_service("# change\n" + FORK, env=manager.environ)
    assert manager.told("READY=1") == []
    service.await_event("worker ready", 2)
    service.kill(signal.SIGHUP)
    assert manager.told("RELOADING=1") == []
    assert manager.told("READY=1") == []
    service.await_event("reloaded")
    edit(tmp_path / "service0.py", "# change", "raise SystemExit('broken')")
    service.kill(signal.SIGHUP)
    assert manager.told("RELOADING=1") == []
    assert manager.told("READY=1") == []
    service.kill(signal.SIGTERM)
    assert manager.told("STOPPING=1") == []
    assert service.wait() == 0


def test_the_manager_is_not_known_to_workers(run_service, manager):
    """Neither workers nor what they start may speak for the service."""
    service = run_service(
        """
async def tell(cancel: plugin.Cancel):
    log.structlog.get_logger().info("environment", notify=os.environ.get("NOTIFY_SOCKET"))
    yield cancel.wait()
fork.stage(serve, tell, forks=2, sockets=["tcp://127.0.0.1:0"])
""",
        env=manager.environ,
    )
    assert [each["notify"] for each in service.await_event("environment", 2)] == [None, None]
    assert service.stop() == 0


def test_one_process_tells_the_manager_too(run_service, manager):
    """A service that forks nothing is ready and lives like any other."""
    service = run_service(
        "fork.stage(serve, forks=1, sockets=['tcp://127.0.0.1:0'])",
        env={**manager.environ, "WATCHDOG_USEC": "200000"},
    )
    assert set(manager.told("READY=1")) <= {"WATCHDOG=1"}
    assert manager.told("WATCHDOG=1") == []
    service.kill(signal.SIGTERM)
    assert set(manager.told("STOPPING=1")) <= {"WATCHDOG=1"}
    assert service.wait() == 0


def test_the_watchdog_is_served(run_service, manager):
    """Also while nothing else happens."""
    service = run_service(FORK, env={**manager.environ, "WATCHDOG_USEC": "200000"})
    manager.told("READY=1")
    for _ in range(3):
        manager.told("WATCHDOG=1")
    assert service.stop() == 0


# -- the pid file


def test_the_pid_file_is_there_as_long_as_the_service(run_service, folder):
    """It has the supervisor's pid, also after a reload, keeps a second start away, and is gone in the end."""
    path = folder / "pid"
    script = f"fork.stage(serve, forks=2, pid_file='{path}', sockets=['tcp://127.0.0.1:0'])"
    service = run_service(script)
    service.ready()
    assert path.read_text() == f"{service.pid}\n"
    service.kill(signal.SIGHUP)
    service.await_event("reloaded")
    assert path.read_text() == f"{service.pid}\n"
    second = run_service(script)
    assert second.wait() == 1
    assert f"process {service.pid}" in second.log
    assert path.read_text() == f"{service.pid}\n"
    assert service.stop() == 0
    assert not path.exists()


# -- the user


@root
def test_workers_become_the_user_and_the_supervisor_does_not(run_service, folder):
    """Workers of every generation run as the user, and the files of unix sockets are its own."""
    nobody = pwd.getpwnam("nobody")
    path = folder / "socket"
    service = run_service(f"fork.stage(serve, forks=2, user='nobody', sockets=['unix://{path}?mode=600'])")
    pids = service.ready()
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (nobody.pw_uid, 0o600)
    for _ in range(2):
        for pid in pids.values():
            assert set(psutil.Process(pid).uids()) == {nobody.pw_uid}
        assert psutil.Process(service.pid).uids().real == 0
        assert run_service.ask(f"unix://{path}")[0] in pids.values()
        if not service.events("reloading"):
            service.kill(signal.SIGHUP)
            service.await_event("reloaded")
            service.await_crew(2)
            pids = service.workers()
    service.kill(signal.SIGKILL)
    service.wait()
    service.await_nobody_left()


def test_an_unknown_user_is_no_start(run_service):
    """It is told before anything is bound or forked."""
    service = run_service("fork.stage(serve, forks=2, user='nobodi', sockets=['tcp://127.0.0.1:0'])")
    assert service.wait() == 1
    assert "cannot run as user 'nobodi'" in service.log
    assert service.events("listening") == []


# -- the control socket


def test_a_service_answers_at_its_control_socket(run_service, folder):
    """It tells what it is, before and after a reload that it was asked for, and stops when it is told to."""
    path = folder / "control"
    service = run_service(f"fork.stage(serve, forks=2, control='{path}', sockets=['tcp://127.0.0.1:0'])")
    pids = service.ready()
    found = client.ask(path, {"do": "status"}, 10)
    assert {each["pid"] for each in found["workers"]} == set(pids.values())
    assert (found["supervisor"]["pid"], found["supervisor"]["wanted"]) == (service.pid, 2)
    assert found["supervisor"]["sockets"] == [{"uri": "tcp://127.0.0.1:0", "address": service.address}]
    assert client.ask(path, {"do": "reload"}, 10)["supervisor"]["generation"] == 1
    service.await_event("reloaded")
    found = client.ask(path, {"do": "status"}, 10)
    assert found["supervisor"]["generation"] == 2
    assert (found["supervisor"]["last_reload"]["ok"], found["supervisor"]["restarts"]) == (True, 0)
    assert {found["supervisor"]["fork_server"]} == service.fork_servers()
    with pytest.raises(errors.ControlError, match="cannot do 'dance'"):
        client.ask(path, {"do": "dance"}, 10)
    client.ask(path, {"do": "stop"}, 10)
    assert service.wait() == 0
    assert not path.exists()


def test_the_verbs_find_the_service(run_service, tmp_path):
    """buvar status, reload and stop, without a word about where it is."""
    (tmp_path / "shop.py").write_text(run_service.serve)
    env = {**os.environ, "BUVAR_CONTROL_FOLDER": str(tmp_path / "c")}
    buvar = [sys.executable, "-m", "buvar"]
    command = [*buvar, "run", "shop:serve", "--workers", "2", "--bind", "tcp://127.0.0.1:0"]
    with tempfile.TemporaryDirectory() as short:
        env["BUVAR_CONTROL_FOLDER"] = f"{short}/c"
        service = run_service(command=command, env=env)
        service.ready()

        def verb(*arguments, code=0):
            done = subprocess.run([*buvar, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == code, done.stderr
            return done.stdout + done.stderr

        assert f"pid {service.pid}, running, generation 1" in verb("status")
        assert json.loads(verb("status", "--json"))["supervisor"]["wanted"] == 2
        assert "reloaded, generation 2" in verb("reload")
        edit(tmp_path / "shop.py", "import asyncio", "import nowhere_at_all, asyncio")
        assert "No module named 'nowhere_at_all'" in verb("reload", code=1)
        assert "stopped" in verb("stop")
        assert service.wait() == 0


# -- the number of workers


def test_workers_come_and_go_by_signals(run_service):
    """TTIN is one more, TTOU one less, but never none."""
    service = run_service(FORK)
    first = service.ready()
    service.kill(signal.SIGTTIN)
    service.await_event("worker ready", 3)
    assert set(service.workers()) == {0, 1, 2}
    for number in (2, 1):
        service.kill(signal.SIGTTOU)
        service.await_event("changing the number of workers", workers=number)
        service.await_event("worker stopped", 3 - number)
    service.kill(signal.SIGTTOU)
    service.kill(signal.SIGUSR1)
    service.await_event("forwarding a signal")
    assert run_service.ask(service.address)[0] == first[0]
    assert [each["worker"] for each in service.events("worker stopped")][1] == first[1]
    assert service.stop() == 0


# -- slots


SLOTS = "fork.stage(serve, forks=2, accept='slots', sockets=['tcp://127.0.0.1:0'])\n"


def test_each_slot_has_a_queue_of_its_own(run_service):
    """Connections are spread over the workers, and all are served, through deaths and reloads."""
    service = run_service(SLOTS)
    pids = service.ready()
    assert {run_service.ask(service.address)[0] for _ in range(60)} == set(pids.values())
    os.kill(pids[0], signal.SIGKILL)
    service.await_event("worker ready", 3)
    assert {run_service.ask(service.address)[0] for _ in range(60)} == set(service.workers().values())
    service.kill(signal.SIGHUP)
    service.await_event("reloaded")
    service.await_crew(2)
    assert {run_service.ask(service.address)[0] for _ in range(60)} == set(service.workers().values())
    service.kill(signal.SIGTTIN)
    service.await_event("worker ready", 6)
    assert len({run_service.ask(service.address)[0] for _ in range(100)}) == 3
    service.kill(signal.SIGTTOU)
    service.await_event("changing the number of workers", workers=2)
    service.await_crew(2)
    assert {run_service.ask(service.address)[0] for _ in range(60)} == set(service.workers().values()) - {
        each["worker"] for each in service.events("worker stopped")
    }
    assert service.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        run_service.connect(service.address)


def test_what_waits_for_a_slot_waits_for_its_next_worker(run_service):
    """The queue of a worker that died is served by its successor: nobody who waits is reset."""
    service = run_service(SLOTS)
    pids = service.ready()
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    waiting = [run_service.connect(service.address) for _ in range(20)]
    for each in waiting:
        each.sendall(b"hello\n")
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    for each in waiting:
        with each, each.makefile() as file:
            assert file.readline().endswith("hello\n")
    assert service.stop() == 0


def test_an_address_that_another_service_has_is_not_shared(run_service):
    """Slots could share it with anybody of this user; they are refused, as one socket would be."""
    service = run_service(SLOTS)
    service.ready()
    second = run_service(SLOTS.replace("tcp://127.0.0.1:0", service.address))
    assert second.wait() == 1
    assert "the address is in use" in second.log
    assert service.stop() == 0


# -- faults


def test_a_worker_that_forks_itself_leaves_nobody(run_service):
    """A child of a worker that holds all of its descriptors keeps neither the supervisor nor the addresses."""
    service = run_service("""
async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
    await load(serve)
    if not os.fork():
        os.setsid()
        time.sleep(3)
        os._exit(0)
    yield cancel.wait()
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    assert service.stop() == 0


def test_a_worker_killed_while_it_drains_is_told(run_service):
    """Its replacement serves already; the service goes on."""
    service = run_service(FORK)
    service.ready()
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("hello\n")
        file.flush()
        pid = int(file.readline().split()[0])
        file.write("sleep 30\n")
        file.flush()
        service.kill(signal.SIGHUP)
        service.await_event("retiring worker", worker=pid)
        os.kill(pid, signal.SIGKILL)
        assert service.await_event("worker failed while stopping", worker=pid)["signal"] == "SIGKILL"
    service.await_event("reloaded")
    service.await_crew(2)
    assert run_service.ask(service.address)[0] in service.workers().values()
    assert service.stop() == 0


def test_a_second_term_does_not_cut_the_end_short(run_service):
    """What a worker has printed is written out also where it is told to stop again at its very end."""
    service = run_service("""
import logging

class Late(logging.NullHandler):
    def flush(self):  # what the end of a process calls, when the stage is over
        os.kill(os.getpid(), signal.SIGTERM)

async def tells():
    logging.getLogger().addHandler(Late())
    print("hello")

fork.stage(serve, tells, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    assert service.stop() == 0
    assert service.stdout == "hello\n" * 2
