"""Any value as plain JSON: never an error, never more than one line."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import json
import math
import pathlib
import re
import typing as t
import uuid

#: the nesting that a log line shows; what is deeper is cut
DEPTH: t.Final = 20

_HALF: t.Final = re.compile("[\ud800-\udfff]")


def stringify_dict_keys(obj: t.Any) -> t.Any:
    """Return *obj* with str keys in all its dicts, lists and tuples included; other values stay as they are."""
    if isinstance(obj, dict):
        return {str(key): stringify_dict_keys(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        items = [stringify_dict_keys(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    return obj


def plain(obj: t.Any) -> t.Any:
    """Return *obj* as nothing but dicts with str keys, lists, str, int, finite float, bool and None; never raises.

    Circles and what is nested deeper than `DEPTH` are cut, bytes decoded, sets listed; all else is its ``repr``.
    """
    return _plain(obj, repr, (), DEPTH)


def dumps(obj: t.Any, default: c.Callable[[t.Any], t.Any] = repr, **options: t.Any) -> str:
    """Return *obj* as one line of ASCII-only JSON, whatever it is; *default* makes unknown objects plain."""
    return json.dumps(_plain(obj, default, (), DEPTH), allow_nan=False, **options)


def _plain(obj: t.Any, default: c.Callable[[t.Any], t.Any], above: tuple[int, ...], depth: int) -> t.Any:
    kind = type(obj)
    if obj is None or kind is bool:
        return obj
    try:
        if kind is str:
            return _text(obj)
        if isinstance(obj, int | float):
            return _number(obj)
        if id(obj) in above:
            return f"<circular {kind.__name__}>"
        if depth == 0:
            return f"<{kind.__name__}, nested too deep>"
        return _compound(obj, default, (*above, id(obj)), depth - 1)
    except Exception as error:  # a repr, an iterator, a property of somebody else's class
        return f"<{kind.__name__}, cannot be shown: {type(error).__name__}>"


def _text(text: str) -> str:
    # half of a surrogate pair is no text, strict readers refuse it
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def _number(number: float) -> t.Any:
    if isinstance(number, int):
        # the interpreter refuses to print huge ones in decimal
        return int(number) if number.bit_length() < 2048 else hex(number)
    return float(number) if math.isfinite(number) else repr(float(number))


def _compound(obj: t.Any, default: c.Callable[[t.Any], t.Any], above: tuple[int, ...], depth: int) -> t.Any:
    if isinstance(obj, str):
        return _text(str.__str__(obj))
    if isinstance(obj, bytes | bytearray):
        return obj.decode("utf-8", "backslashreplace")
    if isinstance(obj, c.Mapping):
        return _mapping(obj, default, above, depth)
    if isinstance(obj, list | tuple):
        return [_plain(item, default, above, depth) for item in obj]
    if isinstance(obj, set | frozenset):
        return sorted((_plain(item, default, above, depth) for item in obj), key=str)
    if isinstance(obj, dt.date | dt.time):
        return obj.isoformat()
    if isinstance(obj, uuid.UUID | pathlib.PurePath):
        return _text(str(obj))
    return _plain(default(obj), repr, above, depth)


def _mapping(
    obj: c.Mapping[t.Any, t.Any], default: c.Callable[[t.Any], t.Any], above: tuple[int, ...], depth: int
) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {}
    for key, value in obj.items():
        text = _key(key)
        while text in made:  # 1 and "1": neither is lost
            text += "'"
        made[text] = _plain(value, default, above, depth)
    return made


def _key(key: t.Any) -> str:
    try:
        return _text(key if type(key) is str else str.__str__(str(key)))
    except Exception as error:
        return f"<{type(key).__name__}, cannot be shown: {type(error).__name__}>"
