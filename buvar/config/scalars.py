"""Hooks for scalars, called with (value, type) as cattrs does: strict, but for text that can mean only one thing.

The hooks of int, float and str serve their subclasses too (an ``IntEnum``, a ``class Name(str)``).
"""

from __future__ import annotations

import datetime as dt
import enum
import os
import pathlib
import typing as t

from . import describe as schema
from .words import unfit

if t.TYPE_CHECKING:
    import cattrs

_TRUE = frozenset(("true", "yes", "on", "1"))
_FALSE = frozenset(("false", "no", "off", "0"))


def to_bool(value: object) -> bool:
    """Return a boolean for one, or for its name in any case; raises `ConversionError` for all else."""
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise unfit(bool, value)


def structure_bool(value: object, _: object) -> bool:
    return to_bool(value)


def structure_int(value: object, hint: type[int]) -> t.Any:
    if type(value) is hint:
        return value
    if issubclass(hint, enum.Enum):
        return structure_enum(value, hint)
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise unfit(hint, value) from None
    if not isinstance(value, int) or isinstance(value, bool):
        raise unfit(hint, value)
    return value if hint is int else hint(value)


def structure_float(value: object, hint: type[float]) -> t.Any:
    if type(value) is hint:
        return value
    if issubclass(hint, enum.Enum):
        return structure_enum(value, hint)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return hint(value)
        except (ValueError, OverflowError):
            pass
    raise unfit(hint, value)


def structure_str(value: object, hint: type[str]) -> t.Any:
    if type(value) is hint:
        return value
    if issubclass(hint, enum.Enum):
        return structure_enum(value, hint)
    if not isinstance(value, str):
        raise unfit(hint, value)
    return hint(value)


def structure_bytes(value: object, hint: type) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise unfit(hint, value)


def structure_path(value: object, hint: t.Any) -> t.Any:
    if isinstance(value, str | os.PathLike):
        # the protocol itself cannot be built
        return pathlib.Path(value) if hint is os.PathLike else hint(value)
    raise unfit(hint, value)


def structure_moment(value: object, hint: t.Any) -> t.Any:
    if isinstance(value, str):
        try:
            return hint.fromisoformat(value.strip())
        except ValueError:
            raise unfit(hint, value) from None
    # a datetime is a date, but the time of it would be lost
    if type(value) is not hint:
        raise unfit(hint, value)
    return value


def structure_enum(value: object, hint: type[enum.Enum]) -> enum.Enum:
    if isinstance(value, hint):
        return value
    for member in hint:
        if _same(value, member.value):
            return member
    if isinstance(value, str) and value in hint.__members__:
        return hint[value]
    raise unfit(hint, value)


def structure_literal(value: object, hint: t.Any) -> t.Any:
    for allowed in t.get_args(hint):
        if _same(value, allowed.value if isinstance(allowed, enum.Enum) else allowed):
            return allowed
    raise unfit(hint, value)


def _same(value: object, allowed: object) -> bool:
    """Compare with the type, so that True is not 1, and by text for what the environment says."""
    if isinstance(value, str) and not isinstance(allowed, str):
        if isinstance(allowed, bool):
            return value.strip().lower() in (_TRUE if allowed else _FALSE)
        return value.strip() == str(allowed)
    return type(value) is type(allowed) and value == allowed


def register(converter: cattrs.Converter) -> None:
    """Register the hooks of all scalars."""
    hooks: dict[t.Any, t.Any] = {
        bool: structure_bool,
        int: structure_int,
        float: structure_float,
        str: structure_str,
        bytes: structure_bytes,
        dt.date: structure_moment,
        dt.datetime: structure_moment,
        dt.time: structure_moment,
        pathlib.PurePath: structure_path,
        pathlib.Path: structure_path,
    }
    for scalar, hook in hooks.items():
        converter.register_structure_hook(scalar, hook)
    converter.register_structure_hook_func(lambda hint: _is_kind_of(hint, os.PathLike), structure_path)
    converter.register_structure_hook_func(lambda hint: _is_kind_of(hint, enum.Enum), structure_enum)
    converter.register_structure_hook_func(lambda hint: schema.origin(hint) is t.Literal, structure_literal)


def _is_kind_of(hint: t.Any, base: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, base)
