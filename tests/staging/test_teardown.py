import asyncio
import contextlib
import contextvars

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import context, plugin
from buvar.staging import teardown as teardowns


class OwnError(Exception):
    pass


async def work(seen, name):
    await asyncio.sleep(0)
    seen.append(name)


async def test_the_last_added_is_torn_down_first():
    """Coroutines, functions and coroutine functions, one by one, each when the one before has ended."""
    seen = []
    teardown = plugin.Teardown()
    teardown.add(work(seen, "coroutine"))
    teardown.add(lambda: seen.append("function"))
    teardown.add(lambda: work(seen, "function that returns a coroutine"))

    async def coroutine_function():
        await asyncio.sleep(0.02)
        seen.append("coroutine function")

    teardown.add(coroutine_function)
    await teardown.wait()
    assert seen == ["coroutine function", "function that returns a coroutine", "function", "coroutine"]
    assert len(teardown) == 0


async def test_teardown_can_be_listed():
    """What is to be torn down is listed as it was added; iterating goes the way that teardown will."""

    def first(): ...
    def second(): ...

    teardown = plugin.Teardown()
    teardown.add(first)
    teardown.add(second)
    assert teardown.tasks == [first, second]
    assert list(teardown) == [second, first]
    assert len(teardown) == 2


@pytest.mark.parametrize("thing", [None, 42, "text", object()])
def test_what_cannot_be_torn_down_is_refused(thing):
    """Only awaitables and callables can be added."""
    with pytest.raises(TypeError, match="add an awaitable or a function"):
        plugin.Teardown().add(thing)


async def test_what_is_added_meanwhile_is_torn_down_too():
    """Teardown goes on until nothing is left."""
    seen = []
    teardown = plugin.Teardown()

    def adds():
        seen.append("adds")
        teardown.add(lambda: seen.append("added"))

    teardown.add(lambda: seen.append("first"))
    teardown.add(adds)
    await teardown.wait()
    assert seen == ["adds", "added", "first"]


async def test_each_is_attempted_and_failures_come_together(logs):
    """One that fails does not keep the others; all errors are logged and come in one group, in their order."""
    seen = []
    teardown = plugin.Teardown()

    async def fails():
        raise OwnError("async")

    def also_fails():
        raise OSError("sync")

    teardown.add(lambda: seen.append("last"))
    teardown.add(fails)
    teardown.add(also_fails)
    with pytest.raises(ExceptionGroup) as caught:
        await teardown.wait()
    assert [type(error) for error in caught.value.exceptions] == [OSError, OwnError]
    assert "also_fails" in caught.value.exceptions[0].__notes__[0]
    assert seen == ["last"]
    assert [entry["exc_info"] for entry in logs if entry["event"] == "teardown failed"] == list(caught.value.exceptions)


async def test_an_error_that_allows_no_notes_does_not_keep_the_others(rigid):
    """It is in the group as it was raised."""
    seen = []
    teardown = plugin.Teardown()

    def fails():
        raise rigid("stiff")

    teardown.add(lambda: seen.append("last"))
    teardown.add(fails)
    with pytest.raises(ExceptionGroup, match="teardown failed") as caught:
        await teardown.wait()
    assert caught.value.exceptions == (rigid("stiff"),)
    assert seen == ["last"]


async def test_system_exit_does_not_keep_the_others():
    """sys.exit in one is passed on in the group, when the others are done."""
    seen = []
    teardown = plugin.Teardown()

    def leaves():
        raise SystemExit(3)

    teardown.add(lambda: seen.append("last"))
    teardown.add(leaves)
    with pytest.raises(BaseExceptionGroup) as caught:
        await teardown.wait()
    assert isinstance(caught.value.exceptions[0], SystemExit)
    assert seen == ["last"]


async def test_each_has_a_deadline(monkeypatch):
    """Who does not end in time is cancelled and counts as failed; the others have their own time."""
    seen = []
    teardown = plugin.Teardown(timeout=0.05)

    async def stuck():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    teardown.add(lambda: seen.append("last"))
    teardown.add(stuck)
    with pytest.raises(ExceptionGroup) as caught:
        await teardown.wait()
    (error,) = caught.value.exceptions
    assert isinstance(error, TimeoutError)
    assert "stuck" in str(error)
    assert "0.05 s" in str(error)
    assert seen == ["cancelled", "last"]


async def test_who_ignores_the_deadline_is_left_to_itself(monkeypatch):
    """Even a task that does not obey its cancellation keeps nobody else from being torn down."""
    monkeypatch.setattr(teardowns, "OBEY_TIMEOUT", 0.02)
    seen, release = [], []
    teardown = plugin.Teardown(timeout=0.02)

    async def deaf():
        while not release:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
        release.append("over")

    teardown.add(lambda: seen.append("last"))
    teardown.add(deaf)
    with pytest.raises(ExceptionGroup):
        await teardown.wait()
    assert seen == ["last"]
    release.append("now")
    while release[-1] != "over":
        await asyncio.sleep(0.005)


async def test_it_runs_in_the_context_of_who_added_it():
    """Context variables and components are those of the place where it was added."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []
    teardown = plugin.Teardown()

    async def adder():
        variable.set("set")
        with context.child():
            context.add("component")
            teardown.add(lambda: seen.append((variable.get(), context.get(str))))

    await asyncio.create_task(adder())
    await teardown.wait()
    assert seen == [("set", "component")]


# -- enter


class Manager:
    """Notes the tasks that enter and leave it."""

    def __init__(self, seen, name="manager"):
        self.seen = seen
        self.name = name

    async def __aenter__(self):
        self.task = asyncio.current_task()
        self.seen.append(f"enter {self.name}")
        return f"value of {self.name}"

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0)
        assert asyncio.current_task() is self.task
        assert error is None
        self.seen.append(f"leave {self.name}")


def test_who_cancels_all_tasks_does_not_end_the_teardown():
    """A function that tidies up by cancelling all other tasks is waited for, and the rest is torn down."""
    seen = []

    async def cancels_all():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.sleep(0.01)
        seen.append("cancelled all")

    async def prepare(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append("first"))
        teardown.add(cancels_all)
        yield asyncio.sleep(0, "result")

    assert plugin.stage(prepare) == ["result"]
    assert seen == ["cancelled all", "first"]


def test_what_is_entered_is_left_by_the_same_task(loop_factory):
    """enter returns the value, and the manager is left at teardown in its order, from the task that entered it."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        assert await teardown.enter(Manager(seen, "a")) == "value of a"
        teardown.add(lambda: seen.append("between"))
        assert await teardown.enter(Manager(seen, "b")) == "value of b"

    plugin.stage(prepare, loop_factory=loop_factory)
    assert seen == ["enter a", "enter b", "leave b", "between", "leave a"]


def test_cancel_scopes_can_be_entered(loop_factory):
    """A task group and a timeout insist on being left by the task that entered them, and are."""
    seen = []

    async def prepare(teardown: plugin.Teardown):
        group = await teardown.enter(asyncio.TaskGroup())
        await teardown.enter(asyncio.timeout(30))
        group.create_task(work(seen, "in the group"))

    plugin.stage(prepare, loop_factory=loop_factory)
    assert seen == ["in the group"]


def test_a_contextmanager_function_sees_its_context_variables():
    """What an entered generator set before its yield, it finds after it."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    @contextlib.asynccontextmanager
    async def manager():
        token = variable.set("set")
        yield context.get(str)
        seen.append(variable.get())
        variable.reset(token)

    async def prepare(teardown: plugin.Teardown):
        context.add("component")
        seen.append(await teardown.enter(manager()))

    plugin.stage(prepare)
    assert seen == ["component", "set"]


def test_a_manager_that_fails_to_enter_fails_the_plugin():
    """The error is the manager's own, and there is nothing to leave."""

    @contextlib.asynccontextmanager
    async def manager():
        raise OwnError("away")
        yield

    async def prepare(teardown: plugin.Teardown):
        try:
            await teardown.enter(manager())
        finally:
            assert len(teardown) == 0

    with pytest.raises(OwnError, match="away"):
        plugin.stage(prepare)


def test_a_manager_that_fails_to_leave_is_a_failure_of_teardown():
    """Its error comes in the group, and the others are left all the same."""
    seen = []

    @contextlib.asynccontextmanager
    async def manager():
        yield
        raise OwnError("leaving")

    async def prepare(teardown: plugin.Teardown):
        await teardown.enter(Manager(seen))
        await teardown.enter(manager())

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    assert [str(error) for error in caught.value.exceptions] == ["leaving"]
    assert seen == ["enter manager", "leave manager"]


def test_a_manager_that_ends_by_itself_stops_the_stage(logs):
    """A task group with a failed child does not stay open: that is logged, and the stage stops with its error."""

    async def child():
        raise OwnError("in the group")

    async def prepare(teardown: plugin.Teardown, cancel: plugin.Cancel):
        group = await teardown.enter(asyncio.TaskGroup())
        group.create_task(child())
        yield cancel.wait()

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    assert caught.value.subgroup(OwnError) is not None
    assert [entry for entry in logs if entry["event"] == "context manager ended by itself"]


def test_entering_can_be_given_up():
    """A plugin that is cancelled while it enters something leaves no task behind."""
    seen = []

    @contextlib.asynccontextmanager
    async def slow():
        try:
            await asyncio.sleep(30)
            yield
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def prepare(teardown: plugin.Teardown):
        async with asyncio.timeout(0.02):
            await teardown.enter(slow())

    with pytest.raises(TimeoutError):
        plugin.stage(prepare)
    assert seen == ["cancelled"]


# -- in a stage


def test_teardown_runs_after_a_failed_prepare_which_stays_the_error():
    """A failed teardown adds a note to the error of the start and does not hide it."""

    async def prepare(teardown: plugin.Teardown):
        def fails():
            raise OSError("teardown too")

        teardown.add(fails)
        raise OwnError("prepare")

    with pytest.raises(OwnError, match="prepare") as caught:
        plugin.stage(prepare)
    assert any("OSError('teardown too')" in note for note in caught.value.__notes__)


def test_teardown_runs_after_failed_tasks():
    """A failed teardown is the stage's error, whatever the tasks did."""

    async def prepare(teardown: plugin.Teardown):
        def fails():
            raise OSError("teardown")

        async def task():
            raise OwnError("task")

        teardown.add(fails)
        yield task()

    stage = plugin.Stage()
    with pytest.raises(ExceptionGroup) as caught:
        stage.run(prepare)
    assert [type(error) for error in caught.value.exceptions] == [OSError]
    assert [type(error) for error in stage.failures] == [OwnError]


def test_the_deadline_is_set_by_the_stage():
    """teardown_timeout is the deadline of each thing that is torn down, a suspended plugin included."""
    seen = []

    async def prepare():
        yield
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare, teardown_timeout=0.05)
    assert seen == ["cancelled"]
    (error,) = caught.value.exceptions
    assert isinstance(error, TimeoutError)
    assert "prepare" in str(error)


def test_teardown_may_look_things_up_that_were_added_later():
    """It runs in the context of the plugin, which is shared."""
    seen = []

    async def first(teardown: plugin.Teardown):
        teardown.add(lambda: seen.append(context.get(str)))

    async def second():
        context.add("later")

    plugin.stage(first, second)
    assert seen == ["later"]


@given(st.lists(st.sampled_from(["good", "bad", "slow", "entered", "suspended", "adds"]), max_size=10))
@settings(max_examples=50, deadline=None)
def test_whatever_is_torn_down_is_attempted_last_first(kinds):
    """Any mixture of good and bad ones is attempted in reverse order, and exactly the bad ones are told."""
    seen = []

    def plugin_of(kind, number):
        async def prepare(teardown: plugin.Teardown):
            def bad():
                seen.append(number)
                raise OwnError(number)

            def adds():
                seen.append(number)
                teardown.add(lambda: None)

            async def slow():
                await asyncio.sleep(0.001)
                seen.append(number)

            @contextlib.asynccontextmanager
            async def manager():
                yield
                seen.append(number)

            if kind == "entered":
                await teardown.enter(manager())
            elif kind == "suspended":
                yield
                seen.append(number)
            else:
                teardown.add({"good": lambda: seen.append(number), "bad": bad, "slow": slow, "adds": adds}[kind])

        return prepare

    failures = []
    try:
        plugin.stage(*(plugin_of(kind, number) for number, kind in enumerate(kinds)))
    except ExceptionGroup as group:
        failures = [error.args[0] for error in group.exceptions]
    numbers = list(range(len(kinds)))[::-1]
    assert seen == numbers
    assert failures == [number for number in numbers if kinds[number] == "bad"]
