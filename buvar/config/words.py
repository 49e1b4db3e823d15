"""The words of messages: what a value is, what a type expects, and what an error says."""

from __future__ import annotations

import collections
import collections.abc as c
import datetime as dt
import enum
import os
import reprlib
import typing as t

from cattrs.errors import StructureHandlerNotFoundError

from buvar.errors import ConversionError, describe

from . import describe as schema

HIDDEN: t.Final = "***"

_BOOLEAN = "a boolean (true or false; as text also yes, on, 1, no, off, 0)"
_EXPECTED: t.Final[dict[t.Any, str]] = {
    bool: _BOOLEAN,
    int: "an integer",
    float: "a number",
    str: "a string",
    bytes: "a string",
    dt.datetime: "a date and time",
    dt.date: "a date",
    dt.time: "a time",
}
SCALARS = (str, int, float, bool, dt.date, dt.time)
COLLECTIONS: t.Final[dict[t.Any, c.Callable[[list[t.Any]], t.Any]]] = {
    list: list,
    c.MutableSequence: list,
    c.Sequence: tuple,
    c.Iterable: tuple,
    c.Collection: tuple,
    set: set,
    c.MutableSet: set,
    c.Set: frozenset,
    frozenset: frozenset,
    collections.deque: collections.deque,
}
MAPPINGS: t.Final = (dict, c.Mapping, c.MutableMapping)


def kind(value: object) -> str:
    """Name the kind of a value in the words of TOML, and nothing of its content."""
    if isinstance(value, c.Mapping):
        return "a table"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if value is None:
        return "nothing"
    return _EXPECTED.get(type(value), type(value).__name__) if not isinstance(value, bool) else "a boolean"


def shown(value: object) -> str:
    """Return a scalar as a message may show it, shortened; of all else only the kind."""
    if not isinstance(value, SCALARS):
        return kind(value)
    try:
        return _short.repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return kind(value)


_short: t.Final = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def expectation(hint: t.Any) -> str:
    """Say in words what values an annotation allows."""
    hint = schema.plain(hint)
    if schema.is_union(hint):
        return " or ".join(dict.fromkeys(expectation(member) for member in schema.members(hint)))
    origin = schema.origin(hint)
    if origin is t.Literal:
        return _one_of(t.get_args(hint))
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return _one_of([member.value for member in origin])
    if is_table(hint):
        return "a table"
    if origin in COLLECTIONS or origin is tuple:
        return "a list"
    if isinstance(origin, type) and issubclass(origin, os.PathLike):
        return "a path"
    return _EXPECTED.get(origin, f"a {describe(origin)}")


def spelled(hint: t.Any) -> str:
    """Return an annotation as it is written, with the values that it allows where these are few."""
    hint = schema.plain(hint)
    if schema.is_union(hint):
        none = ["None"] if type(None) in t.get_args(hint) else []
        return " | ".join([*map(spelled, schema.members(hint)), *none])
    origin, arguments = schema.origin(hint), t.get_args(hint)
    if origin is t.Literal:
        return " | ".join(map(repr, arguments))
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return " | ".join(repr(member.value) for member in origin)
    name = "..." if hint is Ellipsis else getattr(origin, "__name__", None) or str(origin)
    return f"{name}[{', '.join(map(spelled, arguments))}]" if arguments else name


def _one_of(values: c.Sequence[object]) -> str:
    allowed = [_short.repr(value) for value in values]
    return allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}"


def unfit(hint: t.Any, value: object) -> ConversionError:
    """Return the error for a value that does not fit an annotation; it shows scalars where a scalar is expected."""
    scalar = not any(is_container(member) for member in schema.members(hint))
    return ConversionError(expectation(hint), shown(value) if scalar else kind(value))


def no_member(hint: t.Any, value: object) -> ConversionError:
    """Return the error for a value that fits no member of a union."""
    if kind(value) in map(expectation, schema.members(hint)) and isinstance(value, c.Mapping | list):
        return ConversionError(spelled(hint), f"{kind(value)} that fits none of these")
    return unfit(hint, value)


def withheld(field: schema.Field) -> ConversionError:
    """Return the error for a secret that does not fit its field."""
    return ConversionError(expectation(field.type), HIDDEN)


def is_table(hint: t.Any) -> bool:
    """Tell whether an annotation wants a table."""
    return schema.origin(hint) in MAPPINGS or schema.has(schema.origin(hint))


def is_container(hint: t.Any) -> bool:
    """Tell whether an annotation wants a list or a table."""
    origin = schema.origin(hint)
    return origin in COLLECTIONS or origin is tuple or is_table(hint)


def explain(error: Exception) -> str:
    """Return the sentence for an error that a hook, a validator or a constructor raised."""
    if isinstance(error, StructureHandlerNotFoundError):
        wanted = describe(error.type_)
        return (
            f"config does not know how to make a {wanted};"
            " tell it by config.relaxed_converter.register_structure_hook(type, function)"
        )
    text = " ".join(line.strip() for line in text_of(error).splitlines())
    return text if text and isinstance(error, ValueError | TypeError) else f"{type(error).__name__}: {text}"


def text_of(error: Exception) -> str:
    """Return the message of an error without the facts that attrs' validators, and many a hook, give after it."""
    plain = type(error).__str__ in (Exception.__str__, BaseException.__str__)
    return error.args[0] if plain and error.args and isinstance(error.args[0], str) else str(error)
