"""Types: their canonical form, and which answers which."""

import abc
import collections.abc as c
import dataclasses
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar.di import typeform

T = t.TypeVar("T")
K = t.TypeVar("K")


class Foo: ...


class Bar(Foo): ...


class Baz: ...


class Repo(t.Generic[T]): ...


class SqlRepo(Repo[T]): ...


class FooRepo(SqlRepo[Foo]): ...


class Pair(t.Generic[K, T]): ...


class Swapped(Pair[T, K]): ...


@t.runtime_checkable
class Sends(t.Protocol):
    def send(self) -> None: ...


class Quiet(t.Protocol):
    def send(self) -> None: ...


class Post:
    def send(self) -> None: ...


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


UserId = t.NewType("UserId", int)
Bound = t.TypeVar("Bound", bound=Foo)
Either = t.TypeVar("Either", Foo, Baz)


@pytest.mark.parametrize(
    ("tp", "expected"),
    [
        (Foo, Foo),
        (t.List[Foo], list[Foo]),
        (t.List, list),
        (t.Dict[str, t.List[Foo]], dict[str, list[Foo]]),
        (t.Sequence[Foo], c.Sequence[Foo]),
        (t.Tuple[()], tuple[()]),
        (t.Tuple[Foo, ...], tuple[Foo, ...]),
        (Foo | None, t.Optional[Foo]),
        (t.Union[Foo, Baz], t.Union[Baz, Foo]),
        (t.Annotated[Foo, 1], Foo),
        (t.Optional[t.Annotated[Foo, 1]], t.Optional[Foo]),
        (Bound, Foo),
        (Either, t.Union[Foo, Baz]),
        (T, t.Any),
        (None, type(None)),
        (dataclasses.InitVar[Foo], Foo),
        (t.Literal[1, "a"], t.Literal[1, "a"]),
        (UserId, UserId),
        (c.Callable[[int], str], c.Callable[[int], str]),
    ],
)
def test_a_type_has_one_canonical_form(tp, expected):
    """Spellings that mean the same are equal, and hash the same, when canonical."""
    assert typeform.canonical(tp) == expected
    assert hash(typeform.canonical(tp)) == hash(expected)
    assert typeform.canonical(typeform.canonical(tp)) == expected


ANSWERS = [
    (Bar, Foo),
    (list[Bar], list[Foo]),
    (list[Bar], c.Sequence[Foo]),
    (list[Bar], list),
    (dict[str, Bar], dict[str, Foo]),
    (dict[str, Bar], c.Mapping[str, Foo]),
    (dict[str, list[Bar]], dict[str, list[Foo]]),
    (tuple[Bar, Baz], tuple[Foo, Baz]),
    (tuple[Bar, ...], tuple[Foo, ...]),
    (type[Bar], type[Foo]),
    (Bar, t.Optional[Foo]),
    (t.Optional[Bar], t.Optional[Foo]),
    (t.Union[Bar, Baz], t.Union[Foo, Baz, None]),
    (list[Bar], t.Optional[list[Foo]]),
    (FooRepo, Repo[Foo]),
    (FooRepo, SqlRepo[Foo]),
    (SqlRepo[Bar], Repo[Foo]),
    (SqlRepo, Repo[Foo]),
    (SqlRepo[Foo], Repo),
    (Swapped[int, str], Pair[int, str]),
    (list[Foo], list[t.Any]),
    (UserId, UserId),
    (UserId, t.Optional[UserId]),
]


@pytest.mark.parametrize(("offered", "wanted"), ANSWERS)
def test_what_may_stand_in_place_of_another_answers(offered, wanted):
    """A subclass, a generic of subclasses, a member for a union and a narrower union answer."""
    assert typeform.answers(typeform.canonical(offered), typeform.canonical(wanted))


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        (Foo, Bar),
        (list[Foo], list[Bar]),
        (list[Bar], set[Bar]),
        (dict[str, Bar], c.Iterable[Bar]),
        (list, list[Foo]),
        (tuple[Bar], tuple[Bar, ...]),
        (t.Optional[Bar], Bar),
        (t.Union[Foo, Baz], Foo),
        (t.Union[Foo, Baz], t.Optional[Foo]),
        (FooRepo, Repo[Baz]),
        (UserId, int),
        (int, UserId),
        (t.Literal[1], int),
        (Foo, Baz),
        (c.Callable[[int], str], c.Callable[[str], str]),
    ],
)
def test_what_may_not_stand_in_place_of_another_does_not_answer(offered, wanted):
    """A base, another generic, a wider union and what a NewType is made of do not answer."""
    assert not typeform.answers(typeform.canonical(offered), typeform.canonical(wanted))


def test_a_generic_swaps_its_arguments_as_its_bases_say():
    """Arguments are followed by name through the bases, not by position."""
    assert typeform.answers(Swapped[int, str], Pair[int, str])

    class Turned(Pair[K, T], t.Generic[T, K]): ...

    assert typeform.answers(Turned[int, str], Pair[str, int])
    assert not typeform.answers(Turned[int, str], Pair[int, str])


def test_a_form_has_the_keys_to_look_under():
    """A union is looked for as such and by each member but None; a spelling is looked for as it is written, too."""
    assert typeform.Form.of(t.Optional[Foo]).keys == (t.Optional[Foo], Foo)
    assert typeform.Form.of(t.List[Foo]).keys == (t.List[Foo], list[Foo])
    assert typeform.Form.of(t.Any).keys == ()
    assert typeform.Form.of(t.Annotated[Foo, []]).keys == ()
    assert typeform.Form.of(t.Literal[[]]).keys == ()


def test_likeness_is_for_runtime_protocols_and_registered_classes():
    """Having the methods is enough for a runtime-checkable protocol, being registered for an ABC."""

    class Circle: ...

    Shape.register(Circle)
    assert typeform.is_like(Post, Sends)
    assert typeform.is_like(Circle, Shape)
    assert not typeform.is_like(Post, Quiet)
    assert not typeform.is_like(Foo, Sends)
    assert not typeform.is_like(Post, c.Hashable)
    assert not typeform.is_like(Post, t.SupportsInt)


@pytest.mark.parametrize(
    ("item", "tp"),
    [
        (Bar(), Foo),
        (None, t.Optional[Foo]),
        (Bar(), t.Union[Foo, str]),
        ([Foo()], list[Foo]),
        (1, float),
        (3, UserId),
        ("a", t.Literal["a", "b"]),
        (Post(), Sends),
        (Post(), Quiet),
        (len, c.Callable[[list], int]),
        (Foo, type[Foo]),
        (Foo(), t.Any),
    ],
)
def test_a_given_item_fits_its_type(item, tp):
    """What is given by name is taken when it can be what the annotation says."""
    assert typeform.fits(item, tp)


@pytest.mark.parametrize(
    ("item", "tp"),
    [(Foo(), Bar), (None, Foo), ("a", int), ((), list[Foo]), ("c", t.Literal["a"]), (Foo(), Quiet), ("x", UserId)],
)
def test_a_given_item_of_another_type_does_not_fit(item, tp):
    """What is given by name but is something else is not taken."""
    assert not typeform.fits(item, tp)


def test_types_are_shown_short():
    """A message shows names as a person writes them."""

    class Local: ...

    assert typeform.show(Local) == "Local"
    assert typeform.show(t.Optional[Foo]) == "Foo | None"
    assert typeform.show(dict[str, list[Foo]]) == "dict[str, list[Foo]]"
    assert typeform.show(tuple[Foo, ...]) == "tuple[Foo, ...]"
    assert typeform.show(UserId) == "UserId"
    assert typeform.show(t.Any) == "Any"


LEAVES = st.sampled_from([Foo, Bar, Baz, int, str, UserId])
TYPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),
        inner.map(lambda one: t.Optional[one]),
        st.tuples(inner, inner).map(lambda two: dict[two]),
        st.tuples(inner, inner).map(lambda two: t.Union[two]),
    ),
    max_leaves=5,
)


@given(TYPES)
def test_each_type_answers_itself_and_its_optional(tp):
    """Answering is reflexive, and a type answers a union that holds it."""
    tp = typeform.canonical(tp)
    assert typeform.answers(tp, tp)
    assert typeform.answers(tp, typeform.canonical(t.Optional[tp]))


@given(TYPES, TYPES, TYPES)
def test_answering_is_transitive(first, second, third):
    """What answers for something that answers, answers."""
    a, b, c_ = map(typeform.canonical, (first, second, third))
    if typeform.answers(a, b) and typeform.answers(b, c_):
        assert typeform.answers(a, c_)
