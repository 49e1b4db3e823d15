"""The rehearsal: everything that is wrong is told at once, and nothing runs."""

import asyncio
import json

import attrs
import pytest
import structlog

from buvar import config, context, di, errors, plugin
from buvar.components import Components
from buvar.config import unread
from buvar.diagnostic import CODES
from buvar.staging import codes
from buvar.staging.rehearsal import Rehearsal


class Nowhere: ...


class Here: ...


def rehearse(*plugins, components=None, slow=10.0, **options):
    return Rehearsal(components, **options).rehearse(*plugins, slow=slow)


def codes_of(found):
    return [each.code for each in found]


def with_configuration(**values):
    components = Components()
    components.add(config.ConfigSource(values))
    components.add(unread.CHECK)
    return components


def test_no_task_runs_and_all_is_torn_down():
    """Plugins are prepared and taken down; what they yield is never started."""
    steps = []

    async def task():
        steps.append("task")

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: steps.append("teardown"))
        steps.append("prepare")
        yield task()
        yield
        steps.append("resumed")

    assert rehearse(prepare) == ()
    assert steps == ["prepare", "resumed", "teardown"]


def test_what_is_there_when_all_are_prepared_can_be_looked_at():
    """The function that is given is called once, before what was prepared is taken down."""
    seen = []

    async def prepare():
        context.add(Here())
        yield
        seen.append("gone")

    stage = Rehearsal()
    stage.rehearse(prepare, look=lambda: seen.append(stage.context.get(Here)))
    assert [type(seen[0]), *seen[1:]] == [Here, "gone"]


def test_a_plugin_that_fails_hides_no_other():
    """What fails is told for each plugin, with who loaded it, and not again for who needed it."""

    async def broken():
        raise ValueError("no database")

    async def misspelt(load: plugin.Loader):
        await load("buvar.plugin_s", "buvar.context")

    async def main(load: plugin.Loader):
        await load(broken, misspelt)
        raise AssertionError("it must not go on without what it loads")

    async def apart():
        raise OSError("no disk")

    found = rehearse(main, apart)
    assert sorted(codes_of(found)) == ["BV201", "BV202", "BV203", "BV203"]
    assert {each.message.partition(":")[0] for each in found} == {
        "ValueError",
        "OSError",
        "'buvar.plugin_s' was not found",
        "buvar.context is not a plugin",
    }
    database = next(each for each in found if "no database" in each.message)
    assert any(note.startswith("while preparing plugin") and "loaded by" in note for note in database.notes)
    assert database.place.file == __file__


def test_what_a_plugin_deals_with_is_no_fault():
    """A plugin that goes on without what it tried to load would start, and so it is fine."""

    async def broken():
        raise ValueError("no cache")

    async def main(load: plugin.Loader):
        try:
            await load(broken)
        except ValueError:
            context.add(Here())

    assert rehearse(main) == ()


def test_what_nobody_waits_for_is_told():
    """A plugin that is loaded in the background and fails is told, as it would stop a start."""

    async def broken():
        raise ValueError("no cache")

    async def main(load: plugin.Loader):
        context.add([asyncio.ensure_future(load(broken))])

    (found,) = rehearse(main)
    assert "no cache" in found.message


def test_injection_configuration_and_exports_are_told_at_once():
    """Each kind of fault has its code, and all are told in one go."""

    @attrs.frozen
    class Settings(config.Config, section="rehearsed"):
        port: int = 1

    class Service:
        def __init__(self, nowhere: Nowhere): ...

    class Chicken:
        def __init__(self, egg: "Egg"): ...

    class Egg:
        def __init__(self, chicken: Chicken): ...

    class Client:
        def __init__(self, settings: Settings): ...

    def unreadable(x) -> Here: ...

    async def prepare(load: plugin.Loader):
        await load("buvar.config")
        Chicken.__init__.__annotations__["egg"] = Egg
        di.register(Service, Chicken, Egg, Client)
        di.require(Service, Chicken, Client)

    components = with_configuration(rehearsed={"port": "http"}, rehearsd={})
    found = rehearse(prepare, components=components)
    assert sorted(codes_of(found)) == ["BV101", "BV106", "BV301", "BV302"]
    assert codes_of(found)[-1] == "BV106", "warnings come after errors"
    by_code = {each.code: each for each in found}
    assert by_code["BV101"].message == "rehearsed.port: expected an integer, got 'http'"
    assert "did you mean 'rehearsed'?" in by_code["BV106"].message


def test_what_may_only_be_missing_since_plugins_fail_is_told_apart():
    """What nothing provides is no fault of its own while plugins fail that might have provided it."""

    async def broken():
        raise ValueError("no database")

    async def needs():
        di.require(Nowhere)

    error, more = rehearse(broken, needs)
    assert (error.code, more.code) == ("BV203", "BV306")
    assert more.severity == "info"
    assert more.message.startswith("1 more finding, perhaps only since these plugins failed: ")
    assert any("Nowhere" in note for note in more.notes)


def test_how_many_may_only_be_missing_since_plugins_fail_is_told():
    """Several of them are counted as several."""

    async def broken():
        raise ValueError("no database")

    async def needs():
        di.require(Nowhere)
        di.require(Here)

    _, more = rehearse(broken, needs)
    assert more.message.startswith("2 more findings, perhaps only since these plugins failed: ")


def test_a_walled_plugin_that_exports_nothing_is_told():
    """Exports that cannot be are told by their own code."""

    @plugin.exports(Here)
    async def walled():
        pass

    assert codes_of(rehearse(walled)) == ["BV207"]


def test_a_circle_of_loads_is_a_warning():
    """Plugins that load each other would start, and are told of; nothing is logged."""

    async def one(load: plugin.Loader):
        await load(other)

    async def other(load: plugin.Loader):
        await load(one)

    with structlog.testing.capture_logs() as logs:
        (found,) = rehearse(one)
    assert (found.code, found.severity) == ("BV205", "warning")
    assert " -> " in found.message
    assert [each for each in logs if each["log_level"] == "warning"] == []


def test_what_takes_long_itself_is_told():
    """A plugin that takes long is told, who only waited for it is not."""
    stage = Rehearsal()

    async def slow():
        pass

    async def main(load: plugin.Loader):
        await load(slow)

    def look():  # as if it had taken five seconds, all of which its loader waited for it
        for record in stage.plugins:
            record.seconds += 5.0
            if record.loader is None:
                record.waited += 5.0

    (found,) = stage.rehearse(main, slow=4.0, look=look)
    assert (found.code, found.severity) == ("BV206", "info")
    assert found.message.endswith("slow took 5.0 s to prepare")


def test_who_waits_for_several_waits_once():
    """While plugins that are loaded side by side are waited for, the time counts once."""

    async def first():
        await asyncio.sleep(0.05)

    async def second():
        await asyncio.sleep(0.05)

    async def main(load: plugin.Loader):
        await asyncio.gather(load(first), load(second))

    stage = Rehearsal()
    stage.rehearse(main)
    record = next(iter(stage.plugins))
    assert 0 < record.waited <= record.seconds
    assert record.own_seconds >= 0


def test_a_start_that_takes_too_long_is_told():
    """Who is still preparing when the time is over is told, with its stack."""

    async def stuck():
        await asyncio.Event().wait()

    (found,) = rehearse(stuck, start_timeout=0.1)
    assert found.code == "BV204"
    assert "still preparing" in found.message
    assert any("stuck" in note for note in found.notes)


def test_a_teardown_that_fails_is_told():
    """What cannot be taken down would be found at the first stop."""

    async def prepare(teardown: plugin.Teardown):
        def fail():
            raise OSError("it is stuck")

        teardown.add(fail)

    (found,) = rehearse(prepare)
    assert found.code == "BV208"
    assert found.message == "OSError: it is stuck"


def test_every_code_is_of_a_known_kind():
    """Codes are two letters and three digits, and say in words what is wrong."""
    assert all(code.startswith("BV") and code[2:].isdigit() and len(code) == 5 for code in CODES)
    assert len({*CODES.values()}) == len(CODES)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NameNotFoundError("a.b", "no module"), "BV201"),
        (errors.DottedNameError("a:"), "BV201"),
        (errors.PluginError("a", "it is not async"), "BV202"),
        (RuntimeError("x"), "BV203"),
        (errors.StartTimeoutError(1.0, {"a": "stack"}), "BV204"),
        (errors.ExportError("a", int, "none"), "BV207"),
        (errors.ResolveError(int, "nothing"), "BV301"),
        (errors.ResolveError(int, "a circle", kind="circle"), "BV302"),
        (errors.ResolveError(int, "too long", kind="lifetime"), "BV303"),
        (errors.ResolveError(int, "several", kind="ambiguous"), "BV304"),
        (errors.AdapterError(len, "no return type"), "BV305"),
        (errors.ConfigError(errors.ConfigProblem("a.b", "no", code="BV103")), "BV103"),
        (errors.ConfigError("as text"), "BV101"),
    ],
)
def test_each_error_has_its_code(error, code):
    """Every kind of error that stops a start is told by a code of its own, in words."""
    (found,) = codes.diagnose(ExceptionGroup("several", [error]))
    assert found.code == code
    assert found.message
    assert "\n" not in found.message


def test_what_is_told_can_be_written_as_json():
    """A diagnostic is plain data."""
    (found,) = codes.diagnose(RuntimeError("x"))
    assert json.loads(json.dumps(attrs.asdict(found)))["message"] == "RuntimeError: x"


def test_what_nobody_reads_is_told_after_all_other_checks():
    """A section that another check reads is no section that nobody reads, whichever was declared first."""

    async def prepare():
        context.add(unread.CHECK)

        def read(source: config.ConfigSource):
            source.load(Limits, "limits")

        context.add(plugin.Check("limits", read))

    @attrs.frozen
    class Limits:
        size: int = 1

    found = rehearse(prepare, components=with_configuration(limits={"size": 2}, shpo={}))
    assert [each.message for each in found] == ["nothing reads the section [shpo]"]


def test_a_failure_that_is_dealt_with_hides_nothing():
    """What is wrong elsewhere is an error as at a start, also where a plugin goes on without what it tried to load."""

    async def broken():
        raise ValueError("no cache")

    async def main(load: plugin.Loader):
        try:
            await load(broken)
        except ValueError:
            di.require(Nowhere)

    assert codes_of(rehearse(main)) == ["BV301"]


def test_a_check_that_does_not_end_is_told_with_what_was_found():
    """The time for the start counts for checks too; what others have found is not lost."""

    async def prepare():
        context.add(plugin.Diagnostic("XX1", "seen"))
        context.add(plugin.Check("stuck", lambda: asyncio.sleep(60)))

    late, seen = rehearse(prepare, start_timeout=0.1)
    assert (late.code, seen.code) == ("BV204", "XX1")
    assert "the check 'stuck'" in late.message


def test_all_is_torn_down_when_a_plugin_ends_the_process():
    """SystemExit leaves nothing behind, and is told: a start would end by it."""
    steps = []

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: steps.append("teardown"))
        raise SystemExit("no licence")

    (found,) = rehearse(prepare)
    assert (found.code, found.message) == ("BV203", "SystemExit: no licence")
    assert steps == ["teardown"]


def test_a_teardown_that_ends_the_process_hides_nothing():
    """SystemExit from a teardown is told beside all else."""

    async def prepare(teardown: plugin.Teardown):
        def leave():
            raise SystemExit(3)

        teardown.add(leave)
        context.add(plugin.Diagnostic("XX1", "seen"))

    assert sorted(codes_of(rehearse(prepare))) == ["BV208", "XX1"]


def test_errors_in_groups_say_whose_they_are():
    """What a plugin raises as a group is told one by one, each with the plugin."""

    async def prepare():
        raise ExceptionGroup("several", [ValueError("a"), KeyError("b")])

    found = rehearse(prepare)
    assert codes_of(found) == ["BV203", "BV203"]
    assert all(each.plugin and each.plugin.endswith("prepare") for each in found)


def test_an_error_of_a_check_has_its_own_code():
    """A check that raises is no plugin that fails to prepare."""

    async def prepare():
        def fail():
            raise ValueError("no idea")

        context.add(plugin.Check("fails", fail))

    (found,) = rehearse(prepare)
    assert (found.code, found.message) == ("BV901", "ValueError: no idea")


def test_two_plugins_may_tell_the_same():
    """What two plugins say in the same words is told for each."""

    async def one():
        context.add(plugin.Diagnostic("XX1", "no key"))

    async def other():
        context.add(plugin.Diagnostic("XX1", "no key"))

    assert codes_of(rehearse(one, other)) == ["XX1", "XX1"]
