"""The story of a failure: the path, the places, the reasons and the nearest names."""

import itertools
import typing as t

import pytest

from buvar import context, di, errors


class Mailer: ...


class Mail: ...


class UserService:
    def __init__(self, mailer: Mailer) -> None: ...


class Left:
    def __init__(self, right: "Right") -> None: ...


class Right:
    def __init__(self, left: Left) -> None: ...


class Outer:
    def __init__(self, left: Left) -> None: ...


class Narcissus:
    def __init__(self, other: "Narcissus") -> None: ...


class Page: ...


def page_by_mailer(service: UserService) -> Page: ...


def page_by_text(text: str) -> Page: ...


async def failure(adapters: di.Adapters, *targets: t.Any, **given: t.Any) -> di.ResolveError:
    with pytest.raises(di.ResolveError) as caught:
        await adapters.nject(*targets, **given)
    return caught.value


async def test_the_path_leads_from_what_is_missing_to_who_asked(adapters):
    """The message begins with the path, names the missing type in full and each adapter with file and line."""
    adapters.register(UserService, page_by_mailer)
    error = await failure(adapters, Page)
    assert error.target is Mailer
    assert error.path == ("Mailer", "UserService(mailer)", "page_by_mailer(service)")
    first, *places = str(error).splitlines()
    assert first == (
        "Mailer <- UserService(mailer) <- page_by_mailer(service): "
        f"no component and no adapter provides {Mailer.__module__}.Mailer"
    )
    assert places[0].startswith(f"  UserService(mailer) is at {__file__}:")
    assert places[1] == f"  page_by_mailer(service) is at {__file__}:{page_by_mailer.__code__.co_firstlineno}"


async def test_what_is_asked_for_itself_may_be_missing(adapters):
    """Without any adapter the path is the target alone."""
    error = await failure(adapters, Mailer)
    assert (error.target, error.path, error.causes) == (Mailer, ("Mailer",), ())
    assert str(await failure(adapters, t.Optional[list[Mail]])).startswith("list[Mail] | None: no component")


async def test_the_first_missing_target_is_told(adapters):
    """Of several targets the one that is not to be had is the one in the message."""
    adapters.register(Mail, UserService)
    assert (await failure(adapters, Mail, UserService)).path == ("Mailer", "UserService(mailer)")


async def test_the_nearest_name_is_told(adapters):
    """What an adapter returns under a similar name is proposed."""
    adapters.register(Mail)
    assert f"did you mean {Mail.__module__}.Mail?" in str(await failure(adapters, Mailer))


async def test_components_under_other_names_are_told(adapters):
    """A component of the type that has another name is mentioned."""
    context.add(Mailer(), name="replica")
    assert "there are components of that type named 'replica'" in str(await failure(adapters, Mailer))


async def test_a_given_dependency_that_does_not_fit_is_told(adapters):
    """The name is right, the type is not: the message says both."""
    adapters.register(UserService)
    error = await failure(adapters, UserService, mailer="text")
    assert "the given dependency 'mailer' is a str" in str(error)


async def test_each_candidate_tells_why_it_failed(adapters):
    """Several adapters for one type: each has a cause with a path of its own, the first choice first."""
    adapters.register(UserService, page_by_mailer, page_by_text)
    error = await failure(adapters, Page)
    assert error.reason == "none of its adapters can be satisfied"
    assert [cause.path for cause in error.causes] == [
        ("str", "page_by_text(text)"),
        ("Mailer", "UserService(mailer)", "page_by_mailer(service)"),
    ]
    assert all(isinstance(cause, di.ResolveError) for cause in error.causes)
    assert str(error).count(__file__) == 3


async def test_what_was_told_is_not_told_again(adapters):
    """A candidate that appears a second time is only referred to."""

    class Book:
        def __init__(self, page: Page) -> None: ...

    def other(service: UserService) -> Page: ...

    adapters.register(UserService, page_by_mailer, other, Book)
    error = await failure(adapters, Book)
    assert error.path == ("Page", "Book(page)")
    assert [(cause.path, cause.reason) for cause in error.causes][1:] == [
        (("UserService", "page_by_mailer(service)"), "it cannot be built, as told above")
    ]


@pytest.mark.parametrize(
    ("targets", "circle", "path"),
    [
        ([Narcissus], "Narcissus <- Narcissus(other)", ("Narcissus", "Narcissus(other)")),
        ([Left], "Left <- Right(left) <- Left(right)", ("Left", "Right(left)", "Left(right)")),
        ([Outer], "Left <- Right(left) <- Left(right)", ("Left", "Right(left)", "Left(right)", "Outer(left)")),
    ],
)
async def test_a_circle_is_told_by_its_path(adapters, targets, circle, path):
    """Adapters that need each other are a ResolveError that names the whole circle, and never a RecursionError."""
    adapters.register(Narcissus, Left, Right, Outer)
    error = await failure(adapters, *targets)
    told = "" if circle == " <- ".join(path) else f", {circle}"
    assert error.reason.startswith(f"a circle{told}; add a component or another adapter")
    assert error.path == path
    assert str(error).count(circle) == 1 + bool(told)


async def test_a_circle_among_candidates_is_told_beside_the_others(adapters):
    """A circle through one candidate and what is missing for another are both causes."""

    def left_of_text(text: str) -> Left: ...

    adapters.register(Left, Right, left_of_text)
    error = await failure(adapters, Left)
    assert [cause.reason.split(";")[0] for cause in error.causes] == [
        "no component and no adapter provides str",
        "a circle",
    ]


async def test_many_branches_end_somewhere(adapters):
    """A failure with many candidates on many levels stays readable: it tells a few levels."""
    types = [type(f"Level{number}", (), {}) for number in range(12)]
    for upper, lower in itertools.pairwise(types):
        for _ in range(3):

            def build(below) -> t.Any: ...

            build.__annotations__ = {"below": lower, "return": upper}
            adapters.register(build)
    error = await failure(adapters, types[0])
    assert len(str(error).splitlines()) < 100


def test_a_resolve_error_is_one_of_ours():
    """It can be caught as BuvarError, and be made from plain strings."""
    error = di.ResolveError(Mailer, "why", ["Mailer", "f(mailer)"])
    assert isinstance(error, errors.BuvarError)
    assert str(error) == "Mailer <- f(mailer): why"
    assert error.steps == (errors.Step("Mailer"), errors.Step("f(mailer)"))
