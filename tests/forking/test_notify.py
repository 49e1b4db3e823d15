"""The service manager is told how the service is, and cannot hurt it."""

import contextlib
import os
import secrets
import socket
import tempfile
import time

import pytest
import structlog

from buvar.forking import notify
from buvar.forking.notify import Notifier


class Manager(socket.socket):
    """A service manager: the socket that it listens on."""

    def __init__(self, address):
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bind(address.replace("@", "\0"))
        self.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    def messages(self):
        """Return what came, in order."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.recv(65536).decode())
        return found

    def overwhelm(self):
        """Send messages until no more fits in."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(BlockingIOError):
            sender.setblocking(False)
            sender.connect(self.getsockname())
            while True:
                sender.send(b"STATUS=busy")


@pytest.fixture
def folder():
    """A folder with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield name


@pytest.fixture
def manager(folder):
    with Manager(f"{folder}/notify") as manager:
        yield manager


def told(notifier):
    notifier.status("starting")
    notifier.ready("2 workers are ready")
    notifier.stopping()


EXPECTED = ["STATUS=starting", "READY=1\nSTATUS=2 workers are ready", "STOPPING=1"]


def test_a_manager_is_told(manager):
    """Each call is one message, with its status where there is one."""
    told(Notifier.from_environ(manager.environ))
    assert manager.messages() == EXPECTED


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux has addresses that are no files")
def test_the_address_may_be_no_file():
    """A name that begins with @ is an abstract address."""
    with Manager(f"@buvar-{secrets.token_hex(8)}") as manager:
        told(Notifier.from_environ(manager.environ))
        assert manager.messages() == EXPECTED


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nothing_happens(environ):
    """Where nobody is to be told, or by a way that we do not know, all calls do nothing and nothing is ever due."""
    notifier = Notifier.from_environ({**environ, "WATCHDOG_USEC": "1000000"})
    told(notifier)
    notifier.reloading()
    notifier.tick(time.monotonic())
    assert notifier.address is None
    assert notifier.due is None


def test_a_reload_tells_its_time(manager):
    """A reload comes with the time of the monotonic clock, by which the manager orders what it hears."""
    notifier = Notifier.from_environ(manager.environ)
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.ready()
    reloading, ready = manager.messages()
    state, _, when = reloading.partition("\nMONOTONIC_USEC=")
    assert (state, ready) == ("RELOADING=1", "READY=1")
    assert before <= int(when) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("1 of 2\nREADY=1", "STATUS=1 of 2 READY=1"),
        ("", "STATUS="),
        ("\U0001f600" * 5000, "STATUS=" + "\U0001f600" * 1000),
        ("\udcff", "STATUS=?"),
    ],
)
def test_a_status_is_one_line(manager, text, sent):
    """A status can say nothing else than a status, and fits into what a manager reads."""
    Notifier.from_environ(manager.environ).status(text)
    assert manager.messages() == [sent]


def test_a_watchdog_is_fed_twice_an_interval(manager):
    """It hears from the service at once and whenever half of its interval is over, however often there is a tick."""
    environ = {**manager.environ, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.from_environ(environ)
    start = notifier.due
    assert start <= time.monotonic()
    heard = []
    for after in (0, 1, 14, 15, 16, 29, 32, 46):
        notifier.tick(start + after)
        heard += [after] * len(manager.messages())
    assert heard == [0, 15, 32]
    assert notifier.due == start + 32 + 15


@pytest.mark.parametrize(
    "variables",
    [
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "9" * 5000},
        {"WATCHDOG_PID": str(os.getpid())},
    ],
)
def test_no_watchdog_is_none(manager, variables):
    """What is meant for another process, or is no time, is no watchdog."""
    notifier = Notifier.from_environ({**manager.environ, **variables})
    assert notifier.watchdog is notifier.due is None
    notifier.tick(time.monotonic() + 1000)
    assert manager.messages() == []


def test_a_busy_manager_hears_later(manager):
    """Where nothing fits in nothing waits; the next tick that is due sends it, in order."""
    notifier = Notifier.from_environ(manager.environ)
    manager.overwhelm()
    told(notifier)
    assert set(manager.messages()) == {"STATUS=busy"}
    due = notifier.due
    notifier.tick(due - 0.1)
    assert manager.messages() == []
    notifier.tick(due)
    assert manager.messages() == EXPECTED
    assert notifier.due is None


def test_what_waits_is_not_pushed_out_by_statuses(manager):
    """Of the statuses that a manager did not hear only the last one is left, and nothing else is forgotten for it."""
    notifier = Notifier.from_environ(manager.environ)
    manager.overwhelm()
    notifier.ready("0 reloads")
    for number in range(1000):
        notifier.status(str(number))
    manager.messages()
    notifier.tick(notifier.due)
    assert manager.messages() == ["READY=1\nSTATUS=0 reloads", "STATUS=999"]


def test_what_waits_is_bounded(manager):
    """A manager that never listens does not cost more and more memory; what it hears in the end is the latest."""
    notifier = Notifier.from_environ(manager.environ)
    manager.overwhelm()
    for _ in range(1000):
        notifier.reloading()
        notifier.ready()
    heard = []
    manager.messages()
    while notifier.due is not None:
        notifier.tick(notifier.due)
        heard += manager.messages()
    assert len(heard) == notify.UNSENT
    assert heard[-1] == "READY=1"


def test_a_manager_that_is_gone_is_no_error(manager):
    """Nobody listens any more: nothing is raised, it is told once, and the supervisor does not spin."""
    environ = {**manager.environ, "WATCHDOG_USEC": "30000000"}
    manager.close()
    with structlog.testing.capture_logs() as logs:
        notifier = Notifier.from_environ(environ)
        start, ticks = notifier.due, 0
        told(notifier)
        while notifier.due < start + 30:
            notifier.tick(notifier.due)
            ticks += 1
    assert ticks <= 2 * (1 + 30 / notify.RETRY)
    assert [(each["log_level"], each["address"]) for each in logs] == [("debug", environ["NOTIFY_SOCKET"])]


def test_a_watchdog_that_did_not_hear_is_told_soon(manager):
    """A watchdog message that did not fit in is not left out until half of the interval is over."""
    notifier = Notifier.from_environ({**manager.environ, "WATCHDOG_USEC": "30000000"})
    manager.overwhelm()
    start = notifier.due
    notifier.tick(start)
    manager.messages()
    assert notifier.due == start + notify.RETRY
    notifier.tick(notifier.due)
    assert manager.messages() == ["WATCHDOG=1"]


def test_no_descriptor_is_left(manager):
    """What was told leaves no descriptor open for workers to inherit."""
    before = os.listdir("/dev/fd")
    told(Notifier.from_environ(manager.environ))
    assert os.listdir("/dev/fd") == before


def test_workers_do_not_see_the_manager(manager):
    """Hidden, the variables of the protocol are gone, and no other; to read them leaves them there."""
    environ = {**manager.environ, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Notifier.from_environ(environ)
    assert len(environ) == 4
    notify.hide(environ)
    notify.hide(environ)
    assert environ == {"PATH": "/bin"}
