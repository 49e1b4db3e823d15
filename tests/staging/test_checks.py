"""The check before the run: what plugins find stops a start, or is logged."""

import asyncio
import contextlib

import attrs
import pytest
import structlog

from buvar import config, context, di, errors, plugin
from buvar.components import Components
from buvar.plugins import flags
from buvar.staging import checks


@attrs.frozen
class Limit:
    size: int = 3


def told(caught):
    return [str(error) for error in caught.value.exceptions]


@pytest.fixture
def warnings():
    """What is logged as a warning."""
    with structlog.testing.capture_logs() as logs:
        yield lambda: [each for each in logs if each["log_level"] == "warning"]


def diagnostic(text, **kwargs):
    return plugin.Diagnostic("XX1", text, **kwargs)


async def asynchronously():
    await asyncio.sleep(0)
    return [diagnostic("one"), diagnostic("two")]


async def one_by_one():
    yield diagnostic("one")
    await asyncio.sleep(0)
    yield diagnostic("two")


def lazily():
    yield diagnostic("one")
    yield diagnostic("two")


@pytest.mark.parametrize(
    "function", [asynchronously, one_by_one, lazily, lambda: [diagnostic("one"), diagnostic("two")]]
)
def test_a_check_is_any_kind_of_function(function):
    """A check may be a function, a coroutine function, or a generator of either kind; all that it finds is told."""

    async def prepare():
        context.add(plugin.Check("any", function))

    with pytest.raises(ExceptionGroup, match="found 2 errors") as caught:
        plugin.stage(prepare)
    assert told(caught) == ["XX1 one", "XX1 two"]
    assert errors.exit_code(caught.value) == errors.EXIT_USAGE


def test_a_check_runs_when_all_are_prepared_and_before_tasks():
    """What a later plugin adds is there, the parameters are injected, and no task has begun."""
    steps = []

    async def task():
        steps.append("task")

    async def early():
        def look(limit: Limit):
            steps.append(limit.size)

        context.add(plugin.Check("limit", look))
        yield task()

    async def late():
        context.add(Limit(7))

    plugin.stage(early, late)
    assert steps == [7, "task"]


def test_errors_of_all_kinds_come_together():
    """What is injected and cannot be, what checks find, and what they raise, are told in one group."""

    class Nowhere: ...

    def fails():
        raise ValueError("no idea")

    async def prepare():
        di.require(Nowhere)
        context.add(plugin.Check("fails", fails))
        context.add(diagnostic("seen while preparing"))

    with pytest.raises(ExceptionGroup, match="found 3 errors") as caught:
        plugin.stage(prepare)
    assert {type(error) for error in caught.value.exceptions} == {
        errors.ResolveError,
        errors.DiagnosticError,
        ValueError,
    }
    (raised,) = (
        error for error in caught.value.exceptions if isinstance(error, ValueError) and str(error) == "no idea"
    )
    assert any("in the check 'fails' of" in note for note in raised.__notes__)
    assert errors.exit_code(caught.value) == errors.EXIT_FAILED


def test_warnings_are_logged_and_stop_nothing(warnings):
    """A warning is logged with its code, place and advice; information is not; the service runs."""

    async def prepare():
        place = errors.Place("shop.py", 3)
        context.add(diagnostic("odd", severity="warning", place=place, advice="change it"))
        context.add(diagnostic("by the way", severity="info"))

    assert plugin.stage(prepare) == []
    (line,) = warnings()
    assert line == {"event": "odd", "log_level": "warning", "code": "XX1", "place": "shop.py:3", "advice": "change it"}


def test_a_stage_that_does_not_tell_logs_no_warnings(warnings):
    """Of several workers one tells warnings; errors count in each."""

    async def prepare():
        context.add(diagnostic("odd", severity="warning"))

    stage = plugin.Stage()
    stage.tells = False
    assert stage.run(prepare) == []
    assert warnings() == []


def test_a_check_that_gives_something_else_is_told():
    """What is no Diagnostic is an error that names the check."""

    async def prepare():
        context.add(plugin.Check("odd", lambda: ["text"]))

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    (error,) = caught.value.exceptions
    assert isinstance(error, TypeError)
    assert str(error) == "it gave 'text', which is no Diagnostic"


def test_a_check_runs_in_the_context_of_its_plugin():
    """The check of a plugin with walls sees what is behind them, and its findings name it."""

    @plugin.exports()
    async def walled():
        def look(limit: Limit):
            yield diagnostic(f"size {limit.size}")

        context.add(Limit(9))
        context.add(plugin.Check("size", look))
        context.add(diagnostic("of its own"))

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(walled)
    found = [error.diagnostic for error in caught.value.exceptions]
    assert sorted(each.message for each in found) == ["of its own", "size 9"]
    assert all(each.plugin.endswith("walled") for each in found)


def test_a_check_that_is_declared_twice_runs_once():
    """Two plugins may declare the very same check."""
    calls = []
    check = plugin.Check("once", lambda: calls.append(1))

    async def one():
        context.add(check)

    async def other():
        context.add(check)

    plugin.stage(one, other)
    assert calls == [1]


def test_a_check_may_ask_what_will_be_injected():
    """Types that adapters and roots need are known, but for what is there as a component."""
    seen = []

    class Service:
        def __init__(self, limit: Limit, number: int): ...

    class Root: ...

    async def prepare():
        def look(needs: plugin.Needs):
            seen.append(needs.types)

        context.add(3)
        context.add(Root(), str)  # so that the root is satisfied
        di.register(Service, Limit)
        di.require(str)
        context.add(plugin.Check("needs", look))

    plugin.stage(prepare)
    (types,) = seen
    assert Limit in types
    assert not {int, str} & types


def test_only_errors_stop_a_start():
    """An exception and an error stop a start; a warning and information do not."""
    stop = [
        checks.error_of(each) is not None for each in (ValueError(), *map(of_severity, ("error", "warning", "info")))
    ]
    assert stop == [True, True, False, False]


def of_severity(severity):
    return diagnostic("x", severity=severity)


@attrs.frozen
class Shelf(config.Config, section="checked-shelf"):
    size: int = 1


@attrs.frozen
class Till(config.Config, section="checked-till"):
    open: bool = False


def test_a_start_that_fails_with_one_section_tells_of_the_others():
    """What else is wrong with the configuration stands beside the first error that a plugin came upon."""
    context_ = Components()
    context_.add(config.ConfigSource({"checked-shelf": {"size": "big"}, "checked-till": {"open": "ture", "opne": 1}}))

    async def prepare(load: plugin.Loader):
        await load("buvar.config")
        await di.nject(Shelf)

    with pytest.raises(errors.ConfigError) as caught:
        plugin.stage(prepare, components=context_)
    assert str(caught.value) == "checked-shelf.size: expected an integer, got 'big'"
    also = [note for note in caught.value.__notes__ if note.startswith("also ")]
    assert [note.partition(":")[0] for note in also] == ["also checked-till.open", "also checked-till.opne"]


def test_a_check_for_other_failures_is_not_asked():
    """An error of another kind is told as it is."""

    async def prepare():
        context.add(plugin.Check("odd", lambda: [diagnostic("x")], failures=KeyError))
        context.add(plugin.Check("plain", lambda: [diagnostic("y")]))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        plugin.stage(prepare)
    assert not any(note.startswith("also") for note in caught.value.__notes__)


def test_a_check_that_is_cancelled_by_what_it_waits_for_is_an_error():
    """It is told like all else, with the name of the check."""

    async def look():
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    async def prepare():
        context.add(plugin.Check("cancelled", look))

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    (error,) = caught.value.exceptions
    assert isinstance(error, errors.StageError)
    assert any("in the check 'cancelled'" in note for note in error.__notes__)


def test_the_generator_of_a_check_is_closed():
    """Also where it gives something wrong: its end has run before the next check does."""
    steps = []

    async def first():
        try:
            yield "no diagnostic"
        finally:
            steps.append("closed")

    async def prepare():
        context.add(plugin.Check("a", first))
        context.add(plugin.Check("b", lambda: steps.append("next")))

    with pytest.raises(ExceptionGroup):
        plugin.stage(prepare)
    assert steps == ["closed", "next"]


def test_one_diagnostic_may_be_all_that_a_check_gives():
    """A check may return its only finding."""

    async def prepare():
        context.add(plugin.Check("one", lambda: diagnostic("alone")))

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    assert told(caught) == ["XX1 alone"]


def test_a_check_that_never_ends_is_named():
    """When the time for the start is over, the check that has not ended is told, and what ignores its end is left."""

    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def prepare():
        context.add(plugin.Check("deaf", deaf))

    def run():
        stage = plugin.Stage(start_timeout=0.1)
        with pytest.raises(errors.StartTimeoutError, match="still preparing: the check 'deaf' of ") as caught:
            stage.run(prepare)
        return caught.value

    assert "deaf" in "".join(run().stuck.values())


def test_an_unknown_severity_is_refused():
    """A severity that stops nothing by mistake would be worse than none."""
    with pytest.raises(
        errors.DeclarationError, match="the severity of XX1 is 'error', 'warning' or 'info', not 'fatal'"
    ):
        diagnostic("x", severity="fatal")


def test_a_stage_inside_of_a_task_looks_after_its_own():
    """The checks of the stage around it are no affair of a stage that a task runs."""
    calls = []

    async def inner():
        context.add(plugin.Check("inner", lambda: calls.append("inner")))

    async def outer():
        context.add(plugin.Check("outer", lambda: calls.append("outer")))
        yield asyncio.to_thread(plugin.stage, inner)

    plugin.stage(outer)
    assert calls == ["outer", "inner"]


def test_an_error_of_a_plugin_that_allows_no_notes_is_told(rigid):
    """It gets no note, and is raised as it is."""

    async def prepare():
        raise rigid("stiff")

    with pytest.raises(rigid) as caught:
        plugin.stage(prepare)
    assert caught.value == rigid("stiff")


def test_an_error_of_a_check_that_allows_no_notes_is_told(rigid):
    """It stands beside what the other checks find."""

    def fails():
        raise rigid("stiff")

    async def prepare():
        context.add(plugin.Check("fails", fails))
        context.add(plugin.Check("finds", lambda: [diagnostic("one")]))

    with pytest.raises(ExceptionGroup, match="found 2 errors") as caught:
        plugin.stage(prepare)
    stiff, found = caught.value.exceptions
    assert stiff == rigid("stiff")
    assert str(found) == "XX1 one"


def test_a_load_that_is_not_awaited_stops_the_start():
    """What was asked for is not there, and nobody would know: it is told with the line."""

    async def other():
        raise AssertionError("it is not loaded")

    async def prepare(load: plugin.Loader):
        load(other).close()  # as the end of a plugin that forgets it does

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    (error,) = caught.value.exceptions
    assert error.diagnostic.code == "BV211"
    assert "calls load() and does not await it" in str(error)
    line = prepare.__code__.co_firstlineno + 1
    assert (error.diagnostic.place.file, error.diagnostic.place.line) == (__file__, line)


def test_what_nobody_collects_is_told(warnings):
    """Declarations of a plugin that is not loaded are a warning, one for all of them, with what to load."""

    async def prepare():
        context.add(flags.Flag("loud"))
        context.add(flags.Flag("proud"))

    plugin.stage(prepare)
    (line,) = warnings()
    assert line["code"] == "BV212"
    assert line["event"].startswith("Flag 'loud' is declared, and nobody loads 'buvar.plugins.flags'")
    assert line["advice"] == "write await load('buvar.plugins.flags')"

    async def loads(load: plugin.Loader):
        await load("buvar.plugins.flags", prepare)

    plugin.stage(loads)
    assert len(warnings()) == 1
