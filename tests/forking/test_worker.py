"""A worker: what it tells the supervisor, and how it starts and ends."""

import os
import subprocess
import sys

import pytest

from buvar.forking.board import Board, State
from buvar.forking.channel import Channel, pair
from buvar.forking.worker import Report, Worker


@pytest.fixture
def board():
    """A board."""
    board = Board()
    yield board
    board.close()


@pytest.fixture
def ends(board):
    """A worker as the supervisor sees it, and the worker's own end."""
    ours, theirs = pair()
    with ours, theirs:
        yield Worker(os.getpid(), 0, 1, board.take(0, 1), Channel(ours)), Report(Channel(theirs))


def test_reports_arrive(ends):
    """What a worker says is read by the supervisor, in order."""
    worker, report = ends
    report.ready()
    report.led()
    report.ended()
    assert list(worker.channel.read()) == [{"ready": True}, {"led": True}, {"ended": True}]
    assert list(worker.channel.read()) == []


def test_last_words_have_error_notes_and_traceback(ends):
    """The error is there in words, with its notes, and as a traceback."""
    worker, report = ends
    try:
        raise ValueError("böse")
    except ValueError as error:
        error.add_note("while preparing plugin x")
        report.failed(error)
    (words,) = worker.channel.read()
    assert words["error"].startswith("ValueError: böse\nwhile preparing plugin x\nat ")
    assert words["exception"].startswith("Traceback (most recent call last)")


def test_nobody_to_tell_is_no_error(ends):
    """A report to a supervisor that is gone is lost without a word."""
    worker, report = ends
    assert list(report.read()) == []
    assert not report.supervisor_gone
    worker.channel.close()
    assert list(report.read()) == []
    assert report.supervisor_gone
    report.ready()
    report.failed(ValueError())


def test_a_signal_to_who_is_gone_is_no_error(board):
    """The worker may be dead, and not reaped yet or already."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    ours, theirs = pair()
    with ours, theirs:
        worker = Worker(child.pid, 0, 1, board.take(0, 1), Channel(ours))
        worker.terminate(kill_at=7.0)
        assert (worker.state, worker.row.state, worker.kill_at) == (State.STOPPING, State.STOPPING, 7.0)
        assert list(Report(Channel(theirs)).read()) == [{"stop": True}]


# -- the forked process

FORK = """
import atexit, ctypes, json, os, signal, sys
from buvar.forking import worker

HANDLED = {signal.SIGTERM, signal.SIGINT, *worker.FORWARDED}

def run(main, parent):
    print("before")
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    pid = os.fork()
    if not pid:
        try:
            worker.become_worker(parent, main, 2)
        finally:
            print("the caller's finally")
            sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)

def body(source):
    names = {}
    exec(f"def main():\\n print('in the worker')\\n {source}", globals(), names)
    return names["main"]

def harmless():
    for signum in (signal.SIGINT, *worker.FORWARDED):
        os.kill(os.getpid(), signum)
    return 7

def inherits():
    ignored = open("/proc/self/status").read().split("SigIgn:")[1].split()[0]
    return sum(int(ignored, 16) >> signum - 1 & 1 for signum in HANDLED)

def blocked():
    return len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

def death_signal():
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(found))
    return found.value

atexit.register(lambda: print("atexit"))
"""


def run_script(script):
    command = [sys.executable, "-c", FORK + script]
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=40, check=True)
    return done.stdout.splitlines(), done.stderr


def test_a_worker_never_returns():
    """However it ends, what it printed is out once, and neither the caller's code nor atexit runs in it."""
    ends = {
        "return 0": 0,
        "return 5": 5,
        "raise SystemExit": 0,
        "sys.exit(3)": 3,
        "sys.exit('no')": 1,
        "sys.exit(-1)": 255,
        "sys.exit(10**30)": 0,
        "raise ValueError('no')": 1,
        "raise KeyboardInterrupt": 1,
        "return 'nonsense'": 1,
    }
    lines, stderr = run_script(f"for each in {list(ends)}: print('ended', run(body(each), os.getpid()))")
    expected = [line for code in ends.values() for line in ("before", "in the worker", f"ended {code}")]
    assert lines == [*expected, "atexit"]
    assert stderr.count("ValueError: no") == 1


def test_a_worker_lives_with_signals():
    """What is forwarded does nothing without a handler, nothing is blocked or ignored, TERM is the death signal."""
    lines, _ = run_script(
        "print(*(run(each, os.getpid()) for each in (harmless, inherits, blocked, death_signal)))\n"
        "print(run(body('os.kill(os.getpid(), signal.SIGTERM)'), os.getpid()))"
    )
    assert [line for line in lines if line not in {"before", "atexit"}] == ["7 0 0 15", "-15"]


def test_a_worker_whose_supervisor_is_gone_ends():
    """Where the supervisor died before the death signal was set, the worker does not begin."""
    lines, _ = run_script("print(run(body('return 0'), os.getppid()))")
    assert lines == ["before", "1", "atexit"]
