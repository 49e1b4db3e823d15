"""``buvar run --reload``: what is saved is served, and what is broken is shown."""

import os
import signal
import sys
import time

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("watchfiles")


@pytest.fixture
def developed(run_service, tmp_path):
    """A service under development: start it, and change its plugin."""

    def save(text):
        # beside, and then in its place, as editors do it
        draft = tmp_path / "shop.py.tmp"
        draft.write_text(run_service.serve + text)
        draft.rename(tmp_path / "shop.py")

    save("")
    command = [sys.executable, "-m", "buvar", "run", "shop:serve", "--reload", "--bind", "tcp://127.0.0.1:0"]
    service = run_service(command=command, env={**os.environ, "APP_BUVAR_LOG_LEVEL": "debug"})
    service.save = save
    return service


def test_a_changed_file_is_served(run_service, developed):
    """Saving is enough; an error is shown while the last code that worked is served; Ctrl-C ends all."""
    old = developed.ready(1)
    developed.await_event("watching files")
    developed.save("# something new\n")
    developed.await_event("reloaded", generation=2)
    assert developed.workers()[0] != old[0]
    working = developed.workers()
    developed.save("import nowhere_at_all\n")
    aborted = developed.await_event("reload aborted, the old generation serves on")
    assert aborted["error"] == "ModuleNotFoundError: No module named 'nowhere_at_all'"
    assert run_service.ask(developed.address)[0] == working[0]
    developed.save("# all is well again\n")
    developed.await_event("reloaded", generation=3)
    deadline = time.monotonic() + 20
    while run_service.ask(developed.address)[0] != developed.workers()[0]:  # one that drains may answer
        assert time.monotonic() < deadline
    developed.kill_group(signal.SIGINT)
    assert developed.wait() == 0
    developed.await_nobody_left()


def test_a_watcher_that_dies_is_told(developed):
    """Nobody is left to wonder why nothing happens; HUP still reloads."""
    developed.ready(1)
    watcher = developed.await_event("watching files")["pid"]
    os.kill(watcher, signal.SIGKILL)
    assert (
        developed.await_event("watcher died, changed files are not noticed; send HUP to reload")["signal"] == "SIGKILL"
    )
    developed.kill(signal.SIGHUP)
    developed.await_event("reloaded", generation=2)
    assert developed.stop() == 0
    developed.await_nobody_left()
