"""The fork server: makes the workers of a generation that the supervisor has not the code of, and may die itself."""

import os
import signal
import time

import psutil
import pytest

pytestmark = pytest.mark.slow

PATIENCE = 30.0

TELL = """
TEXT = "old"
async def tell():
    log.structlog.get_logger().info("told", text=TEXT)
"""
STAGE = "fork.stage(serve, tell, forks=2, sockets=['tcp://127.0.0.1:0'], start_timeout=5{})\n"


@pytest.fixture
def path(tmp_path):
    """The source of the service."""
    return tmp_path / "service0.py"


@pytest.fixture
def reloaded(run_service):
    """Start a service whose workers are those of a fork server; more arguments of `fork.stage` may be given."""

    def start(more="", script=TELL):
        service = run_service(script + STAGE.format(more))
        service.ready()
        service.kill(signal.SIGHUP)
        service.await_event("reloaded", generation=2)
        service.await_crew(2)
        return service

    return start


def server(service):
    """Return the fork server that there is."""
    (found,) = [each for each in service.left() if each.pid in service.fork_servers()]
    return found


def put(path, text):
    path.write_text(path.read_text().replace('"old"', text))


def test_workers_are_children_of_the_supervisor(reloaded):
    """It has adopted those that its fork server has made, so it sees how they end; the fork server is a child too."""
    service = reloaded()
    assert {each.ppid() for each in service.left()} == {service.pid}
    assert {each.pid for each in service.left()} == {*service.workers().values(), server(service).pid}
    pid = service.workers()[1]
    os.kill(pid, signal.SIGKILL)
    died = service.await_event("worker died, replacing it", worker=pid)
    assert (died["signal"], died["slot"]) == ("SIGKILL", 1)
    assert service.stop() == 0
    assert service.left() == []


def test_a_worker_that_is_replaced_runs_the_code_of_its_generation(reloaded, path):
    """What was saved since the reload is not read before the next one: workers of one generation are all alike."""
    service = reloaded()
    put(path, '"brand-new"')
    for pid in service.workers().values():
        os.kill(pid, signal.SIGKILL)
    service.await_event("worker ready", 6)
    assert len(service.events("told", text="old")) == 6
    assert service.events("told", text="brand-new") == []
    service.kill(signal.SIGHUP)
    service.await_event("told", 2, text="brand-new")
    assert service.stop() == 0


def test_it_holds_no_socket(reloaded, run_service):
    """Only the supervisor and the workers listen: when they stop clients are refused, whatever else still lives."""
    service = reloaded()
    assert server(service).net_connections("inet") == []
    assert run_service.ask(service.address)[0] in service.workers().values()
    assert service.stop() == 0


def test_there_is_one_at_a_time(reloaded):
    """That of a former generation is ended when the next one serves, and that of an aborted reload at once."""
    service = reloaded()
    first = server(service).pid
    service.kill(signal.SIGHUP)
    service.await_event("reloaded", generation=3)
    deadline = time.monotonic() + PATIENCE
    while psutil.pid_exists(first):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server(service).pid != first
    assert service.stop() == 0
    assert service.left() == []


def test_its_death_is_made_up_for(reloaded, run_service):
    """Its workers serve on, and a reload brings another one."""
    service = reloaded()
    pids = set(service.workers().values())
    server(service).kill()
    assert service.await_event("fork server died, reloading")["signal"] == "SIGKILL"
    assert run_service.ask(service.address)[0] in pids
    service.await_event("reloaded", generation=3)
    service.await_crew(2)
    os.kill(service.workers()[0], signal.SIGKILL)
    service.await_event("worker ready", 7)
    assert service.stop() == 0


def test_without_one_the_service_tries_again_until_the_code_is_good(reloaded, run_service, path):
    """Where the code cannot start, what serves goes on, and what is missing is made up for when it can."""
    service = reloaded()
    source = path.read_text()
    put(path, "None.nothing")
    server(service).kill()
    service.await_event("reload aborted, the old generation serves on", 2)
    os.kill(service.workers()[0], signal.SIGKILL)
    service.await_event("worker died, replacing it")
    assert run_service.ask(service.address)[0] == service.workers()[1]
    path.write_text(source)
    service.await_event("reloaded", generation=3)
    service.await_crew(2)
    assert service.stop() == 0


def test_one_that_does_nothing_is_killed(reloaded, run_service):
    """A worker that it was asked for and does not make is missed after the time for booting; a reload follows."""
    service = reloaded(", limits=fork.Limits(boot=4)")
    server(service).suspend()
    os.kill(service.workers()[0], signal.SIGKILL)
    service.await_event("worker hangs", worker=0)
    assert service.await_event("worker died, replacing it", 2)[1]["reason"] == "it was not forked"
    service.await_event("fork server died, reloading")
    service.await_event("reloaded", generation=3)
    service.await_crew(2)
    assert run_service.ask(service.address)[0] in service.workers().values()
    assert service.stop() == 0


def test_one_that_never_gets_so_far_is_given_up(run_service, path):
    """A command that hangs before it has anything to fork is killed, and the reload is over."""
    service = run_service(TELL + STAGE.format(", limits=fork.Limits(boot=4)"))
    pids = service.ready()
    put(path, "time.sleep(60)")
    service.kill(signal.SIGHUP)
    aborted = service.await_event("reload aborted, the old generation serves on")
    assert aborted["error"] == "the new generation is not ready after 4 s"
    assert service.workers() == pids
    assert service.stop() == 0
    assert service.left() == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_does_not_wait_for_one(reloaded, end):
    """One that hangs ends with the service, or with the supervisor's death, and a worker that it owes is not missed."""
    service = reloaded()
    server(service).suspend()
    os.kill(service.workers()[0], signal.SIGKILL)
    service.await_event("worker died, replacing it")
    service.kill(end)
    assert service.wait() == (0 if end == signal.SIGTERM else -end)
    service.await_nobody_left()


AT_FORK = """
depth = 0
def hang():
    global depth
    depth += 1
    while os.path.exists("hang") and depth == {depth}:
        time.sleep(0.01)
if "BUVAR_HANDOVER" in os.environ:
    os.register_at_fork(after_in_child=hang)
"""


@pytest.mark.parametrize("depth", [1, 2])
def test_what_hangs_in_a_fork_is_given_up(reloaded, tmp_path, depth):
    """The process in between, or the worker before its first line: either is found, and the service gets well again."""
    service = reloaded(", limits=fork.Limits(boot=4)", AT_FORK.format(depth=depth) + TELL)
    (tmp_path / "hang").touch()
    os.kill(service.workers()[0], signal.SIGKILL)
    hangs = service.await_event("worker hangs")
    assert bool(hangs["worker"]) == (depth == 2)
    (tmp_path / "hang").unlink()
    service.await_event("worker ready", 5)
    service.await_crew(2)
    assert service.stop() == 0
    service.await_nobody_left()


NO_SUBREAPER = """
from buvar.forking import forkserver
forkserver.SUBREAPER = False
"""


def test_without_a_subreaper_each_becomes_a_worker_itself(reloaded, run_service, path):
    """Where orphans cannot be adopted, a worker of the next generations is a process that has run the command."""
    service = reloaded(script=NO_SUBREAPER + TELL)
    for pid in service.workers().values():
        assert psutil.Process(pid).ppid() == service.pid
        os.kill(pid, signal.SIGKILL)
    service.await_event("worker ready", 6)
    put(path, '"brand-new"')
    service.kill(signal.SIGHUP)
    service.await_event("told", 2, text="brand-new")
    service.await_event("reloaded", generation=3)
    service.await_crew(2)
    assert run_service.ask(service.address)[0] in service.workers().values()
    assert service.stop() == 0
    assert service.left() == []
