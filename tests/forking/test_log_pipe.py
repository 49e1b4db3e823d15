"""A supervisor whose log nobody reads goes on with its work, and says afterwards how many lines were lost."""

import contextlib
import fcntl
import json
import os
import signal
import time

import pytest

PATIENCE = 20.0

# the workers log to where somebody reads; the supervisor does not
SILENT = """
import contextlib
async def prepare(load: plugin.Loader, ready: plugin.Ready):
    os.dup2(read, 2)
    ready.add_callback(lambda: log.structlog.get_logger().warning("up"))
    await load(serve)
read = os.dup(2)
log.LogConfig(tty=False, level="info").setup()
"""


@pytest.fixture
def silence():
    """The two ends of a pipe that is full."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
    os.write(writer, b"\n" * 4096)
    with open(reader, "rb", buffering=0) as source:
        yield source, writer
        with contextlib.suppress(OSError):
            os.close(writer)


def start(run_service, writer):
    """Start a service whose supervisor logs to the writer, and return it with its workers' pids."""
    text = f"{SILENT}os.dup2({writer}, 2)\nfork.stage(prepare, forks=2, sockets=['tcp://127.0.0.1:0'])\n"
    # what is logged before the supervisor begins waits as ever: there is none
    service = run_service(
        text.replace("fork.stage", "log.logging.root.setLevel('WARNING')\nfork.stage"), pass_fds=[writer]
    )
    os.close(writer)
    return service, {each["pid"] for each in service.await_event("up", 2)}


def await_log(source):
    """Read the log until it says how many lines were lost; return the events."""
    os.set_blocking(source.fileno(), False)
    found, deadline = b"", time.monotonic() + PATIENCE
    while b"log lines lost" not in found or not found.endswith(b"\n"):
        assert time.monotonic() < deadline, found
        found += source.read(65536) or b""
        time.sleep(0.01)
    return [json.loads(line) for line in found.splitlines() if line]


def test_a_worker_is_replaced_while_nobody_reads(run_service, silence):
    """The supervisor whose log is full replaces a killed worker, and tells what was lost as soon as somebody reads."""
    service, pids = start(run_service, silence[1])
    for number, pid in enumerate(sorted(pids), start=1):
        os.kill(pid, signal.SIGKILL)
        service.await_event("up", 2 + number)
    (lost,) = await_log(silence[0])
    assert lost["event"] == "log lines lost, nobody read them"
    assert lost["lost"] >= 2  # both deaths, and what else there was to tell
    assert lost["pid"] == service.pid
    assert service.stop() == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_while_nobody_reads(run_service, silence, signum):
    """The supervisor whose log is full is stopped like any other."""
    service, pids = start(run_service, silence[1])
    os.kill(pids.pop(), signal.SIGKILL)
    service.await_event("up", 3)
    assert service.stop(signum) == 0


def fill(writer):
    """Fill a pipe, without a change to the flags of those who write to it."""
    own = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(own, b"\n")
    os.close(own)


def test_it_is_reloaded_while_nobody_reads(run_service, tmp_path):
    """A supervisor that executes itself anew while its log is full goes on with its work, too."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
    service = run_service(
        f"""
async def prepare(load: plugin.Loader, ready: plugin.Ready):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    ready.add_callback(lambda: os.write(os.open("up", os.O_CREAT | os.O_APPEND | os.O_WRONLY), b"x"))
    await load(serve)
os.dup2({writer}, 2)
log.LogConfig(tty=False, level="info").setup()
fork.stage(prepare, forks=2, sockets=["tcp://127.0.0.1:0"])
""",
        pass_fds=[writer],
    )
    try:
        await_ups(tmp_path / "up", 2)
        fill(writer)
        service.kill(signal.SIGHUP)
        await_ups(tmp_path / "up", 4)
        assert service.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


def await_ups(path, number):
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or path.stat().st_size < number:
        assert time.monotonic() < deadline, path.exists() and path.stat().st_size
        time.sleep(0.01)


def test_what_a_worker_logs_is_not_lost(run_service, silence):
    """A worker waits for who reads its log, as any process does."""
    source, writer = silence
    service = run_service(
        f"""
async def prepare(cancel: plugin.Cancel):
    if context.get(fork.Fork).slot:
        os.dup2({writer}, 2)
        for number in range(200):
            log.structlog.get_logger().info("many", number=number)
    yield cancel.wait()
fork.stage(prepare, forks=2)
""",
        pass_fds=[writer],
    )
    os.close(writer)
    service.await_event("worker ready")
    found = b""
    while found.count(b'"many"') < 200:
        found += source.read(65536)
    assert [json.loads(line)["number"] for line in found.splitlines() if b'"many"' in line] == list(range(200))
    service.ready()
    assert service.stop() == 0
