"""Validators of the configuration; what they raise has the attribute with it, by which the place of the value is found.

A validator of a list tells of all its items that do not fit at once.
"""

from __future__ import annotations

import math
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

    import attrs


def between(low: int, high: float = math.inf) -> t.Any:
    """Return a validator of numbers from *low* to *high*, and of None."""

    def validate(_: object, attribute: attrs.Attribute[t.Any], value: float | None) -> None:
        if value is not None and not low <= value <= high:
            bounds = f"at least {low}" if high == math.inf else f"between {low} and {high}"
            raise ValueError(f"{value} is not {bounds}", attribute)

    return validate


def each(fits: c.Callable[[str], object], expected: str) -> t.Any:
    """Return a validator of lists: *fits* returns something false for a text that is not what is *expected*."""

    def validate(_: object, attribute: attrs.Attribute[t.Any], value: c.Iterable[str] | bool) -> None:
        wrong = [] if isinstance(value, bool) else [repr(item) for item in value if not fits(item)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: expected {expected}", attribute)

    return validate
