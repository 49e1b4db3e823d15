"""What is written about fields, and where."""

import dataclasses
import typing as t

import attrs

from buvar.config import docs

T = t.TypeVar("T")


@attrs.frozen
class Slotted:
    """The database that all is
    kept in.

    More of it.
    """

    # no documentation
    host: str = "#: no"  #: where it is
    #: the port
    #: of the server
    port: int = 1  # of no interest
    user: str = "me"
    """who logs
    in"""
    #: twice
    both: int = 1  #: said
    plain: int = 2
    #: of nothing

    helped: int = attrs.field(default=1, metadata={"help": "from the metadata"})  #: and not from here
    long: dict[str, list[int]] = attrs.Factory(dict)  #: over lines
    untyped = attrs.field(default=1)  #: not a field of attrs.frozen
    ünïcode: str = "ä"  #: with ümlauts


@attrs.define(slots=False)
class Base(t.Generic[T]):
    #: from the base
    a: int = 1
    #: from the base too
    b: int = 2


@attrs.define(slots=False)
class Derived(Base[int]):
    b: int = 3
    #: of its own
    c: int = 4


@dataclasses.dataclass
class Data:
    #: a field of a dataclass
    x: int = 1
    y: int = dataclasses.field(default=2, metadata={"help": "helped"})


@dataclasses.dataclass
class Told(Data):
    """A class with a docstring."""


@attrs.frozen
class Outer:
    data: Data = Data()  # noqa: RUF009 - a value


def test_fields_are_documented_in_four_ways():
    """By metadata, by comments above or beside, and by a string below; each on one line."""
    assert docs.of_fields(Slotted) == {
        "host": "where it is",
        "port": "the port of the server",
        "user": "who logs in",
        "both": "twice",
        "helped": "from the metadata",
        "long": "over lines",
        "untyped": "not a field of attrs.frozen",
        "ünïcode": "with ümlauts",
    }


def test_bases_document_their_fields():
    """What a base says about a field holds until a class says more."""
    expected = {"a": "from the base", "b": "from the base too", "c": "of its own"}
    assert docs.of_fields(Derived) == expected


def test_dataclasses_are_documented_alike():
    """Metadata of dataclasses counts too."""
    assert docs.of_fields(Data) == docs.of_fields(Told) == {"x": "a field of a dataclass", "y": "helped"}


def test_a_nested_field_is_documented_by_its_class():
    """The path leads to the class that has the field."""
    assert docs.of_nested(Outer, ("data", "x")) == "a field of a dataclass"
    assert docs.of_nested(Outer, ("data",)) == ""


def test_a_class_in_a_function_is_read():
    """Indentation and texts that look like comments do not confuse."""

    @attrs.frozen
    class Local:
        x: str = "#: no"
        y: int = 1  #: yes

    assert docs.of_fields(Local) == {"y": "yes"}


def test_a_class_without_source_has_the_docs_of_its_metadata():
    """What is made up, or comes from where no source is, has no comments to read."""
    made = attrs.make_class("Made", {"x": attrs.field(default=1, metadata={"help": "made up"})})
    assert docs.of_fields(made) == {"x": "made up"}
    names = {"attrs": attrs, "__name__": "nowhere"}
    exec("@attrs.define\nclass Executed:\n    #: lost\n    x: int = 1\n", names)
    assert docs.of_fields(names["Executed"]) == {}


def test_a_class_is_documented_by_its_first_paragraph():
    """Only what a person wrote counts, and not what dataclasses write."""
    assert docs.of_class(Slotted) == "The database that all is kept in."
    assert docs.of_class(Told) == "A class with a docstring."
    assert docs.of_class(Data) == docs.of_class(Derived) == docs.of_class(Outer) == ""
