"""The handover: what is open stays open when a command runs again, and only in the process that it is for."""

import json
import os
import socket
import subprocess
import sys

import attrs
import pytest

from buvar.forking import handover as handovers
from buvar.forking.handover import Command, Handover
from buvar.forking.sockets import Listener


def make(**changes):
    fd = os.open(os.devnull, os.O_RDONLY)
    facts = {"pid": os.getpid(), "supervisor": os.getppid(), "generation": 2, "board": fd, "channel": os.dup(fd)}
    return Handover(**{**facts, **changes})


@pytest.fixture
def environ():
    """An environment of its own."""
    return {}


def hand(environ, handover):
    environ[handovers.VARIABLE] = json.dumps(attrs.asdict(handover))


def test_what_is_handed_over_is_received_once(environ):
    """The facts come back as they were, the variable is gone, and no program inherits the descriptors any more."""
    with socket.socket() as listener:
        sent = make(
            listeners=[
                Listener("tcp://127.0.0.1:80", listener.fileno()),
                Listener("unix:///x", listener.fileno(), (1, 2, 3)),
            ]
        )
        for fd in sent.fds:
            os.set_inheritable(fd, True)
        hand(environ, sent)
        assert handovers.receive(environ) == sent
        assert environ == {}
        assert handovers.receive(environ) is None
        assert not any(map(os.get_inheritable, sent.fds))
    os.close(sent.board)
    os.close(sent.channel)


def test_what_is_for_another_process_is_left_alone(environ):
    """A program that the command starts before it takes what was handed over takes nothing."""
    sent = make(pid=1)
    hand(environ, sent)
    assert handovers.receive(environ) is None
    assert handovers.VARIABLE in environ
    os.close(sent.board)
    os.close(sent.channel)


@pytest.mark.parametrize("gone", ["python", "folder"])
def test_a_command_that_cannot_run_is_an_error(tmp_path, gone):
    """Where the interpreter or the folder is gone, it says so, and the process goes on."""
    python = str(tmp_path / "python") if gone == "python" else sys.executable
    folder = tmp_path / "gone" if gone == "folder" else tmp_path
    code = f"""
import os
from buvar.forking.handover import Command, Handover
fd = os.open(os.devnull, os.O_RDONLY)
try:
    Command(({python!r},), {str(folder)!r}).execute(
        Handover(pid=os.getpid(), supervisor=1, generation=2, board=fd, channel=fd)
    )
except FileNotFoundError as error:
    print(error.filename)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (python if gone == "python" else str(folder))


def test_a_command_is_the_one_that_runs(tmp_path):
    """Interpreter, options, script and arguments, in the folder as it was named."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    script = tmp_path / "real" / "show.py"
    script.write_text("from buvar.forking.handover import Command\nprint(Command.current())")
    for named, found in (("link", "link"), ("elsewhere", "real")):
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-W", "error", "show.py", "--option", "a b"],
            cwd=tmp_path / "link",
            env={**os.environ, "PWD": str(tmp_path / named)},
            capture_output=True,
            text=True,
            check=True,
        )
        arguments = (sys.executable, "-X", "utf8", "-W", "error", "show.py", "--option", "a b")
        assert done.stdout.strip() == repr(Command(arguments, str(tmp_path / found)))
