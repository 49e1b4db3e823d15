"""Leadership as a stage sees it: which tasks wait for it, and when the stage lets go of it."""

import asyncio
import gc

import pytest

from buvar import context, errors, plugin
from buvar.staging import tasks


async def work(result="worked"):
    return result


async def forever():
    await asyncio.Event().wait()


class Awaitable:
    """What can be awaited and is neither a coroutine nor a future."""

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "awaited"


def withheld(loop_factory=None, **options):
    """Return a stage as a worker has it: somebody else says when it leads."""
    stage = plugin.Stage(loop_factory=loop_factory, **options)
    stage.lead.withhold()
    return stage


def logged(logs, event):
    return [entry for entry in logs if entry["event"] == event]


# -- when leader tasks start


def test_a_stage_without_a_supervisor_leads(loop_factory):
    """Where nothing is forked a leader's task is a task as any other, from its first step on."""
    seen = []

    async def prepare(lead: plugin.Lead, ready: plugin.Ready):
        async def first_step():
            seen.append(ready.is_set())
            return "led"

        assert lead.is_set()
        yield plugin.leader(first_step())

    assert plugin.stage(prepare, loop_factory=loop_factory) == ["led"]
    assert seen == [False]


def test_a_leader_task_starts_when_leadership_is_granted(loop_factory):
    """Others run, and the stage is ready, while a leader's task still waits."""
    seen = []

    async def prepare(lead: plugin.Lead, ready: plugin.Ready):
        async def leads():
            seen.append("leads")

        async def grants():
            await ready.wait()
            await asyncio.sleep(0.01)
            seen.append(("other", lead.is_set()))
            lead.grant()
            seen.append(("granted", lead.is_set()))

        yield plugin.leader(leads())
        yield grants()

    withheld(loop_factory).run(prepare)
    assert seen == [("other", False), ("granted", True), "leads"]


def test_a_stage_that_only_waits_for_leadership_stays(loop_factory):
    """Where all other tasks have ended, a leader's task keeps the stage alive until it has led."""
    stage = withheld(loop_factory)

    async def prepare():
        asyncio.get_running_loop().call_later(0.05, stage.lead.grant)
        yield work("other")
        yield plugin.leader(work("led"))

    assert stage.run(prepare) == ["other", "led"]


@pytest.mark.parametrize("make", [work, Awaitable], ids=["coroutine", "awaitable"])
def test_a_leader_task_that_never_leads_ends_with_the_stage(loop_factory, logs, make):
    """Cancel gives it up at once: its result is None, it has not failed, nothing warns of it."""
    stage = withheld(loop_factory)

    async def prepare(cancel: plugin.Cancel):
        asyncio.get_running_loop().call_later(0.01, cancel.set)
        return [plugin.leader(make()), plugin.leader(make())]

    assert stage.run(prepare) == [None, None]
    gc.collect()
    assert stage.failures == ()
    assert logged(logs, "cancelling tasks that did not finish") == []


def test_leadership_that_comes_after_cancel_starts_nothing(loop_factory):
    """A stage that was asked to stop, in this very turn even, does not begin to lead."""
    stage = withheld(loop_factory)

    async def prepare(cancel: plugin.Cancel):
        async def both():
            cancel.set()
            stage.lead.grant()

        yield plugin.leader(work())
        yield both()

    assert stage.run(prepare) == [None, None]
    assert not stage.lead.is_set()


def test_cancel_in_prepare_starts_a_leader_task_where_it_leads_already():
    """As with all tasks: it is started and asked to finish at once; one that is withheld never starts."""

    async def prepare(cancel: plugin.Cancel):
        cancel.set()
        yield plugin.leader(work())

    assert plugin.stage(prepare) == ["worked"]
    assert withheld().run(prepare) == [None]


def test_cancel_tells_leader_tasks_to_finish(loop_factory, logs):
    """They have the same grace as all tasks, and are cancelled and named after it."""
    stage = withheld(loop_factory, cancel_timeout=0.05)

    async def prepare(cancel: plugin.Cancel):
        async def polite():
            await cancel.wait()
            return "finished"

        async def stops():
            cancel.set()

        yield plugin.leader(polite())
        yield plugin.leader(forever())
        yield plugin.leader(stops())
        asyncio.get_running_loop().call_soon(stage.lead.grant)

    first, second, third = stage.run(prepare)
    assert (first, third) == ("finished", None)
    assert isinstance(second, asyncio.CancelledError)
    (entry,) = logged(logs, "cancelling tasks that did not finish")
    assert entry["tasks"] == ["forever"]


# -- what they are otherwise: tasks


def test_results_keep_their_place(loop_factory):
    """A leader's result stands where its plugin was loaded, however late it came."""
    stage = withheld(loop_factory)

    async def first():
        yield plugin.leader(Awaitable())
        yield work("a")

    async def second(lead: plugin.Lead):
        asyncio.get_running_loop().call_later(0.02, lead.grant)
        return [work("b"), plugin.leader(work("c"))]

    async def third():
        return plugin.leader(asyncio.sleep(0, "d"))

    assert stage.run(first, second, third) == ["awaited", "a", "b", "c", "d"]


def test_a_leader_task_that_fails_stops_the_stage(loop_factory, logs):
    """It is logged by the name of what it runs; its error stands in place of its result."""
    stage = withheld(loop_factory)

    async def breaks():
        raise ValueError("broken")

    async def prepare(cancel: plugin.Cancel):
        async def server():
            await cancel.wait()
            return "served"

        yield plugin.leader(breaks())
        yield server()
        asyncio.get_running_loop().call_soon(stage.lead.grant)

    error, served = stage.run(prepare)
    assert repr(error) == "ValueError('broken')"
    assert stage.failures == (error,)
    assert served == "served"
    (entry,) = logged(logs, "task failed")
    assert entry["task"].endswith("breaks")
    assert entry["plugin"].endswith("prepare")


def test_a_leader_task_runs_in_the_context_of_its_plugin(loop_factory):
    """It sees what its plugin has behind its walls."""

    def walled(text):
        @plugin.exports()
        async def prepare():
            async def look():
                return context.get(str)

            context.add(text)
            yield plugin.leader(look())

        return prepare

    stage = withheld(loop_factory)

    async def grants(lead: plugin.Lead):
        asyncio.get_running_loop().call_soon(lead.grant)

    assert stage.run(walled("a"), walled("b"), grants) == ["a", "b"]


def test_teardown_comes_after_leader_tasks(loop_factory):
    """A leader's task ends in the run phase, as all do."""
    seen = []

    async def prepare(cancel: plugin.Cancel, teardown: plugin.Teardown):
        async def leads():
            await cancel.wait()
            await asyncio.sleep(0.01)
            seen.append("led")

        teardown.add(lambda: seen.append("teardown"))
        asyncio.get_running_loop().call_later(0.01, cancel.set)
        yield plugin.leader(leads())
        yield
        seen.append("resumed")

    plugin.stage(prepare, loop_factory=loop_factory)
    assert seen == ["led", "resumed", "teardown"]


def test_a_failed_start_gives_leader_tasks_up():
    """What was declared and never started does not warn."""

    async def prepare():
        yield plugin.leader(work())
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        plugin.stage(prepare)
    gc.collect()


def test_who_cancels_all_tasks_cancels_those_that_wait_to_lead():
    """One that had not even begun to wait is given up without a warning."""
    stage = withheld()

    async def prepare():
        async def cancels_all():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        yield cancels_all()
        yield plugin.leader(work())

    with pytest.raises(asyncio.CancelledError):
        stage.run(prepare)
    gc.collect()


# -- waiting for leadership by hand


def test_a_task_may_wait_for_leadership_itself(loop_factory):
    """Lead.wait returns True as soon as the stage leads."""
    stage = withheld(loop_factory)

    async def prepare(lead: plugin.Lead):
        async def waits():
            return await lead.wait(), await lead.wait()

        asyncio.get_running_loop().call_later(0.01, lead.grant)
        yield waits()

    assert stage.run(prepare) == [(True, True)]


def test_who_waits_for_leadership_is_told_of_the_end(loop_factory):
    """Lead.wait returns False when the stage is asked to stop first, and when it has let go."""
    stage = withheld(loop_factory)

    async def prepare(lead: plugin.Lead, cancel: plugin.Cancel, teardown: plugin.Teardown):
        async def waits():
            return await lead.wait()

        asyncio.get_running_loop().call_later(0.01, cancel.set)
        yield waits()

    assert stage.run(prepare) == [False]

    async def prepare_alone(lead: plugin.Lead, cancel: plugin.Cancel):
        async def late():
            cancel.set()
            await asyncio.sleep(0.01)
            return await lead.wait()

        yield late()

    assert plugin.stage(prepare_alone, loop_factory=loop_factory) == [False]


# -- letting go


def test_leadership_is_released_when_the_last_leader_task_has_ended(loop_factory):
    """After Cancel, before the other tasks have ended and anything is torn down; once."""
    stage, seen = withheld(loop_factory), []

    async def prepare(cancel: plugin.Cancel, lead: plugin.Lead, teardown: plugin.Teardown):
        released = asyncio.Event()
        lead.on_release(lambda: seen.append(("released", lead.is_set())))
        lead.on_release(released.set)
        teardown.add(lambda: seen.append("teardown"))

        async def leads(name, turns):
            await cancel.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            seen.append(name)

        async def drains():
            await cancel.wait()
            await released.wait()
            seen.append("drained")

        yield plugin.leader(leads("slow", 20))
        yield plugin.leader(leads("quick", 0))
        yield drains()
        lead.grant()
        asyncio.get_running_loop().call_later(0.01, cancel.set)

    stage.run(prepare)
    assert seen == ["quick", "slow", ("released", False), "drained", "teardown"]


@pytest.mark.parametrize("ended", [False, True])
def test_without_leader_tasks_it_is_released_at_cancel(loop_factory, ended):
    """Be it that there are none, or that they ended long before: which alone releases nothing."""
    stage, seen = withheld(loop_factory), []

    async def prepare(cancel: plugin.Cancel, lead: plugin.Lead):
        released = asyncio.Event()
        lead.on_release(released.set)

        async def asks():
            await asyncio.sleep(0.01)
            seen.append(released.is_set())
            cancel.set()
            await released.wait()

        lead.grant()
        if ended:
            yield plugin.leader(work())
        yield asks()

    stage.run(prepare)
    assert seen == [False]


def test_the_end_of_all_tasks_releases(loop_factory):
    """A stage whose tasks end by themselves lets go before it tears down."""
    seen = []

    async def prepare(lead: plugin.Lead, teardown: plugin.Teardown):
        lead.on_release(lambda: seen.append("released"))
        teardown.add(lambda: seen.append("teardown"))
        yield plugin.leader(work())

    plugin.stage(prepare, loop_factory=loop_factory)
    assert seen == ["released", "teardown"]


def test_a_failed_leader_task_releases(loop_factory):
    """The other leader tasks are asked to finish first."""
    stage, seen = withheld(loop_factory), []

    async def breaks():
        raise ValueError("broken")

    async def prepare(lead: plugin.Lead, cancel: plugin.Cancel):
        async def polite():
            await cancel.wait()
            seen.append("finished")

        lead.on_release(lambda: seen.append("released"))
        lead.grant()
        yield plugin.leader(breaks())
        yield plugin.leader(polite())

    stage.run(prepare)
    assert seen == ["finished", "released"]


def test_a_stage_that_never_led_releases_nothing(loop_factory):
    """Its supervisor waits for nothing from it."""
    stage, seen = withheld(loop_factory), []

    async def prepare(cancel: plugin.Cancel, lead: plugin.Lead):
        lead.on_release(lambda: seen.append("released"))
        asyncio.get_running_loop().call_later(0.01, cancel.set)
        yield plugin.leader(work())

    stage.run(prepare)
    assert seen == []


@pytest.mark.parametrize("phase", ["tasks", "teardown"])
def test_leadership_that_comes_too_late_is_released_at_once(loop_factory, phase):
    """A supervisor that appoints a stage which stops already learns that it has to appoint another one."""
    stage, seen = withheld(loop_factory), []

    async def prepare(cancel: plugin.Cancel, lead: plugin.Lead, teardown: plugin.Teardown):
        lead.on_release(lambda: seen.append("released"))

        async def drains():
            await cancel.wait()
            await asyncio.sleep(0.01)
            if phase == "tasks":
                lead.grant()
            seen.append("drained")

        cancel.set()
        if phase == "teardown":
            teardown.add(lead.grant)
        yield plugin.leader(work())
        yield drains()

    assert stage.run(prepare) == [None, None]
    assert seen == (["released", "drained"] if phase == "tasks" else ["drained", "released"])


def test_a_deaf_leader_task_keeps_the_leadership(loop_factory, monkeypatch):
    """As long as it really runs nobody else may: release waits for it, into the teardown."""
    monkeypatch.setattr(tasks, "OBEY_TIMEOUT", 0.05)
    stage, seen, let_go = withheld(loop_factory, cancel_timeout=0.01), [], []

    async def prepare(cancel: plugin.Cancel, lead: plugin.Lead, teardown: plugin.Teardown):
        async def deaf():
            while not let_go:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    pass

        async def allow():
            released = asyncio.Event()
            lead.on_release(released.set)
            seen.append(("teardown", lead.is_set()))
            let_go.append(True)
            await released.wait()
            seen.append(("released", lead.is_set()))

        teardown.add(allow)
        lead.grant()
        yield plugin.leader(deaf())
        cancel.set()

    (result,) = stage.run(prepare)
    assert isinstance(result, TimeoutError)
    assert seen == [("teardown", True), ("released", False)]


def test_a_release_callback_runs_in_the_context_of_who_added_it():
    """It sees what its plugin sees; one that is added after the release is called at once."""
    seen = []

    @plugin.exports()
    async def prepare(lead: plugin.Lead, teardown: plugin.Teardown):
        context.add("mine")
        lead.on_release(lambda: seen.append(context.get(str)))
        teardown.add(lambda: lead.on_release(lambda: seen.append("late")))

    plugin.stage(prepare)
    assert seen == ["mine", "late"]


def test_an_error_of_a_release_callback_does_not_set_the_teardown_beside_the_tasks():
    """It is raised when the tasks have finished."""
    seen = []

    def breaks():
        raise ValueError("callback")

    async def prepare(lead: plugin.Lead, cancel: plugin.Cancel):
        async def server():
            await cancel.wait()
            await asyncio.sleep(0.01)
            seen.append("served")

        lead.on_release(breaks)
        cancel.set()
        yield server()
        yield
        seen.append("teardown")

    with pytest.raises(ValueError, match="callback"):
        plugin.stage(prepare)
    assert seen == ["served", "teardown"]


def test_granting_twice_is_granting_once(loop_factory):
    """Neither a second grant, nor one after the release, starts or releases anything again."""
    stage, seen = withheld(loop_factory), []

    async def prepare(lead: plugin.Lead, teardown: plugin.Teardown):
        lead.on_release(lambda: seen.append("released"))
        teardown.add(lead.grant)
        lead.grant()
        lead.grant()
        yield plugin.leader(work())

    assert stage.run(prepare) == ["worked"]
    assert seen == ["released"]
    assert not stage.lead.is_set()


def test_leadership_cannot_be_withheld_from_who_leads():
    """Once leader tasks run, or have run, there is nothing to withhold."""

    async def prepare(lead: plugin.Lead, teardown: plugin.Teardown):
        async def leads():
            lead.withhold()

        teardown.add(lead.withhold)
        yield plugin.leader(leads())

    stage = plugin.Stage()
    with pytest.raises(ExceptionGroup) as caught:
        stage.run(prepare)
    assert [type(error) for error in (*stage.failures, *caught.value.exceptions)] == 2 * [errors.StageError]


# -- wrong use

CANNOT = "cannot be a leader's task: "


async def agen():
    yield


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (work, rf"^work {CANNOT}it is no awaitable; call it: plugin\.leader\(task\(\)\)$"),
        (None, rf"^None {CANNOT}it is no awaitable; write: plugin\.leader\(task\(\)\)$"),
        ([], rf"^\[\] {CANNOT}it is no awaitable; "),
        (agen(), rf"^agen {CANNOT}it is no awaitable; "),
    ],
    ids=["function", "None", "list", "generator"],
)
def test_what_cannot_be_awaited_is_refused(wrong, message):
    """The error says what to write instead; the service ends as with any wrong use."""
    with pytest.raises(errors.LeaderError, match=message) as caught:
        plugin.leader(wrong)
    assert errors.exit_code(caught.value) == errors.EXIT_USAGE


def test_a_future_is_refused(loop_factory):
    """What it stands for runs already, in each worker: that is just what a leader's task must not do."""
    seen = []

    async def prepare():
        task = asyncio.ensure_future(work())
        with pytest.raises(errors.LeaderError, match="it has begun already, in each worker; give the coroutine"):
            plugin.leader(task)
        seen.append(await task)

    plugin.stage(prepare, loop_factory=loop_factory)
    assert seen == ["worked"]


def test_a_leader_of_a_leader_is_refused():
    """To declare it once is enough."""
    declared = plugin.leader(work())
    with pytest.raises(errors.LeaderError, match=rf"^work {CANNOT}it is one already; write plugin.leader\(…\) once$"):
        plugin.leader(declared)
    declared.close()


async def test_a_leader_is_not_awaited_by_hand():
    """The error says what to do, and nothing warns of the coroutine."""
    with pytest.raises(errors.LeaderError, match=rf"^work {CANNOT}the stage awaits it; yield it from prepare instead$"):
        await plugin.leader(work())
    gc.collect()


def test_a_leader_that_is_yielded_and_awaited_runs_on():
    """To await what the stage has already is the same error, and does not end it."""

    async def prepare():
        declared = plugin.leader(asyncio.sleep(0.02, "led"))

        async def awaits():
            await asyncio.sleep(0.01)
            with pytest.raises(errors.LeaderError):
                await declared

        yield declared
        yield awaits()

    assert plugin.stage(prepare) == ["led", None]


async def returns_twice():
    declared = plugin.leader(work())
    return [work("before"), declared, declared, work("behind")]


async def yields_twice():
    declared = plugin.leader(work())
    yield declared
    yield declared


@pytest.mark.parametrize("prepare", [returns_twice, yields_twice])
def test_a_leader_is_yielded_once(prepare):
    """The second time is an error that names the plugin and the task; what was not started does not warn."""
    with pytest.raises(errors.PluginError, match=r"it yielded leader\(work\) twice; make one for each task"):
        plugin.stage(prepare)
    gc.collect()


def test_a_leader_after_the_bare_yield_is_refused():
    """It is too late for any task; nothing warns of this one."""

    async def prepare():
        yield
        yield plugin.leader(work())

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    assert "it yielded leader(work) after its bare yield" in str(caught.value.exceptions[0])
    gc.collect()


async def test_there_is_nobody_to_lead_without_a_stage():
    """plugin.run alone has no stage: the error says so in place of the result."""
    (error,) = await plugin.run([plugin.leader(work())], evt_cancel=plugin.Cancel())
    assert isinstance(error, errors.LeaderError)
    assert "there is no stage to lead; yield it from prepare" in str(error)
    gc.collect()


def test_a_leader_is_a_component_of_each_stage():
    """Two stages have a leadership each."""
    first, second = plugin.Stage(), withheld()
    assert (first.lead.is_set(), second.lead.is_set()) == (True, False)
    for stage in (first, second):
        assert stage.context.get(plugin.Lead) is stage.lead
        stage.run_teardown()


def test_tasks_are_known_by_what_the_leader_runs():
    """The name and the repr of a declaration are those of its task."""
    declared = plugin.leader(work())
    assert repr(declared) == "leader(work)"
    assert tasks.StageTask(declared).name == "work"
    tasks.StageTask(declared).close()
    assert tasks.StageTask(plugin.leader(Awaitable())).name.startswith("<")
