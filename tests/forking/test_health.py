"""Who hangs is found, says where, and is replaced; who has done enough makes room for another."""

import os
import signal
import time

import attrs
import psutil
import pytest

from buvar import fork
from buvar.forking import health
from buvar.forking.board import Board, State
from buvar.forking.channel import Channel, pair
from buvar.forking.worker import Worker

pytestmark = pytest.mark.slow

REPLACING = "worker died, replacing it"


# -- hanging


def test_a_blocked_loop_is_found_and_tells_where(run_service):
    """A worker whose loop does not turn any more is killed, with the stack that it hangs in, and replaced."""
    service = run_service("""
def block_for_ever():
    time.sleep(600)
async def prepare(load: plugin.Loader):
    await load(serve)
    context.get(plugin.Signals)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, block_for_ever)
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"], limits=fork.Limits(hang=0.5))
""")
    pids = service.ready()
    os.kill(pids[0], signal.SIGUSR1)
    hangs = service.await_event("worker hangs", worker=pids[0])
    assert (hangs["slot"], hangs["stopped"]) == (0, False)
    assert hangs["seconds"] >= 0.5
    died = service.await_event(REPLACING, worker=pids[0])
    assert died["signal"] == "SIGKILL"
    assert "in block_for_ever" in died["stacks"]
    service.await_event("worker ready", 3)
    assert service.workers()[1] == pids[1]
    assert run_service.ask(service.address)[0] in service.workers().values()
    assert service.stop() == 0


def test_a_stopped_worker_is_found(run_service):
    """A process that was stopped, as by a debugger that was forgotten, is replaced."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(hang=0.5))")
    pids = service.ready()
    os.kill(pids[1], signal.SIGSTOP)
    assert service.await_event("worker hangs", worker=pids[1])["stopped"]
    assert service.await_event(REPLACING, worker=pids[1])["signal"] == "SIGKILL"
    service.await_event("worker ready", 3)
    assert service.workers()[0] == pids[0]
    assert service.stop() == 0


def test_a_worker_that_hangs_is_killed_in_time_also_when_it_is_retired(run_service):
    """Who is to be killed for hanging gets no more time when its slot is given up, or when a reload replaces it."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(hang=0.5))")
    pid = service.ready()[1]
    os.kill(pid, signal.SIGSTOP)
    service.await_event("worker hangs", worker=pid)
    service.kill(signal.SIGTTOU)
    service.await_event("worker failed while stopping", worker=pid)
    assert service.stop() == 0


def test_a_worker_that_hangs_while_it_drains_is_found(run_service):
    """It is not waited for until the shutdown timeout: it may be the one that leads."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(hang=0.5))")
    pids = service.ready()
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("hello\n")
        file.flush()
        pid = int(file.readline().split()[0])
        file.write("sleep 60\n")
        file.flush()
        time.sleep(0.2)
        service.kill(signal.SIGHUP)
        service.await_event("retiring worker", worker=pid)
        os.kill(pid, signal.SIGSTOP)
        assert service.await_event("worker hangs", worker=pid)["stopped"]
        assert service.await_event("worker failed while stopping", worker=pid)["signal"] == "SIGKILL"
    service.await_event("reloaded")
    assert not set(pids.values()) & set(service.workers().values())
    assert service.stop() == 0


def test_a_start_that_blocks_the_loop_is_found(run_service):
    """A plugin that blocks while it prepares escapes the timeout of the stage, but not the supervisor."""
    service = run_service("""
async def prepare():
    time.sleep(600)
fork.stage(prepare, forks=2, limits=fork.Limits(boot=1), shutdown_timeout=1)
""")
    assert service.wait() == 1
    failed = service.await_event("worker failed to start, stopping")
    assert "in prepare" in failed["stacks"]
    assert failed["signal"] == "SIGKILL"


def test_a_worker_that_blocks_all_signals_stops_all_the_same(run_service):
    """The supervisor tells it by the channel, too."""
    service = run_service("""
async def block(cancel: plugin.Cancel):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    yield cancel.wait()
fork.stage(serve, block, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    assert service.stop() == 0
    assert service.events("killing worker") == []


def test_a_worker_whose_plugin_took_the_signals_stops_all_the_same(run_service):
    """Whatever a plugin does with TERM, the worker finishes when it is asked to."""
    service = run_service("""
async def take(cancel: plugin.Cancel):
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, lambda: None)
        signal.signal(signum, signal.SIG_IGN)
    yield cancel.wait()
fork.stage(serve, take, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    assert service.stop() == 0
    assert service.events("killing worker") == []


def test_a_service_that_was_stopped_as_a_whole_goes_on(run_service):
    """Nobody is blamed for the time in which the supervisor did not run either."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(hang=1.5))")
    pids = service.ready()
    service.kill_group(signal.SIGSTOP)
    time.sleep(3.5)
    service.kill_group(signal.SIGCONT)
    time.sleep(1.0)
    assert service.events("worker hangs") == []
    assert service.workers() == pids
    assert run_service.ask(service.address)[0] in pids.values()
    assert service.stop() == 0


def test_a_crash_tells_where(run_service):
    """A worker that dies of a fault in native code leaves its stacks in the log."""
    service = run_service("""
import ctypes
def crash():
    ctypes.string_at(0)
async def prepare(load: plugin.Loader):
    await load(serve)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, crash)
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    pids = service.ready()
    os.kill(pids[0], signal.SIGUSR1)
    died = service.await_event(REPLACING, worker=pids[0])
    assert died["signal"] == "SIGSEGV"
    assert "in crash" in died["stacks"]
    service.await_event("worker ready", 3)
    assert service.stop() == 0


# -- recycling

COUNT = """
async def count(cancel: plugin.Cancel):
    row = context.get(fork.Row)
    def more():
        row.requests += 60
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, more)
    yield cancel.wait()
"""


def test_a_worker_that_has_had_enough_requests_is_replaced(run_service):
    """Another one is ready before it drains, and nobody calls it dead."""
    service = run_service(
        COUNT + "fork.stage(serve, count, forks=2, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(requests=100))"
    )
    pids = service.ready()
    os.kill(pids[0], signal.SIGUSR1)
    time.sleep(0.2)
    os.kill(pids[0], signal.SIGUSR1)
    retired = service.await_event("retiring worker", worker=pids[0])
    assert retired["reason"] == "120 requests"
    ready = service.await_event("worker ready", 3)[-1]
    assert ready["slot"] == 0
    assert ready["timestamp"] <= retired["timestamp"]
    service.await_event("worker stopped", worker=pids[0])
    assert service.events(REPLACING) == []
    assert service.events("worker finished") == []
    assert {run_service.ask(service.address)[0] for _ in range(10)} <= {ready["worker"], pids[1]}
    assert service.stop() == 0


def test_workers_are_replaced_one_after_the_other(run_service):
    """Where all are old enough at once, there is never one less than there should be."""
    service = run_service(
        "fork.stage(serve, forks=3, sockets=['tcp://127.0.0.1:0'], limits=fork.Limits(lifetime=1, jitter=0))"
    )
    first = set(service.ready(3).values())
    retired = service.await_event("retiring worker", 3)
    assert {each["worker"] for each in retired} == first
    ready = service.events("worker ready")[3:6]
    for born, gone in zip(ready, retired, strict=True):
        assert born["timestamp"] <= gone["timestamp"]
    assert service.stop() == 0


def test_a_worker_that_takes_too_much_memory_is_replaced(run_service):
    """What a worker has resident counts."""
    taken = psutil.Process().memory_info().rss // 2**20
    service = run_service(f"""
async def grow(cancel: plugin.Cancel):
    kept = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: kept.append(b"x" * {(taken + 400) * 2**20}))
    yield cancel.wait()
fork.stage(serve, grow, forks=2, sockets=["tcp://127.0.0.1:0"], limits=fork.Limits(memory={(taken + 300) * 2**20}))
""")
    pids = service.ready()
    os.kill(pids[1], signal.SIGUSR1)
    assert service.await_event("retiring worker", worker=pids[1])["reason"].endswith(" MiB")
    service.await_event("worker stopped", worker=pids[1])
    assert service.workers()[0] == pids[0]
    assert service.stop() == 0


# -- what is judged


@pytest.fixture
def worker():
    """A worker of this process, just forked."""
    ours, theirs = pair()
    board = Board()
    with theirs:
        yield Worker(os.getpid(), 0, 1, board.take(0, 1), channel := Channel(ours))
    channel.close()
    board.close()


def test_silence_counts_from_the_last_sign_of_life(worker):
    """The last beat, the birth, or the moment in which the supervisor itself came to: whatever was last."""
    limits = fork.Limits(hang=30, boot=70)
    now = worker.born
    assert limits.silence(worker, now + 60, 0) is None
    assert limits.silence(worker, now + 80, 0) == pytest.approx(80, abs=1)
    worker.state = State.READY
    assert limits.silence(worker, now + 31, 0) == pytest.approx(31, abs=1)
    assert limits.silence(worker, now + 31, now + 10) is None
    assert attrs.evolve(limits, hang=0).silence(worker, now + 1e6, 0) is None
    worker.state = State.STOPPING
    assert limits.silence(worker, now + 31, 0) == pytest.approx(31, abs=1)


def test_a_worker_is_tired_a_little_earlier_than_its_siblings(worker):
    """Jitter spreads the replacements; none comes later than was asked for."""
    limits = fork.Limits(requests=1000, jitter=0.2)
    worker.pace = 0.5
    worker.row.requests = 899
    assert limits.tired(worker, worker.born) is None
    worker.row.requests = 900
    assert limits.tired(worker, worker.born) == "900 requests"
    worker.pace = 0.0
    assert limits.tired(worker, worker.born) is None


def test_memory_is_what_the_system_says():
    """The resident set of a process, and None for one that is not there."""
    assert health.memory(os.getpid()) == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert health.memory(2**22 + 1) is None
    assert not health.is_stopped(os.getpid())
    assert not health.is_stopped(2**22 + 1)


@pytest.mark.parametrize("wrong", [{"hang": -1}, {"boot": -1}, {"requests": -1}, {"lifetime": -1}, {"jitter": 1.1}])
def test_limits_that_cannot_be_are_refused(wrong):
    """There is no limit below 0."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fork.Limits(**wrong)


# -- the supervisor's death


@pytest.mark.parametrize(
    "change",
    [
        "pass",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)",
    ],
)
def test_workers_die_with_their_supervisor_whatever_a_plugin_did(run_service, change):
    """Also where a plugin has changed the signal handlers or the user, which takes the kernel's word from us."""
    if "setuid" in change and os.getuid():
        pytest.skip("only root can become somebody else")
    service = run_service(f"""
async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
    await load(serve)
    {change}
    yield cancel.wait()
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    service.kill(signal.SIGKILL)
    service.wait()
    service.await_nobody_left()


def test_the_row_of_a_worker_says_what_it_is(run_service):
    """Every worker can read what all are: their slots, states and beats."""
    service = run_service("""
async def tell(cancel: plugin.Cancel):
    def tell():
        for each in context.get(fork.Board):
            print(each.slot, each.pid, each.state, each.generation, each.beat > each.born, flush=True)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
    yield cancel.wait()
fork.stage(serve, tell, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    pids = service.ready()
    time.sleep(0.1)
    os.kill(pids[0], signal.SIGUSR1)
    time.sleep(0.3)
    assert service.stop() == 0
    assert service.stdout.splitlines() == [f"{slot} {pids[slot]} ready 1 True" for slot in (0, 1)]
