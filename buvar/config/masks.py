"""Values as TOML and JSON can say them, with ``***`` in place of what is secret in them."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import enum
import os
import typing as t

from . import describe, words

#: the annotations of a value, as far as they are known: each of them may be meant
Hints: t.TypeAlias = c.Sequence[t.Any]


def plain(value: t.Any, hint: t.Any = t.Any, *, secret: bool = False) -> t.Any:
    """Return *value* as TOML and JSON can say it, with ``***`` in place of what is secret in it.

    A value that does not fit *hint* is masked too, where a class that stands in the annotation has secrets: a secret
    may have come to a wrong place, or have its name misspelt.
    """
    if secret:
        return value if value is None or value == "" else words.HIDDEN
    return _plain(value, (hint,))


def _plain(value: t.Any, hints: Hints) -> t.Any:
    if describe.has(type(value)):
        cls: t.Any = type(value)
        return {f.key: plain(getattr(value, f.attribute, None), f.type, secret=f.secret) for f in describe.fields(cls)}
    if isinstance(value, c.Mapping):
        return {str(key): _entry(key, item, hints) for key, item in value.items()}
    if isinstance(value, c.Sequence | c.Set) and not isinstance(value, str | bytes | bytearray):
        inner = [arg for member in _members(hints) if not words.is_table(member) for arg in t.get_args(member)]
        items = sorted(value, key=repr) if isinstance(value, c.Set) else value
        return [_plain(item, inner) if inner or not _guarded(hints) else words.HIDDEN for item in items]
    return words.HIDDEN if value is not None and _guarded(hints) else _scalar(value)


def _entry(key: t.Any, item: t.Any, hints: Hints) -> t.Any:
    tables = [member for member in _members(hints) if words.is_table(member)]
    fields = [f for cls in tables if describe.has(cls) for f in describe.fields(cls) if f.key == key]
    inner = [field.type for field in fields]
    inner += [arg for member in tables if not describe.has(member) for arg in t.get_args(member)[1:]]
    if any(field.secret for field in fields) or (not inner and _guarded(hints)):
        return plain(item, secret=True)
    return _plain(item, inner)


def _members(hints: Hints) -> list[t.Any]:
    return [member for hint in hints for member in describe.members(hint)]


def _guarded(hints: Hints) -> bool:
    return any(describe.holds_secrets(hint) for hint in hints)


def _scalar(value: t.Any) -> t.Any:
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int | float | dt.datetime | dt.date | dt.time):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
