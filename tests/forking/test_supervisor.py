"""The supervisor keeps workers alive, stops them in good order, and passes signals on."""

import contextlib
import os
import resource
import signal
import time

import psutil
import pytest

from buvar.forking.slot import FIRST_PAUSE, LONGEST_PAUSE, Slot

pytestmark = pytest.mark.slow

FORK = "fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])\n"
REPLACING = "worker died, replacing it"


# -- lives


def test_a_killed_worker_is_replaced(run_service):
    """The slot of a ready worker that was killed is filled at once, and the others serve on."""
    service = run_service(FORK)
    pids = service.ready()
    assert {run_service.ask(service.address)[0] for _ in range(20)} <= set(pids.values())
    os.kill(pids[0], signal.SIGKILL)
    died = service.await_event(REPLACING, worker=pids[0])
    assert (died["slot"], died["signal"], died["ready"], died["pause"]) == (0, "SIGKILL", True, 0.0)
    service.await_event("worker ready", 3)
    now = service.workers()
    assert now[0] != pids[0]
    assert now[1] == pids[1]
    assert run_service.ask(service.address)[0] in now.values()
    assert service.stop() == 0
    assert service.plain == []


def test_a_terminated_worker_finishes_and_is_replaced(run_service):
    """A worker that somebody sends TERM answers what it is working on before it is replaced."""
    service = run_service(FORK)
    pids = service.ready()
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("who\n")
        file.flush()
        pid = int(file.readline().split()[0])
        file.write("sleep 0.5\n")
        file.flush()
        time.sleep(0.1)
        os.kill(pid, signal.SIGTERM)
        assert file.readline() == f"{pid} sleep 0.5\n"
    assert service.await_event(REPLACING, worker=pid)["exit"] == 0
    service.await_event("worker ready", 3)
    assert set(service.workers()) == set(pids)
    assert service.stop() == 0


def test_a_worker_that_dies_of_an_unnamed_signal_is_replaced(run_service):
    """Real-time signals have no names, and kill a worker all the same."""
    service = run_service(FORK)
    os.kill(service.ready()[1], signal.SIGRTMIN + 6)
    assert service.await_event(REPLACING, slot=1)["signal"] == "SIG40"
    service.await_event("worker ready", 3)
    assert service.stop() == 0


def test_a_worker_that_exits_is_told_with_its_code(run_service):
    """A worker that leaves by os._exit is replaced; its exit code is logged."""
    service = run_service("""
async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
    await load(serve)
    context.get(plugin.Signals)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, os._exit, 5)
    yield cancel.wait()
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    os.kill(service.ready()[0], signal.SIGUSR1)
    assert service.await_event(REPLACING)["exit"] == 5
    service.await_event("worker ready", 3)
    assert service.stop() == 0


def test_a_worker_that_fails_over_and_over_is_not_spun(run_service):
    """Where all workers fail just after they got ready, the pauses between them grow."""
    service = run_service("""
async def fail():
    await asyncio.sleep(0.01)
    raise ValueError("broken")
async def prepare():
    return fail()
fork.stage(prepare, forks=2)
""")
    service.await_event(REPLACING, 6)
    time.sleep(1.0)
    died = service.events(REPLACING, slot=0)
    pauses = [each["pause"] for each in died]
    assert pauses[0] == 0.0
    assert pauses[1:] == sorted(pauses[1:])
    assert len(service.events("worker forked")) < 14
    assert all("ValueError: broken" in each["error"] for each in died)
    assert service.stop() in {0, 1}  # one may be failing just now


def test_the_survivors_serve_while_one_cannot_start(run_service, tmp_path):
    """A worker that does not get ready any more is tried again in pauses; once the cause is gone all is well."""
    service = run_service("""
async def prepare(load: plugin.Loader):
    await load(serve)
    if os.path.exists("broken"):
        raise ValueError("broken")
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    pids = service.ready()
    (tmp_path / "broken").touch()
    os.kill(pids[0], signal.SIGKILL)
    service.await_event(REPLACING, 2, ready=False)
    assert [run_service.ask(service.address)[0] for _ in range(5)] == 5 * [pids[1]]
    (tmp_path / "broken").unlink()
    assert service.await_event("worker ready", 3)[-1]["slot"] == 0
    assert 3 <= len(service.events("worker forked")) < 10
    assert service.stop() == 0


def test_no_room_for_a_worker_is_no_end(run_service):
    """Where the system has no descriptor for a new worker, the others serve on and it is tried again."""
    service = run_service(FORK)
    pids = service.ready()
    limit = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{service.pid}/fd"))
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (used - 1, limit[1]))
    os.kill(pids[0], signal.SIGKILL)
    assert service.await_event("cannot fork, trying again")["slot"] == 0
    assert run_service.ask(service.address)[0] == pids[1]
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, limit)
    service.await_event("worker ready", 3)
    assert service.stop() == 0


def test_the_end_of_the_work_is_the_end(run_service):
    """Where the tasks of all workers end by themselves, nothing is replaced; the supervisor returns None."""
    service = run_service("""
async def prepare():
    return asyncio.sleep(0.2 if context.get(fork.Fork).slot else 0)
print("returned", fork.stage(prepare, forks=3))
""")
    assert service.wait() == 0
    assert service.stdout == "returned None\n"
    assert len(service.events("worker forked")) == len(service.events("worker finished")) == 3
    assert service.plain == []


def test_a_plugin_may_end_its_worker(run_service):
    """Where a plugin sets Cancel its worker's work is done, and it is not replaced."""
    service = run_service("""
async def prepare(cancel: plugin.Cancel):
    asyncio.get_running_loop().call_later(0.1, cancel.set)
    return cancel.wait()
fork.stage(prepare, forks=2)
""")
    assert service.wait() == 0
    assert len(service.events("worker finished")) == 2
    assert service.events(REPLACING) == []


def test_pauses_grow_to_a_limit():
    """A first failure of a ready worker costs no pause; from then on they double up to the longest, for ever."""
    slot = Slot()
    pauses = [slot.strike(100.0, at_once=True) for _ in range(3000)]
    assert pauses[0] == 0.0
    assert 0.8 * FIRST_PAUSE <= pauses[1] <= 1.2 * FIRST_PAUSE
    assert 0.8 * LONGEST_PAUSE <= pauses[-1] <= 1.2 * LONGEST_PAUSE
    assert slot.not_before == 100.0 + pauses[-1]
    assert Slot().strike(0.0, at_once=False) >= 0.8 * FIRST_PAUSE


# -- the stop


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whole", [False, True])
def test_work_in_flight_is_finished(run_service, signum, whole):
    """A signal to the supervisor, or to all as from a terminal, ends in peace: answers arrive, clients are refused."""
    service = run_service(FORK)
    service.ready()
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("sleep 0.7\n")
        file.flush()
        time.sleep(0.1)
        (service.kill_group if whole else service.kill)(signum)
        assert "sleep 0.7" in file.readline()
    assert service.wait() == 0
    assert service.plain == []
    assert service.events("worker failed while stopping") == []
    with pytest.raises(ConnectionRefusedError):
        run_service.connect(service.address)


def test_new_clients_are_refused_while_the_last_are_served(run_service):
    """At a stop the listeners go first, so that nobody is queued for a service that is about to end."""
    service = run_service("""
async def prepare(cancel: plugin.Cancel):
    (sock,) = set(context.find(fork.Socket).values())
    server = await asyncio.start_server(lambda reader, writer: writer.close(), sock=sock)
    async def close():
        await cancel.wait()
        server.close()
        await asyncio.sleep(1)
    yield close()
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    service.kill(signal.SIGTERM)
    service.await_event("stopping")
    deadline = time.monotonic() + 10
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionResetError):  # it came while the listeners were being closed
                run_service.connect(service.address).close()
    assert service.process.poll() is None
    assert service.wait() == 0


STUBBORN = """
async def stubborn():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
async def prepare():
    yield stubborn()
"""


def test_a_second_ctrl_c_kills(run_service):
    """An INT more than half a second after the first kills; one at once is its echo."""
    service = run_service(STUBBORN + "fork.stage(prepare, forks=2)")
    service.ready()
    service.kill_group(signal.SIGINT)
    service.await_event("stopping")
    service.kill_group(signal.SIGINT)
    time.sleep(0.6)
    assert service.process.poll() is None
    assert service.events("stopping now") == []
    service.kill_group(signal.SIGINT)
    assert service.wait() == 1
    assert len(service.events("killing worker")) == 2
    assert service.plain == []


def test_a_second_term_cuts_the_grace_short(run_service):
    """A TERM more than half a second after the first cancels what has not finished."""
    service = run_service("""
async def prepare():
    yield asyncio.sleep(60)
fork.stage(prepare, forks=2)
""")
    service.ready()
    service.kill(signal.SIGTERM)
    service.await_event("stopping")
    time.sleep(0.8)
    assert service.process.poll() is None
    service.kill(signal.SIGTERM)
    assert service.wait() == 0
    assert len(service.events("second signal, cutting the grace short")) == 2


def test_who_does_not_stop_is_killed(run_service):
    """After the shutdown timeout a worker is killed, even one whose loop is blocked, and the exit code is 1."""
    service = run_service("""
async def block():
    time.sleep(60)
async def prepare(cancel: plugin.Cancel):
    if context.get(fork.Fork).slot:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 60)
    yield cancel.wait()
fork.stage(prepare, forks=2, shutdown_timeout=0.5)
""")
    pids = service.ready()
    time.sleep(0.3)
    assert service.stop() == 1
    assert [each["worker"] for each in service.events("killing worker")] == [pids[1]]


def test_a_failure_at_the_stop_is_told(run_service):
    """A worker whose teardown fails has its last words, and the exit code is 1."""
    service = run_service("""
async def prepare(cancel: plugin.Cancel, teardown: plugin.Teardown):
    async def fail():
        raise ValueError("cannot close")
    teardown.add(fail)
    yield cancel.wait()
fork.stage(prepare, forks=2)
""")
    service.ready()
    assert service.stop() == 1
    told = service.events("worker failed while stopping")
    assert len(told) == 2
    assert all("cannot close" in each["exception"] for each in told)


@pytest.mark.parametrize("part", [0, 1])
def test_a_stop_at_any_moment_is_a_good_end(run_service, part):
    """Whenever TERM comes, once the sockets are bound, to one or to all, the exit code is 0 and nobody is left."""
    script = """
async def slow(cancel: plugin.Cancel):
    await asyncio.sleep(0.02)
    yield cancel.wait()
fork.stage(serve, slow, forks=3, sockets=["tcp://127.0.0.1:0"])
"""
    for delay in range(part, 12, 2):
        service = run_service(script)
        service.await_event("listening")
        time.sleep(delay * 0.008)
        (service.kill_group if delay % 4 < 2 else service.kill)(signal.SIGTERM)
        assert (service.wait(), service.plain, service.left()) == (0, [], []), service.log


def test_a_signal_that_was_blocked_before_is_heard(run_service):
    """Who has started the service may have blocked TERM, which programs inherit; it stops all the same."""
    service = run_service("""
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
fork.stage(serve, forks=2, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready()
    assert service.stop() == 0


def test_a_stop_while_preparing(run_service):
    """TERM gives a start up: the workers end, the exit code is 0."""
    service = run_service("""
async def prepare():
    log.structlog.get_logger().info("preparing")
    await asyncio.sleep(60)
fork.stage(prepare, forks=2)
""")
    service.await_event("preparing", 2)
    assert service.stop() == 0
    assert service.events("worker ready") == []


# -- forwarded signals

SIGNALS = """
class Handlers(plugin.Signals):
    def tell(self, name):
        log.structlog.get_logger().info("handled", signal=name)
    def handle_hup(self): self.tell("HUP")
    def handle_quit(self): self.tell("QUIT")
    def handle_winch(self): self.tell("WINCH")
    def handle_usr1(self): self.tell("USR1")
    def handle_usr2(self): self.tell("USR2")
    def handle_abort(self): self.tell("ABRT")
"""
NAMES = ["HUP", "QUIT", "WINCH", "USR1", "USR2", "ABRT"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_signals_reach_the_handlers_in_all_workers(run_service, loop):
    """A Signals subclass handles in each worker what the supervisor is sent."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    service = run_service(f"""
{SIGNALS}
import {loop}
fork.stage(serve, forks=2, sockets=["tcp://127.0.0.1:0"], signals=Handlers, loop_factory={loop}.new_event_loop)
""")
    pids = service.ready()
    for name in NAMES:
        service.kill(signal.Signals[f"SIG{name}"])
        handled = service.await_event("handled", 2, signal=name)
        assert {each["pid"] for each in handled} == set(pids.values())
    assert service.stop() == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_signals_without_a_handler_change_nothing(run_service, loop):
    """What nobody handles is harmless, for the supervisor and its workers, TTIN and TTOU included."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    service = run_service(f"""
import {loop}
fork.stage(serve, forks=2, sockets=["tcp://127.0.0.1:0"], loop_factory={loop}.new_event_loop)
""")
    pids = service.ready()
    others = [name for name in NAMES if name != "HUP"]
    for name in others:
        service.kill(signal.Signals[f"SIG{name}"])
    service.await_event("forwarding a signal", len(others))
    assert run_service.ask(service.address)[0] in pids.values()
    for pid in pids.values():
        assert psutil.Process(pid).is_running()
    assert service.stop() == 0
    assert service.events(REPLACING) == []


def test_a_storm_does_not_hide_the_stop(run_service):
    """TERM comes through behind any number of other signals."""
    service = run_service(SIGNALS + FORK.replace("forks=2", "forks=2, signals=Handlers"))
    service.ready()
    for _ in range(100):
        service.kill(signal.SIGHUP)
    service.await_event("handled", signal="HUP")
    for _ in range(100):
        service.kill(signal.SIGHUP)
    assert service.stop() == 0


def test_no_signal_is_lost_while_the_supervisor_cannot_read(run_service):
    """A supervisor that is held up, here by who does not read its log, still learns of the TERM behind a storm."""
    read, write = os.pipe()
    service = run_service(
        f"""
import fcntl
fcntl.fcntl({write}, 1031, 4096)  # F_SETPIPE_SZ
async def prepare(cancel: plugin.Cancel):
    os.dup2({write}, 2)
    yield cancel.wait()
from buvar.forking import supervisor
forward = supervisor.Supervisor._forward
def held_up(self, signum):
    os.write({write}, bytes(5000))
    forward(self, signum)
supervisor.Supervisor._forward = held_up
fork.stage(prepare, forks=2)
""",
        pass_fds=[write],
    )
    os.close(write)
    try:
        service.ready()
        service.kill(signal.SIGHUP)
        time.sleep(0.2)
        for _ in range(2000):
            service.kill(signal.SIGHUP)
        service.kill(signal.SIGTERM)
        time.sleep(0.1)
        os.set_blocking(read, False)
        deadline = time.monotonic() + 20
        while service.process.poll() is None and time.monotonic() < deadline:
            try:
                os.read(read, 65536)
            except BlockingIOError:
                time.sleep(0.01)
        assert service.wait() == 0
    finally:
        os.close(read)


# -- the supervisor's death


def test_workers_die_with_their_supervisor(run_service):
    """Nobody is left where the supervisor is killed."""
    service = run_service(FORK)
    service.ready()
    service.kill(signal.SIGKILL)
    assert service.wait() == -9
    service.await_nobody_left()


def test_workers_learn_of_the_death_from_their_channel(run_service):
    """Where there is no death signal, the end of file on the channel ends a worker; work in flight is finished."""
    service = run_service("""
import ctypes
async def prepare(load: plugin.Loader):
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    await load(serve)
fork.stage(prepare, forks=3, sockets=["tcp://127.0.0.1:0"])
""")
    service.ready(3)
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("sleep 0.5\n")
        file.flush()
        time.sleep(0.1)
        service.kill(signal.SIGKILL)
        assert "sleep 0.5" in file.readline()
    service.wait()
    service.await_nobody_left()
    assert len(service.events("supervisor is gone, stopping")) == 3


def test_strangers_are_buried(run_service):
    """What becomes the supervisor's child because its parent died leaves no zombie."""
    service = run_service("""
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
async def orphan():
    process = await asyncio.create_subprocess_shell("sleep 0.1 & sleep 0.1 & sleep 0.1 &")
    await process.wait()
async def prepare(cancel: plugin.Cancel):
    yield orphan()
    yield cancel.wait()
fork.stage(prepare, forks=2)
""")
    pids = set(service.ready().values())
    supervisor = psutil.Process(service.pid)
    deadline = time.monotonic() + 10
    while {each.pid for each in supervisor.children()} != pids:
        assert time.monotonic() < deadline, supervisor.children()
        time.sleep(0.05)
    assert service.stop() == 0
