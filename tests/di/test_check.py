"""The check: all that cannot be built is told at once, each fault once, with its path."""

import asyncio
import itertools
import re
import typing as t

import pytest

from buvar import context, di, plugin


class Engine: ...


class Clock: ...


class Mailer: ...


class Session:
    def __init__(self, engine: Engine, clock: Clock) -> None: ...


class Users:
    def __init__(self, session: Session, mailer: Mailer) -> None: ...


class Orders:
    def __init__(self, session: Session, users: Users) -> None: ...


def faults(adapters, *targets, **options):
    """Return the errors of the check of what needs these targets."""
    di.require(*targets, **options)
    with pytest.raises(ExceptionGroup) as caught:
        di.check(adapters, context.current_context())
    return list(caught.value.exceptions)


def paths(errors):
    return [error.path for error in errors]


def test_all_that_an_adapter_lacks_is_told(adapters):
    """Each parameter that nothing provides is an error of its own."""
    adapters.register(Session)
    assert paths(faults(adapters, Session)) == [("Engine", "Session(engine)"), ("Clock", "Session(clock)")]


def test_all_that_is_lacking_further_down_is_told_once(adapters):
    """However many ways lead to an adapter, what it lacks is told with the first path that leads there."""
    adapters.register(Session, Users, Orders)
    assert paths(faults(adapters, Orders)) == [
        ("Engine", "Session(engine)", "Orders(session)"),
        ("Clock", "Session(clock)", "Orders(session)"),
        ("Mailer", "Users(mailer)", "Orders(users)"),
    ]


def test_what_several_roots_need_is_told_once(adapters):
    """A fault belongs to the adapter that lacks something, and not to each that needs that one."""
    adapters.singleton(Session)
    adapters.singleton(Users)
    adapters.singleton(Orders)

    def show(orders: Orders) -> None: ...
    def edit(session: Session, other: "Clock") -> None: ...

    found = faults(adapters, show, edit)
    assert sorted(path[:2] for path in paths(found)) == [
        ("Clock", "Session(clock)"),
        ("Clock", "edit(other)"),
        ("Engine", "Session(engine)"),
        ("Mailer", "Users(mailer)"),
    ]
    assert all(error.__notes__[0].startswith("required at ") for error in found)


def test_a_request_tells_one_fault(adapters):
    """The error of a request follows one path, and stays short."""
    adapters.register(Session)
    with pytest.raises(di.ResolveError) as caught:
        adapters.nject_now(Session)
    assert caught.value.path == ("Engine", "Session(engine)")


def test_candidates_tell_all_that_they_lack(adapters):
    """Where none of several adapters can be satisfied, that is one error, with all that each of them lacks."""

    def by_mail(mailer: Mailer, clock: Clock) -> Users: ...
    def by_session(session: Session) -> Users: ...

    adapters.register(Session, by_session, by_mail)
    (error,) = faults(adapters, Users)
    assert error.reason == "none of its adapters can be satisfied"
    assert paths(error.causes) == [
        ("Mailer", "by_mail(mailer)"),
        ("Clock", "by_mail(clock)"),
        ("Engine", "Session(engine)", "by_session(session)"),
        ("Clock", "Session(clock)", "by_session(session)"),
    ]


def test_a_circle_hides_nothing(adapters):
    """What is missing beside a circle is told as well."""

    class Left:
        def __init__(self, right: "Right", clock: Clock) -> None: ...

    class Right:
        def __init__(self, left: Left, engine: Engine) -> None: ...

    Left.__init__.__annotations__["right"] = Right
    adapters.register(Left, Right)
    assert [(error.path, error.reason[:8]) for error in faults(adapters, Left)] == [
        (("Left", "Right(left)", "Left(right)"), "a circle"),
        (("Engine", "Right(engine)", "Left(right)"), "no compo"),
        (("Clock", "Left(clock)"), "no compo"),
    ]


def test_a_circle_is_told_once(adapters):
    """Whatever leads to a circle, and wherever it is entered, it is one fault; another circle is another fault."""

    class Pair:
        def __init__(self, clock: "Twin") -> None: ...

    class Twin:
        def __init__(self, pair: Pair, ring: "Ring") -> None: ...

    class Entry:
        def __init__(self, other: "Other") -> None: ...

    Pair.__init__.__annotations__["clock"] = Twin
    for each in (Ring, Other, Pair, Twin, Entry):
        adapters.singleton(each)
    found = faults(adapters, Entry, Other, Ring, Twin)
    assert [(error.kind, error.path) for error in found] == [
        ("circle", ("Other", "Ring(other)", "Other(ring)", "Entry(other)")),
        ("circle", ("Twin", "Pair(clock)", "Twin(pair)")),
    ]
    assert "a circle, Other <- Ring(other) <- Other(ring); " in found[0].reason
    assert found[1].reason.startswith("a circle; ")


def test_all_that_is_lacking_behind_a_wall_is_told():
    """What an exported adapter lacks at home is told for who needs it, all of it."""

    @plugin.exports(Session)
    async def prepare_session():
        di.register(Session)

    async def prepare(load: plugin.Loader):
        await load(prepare_session)
        di.register(Users)
        di.require(Users)

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    assert {path[0] for path in paths(caught.value.exceptions)} == {"Engine", "Clock", "Mailer"}


@pytest.mark.parametrize("per_level", [1, 3])
def test_it_takes_no_longer_than_there_are_adapters(adapters, per_level):
    """Ways double on each level; the check follows each adapter once, at any depth."""
    types = [type(f"Level{number}", (), {}) for number in range(400 if per_level == 1 else 40)]
    for upper, lower in itertools.pairwise(types):
        for _ in range(per_level):

            def build(left, right, missing) -> t.Any: ...

            build.__qualname__ = f"build_{upper.__name__}"
            build.__annotations__ = {"left": lower, "right": lower, "missing": Clock, "return": upper}
            adapters.register(build)
    found = faults(adapters, types[0])
    if per_level == 1:  # each lacks a clock, and the last one its two of the lowest level as well
        assert len(found) == len(types) - 1 + 2
    assert sum(len(str(error)) for error in found) < 10_000_000


# -- before the run


class Sends:
    """What several adapters may be."""


class Post(Sends): ...


class Fax(Sends): ...


class Ring:
    def __init__(self, other: "Other") -> None: ...


class Other:
    def __init__(self, ring: Ring) -> None: ...


class Mistaken:
    def __init__(self, clock: "Clok") -> None: ...  # noqa: F821 - that is the point


class Scoped: ...


@pytest.mark.usefixtures("buvar_adapters_setup_contextvars")
def test_all_kinds_of_faults_are_told_at_once_before_tasks_run():
    """Missing, circular, kept too long, ambiguous, misspelt: one group has them all, and no task has started."""
    seen = []

    class Keeper:
        def __init__(self, ring: Scoped) -> None: ...

    async def prepare():
        di.register(Session, Ring, Other, Mistaken, Post, Fax)
        di.scoped(Scoped)
        di.singleton(Keeper)
        di.require(Session, Ring, Mistaken, Sends)

        async def task():
            seen.append("run")

        yield task()

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    told = {(type(error).__name__, re.split(":| \\(/", str(error))[0]): str(error) for error in caught.value.exceptions}
    assert sorted(told) == [
        ("AdapterError", "Mistaken"),
        ("ResolveError", "Clock <- Session(clock)"),
        ("ResolveError", "Engine <- Session(engine)"),
        ("ResolveError", "Ring <- Other(ring) <- Ring(other)"),
        ("ResolveError", "Scoped <- Keeper(ring)"),
        ("ResolveError", "Sends"),
    ]
    assert "did you mean 'Clock'" in told["AdapterError", "Mistaken"]
    assert "a circle" in told["ResolveError", "Ring <- Other(ring) <- Ring(other)"]
    assert "outlives each scope" in told["ResolveError", "Scoped <- Keeper(ring)"]
    assert "ambiguous: Fax" in told["ResolveError", "Sends"]
    assert all(__file__ in str(error) for error in caught.value.exceptions)
    assert seen == []


def test_what_will_be_given_is_no_fault(adapters):
    """A type that is given, or a scope that will be open, is there for the root that says so, and for no other."""

    def scoped(clock: Clock) -> Scoped: ...

    adapters.scoped(scoped)
    di.require(Scoped, given=[Clock])
    di.check(adapters, context.current_context())
    (error,) = faults(adapters, Scoped, given=[Clock], scope=False)
    assert "no scope is open" in str(error)
    assert error.__notes__ == [f"required at {__file__}:{error.__notes__[0].rpartition(':')[2]}"]


@pytest.mark.usefixtures("buvar_adapters_setup_contextvars")
def test_singletons_of_a_former_stage_are_no_fault():
    """What its plugins have registered may still be there, what they have added is not, and nobody here asks for it."""

    async def former():
        context.add(Engine())
        context.add(Clock())
        di.singleton(Session)

    async def latter():
        yield asyncio.sleep(0)

    plugin.stage(former)
    assert plugin.stage(latter) == [None]
    with pytest.raises(ExceptionGroup, match="2 errors"):
        di.check(di.buvar_adapters.get(), context.current_context())


def test_a_sound_service_has_no_faults(adapters, components):
    """Nothing is raised, and nothing is built, where all can be."""
    built = []

    class Counted(Session):
        def __init__(self, engine: Engine) -> None:
            built.append(engine)

    components.add(Engine())
    adapters.singleton(Counted)
    di.require(Counted)
    di.check(adapters, context.current_context())
    assert not built


def test_adapters_of_one_name_are_told_apart(adapters):
    """What two classes of one name lack are two faults, since they stand at different places."""

    def users() -> type:
        class Repository:
            def __init__(self, engine: Engine) -> None: ...

        return Repository

    def orders() -> type:
        class Repository:
            def __init__(self, engine: Engine) -> None: ...

        return Repository

    targets = [users(), orders()]
    for target in targets:
        target.__qualname__ = "Repository"
        adapters.register(target)
    places = [error.steps[1].place for error in faults(adapters, *targets)]
    assert len(set(places)) == 2
