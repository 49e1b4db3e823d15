"""The errors of a converter, read: one flaw for each value that is wrong, with the path to it."""

from __future__ import annotations

import collections.abc as c

import attrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
    StructureHandlerNotFoundError,
)

from buvar.errors import MissingFieldError


@attrs.frozen
class Flaw:
    """One error and the path to the value that is to blame: keys and indices."""

    path: tuple[str | int, ...]
    error: Exception

    @property
    def missing(self) -> bool:
        """Tell whether the value is wrong for not being there (cattrs' own hooks raise a KeyError of the name)."""
        if isinstance(self.error, MissingFieldError):
            return True
        return type(self.error) is KeyError and bool(self.path) and self.error.args == (self.path[-1],)

    @property
    def unexpected(self) -> bool:
        """Tell whether the error is of a kind that conversion does not raise: a mistake in a hook or a class."""
        known = (ValueError, TypeError, KeyError, ForbiddenExtraKeysError, StructureHandlerNotFoundError)
        return not isinstance(self.error, known)


def read(error: Exception, path: tuple[str | int, ...] = ()) -> c.Iterator[Flaw]:
    """Yield all that a converter found wrong, in the order of the fields."""
    if not isinstance(error, BaseValidationError):
        yield Flaw(path, error)
        return
    for inner in error.exceptions:
        yield from read(inner, path + _step(inner))


def _step(error: BaseException) -> tuple[str | int, ...]:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()
