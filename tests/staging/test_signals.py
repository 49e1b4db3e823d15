import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from buvar import plugin
from buvar.staging import stage as stages


def kill(signum):
    os.kill(os.getpid(), signum)


async def forever():
    await asyncio.Event().wait()


def current_handlers():
    return {signum: signal.getsignal(signum) for signum, _ in plugin.Signals.handlers}


@pytest.fixture(autouse=True)
def handlers():
    """Every test here leaves the handlers as it found them."""
    before = current_handlers()
    yield before
    after = current_handlers()
    for signum, handler in before.items():
        signal.signal(signum, handler)
    assert after == before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_int_and_term_stop_the_stage(signum, loop_factory):
    """They set Cancel, and the tasks finish in their own time."""

    async def prepare(cancel: plugin.Cancel):
        async def server():
            kill(signum)
            await cancel.wait()
            return "finished"

        yield server()

    stage = plugin.Stage(loop_factory=loop_factory)
    assert stage.run(prepare) == ["finished"]
    assert stage.stopped
    assert stage.failures == ()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_cuts_the_grace_short(signum, logs, monkeypatch, loop_factory):
    """Once the time of an echo is over, another signal cancels the tasks that have not finished."""
    monkeypatch.setattr(stages, "ECHO", 0.05)

    async def prepare(cancel: plugin.Cancel):
        async def deaf():
            kill(signum)
            await cancel.wait()
            asyncio.get_running_loop().call_later(0.1, kill, signum)
            await forever()

        yield deaf()

    # without the second signal this would take longer than a test may
    (result,) = plugin.stage(prepare, cancel_timeout=600, loop_factory=loop_factory)
    assert isinstance(result, asyncio.CancelledError)
    assert [entry for entry in logs if entry["event"] == "second signal, cutting the grace short"]


def test_an_echo_does_not_cut_the_grace_short(logs):
    """A terminal tells the whole group, and a supervisor its workers too: two signals in half a second count as one."""
    assert stages.ECHO == 0.5

    async def prepare(cancel: plugin.Cancel):
        async def server():
            kill(signal.SIGINT)
            await cancel.wait()
            kill(signal.SIGINT)
            await asyncio.sleep(0.05)
            kill(signal.SIGTERM)
            await asyncio.sleep(0.05)
            return "finished"

        yield server()

    assert plugin.stage(prepare, cancel_timeout=20) == ["finished"]
    assert not [entry for entry in logs if entry["event"] == "second signal, cutting the grace short"]


def test_a_signal_after_a_failed_task_is_a_first_one(monkeypatch):
    """Cancel that nobody asked for does not count as the first signal."""
    monkeypatch.setattr(stages, "ECHO", 0.0)

    async def prepare(cancel: plugin.Cancel):
        async def fails():
            raise OSError("broken")

        async def server():
            await cancel.wait()
            kill(signal.SIGTERM)
            await asyncio.sleep(0.05)
            return "finished"

        yield fails()
        yield server()

    error, result = plugin.stage(prepare, cancel_timeout=20)
    assert isinstance(error, OSError)
    assert result == "finished"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_plugin_hangs_gives_the_start_up(signum, loop_factory):
    """The plugin is cancelled, tasks are not started, and what was set up is torn down."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("teardown"))
        asyncio.get_running_loop().call_later(0.02, kill, signum)
        yield forever()
        try:
            await forever()
        finally:
            seen.append("cancelled")

    assert plugin.stage(prepare, loop_factory=loop_factory) == []
    assert seen == ["cancelled", "teardown"]


def test_a_signal_during_teardown_does_not_end_it():
    """What is being taken down is taken down to the end."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        async def slow():
            kill(signal.SIGTERM)
            kill(signal.SIGINT)
            await asyncio.sleep(0.02)
            seen.append("slow")

        teardown.add(lambda: seen.append("last"))
        teardown.add(slow)

    plugin.stage(prepare)
    assert seen == ["slow", "last"]


HANDLED = {
    "handle_hup": signal.SIGHUP,
    "handle_quit": signal.SIGQUIT,
    "handle_abort": signal.SIGABRT,
    "handle_winch": signal.SIGWINCH,
    "handle_usr1": signal.SIGUSR1,
    "handle_usr2": signal.SIGUSR2,
}


@pytest.mark.parametrize("name", HANDLED)
def test_a_subclass_handles_more(name, loop_factory):
    """A method of the signal's name is its handler; it finds the stage."""

    def handle(self):
        assert isinstance(self.stage, plugin.Stage)
        self.stage.cancel.set()

    class Signals(plugin.Signals):
        locals()[name] = handle

    async def prepare(cancel: plugin.Cancel, signals: plugin.Signals):
        assert isinstance(signals, Signals)

        async def task():
            kill(HANDLED[name])
            return await cancel.wait()

        yield task()

    assert plugin.stage(prepare, signals=Signals, loop_factory=loop_factory) == [True]


def test_a_subclass_may_override_and_silence():
    """handle_int of a subclass is called instead, and None means that the signal is not taken over."""
    seen = []

    class Signals(plugin.Signals):
        handle_term = None

        def handle_int(self):
            seen.append("int")
            super().handle_int()

    async def prepare(cancel: plugin.Cancel):
        seen.append(signal.getsignal(signal.SIGTERM))

        async def task():
            kill(signal.SIGINT)
            return await cancel.wait()

        yield task()

    assert plugin.stage(prepare, signals=Signals) == [True]
    assert seen == [signal.getsignal(signal.SIGTERM), "int"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_handler_that_sets_cancel_stops_the_stage(signum):
    """As upstream's did: the stage knows that it was told to stop, and a start is given up."""

    class Handlers(plugin.Signals):
        def handle_term(self):
            self.stage.cancel.set()

        handle_hup = handle_term

    async def hangs():
        kill(signum)
        await forever()

    stage = plugin.Stage(signals=Handlers)
    assert stage.run(hangs) == []
    assert stage.stopped


def test_handlers_are_given_back(loop_factory):
    """Whoever handled a signal before the stage handles it afterwards, also after a failed start."""
    calls = []

    def own(signum, frame):
        calls.append(signum)

    before = signal.signal(signal.SIGTERM, own)
    try:

        async def good():
            assert signal.getsignal(signal.SIGTERM) is not own

        async def bad():
            raise OSError("no")

        plugin.stage(good, loop_factory=loop_factory)
        assert signal.getsignal(signal.SIGTERM) is own
        with pytest.raises(OSError):
            plugin.stage(bad, loop_factory=loop_factory)
        assert signal.getsignal(signal.SIGTERM) is own
        kill(signal.SIGTERM)
        assert calls == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signals_are_left_alone_until_something_is_loaded():
    """A stage that was only made has taken nothing over."""
    before = current_handlers()
    stage = plugin.Stage()
    assert current_handlers() == before
    stage.run_teardown()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_told_to_stop_ends_well(signum, tmp_path):
    """A service as a process: it finishes, tears down and exits with 0, without a word on stderr."""
    script = tmp_path / "service.py"
    script.write_text(
        textwrap.dedent(
            """
            from buvar import plugin

            async def prepare(cancel: plugin.Cancel, teardown: plugin.Teardown):
                teardown.add(lambda: print("torn down", flush=True))

                async def server():
                    print("serving", flush=True)
                    await cancel.wait()
                    return "finished"

                yield server()

            print(plugin.stage(prepare))
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line == "serving\n":
            break
    process.send_signal(signum)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.splitlines()[-2:] == ["torn down", "['finished']"]
    assert "Traceback" not in err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_phases_is_not_lost(signum, loop_factory):
    """What comes while the loop does not run is heard when it runs again, with uvloop too."""

    async def prepare(cancel: plugin.Cancel):
        async def task():
            await cancel.wait()
            return "heard"

        yield task()

    stage = plugin.Stage(loop_factory=loop_factory)
    stage.load(prepare)
    kill(signum)
    assert stage.run_tasks() == ["heard"]
    stage.run_teardown()


def test_no_signal_is_lost_while_handlers_change(monkeypatch, loop_factory):
    """There is no moment in which TERM does nothing: it is the stage's in one step, and in one step given back."""
    before = signal.getsignal(signal.SIGTERM)
    handlers = []
    change = signal.signal

    def note(signum, handler):
        if signum == signal.SIGTERM:
            handlers.append(handler)
        return change(signum, handler)

    monkeypatch.setattr(signal, "signal", note)
    stage = plugin.Stage(loop_factory=loop_factory)
    stage.signals.add_signal_handlers()
    kill(signal.SIGTERM)
    stage.loop.run_until_complete(asyncio.sleep(0.01))
    assert stage.stopped
    (taken,) = handlers
    assert signal.getsignal(signal.SIGTERM) is taken
    stage.run_teardown()
    assert handlers == [taken, before]


def test_a_signal_that_another_thread_gets_wakes_the_loop(loop_factory):
    """A stage that has nothing to do notices it at once, whichever thread the system chooses."""

    async def prepare(cancel: plugin.Cancel):
        async def task():
            await cancel.wait()
            return "heard"

        yield task()

    def send():
        running.wait(20)
        time.sleep(0.05)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        over.wait(20)

    running, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=send)
    thread.start()
    try:
        stage = plugin.Stage(loop_factory=loop_factory)
        stage.ready.add_callback(running.set)
        assert stage.run(prepare) == ["heard"]
    finally:
        over.set()
        thread.join()


def test_a_second_int_interrupts_what_blocks_the_loop(run_service):
    """Where the loop does not turn nobody hears the first one; the second one ends what blocks it."""
    service = run_service("""
import time

async def blocks(teardown: plugin.Teardown):
    teardown.add(lambda: print("torn down"))
    print("blocked", file=sys.stderr, flush=True)
    while True:
        time.sleep(0.01)

plugin.stage(blocks)
""")
    deadline = time.monotonic() + 20
    while "blocked" not in service.plain:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while service.process.poll() is None:
        assert time.monotonic() < deadline
        service.kill(signal.SIGINT)
        time.sleep(0.1)
    assert service.wait() == -signal.SIGINT
    assert "torn down" in service.stdout
