"""Generator adapters: what is opened is finalised by its owner, dependants first, whatever becomes of the others."""

import asyncio
import collections.abc as c

import attrs
import pytest

from buvar import context, di, plugin

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


@attrs.frozen(eq=False)
class Engine:
    url: str = "default"


@attrs.frozen(eq=False)
class Session:
    engine: Engine


@attrs.frozen(eq=False)
class Users:
    session: Session


class OwnError(Exception):
    pass


class OtherError(Exception):
    pass


class Diary:
    """Generator adapters of both kinds that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[object] = []

    def open(self, name: str) -> None:
        self.lines.append(f"open {name}")

    def close(self, name: str, error: BaseException | None) -> None:
        self.lines.append(f"close {name}" if error is None else (name, error))

    def engine(self) -> c.Iterator[Engine]:
        self.open("engine")
        try:
            yield Engine()
        except BaseException as error:
            self.close("engine", error)
            raise
        self.close("engine", None)

    async def session(self, engine: Engine) -> c.AsyncIterator[Session]:
        self.open("session")
        try:
            yield Session(engine)
        except BaseException as error:
            self.close("session", error)
            raise
        await asyncio.sleep(0)
        self.close("session", None)

    def users(self, session: Session) -> c.Generator[Users, None, None]:
        self.open("users")
        try:
            yield Users(session)
        except BaseException as error:
            self.close("users", error)
            raise
        self.close("users", None)

    def read(self) -> list[object]:
        """Return what was written since the last time."""
        lines, self.lines = self.lines, []
        return lines


OPENED = ["open engine", "open session", "open users"]
CLOSED = ["close users", "close session", "close engine"]


@pytest.fixture
def diary():
    return Diary()


@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
async def test_dependants_are_finalised_first(adapters, diary, lifetime):
    """Both kinds of generators end with their scope, the last opened first, and not before."""
    adapters.register(diary.engine, diary.session, diary.users, lifetime=lifetime)
    for _ in ROUNDS:
        async with context.scope("request"):
            users = await adapters.nject(Users)
            assert isinstance(users.session.engine, Engine)
            assert diary.read() == OPENED
        assert diary.read() == CLOSED


async def test_a_transient_generator_is_opened_by_each_call(adapters, diary):
    """Each call has its own, and the scope finalises all of them."""
    adapters.register(diary.engine)
    for _ in ROUNDS:
        async with context.scope("request"):
            assert len({await adapters.nject(Engine) for _ in ROUNDS}) == len(ROUNDS)
        assert diary.read() == ["open engine"] * 4 + ["close engine"] * 4


async def test_a_scoped_generator_is_opened_once(adapters, diary):
    """What the scope keeps is opened and finalised once."""
    adapters.register(diary.engine, lifetime="scoped")
    for _ in ROUNDS:
        async with context.scope("request"):
            assert len({await adapters.nject(Engine) for _ in ROUNDS}) == 1
        assert diary.read() == ["open engine", "close engine"]


async def test_a_scope_in_which_nothing_was_asked_for_finalises_nothing(adapters, diary):
    """Registering is not opening."""
    adapters.register(diary.engine, lifetime="scoped")
    async with context.scope("request"):
        pass
    assert diary.read() == []


async def test_the_inner_scope_finalises_what_is_its_own(adapters, diary):
    """What was opened in the outer scope stays open when the inner one ends."""
    adapters.register(diary.engine, lifetime="scoped")
    for _ in ROUNDS:
        async with context.scope("outer"):
            outer = await adapters.nject(Engine)
            async with context.scope("inner"):
                assert await adapters.nject(Engine) is not outer
            assert diary.read() == ["open engine", "open engine", "close engine"]
        assert diary.read() == ["close engine"]


async def test_what_is_opened_in_a_child_lives_as_long_as_the_scope(adapters, diary):
    """The end of a layer that is no scope finalises nothing."""
    adapters.register(diary.engine)
    async with context.scope("request"):
        for _ in ROUNDS:
            with context.child():
                await adapters.nject(Engine)
        assert diary.read() == ["open engine"] * 4
    assert diary.read() == ["close engine"] * 4


@pytest.mark.parametrize(
    "error",
    [OwnError("no luck"), StopIteration(3), StopAsyncIteration(), asyncio.CancelledError(), KeyboardInterrupt()],
)
@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
async def test_each_generator_sees_the_error_of_the_scope(adapters, diary, lifetime, error):
    """The error that ends a scope is raised at each yield, and goes on as itself."""
    adapters.register(diary.engine, diary.session, diary.users, lifetime=lifetime)
    for _ in ROUNDS:
        with pytest.raises(type(error)) as caught:
            async with context.scope("request"):
                await adapters.nject(Users)
                raise error
        assert caught.value is error
        assert diary.read() == [*OPENED, ("users", error), ("session", error), ("engine", error)]


async def test_a_swallowed_error_goes_on_all_the_same(adapters, diary):
    """A generator that handles the error of the scope cannot hide it from the others, nor from who opened the scope."""

    async def session(engine: Engine) -> c.AsyncIterator[Session]:
        try:
            yield Session(engine)
        except OwnError:
            diary.lines.append("swallowed")

    def users(session: Session) -> c.Iterator[Users]:
        try:
            yield Users(session)
        except OwnError:
            diary.lines.append("swallowed too")

    adapters.register(diary.engine, session, users)
    error = OwnError()
    for _ in ROUNDS:
        with pytest.raises(OwnError) as caught:
            async with context.scope("request"):
                await adapters.nject(Users)
                raise error
        assert caught.value is error
        assert diary.read() == ["open engine", "swallowed too", "swallowed", ("engine", error)]


def failing(diary, kind):
    """Return adapters for a session and its users whose ends fail."""

    def fail(name: str) -> None:
        diary.lines.append(name)
        raise OtherError(name)

    def session(engine: Engine) -> c.Iterator[Session]:
        try:
            yield Session(engine)
        finally:
            fail("session")

    async def session_async(engine: Engine) -> c.AsyncIterator[Session]:
        try:
            yield Session(engine)
        finally:
            await asyncio.sleep(0)
            fail("session")

    async def users(session: Session) -> c.AsyncIterator[Users]:
        try:
            yield Users(session)
        finally:
            fail("users")

    return (session if kind == "generator" else session_async), users


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_a_failing_end_does_not_keep_the_others_from_theirs(adapters, diary, kind):
    """All are attempted, and all failures come in one ExceptionGroup that names the scope and the adapters."""
    adapters.register(diary.engine, *failing(diary, kind))
    for _ in ROUNDS:
        with pytest.raises(ExceptionGroup, match="the scope 'request' was not closed well") as caught:
            async with context.scope("request"):
                await adapters.nject(Users)
        assert [str(one) for one in caught.value.exceptions] == ["users", "session"]
        for one in caught.value.exceptions:
            assert any("while finalising" in note and "'request'" in note for note in one.__notes__)
        assert diary.read() == ["open engine", "users", "session", "close engine"]


async def test_an_end_that_fails_and_allows_no_notes_does_not_keep_the_others_from_theirs(adapters, diary, rigid):
    """It is in the group as it was raised."""

    async def session(engine: Engine) -> c.AsyncIterator[Session]:
        yield Session(engine)
        raise rigid("stiff")

    adapters.register(diary.engine, session)
    for _ in ROUNDS:
        with pytest.raises(ExceptionGroup, match="the scope 'request' was not closed well") as caught:
            async with context.scope("request"):
                await adapters.nject(Session)
        assert caught.value.exceptions == (rigid("stiff"),)
        assert diary.read() == ["open engine", "close engine"]


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_failures_come_together_with_the_error_of_the_scope(adapters, diary, kind):
    """The group has the scope's own error first, and the generators that end well still see that one."""
    adapters.register(diary.engine, *failing(diary, kind))
    error = OwnError()
    for _ in ROUNDS:
        with pytest.raises(ExceptionGroup) as caught:
            async with context.scope("request"):
                await adapters.nject(Users)
                raise error
        first, *others = caught.value.exceptions
        assert first is error
        assert [type(one) for one in others] == [OtherError, OtherError]
        assert caught.value.__cause__ is error
        assert diary.read()[-1] == ("engine", error)


async def test_a_cancellation_is_not_hidden_in_a_group(adapters, diary):
    """A scope that is cancelled and whose generators fail ends cancelled; the failures are noted on that."""
    adapters.register(diary.engine, *failing(diary, "generator"))
    ready = asyncio.Event()

    async def request():
        async with context.scope("request"):
            await adapters.nject(Users)
            ready.set()
            await asyncio.Event().wait()

    for _ in ROUNDS:
        ready.clear()
        task = asyncio.create_task(request())
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert task.cancelled()
        if caught.value.__notes__:
            assert sum("closing the scope 'request' failed too" in note for note in caught.value.__notes__) == 2
        name, error = diary.read()[-1]
        assert (name, type(error)) == ("engine", asyncio.CancelledError)


async def test_cancellation_during_closing_lets_the_others_end(adapters, diary):
    """The end that is cancelled fails, the others end as they would have, and the cancellation goes on."""
    ending = asyncio.Event()

    async def session(engine: Engine) -> c.AsyncIterator[Session]:
        yield Session(engine)
        ending.set()
        await asyncio.Event().wait()

    adapters.register(diary.engine, session, diary.users)

    async def request():
        async with context.scope("request"):
            await adapters.nject(Users)

    for _ in ROUNDS:
        ending.clear()
        task = asyncio.create_task(request())
        await ending.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert diary.read() == ["open engine", "open users", "close users", "close engine"]


@pytest.mark.parametrize("error", [None, OwnError()])
async def test_a_generator_that_yields_twice_is_told(adapters, diary, error):
    """It is an AdapterError in the group, the generator is closed, and the others end."""

    async def session(engine: Engine) -> c.AsyncIterator[Session]:
        try:
            try:
                yield Session(engine)
            except OwnError:
                pass
            yield Session(engine)
        finally:
            diary.lines.append("closed session")

    def users(session: Session) -> c.Iterator[Users]:
        try:
            try:
                yield Users(session)
            except OwnError:
                pass
            yield Users(session)
        finally:
            diary.lines.append("closed users")

    adapters.register(diary.engine, session, users)
    for _ in ROUNDS:
        with pytest.raises(ExceptionGroup) as caught:
            async with context.scope("request"):
                await adapters.nject(Users)
                if error is not None:
                    raise error
        told = [one for one in caught.value.exceptions if one is not error]
        assert [type(one) for one in told] == [di.AdapterError] * 2
        assert all("it yielded twice" in str(one) and one.place.file == __file__ for one in told)
        last = "close engine" if error is None else ("engine", error)
        assert diary.read() == ["open engine", "closed users", "closed session", last]


@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_a_generator_that_yields_nothing_is_told(adapters, diary, kind, lifetime):
    """It is an AdapterError, and what was opened before it is finalised by the scope."""

    def session(engine: Engine) -> c.Iterator[Session]:
        return
        yield

    async def session_async(engine: Engine) -> c.AsyncIterator[Session]:
        return
        yield

    adapters.register(diary.engine, session if kind == "generator" else session_async, Users, lifetime=lifetime)
    for _ in ROUNDS:
        async with context.scope("request"):
            with pytest.raises(di.AdapterError, match="it yielded nothing") as caught:
                await adapters.nject(Users)
            assert caught.value.place.file == __file__
        assert diary.read() == ["open engine", "close engine"]


@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
async def test_a_generator_that_fails_before_its_yield_is_not_finalised(adapters, diary, lifetime):
    """Its error comes through with a note, what was opened before it is finalised, and the next request tries again."""
    fails = True

    async def session(engine: Engine) -> c.AsyncIterator[Session]:
        if fails:
            raise OwnError
        yield Session(engine)

    adapters.register(diary.engine, lifetime=lifetime)
    adapters.register(session, Users, lifetime=lifetime)
    for _ in ROUNDS:
        async with context.scope("request"):
            fails = True
            with pytest.raises(OwnError) as caught:
                await adapters.nject(Users)
            assert caught.value.__notes__[0].endswith("building Session <- Users(session)")
            fails = False
            assert isinstance(await adapters.nject(Users), Users)
        times = 2 if lifetime == "transient" else 1
        assert diary.read() == ["open engine"] * times + ["close engine"] * times


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_a_generator_that_yields_the_wrong_thing_is_told_and_finalised(adapters, diary, kind):
    """What it opened is not forgotten because its value is of no use."""

    def session(engine: Engine) -> c.Iterator[Session]:
        yield "text"
        diary.lines.append("close session")

    async def session_async(engine: Engine) -> c.AsyncIterator[Session]:
        yield None
        diary.lines.append("close session")

    adapters.register(diary.engine, session if kind == "generator" else session_async, Users)
    for _ in ROUNDS:
        async with context.scope("request"):
            with pytest.raises(di.AdapterError, match="says that it returns Session"):
                await adapters.nject(Users)
        assert diary.read() == ["open engine", "close session", "close engine"]


async def test_without_a_scope_and_without_a_stage_nothing_is_opened(adapters, diary):
    """Where nobody would finalise it, a generator is an error that says what to open."""
    adapters.register(diary.engine)
    adapters.register(Session)
    adapters.singleton(diary.users)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match="nothing here would finalise it") as caught:
            await adapters.nject(Session)
        assert caught.value.path == ("Engine", "Session(engine)")
        with pytest.raises(di.ResolveError, match="nothing here would finalise it"):
            adapters.nject_now(Session)
        async with context.scope("request"):  # it would end before a singleton does
            with pytest.raises(di.ResolveError, match="nothing here would finalise it"):
                await adapters.nject(Users)
    assert diary.read() == []


@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_what_is_opened_for_a_scope_that_has_ended_is_finalised_at_once(adapters, diary, kind, lifetime):
    """A task that outlives the scope it was started in is told so, and leaves nothing open."""
    adapters.register(diary.engine, diary.session, lifetime=lifetime)
    target = Engine if kind == "generator" else Session
    for _ in ROUNDS:
        over = asyncio.Event()

        async def late(over=over):
            await over.wait()
            await adapters.nject(target)

        async with context.scope("request"):
            task = asyncio.create_task(late())
        over.set()
        with pytest.raises(di.ResolveError, match="its scope has ended"):
            await task
        if lines := diary.read():  # a plan finds out when it was opened
            opened, (name, error) = lines
            assert (opened, name, type(error)) == ("open engine", "engine", di.ResolveError)
        else:
            assert lifetime == "scoped"


async def test_a_scope_that_ends_while_something_is_being_opened(adapters, diary):
    """What is ready when the scope is over is finalised at once, and who asked is told."""
    for _ in ROUNDS:
        opening, go_on = asyncio.Event(), asyncio.Event()

        async def slow(opening=opening, go_on=go_on) -> c.AsyncIterator[Engine]:
            opening.set()
            await go_on.wait()
            try:
                yield Engine()
            finally:
                diary.lines.append("closed")

        adapters.register(slow)
        async with context.scope("request"):
            task = asyncio.create_task(adapters.nject(Engine))
            await opening.wait()
        go_on.set()
        with pytest.raises(di.ResolveError, match="its scope has ended"):
            await task
        assert diary.read() == ["closed"]


async def test_what_is_opened_while_closing_is_finalised_too(adapters, diary):
    """An end may ask for what it needs to say goodbye."""

    async def users(session: Session) -> c.AsyncIterator[Users]:
        yield Users(session)
        await adapters.nject(Engine)

    adapters.register(diary.engine, diary.session, users)
    for _ in ROUNDS:
        async with context.scope("request"):
            await adapters.nject(Users)
        assert diary.read() == [
            "open engine",
            "open session",
            "open engine",
            "close engine",
            "close session",
            "close engine",
        ]


async def test_the_end_runs_in_the_context_of_the_scope(adapters):
    """Components of the scope are still there for what ends with it."""
    seen = []

    async def make() -> c.AsyncIterator[Engine]:
        yield Engine()
        seen.append(context.get(str))

    adapters.scoped(make)
    for number in ROUNDS:
        async with context.scope("request") as components:
            components.add(str(number))
            await adapters.nject(Engine)
    assert seen == ["0", "1", "2", "3"]


def run(prepare):
    """Run a stage of one plugin that has no tasks, and return what its teardown raised."""
    ran = []

    async def wrapped():
        await prepare()
        ran.append(True)

    try:
        plugin.stage(wrapped)
    except ExceptionGroup as group:
        return group
    finally:
        assert ran
    return None


@pytest.mark.parametrize("lifetime", ["transient", "singleton"])
def test_a_stage_finalises_at_its_teardown(diary, lifetime):
    """What no scope owns is finalised by the stage, dependants first, after all that was added to teardown later."""
    for _ in ROUNDS:
        adapters = di.Adapters()
        adapters.register(diary.engine, diary.session, diary.users, lifetime=lifetime)

        async def prepare(adapters=adapters):
            teardown = context.get(plugin.Teardown)
            teardown.add(lambda: diary.lines.append("earlier"))
            users = await adapters.nject(Users)
            assert isinstance(users.session.engine, Engine)
            teardown.add(lambda: diary.lines.append("later"))
            assert diary.read() == OPENED

        assert run(prepare) is None
        assert diary.read() == ["later", *CLOSED, "earlier"]


def test_a_singleton_opened_in_a_scope_is_closed_by_the_stage(adapters, diary):
    """The scope ends what is its own; what the stage keeps stays open for the next scope."""
    adapters.singleton(diary.engine)
    adapters.scoped(diary.session)

    async def prepare():
        engines = set()
        for _ in ROUNDS:
            async with context.scope("request"):
                engines.add((await adapters.nject(Session)).engine)
        assert len(engines) == 1
        assert diary.read() == ["open engine", *["open session", "close session"] * 4]

    assert run(prepare) is None
    assert diary.read() == ["close engine"]


def test_failures_at_teardown_come_together(adapters, diary):
    """A generator that fails, or yields twice, does not keep the stage from finalising the others."""
    session, _ = failing(diary, "async generator")

    def users(session: Session) -> c.Iterator[Users]:
        yield Users(session)
        yield Users(session)

    adapters.singleton(diary.engine)
    adapters.singleton(session)
    adapters.singleton(users)

    async def prepare():
        assert await adapters.nject(Users) is await adapters.nject(Users)

    group = run(prepare)
    assert [type(one) for one in group.exceptions] == [di.AdapterError, OtherError]
    assert diary.read() == ["open engine", "session", "close engine"]


def test_a_generator_that_yields_nothing_in_a_stage_is_told(diary):
    """It is an AdapterError there too, for both kinds, and leaves nothing to tear down."""

    def engine() -> c.Iterator[Engine]:
        return
        yield

    async def session() -> c.AsyncIterator[Session]:
        return
        yield

    for lifetime in ("transient", "singleton"):
        adapters = di.Adapters()
        adapters.register(engine, session, lifetime=lifetime)

        async def prepare(adapters=adapters):
            for target in (Engine, Session):
                for _ in ROUNDS:
                    with pytest.raises(di.AdapterError, match="it yielded nothing"):
                        await adapters.nject(target)
            assert len(context.get(plugin.Teardown)) == 0

        assert run(prepare) is None


@pytest.mark.parametrize("lifetime", ["transient", "singleton"])
@pytest.mark.parametrize("before", [0, 3])
def test_what_the_stage_finalises_and_the_synchronous_twin(diary, lifetime, before):
    """A plain generator of the stage is opened without awaiting, or refused as what is asynchronous is."""
    adapters = di.Adapters()
    adapters.register(diary.engine, lifetime=lifetime)
    seen = []

    async def prepare():
        # once with what was built before, and once from nothing
        for _ in range(before if lifetime == "transient" else 0):
            await adapters.nject(Engine)
        for _ in ROUNDS:
            try:
                seen.append(type(adapters.nject_now(Engine)))
            except di.ResolveError as error:
                assert "await di.nject" in str(error)
                seen.append(di.ResolveError)

    assert run(prepare) is None
    assert len(set(seen)) == 1
    lines = diary.read()
    assert lines.count("open engine") == lines.count("close engine")


async def test_the_synchronous_twin_opens_plain_generators_in_a_scope(adapters, diary):
    """nject_now opens what needs no awaiting, and the scope finalises it in the same order."""

    def session(engine: Engine) -> c.Iterator[Session]:
        diary.open("session")
        yield Session(engine)
        diary.close("session", None)

    adapters.register(diary.engine, session, diary.users, lifetime="scoped")
    for _ in ROUNDS:
        async with context.scope("request"):
            assert adapters.nject_now(Users) is adapters.nject_now(Users) is await adapters.nject(Users)
            assert diary.read() == OPENED
        assert diary.read() == CLOSED


async def test_the_synchronous_twin_in_a_scope_that_has_ended(adapters, diary):
    """It finalises at once what it opened for a scope that is over, and tells so."""
    adapters.register(diary.engine)
    for _ in ROUNDS:
        over = asyncio.Event()

        async def late(over=over):
            await over.wait()
            adapters.nject_now(Engine)

        async with context.scope("request"):
            task = asyncio.create_task(late())
        over.set()
        with pytest.raises(di.ResolveError, match="its scope has ended"):
            await task
        opened, (name, error) = diary.read()
        assert (opened, name, type(error)) == ("open engine", "engine", di.ResolveError)
