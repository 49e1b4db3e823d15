import asyncio
import collections.abc as c
import contextvars
import functools
import re

import attrs
import pytest

from buvar import context, di, errors, plugin
from buvar.plugins import health

request = contextvars.ContextVar("request", default=None)

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def registry():
    """What is registered is forgotten after the test."""
    token = di.buvar_adapters.set(di.Adapters())
    yield
    di.buvar_adapters.reset(token)


@attrs.frozen(eq=False)
class Engine:
    url: str = "engine"


class Session:
    pass


class Missing:
    pass


async def fine():
    pass


async def forever():
    await asyncio.Event().wait()


async def fail():
    raise ConnectionError("no route to db1, password hunter2")


def staged(use, *plugins):
    """Run `use` in a task of a stage that has loaded the plugin and others, and return what it returns."""

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.health", *plugins)
        yield use()

    (result,) = plugin.stage(prepare)
    if isinstance(result, BaseException):
        raise result
    return result


def declare(*checks):
    """Return an open plugin that declares checks."""

    async def prepare():
        for each in checks:
            context.add(each)

    return prepare


async def all_ended():
    while any(task.get_name().startswith("health check") for task in asyncio.all_tasks()):
        await asyncio.sleep(0)


def outcome(report):
    return {each.name: each.error if not each.ok else each.detail for each in report.results}


def test_nothing_declared_is_healthy():
    """Where there are no checks the report is empty, and fine."""
    report = staged(health.check)
    assert (report.ok, report.results, report.failed) == (True, (), ())
    assert report.public() == {"ok": True, "checks": {}}


def test_who_asks_without_the_plugin_is_told():
    """Without the plugin there is nothing that runs checks, and the error says so."""

    async def prepare():
        await health.check()

    with pytest.raises(errors.ComponentLookupError, match="Health in the context; add one, or load the plugin"):
        plugin.stage(prepare)


def test_a_report_tells_of_each_check():
    """What returns is healthy, with the text that it returned; what raises is not, with the error and its line."""

    async def detailed():
        return "3 of 10 connections used"

    checks = health.HealthCheck("fine", fine), health.HealthCheck("detail", detailed), health.HealthCheck("bad", fail)
    report = staged(health.check, declare(*checks))
    assert [each.name for each in report.results] == ["fine", "detail", "bad"]
    assert [each.ok for each in report.results] == [True, True, False]
    assert report.results[1].detail == "3 of 10 connections used"
    (bad,) = report.failed
    assert bad.error.startswith("ConnectionError: no route to db1, password hunter2\nat ")
    assert f"{__file__}:" in bad.error
    assert not report.ok
    assert all(each.seconds >= 0 and each.kind == "ready" for each in report.results)


def test_strangers_see_no_text():
    """The outside form says which checks failed, and nothing of why."""
    report = staged(health.check, declare(health.HealthCheck("fine", fine), health.HealthCheck("bad", fail)))
    assert report.public() == {"ok": False, "checks": {"fine": True, "bad": False}}


@pytest.mark.parametrize(("kind", "names"), [("ready", ["a"]), ("live", ["b"]), (None, ["a", "b"])])
def test_one_kind_is_asked_for(kind, names):
    """Checks of readiness and of liveness are asked for apart, or together."""
    plugins = declare(health.HealthCheck("a", fine), health.HealthCheck("b", fine, kind="live"))
    report = staged(lambda: health.check(kind), plugins)
    assert [each.name for each in report.results] == names


def test_an_unknown_kind_is_told():
    """A kind that there is not is an error, not an empty report."""
    with pytest.raises(errors.DeclarationError, match="is 'ready' or 'live', not 'readiness'"):
        staged(lambda: health.check("readiness"))


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_however_a_check_ends_the_others_go_on(raised):
    """What is no Exception says no more than that this check failed: the service, and the others, go on."""

    async def end():
        raise raised

    report = staged(health.check, declare(health.HealthCheck("end", end), health.HealthCheck("fine", fine)))
    assert [each.ok for each in report.results] == [False, True]
    assert report.failed[0].error


def test_an_error_that_cannot_be_written_is_one():
    """An error whose text cannot be had is told by its type."""

    class Unwritten(Exception):
        def __str__(self):
            raise ValueError("no text")

    async def end():
        raise Unwritten

    report = staged(health.check, declare(health.HealthCheck("end", end)))
    assert outcome(report) == {"end": "Unwritten"}


@pytest.mark.parametrize("value", [False, True, 0, {}])
def test_what_a_check_returns_is_no_verdict(value):
    """A check that returns a value that means nothing is told so: False is not taken for healthy."""

    async def verdict():
        return value

    (result,) = staged(health.check, declare(health.HealthCheck("verdict", verdict))).results
    assert not result.ok
    assert result.error.startswith(f"it returned {value!r}; return nothing or a text if all is well")


def test_a_check_that_hangs_is_given_up():
    """After its time a check has failed and is cancelled; the others are told as they are."""
    cancelled = []

    async def hang():
        try:
            await forever()
        finally:
            cancelled.append(True)

    async def use():
        report = await health.check()
        await all_ended()
        again = await health.check()
        return outcome(report), outcome(again)

    plugins = declare(health.HealthCheck("hang", hang, timeout=0.01), health.HealthCheck("fine", fine))
    wanted = {"hang": "it took longer than 0.01 s", "fine": None}
    assert staged(use, plugins) == (wanted, wanted)
    assert cancelled == [True, True]


def test_a_check_that_ignores_its_cancellation_is_not_started_again():
    """While a check that was given up still runs, it counts as failed at once and is not run beside itself."""
    started = []

    async def use():
        release = asyncio.Event()

        async def deaf():
            started.append(True)
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    pass

        context.add(health.HealthCheck("deaf", deaf, timeout=0.01))
        reports = [await health.check() for _ in range(3)]
        release.set()
        await all_ended()
        return [outcome(each) for each in reports], outcome(await health.check())

    told, after = staged(use)
    assert told == [{"deaf": "it took longer than 0.01 s"}] * 3
    assert after == {"deaf": None}
    assert len(started) == 2


def test_who_asks_meanwhile_gets_the_same_run():
    """Several who ask at the same time have each check run once."""
    started = []

    async def use():
        release = asyncio.Event()

        async def slow():
            started.append(True)
            await release.wait()

        context.add(health.HealthCheck("slow", slow))
        asked = [asyncio.ensure_future(health.check()) for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()  # the others still wait for it
        await asyncio.sleep(0)
        release.set()
        return [await each for each in asked[1:]]

    one, other = staged(use)
    assert one == other
    assert one.ok
    assert started == [True]


def test_a_caller_that_is_cancelled_cancels_the_checks():
    """Where nobody waits for a check any more it is cancelled; the next one who asks has a run of its own."""

    async def use():
        ended = []

        async def hang():
            try:
                await forever()
            finally:
                ended.append(len(ended))

        context.add(health.HealthCheck("hang", hang, timeout=600))
        for _ in range(2):
            asked = asyncio.ensure_future(health.check())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        await all_ended()
        return ended

    assert staged(use) == [0, 1]


def test_a_check_runs_at_home():
    """What a walled plugin has for itself is injected into its checks, and found by them, and by no other."""

    @plugin.exports()
    async def walled():
        context.add(Engine("walled"))

        async def ping(engine: Engine):
            assert context.get(Engine) is engine
            return engine.url

        context.add(health.HealthCheck("walled", ping))

    async def look():
        return str(context.get(Engine, default=None))

    report = staged(health.check, walled, declare(health.HealthCheck("open", look)))
    assert outcome(report) == {"open": "None", "walled": "walled"}


def test_a_check_does_not_see_who_asks():
    """Neither what the caller has pushed, nor its context variables, are seen by a check, which others may wait for."""

    async def look():
        return f"{context.get(Engine, default=None)} {request.get()}"

    async def use():
        request.set("mine")
        async with context.scope("request"):
            context.add(Engine())
            return await health.check()

    assert outcome(staged(use, declare(health.HealthCheck("look", look)))) == {"look": "None None"}


def test_each_run_has_a_scope():
    """What is scoped is built for each run, and finalised when it ends, before the result is told."""
    events = []

    async def session() -> c.AsyncIterator[Session]:
        events.append("open")
        yield Session()
        events.append("close")

    async def ping(session: Session):
        events.append("ping")

    async def prepare():
        di.scoped(session)
        context.add(health.HealthCheck("one", ping))
        context.add(health.HealthCheck("two", ping))

    async def use():
        report = await health.check()
        assert events.count("close") == 2
        return report

    assert staged(use, prepare).ok
    assert (events.count("open"), events.count("ping")) == (2, 2)


def test_a_scope_that_does_not_close_well_is_a_failure():
    """A check is healthy when what it opened was closed too."""

    async def session() -> c.AsyncIterator[Session]:
        yield Session()
        raise OSError("commit failed")

    async def ping(session: Session): ...

    async def prepare():
        di.scoped(session)
        context.add(health.HealthCheck("one", ping))

    (result,) = staged(health.check, prepare).failed
    assert "OSError: commit failed" in result.error


def test_what_a_check_needs_is_looked_after_before_the_run():
    """A check with a parameter that nothing provides stops the start."""

    async def ping(missing: Missing): ...

    with pytest.raises(ExceptionGroup) as caught:
        staged(health.check, declare(health.HealthCheck("one", ping)))
    assert re.search(r"Missing <- .*ping\(missing\)", str(caught.value.exceptions[0]))


def test_two_of_one_name_stop_the_start():
    """Where two walled plugins have checks of one name, both are told, for a report would show one of them only."""

    @plugin.exports()
    async def one():
        context.add(health.HealthCheck("database", fine))

    @plugin.exports()
    async def two():
        context.add(health.HealthCheck("database", fine))

    with pytest.raises(ExceptionGroup) as caught:
        staged(health.check, one, two)
    (error,) = caught.value.exceptions
    assert re.search(r"HealthCheck 'database' is declared twice: by .*one \(.* and by .*two \(", str(error))


def test_checks_that_run_are_cancelled_at_the_end():
    """A check that nobody gave up is cancelled before what it needs is torn down."""
    events = []

    async def ping():
        try:
            await forever()
        finally:
            events.append("cancelled")

    async def prepare(load: plugin.Loader, teardown: plugin.Teardown):
        await load("buvar.plugins.health")
        teardown.add(lambda: events.append("torn down"))
        context.add(health.HealthCheck("one", ping))
        asked = []

        async def task():
            asked.append(asyncio.ensure_future(health.check()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        yield task()
        yield
        assert outcome(await asked[0]) == {"one": "it was cancelled"}

    plugin.stage(prepare)
    assert events == ["cancelled", "torn down"]


class Pinger:
    async def __call__(self):
        return "called"

    async def ping(self, engine: Engine):
        return engine.url

    @classmethod
    async def ping_class(cls):
        return cls.__name__


@pytest.mark.parametrize(
    ("check", "detail"),
    [
        (Pinger(), "called"),
        (Pinger().ping, "engine"),
        (Pinger.ping_class, "Pinger"),
        (functools.partial(Pinger.ping, Pinger()), "engine"),
        (functools.partial(Pinger.ping, Pinger(), engine=Engine("fixed")), "fixed"),
        (attrs.define(Pinger)(), "called"),
    ],
)
def test_whatever_is_called_and_awaited_is_a_check(check, detail):
    """Methods, partials and objects that are called like async functions do as well, with what they need injected."""

    async def prepare():
        context.add(Engine())
        context.add(health.HealthCheck("one", check))

    assert outcome(staged(health.check, prepare)) == {"one": detail}


def sync():
    pass


async def generator():
    yield


@pytest.mark.parametrize("check", [sync, lambda: fine(), generator, 5, None, Engine, Engine()])
def test_what_is_not_async_is_refused(check):
    """A check that would block the loop, or is none, is refused where it is declared, with what to write."""
    with pytest.raises(errors.DeclarationError) as caught:
        health.HealthCheck("one", check)
    assert str(caught.value) == (
        f"the HealthCheck 'one' needs an async function, not {check!r}; "
        "write 'async def', with 'await asyncio.to_thread(…)' for what blocks"
    )


def test_a_coroutine_is_refused():
    """What an async function returned is no check, and is closed, so that nothing warns of it."""
    with pytest.raises(
        errors.DeclarationError, match=r"was given what its function returns; write the name without \(\)"
    ):
        health.HealthCheck("one", fine())


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), None, "5", True])
def test_a_timeout_is_a_number_of_seconds(timeout):
    """A time that is none, or has no end, is refused."""
    with pytest.raises(
        errors.DeclarationError, match="the timeout of the HealthCheck 'one' is a number of seconds above 0"
    ):
        health.HealthCheck("one", fine, timeout=timeout)


def test_a_kind_is_one_of_two():
    """A kind that nobody asks for is refused."""
    with pytest.raises(
        errors.DeclarationError, match="the kind of the HealthCheck 'one' is 'ready' or 'live', not 'up'"
    ):
        health.HealthCheck("one", fine, kind="up")


def test_the_last_results_are_kept():
    """What came of a check is kept by name until it is run again, whoever asked; one that was given up says nothing."""
    runs = []

    async def hangs_later():
        runs.append(None)
        if len(runs) > 1:
            await forever()

    async def use():
        found = context.get(health.Health)
        first = dict(found.last)
        await health.check("live")
        only_live = set(found.last)
        await health.check()
        before = dict(found.last)
        asked = asyncio.ensure_future(found.check("ready"))
        while len(runs) < 2:
            await asyncio.sleep(0)
        asked.cancel()
        await all_ended()
        await health.check("live")  # what has come of the other one is known by then
        return first, only_live, before, dict(found.last)

    checks = health.HealthCheck("live", fail, kind="live"), health.HealthCheck("later", hangs_later)
    first, only_live, before, after = staged(use, declare(*checks))
    assert (first, only_live) == ({}, {"live"})
    assert {name: each.result.ok for name, each in before.items()} == {"live": False, "later": True}
    assert after["later"] is before["later"]
    assert after["live"] is not before["live"]
