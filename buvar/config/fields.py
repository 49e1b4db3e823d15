"""Fields with a meaning beyond their type, for attrs classes."""

from __future__ import annotations

import typing as t

import attrs

from .describe import SECRET
from .scalars import to_bool
from .words import HIDDEN

_REQUIRED: t.Final[t.Any] = attrs.NOTHING


def bool_var(default: bool = _REQUIRED) -> bool:
    """Return an attrs field that takes a boolean, or true, yes, on, 1, false, no, off, 0 in any case, also from Python.

    All else raises `ConversionError`, a ValueError. Required without a *default*.
    """
    return attrs.field(default=default, converter=to_bool)


def _hide(_: object) -> str:
    return HIDDEN


def secret_var(default: t.Any = _REQUIRED) -> t.Any:
    """Return an attrs field whose value is as usable as any other, but shows as ``***`` in the repr and in errors.

    It may be set by the file that the environment variable ``…_FILE`` names. Required without a *default*.
    """
    return attrs.field(default=default, repr=_hide, metadata={SECRET: True})
