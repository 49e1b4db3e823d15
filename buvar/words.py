"""The words that messages share: how a place and a key are written, and what a misspelt word was meant to be."""

from __future__ import annotations

import contextlib
import difflib
import pathlib
import traceback
import typing as t

import attrs

if t.TYPE_CHECKING:
    import collections.abc as c

#: folders of installed packages; some systems have their own
_INSTALLED: t.Final = frozenset({"site-packages", "dist-packages"})


@attrs.frozen
class Place:
    """A line in a file, for a message to point at; *line* and *column* count from 1."""

    file: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        return f"{self.file}:{self.line}{column}"


def of_service(frames: c.Sequence[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Return those of *frames* that are the service's own; where none is, those of the packages that it has installed.

    Where the service called what failed tells more than where a library or the standard library raised.
    """
    found = [frame for frame in frames if not _is_foreign(frame.filename)]
    return [frame for frame in found if _INSTALLED.isdisjoint(pathlib.Path(frame.filename).parts)] or found


def _is_foreign(filename: str) -> bool:
    """Tell whether a file is buvar's or the standard library's, or made up."""
    path = pathlib.Path(filename)
    if filename.startswith("<") or pathlib.Path(__file__).parent in path.parents:
        return True
    return _INSTALLED.isdisjoint(path.parts) and pathlib.Path(traceback.__file__).parent in path.parents


def note(error: BaseException, text: str) -> None:
    """Add a note to an error of whatever class; one that allows no attributes goes without."""
    with contextlib.suppress(Exception):
        error.add_note(text)


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
