"""Once: what is kept is built by the first who asks, the others wait, and nobody waits for ever."""

import asyncio
import collections.abc as c
import contextvars
import sys
import threading
import typing as t

import attrs
import pytest
import structlog

from buvar import context, di, plugin
from buvar.di import once

ROUNDS = range(4)
KEPT = pytest.mark.parametrize("lifetime", ["scoped", "singleton"])


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


@pytest.fixture
def impatient():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def soon(awaitable):
    """Give up on what would hang."""
    return asyncio.wait_for(awaitable, 10)


class Maker:
    """Adapters for an engine, of each kind, that count."""

    def __init__(self) -> None:
        self.count = 0
        self.closed = 0

    def plain(self) -> Engine:
        self.count += 1
        return Engine()

    async def coroutine(self) -> Engine:
        self.count += 1
        await asyncio.sleep(0)
        return Engine()

    def generator(self) -> c.Iterator[Engine]:
        self.count += 1
        yield Engine()
        self.closed += 1

    async def async_generator(self) -> c.AsyncIterator[Engine]:
        self.count += 1
        await asyncio.sleep(0)
        yield Engine()
        self.closed += 1

    def hidden(self) -> Engine:
        return t.cast("Engine", self.coroutine())


@KEPT
@pytest.mark.parametrize("number", [20, 1000])
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_many_first_requests_build_one(adapters, kind, number, lifetime):
    """However many ask at once, directly or for what needs it, one is built; so in each scope that follows."""
    maker = Maker()
    adapters.register(getattr(maker, kind), lifetime=lifetime)
    adapters.register(Session)
    for turn in range(3):
        async with context.scope("request"):
            asked = (adapters.nject(Engine if each % 2 else Session) for each in range(number))
            found = await soon(asyncio.gather(*asked))
            assert len({getattr(each, "engine", each) for each in found}) == 1
            assert maker.count == (turn + 1 if lifetime == "scoped" else 1)


@pytest.mark.parametrize("number", [20, 1000])
@pytest.mark.parametrize("kind", ["generator", "async_generator"])
async def test_many_first_requests_open_one(adapters, kind, number):
    """A generator is opened once however many ask at once, and finalised once."""
    maker = Maker()
    adapters.register(getattr(maker, kind), lifetime="scoped")
    for turn in range(3):
        async with context.scope("request"):
            assert len(set(await soon(asyncio.gather(*(adapters.nject(Engine) for _ in range(number)))))) == 1
            assert (maker.count, maker.closed) == (turn + 1, turn)
        assert maker.closed == turn + 1


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_many_first_requests_open_one_in_a_stage(adapters, kind):
    """A generator that the stage keeps is opened once however many tasks ask at once, and finalised once."""
    maker = Maker()
    adapters.register(getattr(maker, kind), lifetime="singleton")

    async def prepare():
        for _ in range(20):
            yield adapters.nject(Engine)

    assert len(set(plugin.stage(prepare))) == 1
    assert (maker.count, maker.closed) == (1, 1)


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_many_first_requests_to_what_hides_that_it_is_asynchronous(adapters, lifetime):
    """A plain function that returns coroutines builds once, too."""
    maker = Maker()
    adapters.register(maker.hidden, lifetime=lifetime)
    adapters.register(Session)
    for _ in range(3):
        async with context.scope("request"):
            before = maker.count
            found = await soon(asyncio.gather(*(adapters.nject(Engine, Session) for _ in range(20))))
            assert len({engine for engine, _ in found} | {session.engine for _, session in found}) == 1
            assert maker.count <= before + 1


async def test_what_is_being_built_in_another_way_is_waited_for(adapters):
    """A component that comes while something is built of an adapter does not have it built twice."""
    go_on = asyncio.Event()
    built = []

    async def engine() -> Engine:
        await go_on.wait()
        return Engine()

    def session(engine: Engine) -> Session:
        built.append(engine)
        return Session(engine)

    adapters.register(engine)
    adapters.scoped(session)
    for _ in ROUNDS:
        go_on.set()
        async with context.scope("request"):
            await adapters.nject(Session)
        async with context.scope("request") as components:
            components.add(Engine())
            await adapters.nject(Session)
        go_on.clear()
        built.clear()
        async with context.scope("request") as components:
            first = asyncio.create_task(adapters.nject(Session))
            await asyncio.sleep(0)
            components.add(Engine())
            second = asyncio.create_task(adapters.nject(Session))
            await asyncio.sleep(0)
            go_on.set()
            assert await soon(first) is await soon(second) is await adapters.nject(Session)
            assert len(built) == 1


@KEPT
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_none_cannot_be_kept(adapters, kind, lifetime):
    """An adapter that may return None, and does, is told so where what it builds has to be kept, each time."""

    def plain() -> t.Optional[Engine]:
        return None

    async def coroutine() -> t.Optional[Engine]:
        return None

    adapters.register(plain if kind == "plain" else coroutine, lifetime=lifetime)
    for _ in ROUNDS:
        async with context.scope("request"):
            for _ in ROUNDS:
                with pytest.raises(di.AdapterError, match="returned None; what is kept has to be something"):
                    await soon(adapters.nject(t.Optional[Engine]))


@KEPT
async def test_a_creator_that_is_cancelled_hands_over(adapters, lifetime):
    """The first of those who wait builds in its place, and they all get that one."""
    started = []

    async def make() -> Engine:
        started.append(asyncio.current_task())
        if len(started) % 3:
            await asyncio.Event().wait()
        return Engine()

    for _ in ROUNDS:
        adapters.register(make, lifetime=lifetime)
        async with context.scope("request"):
            tasks = [asyncio.create_task(adapters.nject(Engine)) for _ in range(10)]
            for _ in range(2):
                while not started or started[-1].done():
                    await asyncio.sleep(0)
                started[-1].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await started[-1]
            found = await soon(asyncio.gather(*tasks, return_exceptions=True))
            engines = [one for one in found if isinstance(one, Engine)]
            assert len(engines) == 8
            assert len(set(engines)) == 1
            assert len(started) == 3
            assert await adapters.nject(Engine) is engines[0]
        started.clear()


@KEPT
async def test_one_who_waits_may_be_cancelled(adapters, lifetime):
    """Who waits and is cancelled goes alone; the creator and the others go on."""
    go_on = asyncio.Event()

    async def make() -> Engine:
        await go_on.wait()
        return Engine()

    for _ in ROUNDS:
        adapters.register(make, lifetime=lifetime)
        go_on.clear()
        async with context.scope("request"):
            tasks = [asyncio.create_task(adapters.nject(Engine)) for _ in range(5)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            tasks[2].cancel()
            go_on.set()
            found = await soon(asyncio.gather(*tasks, return_exceptions=True))
            assert isinstance(found.pop(2), asyncio.CancelledError)
            assert len(set(found)) == 1


@KEPT
async def test_a_creator_that_fails_fails_all_who_wait(adapters, lifetime):
    """They get its error, and who asks next tries again."""
    fails = True
    calls = []

    async def make() -> Engine:
        calls.append(1)
        await asyncio.sleep(0)
        if fails:
            raise OwnError
        return Engine()

    adapters.register(make, lifetime=lifetime)
    adapters.register(Session)
    for turn in ROUNDS:
        fails = True
        adapters.register(make, lifetime=lifetime)
        async with context.scope("request"):
            asked = (adapters.nject(Session) for _ in range(10))
            found = await soon(asyncio.gather(*asked, return_exceptions=True))
            assert [type(one) for one in found] == [OwnError] * 10
            assert len(calls) == 2 * turn + 1
            fails = False
            asked = (adapters.nject(Session) for _ in range(10))
            assert len({one.engine for one in await soon(asyncio.gather(*asked))}) == 1
            assert len(calls) == 2 * turn + 2


@KEPT
async def test_a_creator_that_asks_for_itself_is_told(adapters, lifetime):
    """It is a circle that no declaration tells of; the error comes through, nothing hangs; it may be tried again."""
    asks = True

    async def make() -> Engine:
        if asks:
            await adapters.nject(Engine)
        return Engine()

    adapters.register(make, lifetime=lifetime)
    async with context.scope("request"):
        for _ in ROUNDS:
            with pytest.raises(di.ResolveError, match=r"a circle: .*make is asked for while it is being built"):
                await soon(adapters.nject(Engine))
        asks = False
        assert await soon(adapters.nject(Engine)) is await adapters.nject(Engine)


@KEPT
async def test_a_creator_that_asks_for_what_needs_it_is_told(adapters, lifetime):
    """The way round may lead through others."""

    async def make() -> Engine:
        return (await adapters.nject(Users)).session.engine

    adapters.register(make, Session, lifetime=lifetime)
    adapters.register(Users)
    async with context.scope("request"):
        for _ in ROUNDS:
            with pytest.raises(di.ResolveError, match="a circle"):
                await soon(adapters.nject(Engine))
            with pytest.raises(di.ResolveError, match="a circle"):
                await soon(adapters.nject(Users))


@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
async def test_a_plain_creator_that_asks_for_itself_is_told(adapters, lifetime):
    """The synchronous twin knows the circle, from the first time on, in new scopes too."""

    def make() -> Engine:
        return adapters.nject_now(Engine)

    adapters.register(make, lifetime=lifetime)
    for _ in ROUNDS:
        async with context.scope("request"):
            with pytest.raises(di.ResolveError, match="a circle"):
                adapters.nject_now(Engine)
            with pytest.raises(di.ResolveError, match="a circle"):
                await adapters.nject(Engine)


@KEPT
async def test_two_creators_that_ask_for_each_other_do_not_hang(adapters, lifetime):
    """At least one of two tasks that would wait for each other is told of the circle, and no task waits for ever."""
    both = asyncio.Barrier(2)

    async def engine() -> Engine:
        await both.wait()
        return (await adapters.nject(Session)).engine

    async def session() -> Session:
        await both.wait()
        return Session(await adapters.nject(Engine))

    for _ in ROUNDS:
        adapters.register(engine, session, lifetime=lifetime)
        async with context.scope("request"):
            asked = (adapters.nject(Engine), adapters.nject(Session))
            found = await soon(asyncio.gather(*asked, return_exceptions=True))
            assert all(isinstance(one, di.ResolveError) and "a circle" in str(one) for one in found)


# -- threads


def in_threads(number, function):
    """Call *function* in many threads at once, in this context; return what each returned or raised."""
    found = []
    start = threading.Barrier(number)
    components = context.current_context()

    def run():
        context.buvar_context.set(components)
        start.wait()
        try:
            found.append(function())
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert len(found) == number
    return found


def test_threads_resolve_and_register_at_once(impatient):
    """With nject_now and with a loop in each thread, each finds all that it needs while others register."""
    adapters = di.Adapters()
    adapters.register(Engine, Session)

    def work():
        own = type("Own", (), {"__init__": lambda self, users: setattr(self, "users", users)})
        own.__init__.__annotations__["users"] = Users
        adapters.register(Users, own)
        seen = []
        for number in range(10):
            if number % 2:
                one = adapters.nject_now(own)
            else:
                one = asyncio.run(adapters.nject(own))
            assert type(one.users.session.engine) is Engine
            seen.append(one)
        return len(set(map(id, seen)))

    assert in_threads(8, work) == [10] * 8


def test_threads_see_what_was_registered_last(impatient):
    """Once register has returned, the old adapter is not used any more, whatever other threads are resolving."""
    adapters = di.Adapters()
    adapters.register(Engine, Session)
    stop = threading.Event()
    lock = threading.Lock()

    def work():
        if not lock.acquire(blocking=False):
            while not stop.is_set():
                adapters.nject_now(Session)
            return None
        try:
            for number in range(50):

                def make(url=str(number)) -> Engine:
                    return Engine(url)

                adapters.register(make)
                for _ in ROUNDS:
                    assert adapters.nject_now(Session).engine.url == str(number)
        finally:
            stop.set()

    assert in_threads(3, work) == [None] * 3


def test_threads_that_ask_for_a_singleton_while_one_builds_it():
    """Without a loop they wait, or are told by a ResolveError; whoever gets one gets the same."""
    adapters = di.Adapters()
    building = threading.Event()
    go_on = threading.Event()

    def make() -> Engine:
        building.set()
        go_on.wait(10)
        return Engine()

    adapters.singleton(make)
    lock = threading.Lock()

    def work():
        if not lock.acquire(blocking=False):
            assert building.wait(10)
            threading.Timer(0.05, go_on.set).start()
        return adapters.nject_now(Engine)

    found = in_threads(6, work)
    engines = [one for one in found if isinstance(one, Engine)]
    assert len(set(engines)) == 1
    assert all(isinstance(one, Engine | di.ResolveError) for one in found)


def test_threads_with_loops_wait_for_the_one_that_builds(impatient):
    """Those who wait in other loops go on when it is there, and all get the same."""
    adapters = di.Adapters()
    built = []

    async def make() -> Engine:
        built.append(1)
        await asyncio.sleep(0.01)
        return Engine()

    for turn in range(3):
        adapters.register(make, lifetime="singleton")
        adapters.register(Session)
        found = in_threads(8, lambda: asyncio.run(adapters.nject(Session)))
        assert len({one.engine for one in found}) == 1
        assert len(built) == turn + 1


def test_threads_build_a_plain_singleton_once(impatient):
    """A creator that never waits is called once however the threads take turns."""
    for _ in range(150):
        adapters = di.Adapters()
        built = []

        def make(built=built) -> Engine:
            built.append(1)
            return Engine()

        adapters.singleton(make)
        in_threads(4, lambda adapters=adapters: adapters.nject_now(Engine))
        assert built == [1]


def test_a_singleton_of_a_stage_is_the_same_in_threads():
    """What a stage keeps is found from threads that it starts, as it is from its tasks."""
    adapters = di.Adapters()
    adapters.singleton(Engine)
    adapters.register(Session)

    async def prepare():
        engine = await adapters.nject(Engine)
        for _ in ROUNDS:
            assert await asyncio.to_thread(adapters.nject_now, Engine) is engine
            session = await asyncio.to_thread(lambda: asyncio.run(adapters.nject(Session)))
            assert session.engine is engine
        yield asyncio.sleep(0, True)

    assert plugin.stage(prepare) == [True]


@KEPT
@pytest.mark.parametrize("threaded", [False, True])
async def test_who_waits_for_long_says_so(adapters, lifetime, threaded, monkeypatch):
    """A creator may wait for a task or a thread that waits for it, which nothing shows; the log tells who waits."""
    monkeypatch.setattr(once, "PATIENCE", 0.01)

    async def waiting() -> Engine:
        await asyncio.gather(adapters.nject(Engine))

    def joining() -> Engine:
        asked = threading.Thread(target=contextvars.copy_context().run, args=(adapters.nject_now, Engine), daemon=True)
        asked.start()
        while not entries:
            asked.join(0.01)
        return Engine()

    adapters.register(joining if threaded else waiting, lifetime=lifetime)
    async with context.scope("request"):
        with structlog.testing.capture_logs() as entries:
            if threaded:
                assert await adapters.nject(Engine)
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(adapters.nject(Engine), 0.1)
    (entry,) = entries
    assert entry["event"].startswith("waiting for what another task builds")
    assert entry["adapter"] == ("joining" if threaded else "waiting")
    assert entry["builder"].startswith("Task-")
