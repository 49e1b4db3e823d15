"""Plans: what is asked for again is done by generated code, which gives the same and can be read."""

import asyncio
import contextlib
import gc
import linecache
import traceback
import typing as t

import attrs
import pytest

from buvar import context, di

#: built step by step, compiled, and twice by the plan
ROUNDS = range(4)


class Engine:
    def __init__(self, url="built") -> None:
        self.url = url


@attrs.frozen(eq=False)
class Session:
    engine: Engine


@attrs.frozen(eq=False)
class Users:
    session: Session


class OwnError(Exception):
    pass


@pytest.fixture(params=["nject", "nject_now"])
def ask(request, adapters):
    """Ask by each of the twins."""
    if request.param == "nject":
        return adapters.nject

    async def ask(*targets, **given):
        return adapters.nject_now(*targets, **given)

    return ask


def sources(title):
    """Return the generated sources for what is so called."""
    return {file: found[2] for file, found in linecache.cache.items() if file.endswith(f": {title}>")}


def own_class(name):
    """Return a class for one test, of whose name no plan is left."""
    gc.collect()
    return type(name, (), {})


# -- the same as the first time


async def test_a_plan_is_made_when_something_is_asked_for_again(adapters, ask):
    """The first time makes none, the second does, and it serves from then on."""
    cls = own_class("AskedAgain")
    adapters.register(cls)
    await ask(cls)
    assert not sources("AskedAgain")
    await ask(cls)
    (file,) = sources("AskedAgain")
    for _ in ROUNDS:
        assert type(await ask(cls)) is cls
    assert list(sources("AskedAgain")) == [file]


async def test_a_diamond_shares_in_a_plan_too(adapters, ask):
    """In one call an adapter builds once, and two calls share nothing."""
    adapters.register(Engine, Session, Users)
    seen = set()
    for _ in ROUNDS:
        users, session, engine = await ask(Users, Session, Engine)
        assert users.session is session
        assert session.engine is engine
        seen.add(engine)
    assert len(seen) == 4


async def test_several_one_and_no_targets(adapters, ask):
    """One gives an object, several give a tuple, none an empty one, each time."""
    adapters.register(Engine, Session)
    for _ in ROUNDS:
        assert type(await ask(Engine)) is Engine
        assert [type(one) for one in await ask(Session, Engine)] == [Session, Engine]
        assert await ask() == ()
        first, second = await ask(Engine, Engine)
        assert first is second


async def test_parameters_are_passed_as_they_must_be(adapters, ask):
    """Positional-only, keyword-only, defaults and stars are called right by a plan too."""
    default = object()

    def make(engine: Engine, count: int = 3, /, name: str = "x", *args: int, other=default, session: Session) -> Users:
        assert (count, name, args, other) == (3, "x", (), default)
        assert session.engine is engine
        return Users(session)

    adapters.register(Engine, Session, make)
    for _ in ROUNDS:
        assert type(await ask(Users)) is Users


async def test_a_target_that_cannot_be_a_key_is_asked_for_again(adapters, ask):
    """No plan is kept for it, and it is refused each time in the same words."""
    told = set()
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError) as caught:
            await ask(t.Literal[[]])
        told.add(str(caught.value))
        with pytest.raises(di.ResolveError):
            await ask(t.Literal[[]], given=1)
    assert len(told) == 1


async def test_errors_are_the_same_each_time(adapters, ask):
    """What cannot be had is told by the same message, however often it is asked for."""
    adapters.register(Session, Users)
    told = set()
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError) as caught:
            await ask(Users)
        told.add(str(caught.value))
    assert len(told) == 1
    adapters.register(Engine)
    for _ in ROUNDS:
        assert type(await ask(Users)) is Users


# -- what a plan rests on


async def test_a_component_that_is_added_later_wins(adapters, ask, components):
    """A plan that builds gives way to a component of a class that no layer ever held before."""
    cls = own_class("AddedLater")

    def make(found: cls) -> Engine:
        return Engine(found)

    adapters.register(cls, make)
    for _ in ROUNDS:
        assert (await ask(Engine)).url is not await ask(cls)
    component = components.add(cls())
    for _ in ROUNDS:
        assert (await ask(Engine)).url is component
        assert await ask(cls) is component
    newer = components.add(cls())
    for _ in ROUNDS:
        assert (await ask(Engine)).url is newer


async def test_a_component_of_a_derived_class_wins_too(adapters, ask, components):
    """It is filed under its bases, which a plan may have taken for never held."""
    base = own_class("DerivedLater")
    adapters.register(base)
    for _ in ROUNDS:
        assert type(await ask(base)) is base
    component = components.add(type("Derived", (base,), {})())
    for _ in ROUNDS:
        assert await ask(base) is component


async def test_a_named_component_that_is_added_later_wins(adapters, ask, components):
    """For parameters of that name, and for no others."""
    cls = own_class("NamedLater")

    def make(found: cls, other: cls) -> Engine:
        return Engine((found, other))

    adapters.register(cls, make)
    for _ in ROUNDS:
        found, other = (await ask(Engine)).url
        assert found is other
    component = components.add(cls(), name="found")
    for _ in ROUNDS:
        found, other = (await ask(Engine)).url
        assert found is component
        assert other is not component


async def test_a_component_of_an_inner_layer_wins_there(adapters, ask, components):
    """Inside of the layer it is taken, outside of it not."""
    adapters.register(Session)
    outer = components.add(Engine("outer"))
    for _ in ROUNDS:
        assert (await ask(Session)).engine is outer
        with context.child() as child:
            assert (await ask(Session)).engine is outer
            inner = child.add(Engine("inner"))
            assert (await ask(Session)).engine is inner
        with context.child() as child:
            named = child.add(Engine("named"), name="engine")
            assert (await ask(Session)).engine is named


async def test_contexts_that_alternate_keep_their_plans(adapters, ask, components):
    """Each state of the context has one plan, which is not made again when the state comes back."""
    cls = own_class("Alternating")

    def make(engine: Engine) -> cls:
        made = cls()
        made.engine = engine
        return made

    adapters.register(Engine, make)
    for _ in range(10):
        assert (await ask(cls)).engine.url == "built"
        with context.child() as child:
            component = child.add(Engine("component"))
            assert (await ask(cls)).engine is component
        with context.child() as child:
            named = child.add(Engine("named"), name="engine")
            assert (await ask(cls)).engine is named
    assert len(sources("Alternating")) <= 4


async def test_more_states_than_plans_are_kept(adapters):
    """However many states of the context there are, each gives what is right."""
    names = [f"p{number}" for number in range(7)]
    space: dict[str, t.Any] = {"Engine": Engine, "Users": Users}
    needs = ", ".join(f"{name}: Engine" for name in names)
    exec(f"def make({needs}) -> Users:\n    return Users([{', '.join(names)}])", space)
    adapters.register(Engine, space["make"])
    for _ in range(2):
        for state in range(30, 100):
            with context.child() as child:
                chosen = {names[bit] for bit in range(len(names)) if state >> bit & 1}
                added = {name: child.add(Engine(name), name=name) for name in chosen}
                for _ in range(3):
                    found = dict(zip(names, (await adapters.nject(Users)).session, strict=True))
                    assert {name for name in names if found[name].url != "built"} == chosen
                    assert all(found[name] is added[name] for name in chosen)


async def test_a_registration_drops_plans(adapters, ask):
    """The adapter that was registered last is taken from then on, also where it is needed further in."""
    adapters.register(Engine, Session, Users)
    for number in ROUNDS:
        for _ in ROUNDS:
            assert (await ask(Users)).session.engine.url == ("built" if number == 0 else number - 1)

        def make(number=number) -> Engine:
            return Engine(number)

        adapters.register(make)


async def test_a_registration_drops_plans_that_are_just_being_made(adapters):
    """What was decided before a registration, and waits for something, serves nobody after it."""
    go_on = asyncio.Event()

    async def engine() -> Engine:
        await go_on.wait()
        return Engine()

    class Other(Session): ...

    def make(engine: Engine, session: Session) -> Users:
        return Users(session)

    adapters.singleton(engine)
    adapters.register(Session, make)
    tasks = [asyncio.create_task(adapters.nject(Users)) for _ in ROUNDS]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    adapters.register(Other)
    go_on.set()
    await asyncio.gather(*tasks)
    for _ in ROUNDS:
        assert type((await adapters.nject(Users)).session) is Other


async def test_keyword_dependencies_of_changing_types(adapters, ask):
    """The type of what is given decides anew each time, by name and by type."""

    def by_number(number: int) -> Session:
        return Session(("int", number))

    def by_text(text: str) -> Session:
        return Session(("str", text))

    def by_either(either: int | float) -> Session:
        return Session(("either", either))

    adapters.register(by_either, by_number, by_text)
    for _ in ROUNDS:
        assert (await ask(Session, number=1)).engine == ("int", 1)
        assert (await ask(Session, number="x")).engine == ("str", "x")
        assert (await ask(Session, number=True)).engine == ("int", True)
        assert (await ask(Session, either=2.5)).engine == ("either", 2.5)
        assert (await ask(Session, any="y")).engine == ("str", "y")
        with pytest.raises(di.ResolveError):
            await ask(Session, number=None)


async def test_keyword_dependencies_of_types_that_say_not_all(adapters, ask):
    """Where the value and not its class decides whether it fits, each value is looked at."""

    @t.runtime_checkable
    class Closes(t.Protocol):
        def close(self) -> None: ...

    class Loose: ...

    closes = Loose()
    closes.close = lambda: None

    def make(level: t.Literal["high", "low"] = "low", thing: t.Optional[Closes] = None) -> Session:
        return Session((level, thing))

    adapters.register(make)
    for _ in ROUNDS:
        assert (await ask(Session, level="high")).engine == ("high", None)
        assert (await ask(Session, level="other")).engine == ("low", None)
        assert (await ask(Session, thing=closes)).engine == ("low", closes)
        assert (await ask(Session, thing=Loose())).engine == ("low", None)


async def test_keyword_dependencies_that_stand_for_others(adapters):
    """A proxy is what it says that it is, and the next proxy may be something else."""

    class Proxy:
        def __init__(self, behind):
            self.behind = behind

        @property
        def __class__(self):
            return type(self.behind)

    def make(engine: Engine = None) -> Session:
        return Session(engine)

    adapters.register(make)
    engine = Proxy(Engine())
    for _ in ROUNDS:
        assert (await adapters.nject(Session, engine=engine)).engine is engine
        assert (await adapters.nject(Session, engine=Proxy(1))).engine is None


async def test_none_and_false_things_are_given(adapters, ask):
    """What is given is given, even if it is None or false."""

    def make(engine: t.Optional[Engine] = Engine("default"), count: int = 3) -> Session:
        return Session((engine, count))

    adapters.register(make)
    for _ in ROUNDS:
        assert (await ask(Session, engine=None, count=0)).engine == (None, 0)


async def test_the_order_of_keywords_plays_no_part(adapters, ask):
    """Each value reaches the parameter of its name."""

    def make(a: int, b: int) -> Session:
        return Session((a, b))

    adapters.register(make)
    for _ in ROUNDS:
        assert (await ask(Session, a=1, b=2)).engine == (1, 2)
        assert (await ask(Session, b=2, a=1)).engine == (1, 2)


# -- errors and sources


async def test_the_traceback_leads_to_the_adapter(adapters, ask):
    """The line of the adapter that raised is in it, and who asked for it is noted once, each time."""

    def make() -> Engine:
        raise OwnError("no luck")

    adapters.register(make, Session, Users)
    for _ in ROUNDS:
        with pytest.raises(OwnError) as caught:
            await ask(Users)
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        assert (last.name, last.line) == ("make", 'raise OwnError("no luck")')
        (note,) = caught.value.__notes__
        assert note.startswith(f"raised by the adapter make ({__file__}:{make.__code__.co_firstlineno})")
        assert note.endswith("building Engine <- Session(engine) <- Users(session)")
    text = "".join(traceback.format_exception(caught.value))
    assert "<buvar plan" in text
    assert "= make_" in text


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "async generator"])
async def test_each_kind_of_adapter_is_noted_once(adapters, kind, lifetime):
    """Whatever way it is built, an error has one note that tells of the adapter itself."""

    def plain() -> Engine:
        raise OwnError

    async def coroutine() -> Engine:
        raise OwnError

    def generator() -> t.Iterator[Engine]:
        raise OwnError
        yield

    async def async_generator() -> t.AsyncIterator[Engine]:
        raise OwnError
        yield

    make = {"plain": plain, "coroutine": coroutine, "generator": generator, "async generator": async_generator}[kind]
    adapters.register(make, lifetime=lifetime)
    adapters.register(Session)
    if lifetime == "singleton" and kind.endswith("generator"):
        return  # needs a stage
    for _ in ROUNDS:
        async with context.scope("request"):
            with pytest.raises(OwnError) as caught:
                await adapters.nject(Session)
        (note,) = caught.value.__notes__
        assert f"raised by the adapter {make.__name__} " in note
        assert note.endswith("building Engine <- Session(engine)")


async def test_an_error_of_an_adapter_that_allows_no_notes_comes_through(adapters, rigid):
    """It is raised as it is, whether the plan is compiled or not."""

    async def make() -> Engine:
        raise rigid("stiff")

    adapters.register(make, Session)
    for _ in ROUNDS:
        with pytest.raises(rigid) as caught:
            await adapters.nject(Session)
        assert caught.value == rigid("stiff")


async def test_the_source_goes_with_the_plan(adapters, ask):
    """Generated source is there as long as its plan is, and no longer."""
    cls = own_class("GoesAway")
    adapters.register(cls)
    for _ in ROUNDS:
        await ask(cls)
    (lines,) = sources("GoesAway").values()
    assert any("GoesAway_" in line for line in lines)
    linecache.checkcache()
    assert sources("GoesAway")
    adapters.register(Engine)
    gc.collect()
    assert not sources("GoesAway")


async def test_the_sources_go_with_the_adapters(ask, adapters):
    """A registry that nobody holds leaves nothing behind."""
    cls = own_class("GoesWithThem")
    own = di.Adapters()
    own.register(cls)
    for _ in ROUNDS:
        await own.nject(cls)
        own.nject_now(cls)
    assert len(sources("GoesWithThem")) == 2
    del own
    gc.collect()
    assert not sources("GoesWithThem")


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_an_adapter_that_breaks_its_word_is_told(adapters, ask, lifetime):
    """None and the wrong type are errors, the first time and later, and what is right in between is taken."""
    value: t.Any = None

    def make() -> Engine:
        return value

    adapters.register(make, lifetime=lifetime)
    adapters.register(Session)
    engine = Engine()
    for _ in ROUNDS:
        adapters.register(make, lifetime=lifetime)
        for _ in ROUNDS:
            async with context.scope("request"):
                value = None
                with pytest.raises(di.AdapterError, match="it returned None and says that it returns Engine"):
                    await ask(Session)
                value = "text"
                with pytest.raises(di.AdapterError, match="it returned 'text', of the type str, and says"):
                    await ask(Session)
                if lifetime != "singleton":
                    value = engine
                    assert (await ask(Session)).engine is engine


async def test_an_adapter_may_return_what_derives_from_its_word(adapters, ask):
    """Subclasses, and each member of a union, are fine, in any order."""

    class Sub(Engine): ...

    values = [Engine(), Sub(), Engine()]

    def make() -> Engine:
        return values[0]

    def maybe() -> t.Optional[Session]:
        return None if type(values[0]) is Sub else Session(values[0])

    adapters.register(make, maybe)
    for _ in ROUNDS:
        for _ in values:
            values.append(values.pop(0))
            assert await ask(Engine) is values[0]
            found = await ask(t.Optional[Session])
            assert (found is None) == (type(values[0]) is Sub)


# -- cancellation


@pytest.mark.parametrize("lifetime", ["transient", "scoped", "singleton"])
async def test_a_cancelled_request_leaves_nothing_half_built(adapters, lifetime):
    """Wherever it is cancelled, the next request in the same scope works, and all that was opened is finalised."""
    here = asyncio.Queue()
    wait_at = ""
    opened = []

    async def pause(name):
        if name == wait_at:
            here.put_nowait(name)
            await asyncio.Event().wait()

    async def engine() -> Engine:
        await pause("engine")
        return Engine()

    async def session(engine: Engine) -> t.AsyncIterator[Session]:
        opened.append("session")
        try:
            await pause("before")
            made = Session(engine)
            yield made
        finally:
            opened.remove("session")

    async def users(session: Session) -> Users:
        await pause("users")
        return Users(session)

    adapters.register(engine, lifetime=lifetime)
    adapters.register(session, lifetime="scoped" if lifetime == "singleton" else lifetime)
    adapters.register(users, lifetime="scoped" if lifetime == "singleton" else lifetime)
    for turn in range(5):
        for point in ("engine", "before", "users"):
            if lifetime == "singleton":
                adapters.register(engine, lifetime=lifetime)
                if turn > 2 and point == "engine":
                    continue
            async with context.scope("request"):
                wait_at = point
                task = asyncio.create_task(adapters.nject(Users))
                await asyncio.wait_for(here.get(), 10)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                wait_at = ""
                found = await asyncio.wait_for(adapters.nject(Users), 10)
                assert isinstance(found.session.engine, Engine)
                if lifetime != "transient":
                    assert await adapters.nject(Users) is found
            assert opened == []


# -- the synchronous twin


@pytest.mark.parametrize("kind", ["coroutine", "async generator"])
@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
async def test_the_twin_refuses_what_is_asynchronous(adapters, kind, lifetime):
    """It says so before anything is built, with who it is, and does the rest."""
    built = []

    def engine() -> Engine:
        built.append("engine")
        return Engine()

    async def coroutine(engine: Engine) -> Session:
        return Session(engine)

    async def generator(engine: Engine) -> t.AsyncIterator[Session]:
        yield Session(engine)

    adapters.register(engine, coroutine if kind == "coroutine" else generator, lifetime=lifetime)
    adapters.register(Users)
    for _ in ROUNDS:
        async with context.scope("request"):
            for _ in ROUNDS:
                with pytest.raises(di.ResolveError, match=r"it is built asynchronously; use await di\.nject"):
                    adapters.nject_now(Users)
            assert built == []
            assert type(adapters.nject_now(Engine)) is Engine
            assert type(await adapters.nject(Users)) is Users
            if lifetime == "scoped":  # it is there now
                assert adapters.nject_now(Users).session is await adapters.nject(Session)
            built.clear()


async def test_the_twin_takes_a_singleton_that_is_there(adapters):
    """What was built asynchronously and is kept is found without awaiting."""

    async def make() -> Engine:
        return Engine()

    adapters.singleton(make)
    adapters.register(Session)
    for _ in ROUNDS:
        with pytest.raises(di.ResolveError, match="it is built asynchronously"):
            adapters.nject_now(Session)
    engine = await adapters.nject(Engine)
    for _ in ROUNDS:
        assert adapters.nject_now(Session).engine is engine


async def test_the_twin_while_somebody_builds(adapters):
    """What another task is just building is not waited for: it is an error that says what to do."""
    go_on = asyncio.Event()

    async def make() -> Engine:
        await go_on.wait()
        return Engine()

    adapters.scoped(make)
    adapters.scoped(Session)
    for _ in ROUNDS:
        go_on.clear()
        async with context.scope("request"):
            task = asyncio.create_task(adapters.nject(Session))
            await asyncio.sleep(0)
            with pytest.raises(di.ResolveError, match=r"await di\.nject"):
                adapters.nject_now(Session)
            go_on.set()
            assert adapters.nject_now(Session) is await task if task.done() else await task


@pytest.mark.parametrize("lifetime", ["transient", "scoped"])
@pytest.mark.parametrize("waits", [False, True])
async def test_the_twin_and_what_hides_that_it_is_asynchronous(adapters, lifetime, waits):
    """A plain function that returns coroutines is refused when that comes out, the first time and later."""

    async def hidden():
        if waits:
            await asyncio.sleep(0)
        return Engine()

    def make() -> Engine:
        return hidden()

    for _ in ROUNDS:
        adapters.register(make, lifetime=lifetime)
        for _ in ROUNDS:
            async with context.scope("request"):
                with pytest.raises(di.ResolveError, match="it is built asynchronously"):
                    adapters.nject_now(Engine)
                assert type(await adapters.nject(Engine)) is Engine


def test_the_twin_needs_no_loop(adapters):
    """All that is plain works where no loop runs."""
    adapters.singleton(Engine)
    adapters.register(Session)
    for _ in ROUNDS:
        assert adapters.nject_now(Session).engine is adapters.nject_now(Engine)


# -- size


def chain(length):
    """Return so many classes of which each needs the one before it."""
    classes: list[type] = [Engine]
    for number in range(length):
        cls = type(f"Link{number}", (), {"__init__": lambda self, below: setattr(self, "below", below)})
        cls.__init__.__annotations__["below"] = classes[-1]
        classes.append(cls)
    return classes


def depth(item):
    """Return how many stand below *item*."""
    count = 0
    while hasattr(item, "below"):
        item = item.below
        count += 1
    return count


@pytest.mark.parametrize("way", ["transient", "inside of a scoped one", "scoped"])
async def test_a_deep_chain_is_compiled(adapters, ask, way):
    """Many adapters in a row are no recursion for a plan either, however long what they build lives."""
    length = 300 if way == "scoped" else 1500
    classes = chain(length)
    adapters.register(*classes[:-1], lifetime="scoped" if way == "scoped" else "transient")
    adapters.register(classes[-1], lifetime="transient" if way == "transient" else "scoped")
    for _ in range(3):
        async with context.scope("request"):
            found = await ask(classes[-1])
            assert depth(found) == length
            assert (found is await ask(classes[-1])) == (way != "transient")


async def test_a_plan_looks_at_what_a_singleton_would_see(adapters, components):
    """What was passed over since the stage lacks something is looked for again, and taken when it is there."""

    class Part: ...

    @attrs.frozen(eq=False)
    class Kept:
        part: Part

    @attrs.frozen(eq=False)
    class Asking:
        kept: Kept | None = None

    with context.child() as child:  # a layer has held one, so that it is looked for
        child.add(Part())
    adapters.singleton(Kept)
    adapters.register(Asking)
    for _ in range(4):
        assert (await adapters.nject(Asking)).kept is None
        assert adapters.nject_now(Asking).kept is None
    components.add(Part())
    for _ in range(4):
        assert (await adapters.nject(Asking)).kept is adapters.nject_now(Asking).kept is not None


async def test_a_plan_wraps_a_singleton_that_needs_a_component(adapters, components):
    """Also where the singleton is asked for as what its wrapper returns."""

    class Settings: ...

    @attrs.frozen(eq=False)
    class Mailer:
        settings: t.Any

    def mailer(settings: Settings) -> Mailer:
        return Mailer(settings)

    def wrapped(inner: Mailer) -> Mailer:
        return Mailer(inner)

    settings = components.add(Settings())
    adapters.singleton(mailer)
    adapters.register(wrapped)
    for _ in range(4):
        assert (await adapters.nject(Mailer)).settings.settings is settings
        assert adapters.nject_now(Mailer).settings.settings is settings


@pytest.mark.parametrize("order", [(False, False, True), (True, True, False)])
async def test_a_plan_that_looks_into_a_scope_depends_on_it(adapters, order):
    """Also where only something that was passed over is scoped: inside and outside of a scope there are two plans."""

    class Part: ...

    class Target: ...

    class Asking:
        def __init__(self, target: Target | None = None) -> None:
            self.target = target

    def base() -> Target:
        return Target()

    def passed_over(part: Part) -> Target: ...

    def wrapping(target: Target) -> Target:
        return target

    adapters.register(base)
    adapters.scoped(passed_over)
    adapters.register(wrapping, Asking)
    with context.child() as child:
        child.add(Part())
    for has_scope in order:
        async with context.scope("request") if has_scope else contextlib.nullcontext():
            assert type((await adapters.nject(Asking)).target) is Target
