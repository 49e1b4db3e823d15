"""The words that messages share: how a place and a key are written, and what a misspelt word was meant to be."""

from __future__ import annotations

import difflib
import typing as t

import attrs

if t.TYPE_CHECKING:
    import collections.abc as c


@attrs.frozen
class Place:
    """A line in a file, for a message to point at; *line* and *column* count from 1."""

    file: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        return f"{self.file}:{self.line}{column}"


def nearest(word: str, words: c.Iterable[str]) -> str | None:
    """Return the one of *words* that *word* was probably meant to be, or None."""
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, words: c.Iterable[str]) -> str:
    """Return the question that ends a message, or an empty string when nothing is near."""
    found = nearest(word, words)
    return f"; did you mean {found!r}?" if found is not None else ""


def describe(key: object, name: object = None) -> str:
    """Return what a person knows a key by: ``package.Class`` for a class, the repr for all else; and its *name*."""
    if name is not None:
        return f"{describe(key)} named {name!r}"
    if isinstance(key, type):
        return key.__qualname__ if key.__module__ == "builtins" else f"{key.__module__}.{key.__qualname__}"
    return repr(key)
