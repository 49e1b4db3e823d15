"""Progress: told on a terminal while something takes long, and nowhere else."""

import io
import os
import pty
import subprocess
import sys
import threading

from buvar.cli import progress


class Terminal(io.StringIO):
    """A stream that calls itself a terminal, and tells when something is written to it."""

    def __init__(self):
        super().__init__()
        self.written = threading.Event()

    def isatty(self):
        return True

    def write(self, text):
        found = super().write(text)
        self.written.set()
        return found


def test_what_takes_long_is_told_and_cleared():
    """On a terminal it says what is going on, over one line that is empty at the end."""
    terminal, names = Terminal(), iter(["one", "two"])
    with progress.shown(lambda: next(names, ""), terminal, period=0.001):
        assert terminal.written.wait(20)
    lines = terminal.getvalue().split("\r\x1b[K")
    assert lines[0] == ""
    assert lines[1].startswith("one … ")
    assert lines[-1] == ""


def test_a_text_may_stand_for_all_of_it():
    """What does not change is given as a text."""
    terminal = Terminal()
    with progress.shown("waiting", terminal, period=0.001):
        assert terminal.written.wait(20)
    assert "waiting … 0 s" in terminal.getvalue()


def test_what_is_done_at_once_is_not_told():
    """Nothing is written where it ends in time."""
    terminal = Terminal()
    with progress.shown("waiting", terminal, period=60):
        pass
    assert terminal.getvalue() == ""


def test_elsewhere_nothing_is_told():
    """What is no terminal gets nothing, and no thread is started."""
    stream, before = io.StringIO(), threading.active_count()
    with progress.shown("waiting", stream, period=0.001):
        assert threading.active_count() == before
    assert stream.getvalue() == ""


def test_a_check_tells_what_it_waits_for(tmp_path):
    """On a terminal `buvar check` names the plugin that it is waiting for, and not the one that loads it."""

    (tmp_path / "slow.py").write_text(
        "import asyncio\nfrom buvar import plugin\n"
        "async def prepare(load: plugin.Loader):\n    await load('slow:wait')\n"
        "async def wait():\n    await asyncio.sleep(60)\n"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "buvar", "check", "slow"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    try:
        while b" s" not in seen:
            seen += os.read(ours, 1000)
    finally:
        process.terminate()
        process.wait(20)
        os.close(ours)
    assert b"preparing slow:wait \xe2\x80\xa6 1 s" in seen
