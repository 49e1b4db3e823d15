"""A leader's task runs in exactly one worker of a service, and moves when that one dies, drains or is replaced."""

import contextlib
import os
import signal

import pytest

pytestmark = pytest.mark.slow

# The lock tells when two lead at a time: it belongs to who opened the file, and goes with that process.
# A worker that was told to stop drains, in teardown, until the file "go" is there.
LEADER = """
import fcntl, pathlib, {loop}

logger = log.structlog.get_logger()

async def lead(cancel):
    with open("lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.error("two lead at a time")
        logger.info("leading")
        await cancel.wait()
        logger.info("leading no more")

async def drain(cancel):
    await cancel.wait()
    logger.info("draining")
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)

async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
    await load(serve)
    yield plugin.leader(lead(cancel))
    yield drain(cancel)

def run(*plugins, forks=3):
    return fork.stage(*plugins, forks=forks, sockets=["tcp://127.0.0.1:0"], loop_factory={loop}.new_event_loop)
"""
RUN = "if __name__ == '__main__': run(prepare)"
REPLACING = "worker died, replacing it"


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    return request.param


@pytest.fixture
def lead(run_service, tmp_path):
    """Run a service of leaders; *go* lets those that drain go on."""
    go = tmp_path / "go"
    started = []

    def start(script=RUN, *, loop="asyncio", drains=False):
        if not drains:
            go.touch()
        service = run_service(LEADER.format(loop=loop) + script)
        service.go = go.touch
        started.append(service)
        return service

    yield start
    for service in started:
        assert service.events("two lead at a time") == []
        assert_one_after_the_other(service)


def assert_one_after_the_other(service):
    """Who leads begins only when the one before has ended, or was killed."""
    leader = None
    deaths = service.events_of(REPLACING, "worker failed while stopping")
    killed = {each["worker"] for each in deaths if each.get("signal") == "SIGKILL"}
    for each in service.events_of("leading", "leading no more"):
        if each["event"] == "leading":
            assert leader is None or leader in killed, service.log
            leader = each["pid"]
        else:
            assert each["pid"] == leader, service.log
            leader = None


def leader_of(service, number=1):
    """Wait until somebody leads, for the *number*-th time, and return its pid."""
    service.await_event("leading", number)
    return service.events("leading")[number - 1]["pid"]


def test_one_worker_of_a_service_leads(lead, loop):
    """Of three workers that are ready one runs the task; at the stop nobody takes over."""
    service = lead(loop=loop)
    pids = service.ready(3)
    pid = leader_of(service)
    assert pid in pids.values()
    assert service.stop() == 0
    assert [each["pid"] for each in service.events("leading")] == [pid]
    assert [each["worker"] for each in service.events("worker leads")] == [pid]
    assert service.plain == []


def test_a_killed_leader_is_succeeded(lead, loop):
    """When the leader is killed another worker leads, again and again."""
    service = lead(loop=loop)
    service.ready(3)
    former = set()
    for number in range(1, 4):
        pid = leader_of(service, number)
        assert pid not in former
        former.add(pid)
        os.kill(pid, signal.SIGKILL)
        service.await_event(REPLACING, worker=pid)
        service.await_event("worker ready", 3 + number)
    assert leader_of(service, 4) in service.workers().values()
    assert service.stop() == 0


def test_a_leader_that_drains_is_succeeded_at_once(lead, loop):
    """Another worker leads as soon as the leader's task has ended, while the rest of that worker still drains."""
    service = lead(loop=loop, drains=True)
    pids = service.ready(3)
    pid = leader_of(service)
    os.kill(pid, signal.SIGTERM)
    assert leader_of(service, 2) in set(pids.values()) - {pid}
    assert service.events(REPLACING) == []
    service.go()
    service.await_event(REPLACING, worker=pid)
    service.await_event("worker ready", 4)
    assert service.stop() == 0
    assert len(service.events("leading")) == 2


def test_who_drains_is_not_appointed(lead):
    """A worker that somebody told to stop does not lead any more, though its supervisor may not know."""
    service = lead(drains=True)
    pids = service.ready(3)
    leader = leader_of(service)
    others = [pid for _, pid in sorted(pids.items()) if pid != leader]
    os.kill(others[0], signal.SIGTERM)  # of those that are left the first to be appointed
    service.await_event("draining", pid=others[0])
    os.kill(leader, signal.SIGTERM)
    assert leader_of(service, 2) == others[1]
    assert {each["worker"] for each in service.events("worker leads")} <= set(pids.values())
    service.go()
    service.await_event("worker ready", 5)
    assert service.stop() == 0


def test_the_last_worker_that_drains_is_succeeded_by_its_replacement(lead):
    """Where nobody else is ready the task waits for who will be."""
    service = lead(drains=True)
    pids = service.ready(3).values()
    leader_of(service)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    service.await_event("draining", 3)
    service.go()
    service.await_event("worker ready", 6)
    number = 2
    while (pid := leader_of(service, number)) in pids:
        number += 1
    assert pid in service.workers().values()
    assert service.stop() == 0


def test_a_reload_moves_the_leadership_once(lead):
    """While workers are replaced one by one, the task goes to a new one, and stays there."""
    service = lead()
    old = set(service.ready(3).values())
    assert leader_of(service) in old
    service.kill(signal.SIGHUP)
    service.await_event("reloaded")
    new = {each["worker"] for each in service.events("worker ready")} - old
    assert leader_of(service, 2) in new
    assert service.stop() == 0
    assert len(service.events("leading")) == 2
    assert service.plain == []


def test_a_leader_that_is_killed_while_a_reload_runs_is_succeeded(lead):
    """Whoever leads at that moment, of whichever generation, another one does after it."""
    service = lead()
    service.ready(3)
    pid = leader_of(service)
    service.kill(signal.SIGHUP)
    service.await_event("the new generation serves")
    with contextlib.suppress(ProcessLookupError):  # it has been replaced already
        os.kill(pid, signal.SIGKILL)
    service.await_event("reloaded")
    leader_of(service, 2)
    pid = service.events("worker leads")[-1]["worker"]
    service.await_event("leading", pid=pid)
    assert service.stop() == 0


def test_a_worker_that_only_waits_to_lead_stays(lead):
    """A service of nothing but a leader's task keeps the others in reserve."""
    service = lead("""
async def only(cancel: plugin.Cancel):
    yield plugin.leader(lead(cancel))
if __name__ == '__main__': run(only, forks=2)
""")
    pids = set(service.ready().values())
    pid = leader_of(service)
    os.kill(pid, signal.SIGKILL)
    assert {leader_of(service, 2)} == pids - {pid}
    service.await_event("worker ready", 3)
    assert service.stop() == 0
    assert service.events("worker finished") == []


def test_a_leader_whose_work_is_done_makes_room(lead):
    """When all tasks of the leader have ended, the next one does the same; the service ends when all have."""
    service = lead("""
async def sweep():
    logger.info("swept")
async def sweeper():
    return plugin.leader(sweep())
if __name__ == '__main__': run(sweeper)
""")
    assert service.wait() == 0
    assert len({each["pid"] for each in service.events("swept")}) == 3
    assert len(service.events("worker finished")) == 3


@pytest.mark.parametrize(("body", "code"), [("raise ValueError('broken')", 1), ("os._exit(5)", 5)])
def test_a_leader_that_fails_does_not_take_all_workers_down(lead, body, code):
    """Where each leader fails or crashes at once, the next ones are appointed in growing pauses."""
    service = lead(f"""
async def fail():
    {body}
async def broken(load: plugin.Loader, cancel: plugin.Cancel):
    await load(serve)
    yield plugin.leader(fail())
if __name__ == '__main__': run(broken)
""")
    event = "leaders fail in a row, appointing the next one later"
    pauses = [each["pause"] for each in service.await_event(event, 3)]
    assert pauses == sorted(pauses)
    assert service.stop() in {0, 1}  # one may be failing just now
    assert {each["exit"] for each in service.events(REPLACING)} == {code}
    assert len(service.events(REPLACING)) <= len(service.events("worker leads"))


def test_a_leader_that_hangs_is_succeeded_when_it_is_gone(lead):
    """A leader that does not run on leads on: another one begins only when it was killed."""
    service = lead()
    pids = service.ready(3)
    pid = leader_of(service)
    os.kill(pid, signal.SIGSTOP)
    other = next(each for each in pids.values() if each != pid)
    os.kill(other, signal.SIGKILL)  # so that the supervisor has much to do
    service.await_event("worker ready", 4)
    assert len(service.events("worker leads")) == 1
    os.kill(pid, signal.SIGKILL)
    assert leader_of(service, 2) != pid
    service.await_event("worker ready", 5)
    assert service.stop() == 0


def test_leaders_finish_when_the_supervisor_dies(lead):
    """Nobody takes over from them: there is nobody to say so, and nobody is left."""
    service = lead()
    service.ready(3)
    pid = leader_of(service)
    service.kill(signal.SIGKILL)
    service.wait()
    service.await_nobody_left()
    assert [each["pid"] for each in service.events("leading no more")] == [pid]
    assert len(service.events("leading")) == 1


def test_one_process_leads(lead):
    """Where nothing is forked the task runs at once."""
    service = lead("if __name__ == '__main__': run(prepare, forks=1)")
    assert leader_of(service) == service.pid
    assert service.stop() == 0
