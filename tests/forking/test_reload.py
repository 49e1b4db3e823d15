"""A reload: new code and configuration are really read, and nobody notices that anything was replaced."""

import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import time

import psutil
import pytest

pytestmark = pytest.mark.slow

ABORTED = "reload aborted, the old generation serves on"


@pytest.fixture
def folder():
    """A folder with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


SHOUT = """
async def shout(cancel: plugin.Cancel):
    log.structlog.get_logger().info("shouted", text=TEXT)
    yield cancel.wait()
"""


def edit(path, old, new):
    """Change a source; its size changes, since Python tells sources by size and second."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def reload(service, *, generation=2):
    """Send HUP and wait until the new generation is alone; return its workers by slot."""
    service.kill(signal.SIGHUP)
    service.await_event("reloaded", generation=generation)
    return service.await_crew()


def test_a_reload_reads_the_code_of_the_main_script(run_service, tmp_path):
    """The command is run again in the same process: what the script says now is what the workers do."""
    service = run_service('TEXT = "old"' + SHOUT + "fork.stage(serve, shout, forks=2, sockets=['tcp://127.0.0.1:0'])\n")
    before = service.ready()
    assert len(service.await_event("shouted", 2, text="old")) == 2
    edit(tmp_path / "service0.py", '"old"', '"brand-new"')
    after = reload(service)
    assert set(after) == {0, 1}
    assert not set(after.values()) & set(before.values())
    assert service.await_event("shouted", 2, text="brand-new")
    assert {run_service.ask(service.address)[0] for _ in range(20)} <= set(after.values())
    assert service.process.poll() is None
    assert service.stop() == 0
    assert service.plain == []


def test_a_reload_reads_the_code_of_plugins_and_what_they_import(run_service, tmp_path):
    """A module that the service imported, and one that it imports only now, are read as they are now."""
    (tmp_path / "words.py").write_text("TEXT = 'old'\n")
    (tmp_path / "shop.py").write_text("from buvar import log, plugin\nfrom words import TEXT\n" + SHOUT)
    service = run_service("fork.stage(serve, 'shop:shout', forks=2, preload=['words'], sockets=['tcp://127.0.0.1:0'])")
    service.ready()
    edit(tmp_path / "words.py", "'old'", "'brand-new'")
    reload(service)
    assert len(service.events("shouted", text="old")) == 2
    assert len(service.events("shouted", text="brand-new")) == 2
    edit(tmp_path / "words.py", "'brand-new'", "'newest of all'")
    reload(service, generation=3)
    assert len(service.events("shouted", text="newest of all")) == 2
    assert service.stop() == 0


def test_one_is_ready_before_one_drains(run_service):
    """Workers of the old generation are asked to finish only when their successor is ready."""
    service = run_service("fork.stage(serve, forks=3, sockets=['tcp://127.0.0.1:0'])")
    old = set(service.ready(3).values())
    reload(service)
    serving, least = set(old), 3
    lines = sorted(service.events("worker ready")[3:] + service.events("retiring worker"), key=lambda e: e["timestamp"])
    for line in lines:
        (serving.add if line["event"] == "worker ready" else serving.discard)(line["worker"])
        least = min(least, len(serving))
    assert least == 3
    assert len(serving) == 3
    assert not serving & old
    assert service.stop() == 0


def test_connections_and_work_in_flight_survive(run_service):
    """Who is being served is served to the end by the old worker, and a client that waits is taken by a new one."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])")
    old = set(service.ready().values())
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("sleep 1.0\n")
        file.flush()
        time.sleep(0.1)
        service.kill(signal.SIGHUP)
        assert int(file.readline().split()[0]) in old
    service.await_event("reloaded")
    service.await_crew()
    assert run_service.ask(service.address)[0] in set(service.workers().values())
    assert service.stop() == 0


BROKEN = [
    ("def broken(:", None),
    ("import nowhere_to_be_found", None),
    ("raise SystemExit(0)", None),
    ("os._exit(7)", None),
    ("os.kill(os.getpid(), signal.SIGSEGV)", None),
    ("fork = __import__('types').SimpleNamespace(stage=lambda *a, **k: None)", None),
    ("async def serve(): raise ValueError('no database')", "ValueError: no database"),
    ("async def serve(): await asyncio.sleep(60)", "not started after 2 s, still preparing: __main__:serve"),
    ("async def serve(): os._exit(5)", None),
    ("async def serve(): os.kill(os.getpid(), signal.SIGSEGV)", None),
    ("sockets = ['tcp://127.0.0.1:70000']", "'tcp://127.0.0.1:70000'"),
    ("sockets = ['unix:///nowhere/to/be/found']", "cannot listen on unix:///nowhere/to/be/found"),
    ("preload = ['nowhere_to_be_found']", "'nowhere_to_be_found'"),
    ("user = 'nobody-at-all'", "'nobody-at-all'"),
    ("forks = 1", "a reload cannot change to one process"),
    ("from buvar.forking import handover; handover.PROTOCOL = 2", "buvar itself was replaced by a version"),
]


def test_a_generation_that_cannot_start_changes_nothing(run_service, tmp_path):
    """Whatever is wrong with the new code, the old generation serves on, in the same processes, and it is told why."""
    service = run_service("""
forks, preload, sockets, user = 2, [], ["tcp://127.0.0.1:0"], None
# change
fork.stage(serve, forks=forks, preload=preload, sockets=sockets, user=user, start_timeout=2)
""")
    pids = service.ready()
    for number, (change, told) in enumerate(BROKEN, 1):
        edit(tmp_path / "service0.py", "# change", change)
        service.kill(signal.SIGHUP)
        aborted = service.await_event(ABORTED, number)
        aborted = aborted[-1] if isinstance(aborted, list) else aborted
        assert (told or "the new generation ended before it was ready") in aborted["error"], change
        assert service.workers() == pids
        assert run_service.ask(service.address)[0] in pids.values()
        edit(tmp_path / "service0.py", change, "# change")
    after = reload(service)
    assert not set(after.values()) & set(pids.values())
    assert service.stop() == 0


def test_a_canary_that_never_gets_ready_is_given_up(run_service, tmp_path):
    """Also one whose loop turns, but that somebody holds back for ever."""
    service = run_service("""
async def hold(ready: plugin.Ready, cancel: plugin.Cancel):
    # change
    yield cancel.wait()
fork.stage(serve, hold, forks=2, sockets=["tcp://127.0.0.1:0"], limits=fork.Limits(boot=3))
""")
    pids = service.ready()
    edit(tmp_path / "service0.py", "# change", "ready.hold('for ever')")
    service.kill(signal.SIGHUP)
    canary = service.await_event("the new generation does not get ready")["worker"]
    service.await_event(ABORTED)
    deadline = time.monotonic() + 20
    while canary not in [
        each["worker"] for each in service.events_of("worker failed while stopping", "worker stopped")
    ]:
        assert time.monotonic() < deadline, service.log
        time.sleep(0.02)
    assert service.workers() == pids
    assert service.stop() == 0


def test_each_generation_has_limits_of_its_own(run_service, tmp_path):
    """The old workers finish in the time that they were given, and the new ones boot in the time that they ask for."""
    service = run_service("""
async def prepare(load: plugin.Loader):
    # change
    await load(serve)
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"], limits=fork.Limits(hang=30, boot=4))
""")
    service.ready()
    edit(tmp_path / "service0.py", "# change", "await asyncio.sleep(5)")
    edit(tmp_path / "service0.py", "hang=30, boot=4", "hang=0.6, boot=60")
    with run_service.connect(service.address) as connection, connection.makefile("rw") as file:
        file.write("hello\n")
        file.flush()
        pid = int(file.readline().split()[0])
        service.kill(signal.SIGHUP)
        service.await_event("the new generation serves")
        file.write("sleep 3\n")
        file.flush()
        service.await_event("retiring worker", worker=pid)
        assert file.readline() == f"{pid} sleep 3\n"
    service.await_event("reloaded")
    assert service.events("worker hangs") == []
    assert service.stop() == 0


def test_what_a_reload_tries_is_nobodys_if_it_fails(run_service, tmp_path, unused_tcp_port):
    """A worker that is replaced meanwhile does not keep a socket that only the new generation would have had."""
    service = run_service("""
sockets = ["tcp://127.0.0.1:0"]
async def hold(ready: plugin.Ready, cancel: plugin.Cancel):
    # change
    yield cancel.wait()
fork.stage(serve, hold, forks=2, sockets=sockets)
""")
    pids = service.ready()
    new = f"tcp://127.0.0.1:{unused_tcp_port}"
    edit(tmp_path / "service0.py", "# change", "ready.hold('for ever')")
    edit(tmp_path / "service0.py", '"tcp://127.0.0.1:0"]', f'"tcp://127.0.0.1:0", "{new}"]')
    service.kill(signal.SIGHUP)
    canary = service.await_event("worker forked", 3)[-1]["worker"]
    os.kill(pids[1], signal.SIGKILL)
    service.await_event("worker ready", 3)
    os.kill(canary, signal.SIGKILL)
    service.await_event(ABORTED)
    with pytest.raises(ConnectionRefusedError):
        run_service.connect(new)
    edit(tmp_path / "service0.py", "ready.hold('for ever')", "pass")
    reload(service)
    assert run_service.ask(new)[0] in service.workers().values()
    assert service.stop() == 0


def test_no_room_for_a_reload_is_no_end(run_service):
    """Where the supervisor has no descriptor for it, the reload is aborted, and done when there is one again."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])")
    pids = service.ready()
    supervisor = psutil.Process(service.pid)
    soft, hard = supervisor.rlimit(psutil.RLIMIT_NOFILE)
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (supervisor.num_fds() + 1, hard))
    service.kill(signal.SIGHUP)
    assert "Too many open files" in service.await_event(ABORTED)["error"]
    assert service.workers() == pids
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
    reload(service)
    assert service.stop() == 0


def test_hups_in_a_storm_are_few_reloads(run_service):
    """Those that come while one is going on make one more."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])")
    service.ready()
    for _ in range(50):
        service.kill(signal.SIGHUP)
        time.sleep(0.005)
    service.await_event("reloaded")
    time.sleep(0.3)
    deadline = time.monotonic() + 20
    while len(service.events("reloading")) > len(service.events("reloaded")):
        assert time.monotonic() < deadline, service.log
        time.sleep(0.05)
    assert len(service.events("reloading")) <= 4
    assert len(service.workers()) == 2
    assert service.stop() == 0


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.4, 0.6])
def test_a_stop_overtakes_a_reload(run_service, delay):
    """TERM ends the service at whatever moment of a reload it comes, with exit code 0 and nobody left."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])")
    service.ready()
    for _ in range(20):
        service.kill(signal.SIGHUP)
    time.sleep(delay)
    assert (service.stop(), service.plain, service.left()) == (0, [], []), service.log


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.5])
def test_the_supervisors_death_in_a_reload_leaves_nobody(run_service, delay):
    """A supervisor that is killed in the middle of a reload takes both generations with it."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])")
    service.ready()
    service.kill(signal.SIGHUP)
    time.sleep(delay)
    service.kill(signal.SIGKILL)
    service.wait()
    service.await_nobody_left()


def test_workers_that_die_in_a_reload_are_replaced(run_service):
    """Whoever is killed while the service is reloaded, in the end the new generation is whole."""
    service = run_service("fork.stage(serve, forks=2, sockets=['tcp://127.0.0.1:0'])")
    service.ready()
    generation, aborted = 1, 0
    for delay in (0.0, 0.1, 0.3, 0.5):
        service.kill(signal.SIGHUP)
        time.sleep(delay)
        for pid in service.workers().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        generation += 1
        deadline = time.monotonic() + 20
        while not service.events("reloaded", generation=generation):
            assert time.monotonic() < deadline, service.log
            if len(service.events(ABORTED)) > aborted:  # the one that was killed was the first of the new generation
                aborted += 1
                service.kill(signal.SIGHUP)
            time.sleep(0.02)
        assert run_service.ask(service.address)[0] in service.await_crew().values()
    assert service.stop() == 0


def test_a_worker_that_handles_hup_gets_it(run_service):
    """Where the Signals of the service have a handler, it is called, and nothing is reloaded."""
    service = run_service("""
class Handlers(plugin.Signals):
    def handle_hup(self):
        log.structlog.get_logger().info("handled")
fork.stage(serve, forks=2, sockets=["tcp://127.0.0.1:0"], signals=Handlers)
""")
    pids = service.ready()
    service.kill(signal.SIGHUP)
    service.await_event("handled", 2)
    assert service.workers() == pids
    assert service.events("reloading") == []
    assert service.stop() == 0


def test_a_generation_that_handles_hup_is_the_last_that_is_reloaded(run_service, tmp_path):
    """From then on it gets the signal, also one that came while it was tried; a dead fork server is made up for."""
    service = run_service("""
class Handlers(plugin.Signals):
    # change
    pass
fork.stage(serve, forks=2, sockets=["tcp://127.0.0.1:0"], signals=Handlers)
""")
    service.ready()
    edit(
        tmp_path / "service0.py", "    # change", "    def handle_hup(self): log.structlog.get_logger().info('handled')"
    )
    service.kill(signal.SIGHUP)
    service.await_event("fork server started")
    service.kill(signal.SIGHUP)
    service.await_event("reloaded")
    service.await_crew()
    service.kill(signal.SIGHUP)
    service.await_event("handled", 2)
    assert len(service.events("reloading")) == 1
    (server,) = service.fork_servers()
    os.kill(server, signal.SIGKILL)
    service.await_event("reloaded", generation=3)
    assert service.stop() == 0


# -- sockets


def test_new_sockets_are_bound_and_old_ones_closed(run_service, tmp_path, folder):
    """What the new configuration listens on is served after the reload; what it names no more is refused, or gone."""
    service = run_service(f"""
sockets = ["tcp://127.0.0.1:0", "unix://{folder}/old"]
fork.stage(serve, forks=2, sockets=sockets)
""")
    service.ready()
    kept = service.events("listening")[0]["address"]
    edit(tmp_path / "service0.py", f"unix://{folder}/old", f"unix://{folder}/brand-new?mode=600")
    reload(service)
    assert service.events("listening")[-1]["socket"] == f"unix://{folder}/brand-new"
    assert [each.name for each in folder.iterdir()] == ["brand-new"]
    now = set(service.workers().values())
    assert {run_service.ask(each)[0] for each in (kept, f"unix://{folder}/brand-new")} <= now
    reload(service, generation=3)
    assert run_service.ask(f"unix://{folder}/brand-new")[0] in service.workers().values()
    assert service.stop() == 0
    assert list(folder.iterdir()) == []


def test_an_aborted_reload_leaves_no_socket(run_service, tmp_path, folder):
    """Sockets that only the generation would have had that could not start are closed, and their files removed."""
    service = run_service(f"""
sockets = ["unix://{folder}/old"]
async def fail():
    pass
fork.stage(serve, fail, forks=2, sockets=sockets)
""")
    service.ready()
    edit(tmp_path / "service0.py", f"unix://{folder}/old", f"unix://{folder}/brand-new")
    edit(tmp_path / "service0.py", "    pass", "    raise ValueError('no')")
    service.kill(signal.SIGHUP)
    service.await_event(ABORTED)
    assert [each.name for each in folder.iterdir()] == ["old"]
    assert run_service.ask(f"unix://{folder}/old")
    assert service.stop() == 0


def test_the_number_of_workers_may_change(run_service, tmp_path):
    """After a reload there are as many workers as the new configuration says."""
    service = run_service("forks = 2\nfork.stage(serve, forks=forks, sockets=['tcp://127.0.0.1:0'])")
    service.ready()
    edit(tmp_path / "service0.py", "forks = 2", "forks = 3 ")
    assert set(reload(service)) == {0, 1, 2}
    edit(tmp_path / "service0.py", "forks = 3 ", "forks = 2   ")
    reload(service, generation=3)
    assert set(service.await_crew(2)) == {0, 1}
    assert service.stop() == 0


def test_a_link_to_the_release_is_followed(run_service, tmp_path):
    """A service that was started in a folder that is a link finds the code that the link leads to at the reload."""
    for name in ("one", "two and more"):
        release = tmp_path / name
        release.mkdir()
        text = f"TEXT = {name!r}" + SHOUT + "fork.stage(serve, shout, forks=2, sockets=['tcp://127.0.0.1:0'])\n"
        (release / "service.py").write_text(run_service.serve + text)
    current = tmp_path / "current"
    current.symlink_to("one")
    service = run_service(command=[sys.executable, "service.py"], cwd=current, env={"PWD": str(current)})
    service.ready()
    current.unlink()
    current.symlink_to("two and more")
    reload(service)
    assert service.await_event("shouted", 2, text="two and more")
    assert service.stop() == 0
