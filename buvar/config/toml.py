"""Values and keys as TOML writes them: what ``tomllib`` reads back."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import json
import re
import typing as t

_BARE: t.Final = re.compile(r"[A-Za-z0-9_-]+")


def key(name: str) -> str:
    """Write a key."""
    return name if _BARE.fullmatch(name) else _string(name)


def dotted(names: c.Iterable[str]) -> str:
    """Write the keys that lead to a table."""
    return ".".join(map(key, names))


def value(item: t.Any) -> str:
    """Write a text, a number, a boolean, a date or a time, a list, or an inline table.

    None inside of a table is left out, since TOML has none; raises TypeError for all else.
    """
    if isinstance(item, str):
        return _string(item)
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return _integer(int(item))
    if isinstance(item, float):
        return repr(float(item))  # inf and nan too are written so
    if isinstance(item, dt.datetime | dt.date | dt.time):
        return _moment(item)
    if isinstance(item, c.Mapping):
        pairs = (f"{key(str(name))} = {value(inner)}" for name, inner in item.items() if inner is not None)
        inside = ", ".join(pairs)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(item, c.Sequence) and not isinstance(item, bytes):
        return f"[{', '.join(value(each) for each in item if each is not None)}]"
    raise TypeError(f"TOML has nothing for a {type(item).__name__}")


def _integer(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # it has more digits than Python writes, but not in this form
        if number < 0:
            raise TypeError("TOML has nothing for so small an integer") from None
        return hex(number)


def _moment(moment: dt.datetime | dt.date | dt.time) -> str:
    offset = None if type(moment) is dt.date else t.cast("dt.datetime", moment).utcoffset()
    if offset is not None and (offset.total_seconds() % 60 or not isinstance(moment, dt.datetime)):
        raise TypeError(f"TOML has nothing for the offset of {moment!r}")
    return moment.isoformat()


def _string(text: str) -> str:
    # JSON's escapes are a part of TOML's, but TOML wants this one escaped too, and has no halves of surrogate pairs
    text = text.encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
