"""TOML files: read by the standard library's ``tomllib``, with the line of each value beside.

``tomllib`` tells no positions. So the text is cut into statements (one header or one key each, however many lines that
takes), each is parsed alone by ``tomllib`` to learn its keys, and the keys get the line on which it begins. A result
that does not cover exactly what the whole document holds is thrown away: a line is right, or it is not told.
"""

from __future__ import annotations

import functools
import os
import re
import tomllib
import typing as t

import attrs

from buvar.errors import ConfigError, ConfigProblem, Place

if t.TYPE_CHECKING:
    import collections.abc as c

#: where a value is: keys of tables and indices of arrays, the outermost first
Path: t.TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''
    """(?:\\.|[^\\])*?"{3,5}    # strings first, since they may hold all of the others
    | \'\'\'.*?'{3,5}
    | "(?:\\.|[^"\\])*"
    | '[^']*'
    | \#[^\n]*
    | [][{}]
    | \n
    ''',
    re.DOTALL | re.VERBOSE,
)
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@attrs.frozen
class Document:
    """A TOML file that was read: its name as it was given, its text, and what it says."""

    file: str
    text: str
    values: dict[str, t.Any]


def read(path: str | os.PathLike[str]) -> Document:
    """Read a TOML file; raises `ConfigError` with the place when it cannot be read or does not parse."""
    file = os.fspath(path)
    text = _text(file)
    try:
        return Document(file, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        problem = _syntax_problem(file, text, str(error))
    except (ValueError, RecursionError) as error:
        problem = ConfigProblem("", f"is no TOML that can be read: {error}", file, "BV104")
    raise ConfigError(problem)


def _text(file: str) -> str:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - the name is kept as it was given
            raw = stream.read()
    except FileNotFoundError:
        message = "there is no such configuration file; create it, or correct the path"
        problem = ConfigProblem("", message, file, "BV104")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"the configuration file cannot be read: {reason}; correct the path or its rights"
        problem = ConfigProblem("", message, file, "BV104")
    else:
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            place = Place(file, raw.count(b"\n", 0, error.start) + 1)
            problem = ConfigProblem("", "the configuration file is not UTF-8 text; save it as such", place, "BV104")
    raise ConfigError(problem)


def _syntax_problem(file: str, text: str, message: str) -> ConfigProblem:
    found = _POSITION.search(message)
    if found is None:
        return ConfigProblem("", f"does not parse as TOML: {message}", file, "BV104")
    if found[1] is None:
        last = text.rpartition("\n")[2]
        place = Place(file, text.count("\n") + 1, len(last) + 1)
    else:
        place = Place(file, int(found[1]), int(found[2]))
    return ConfigProblem("", f"does not parse as TOML: {message[: found.start()]}", place, "BV104")


def locate(text: str) -> dict[Path, int]:
    """Return the line, from 1, on which the statement begins that sets each value of a valid TOML document.

    Empty when that cannot be told for sure.
    """
    try:
        lines = _Lines()
        for line, statement in _statements(text):
            lines.add(line, statement)
        complete = lines.found.keys() == set(_paths(tomllib.loads(text), ()))
    except (ValueError, RecursionError):
        return {}
    return lines.found if complete else {}


def _statements(text: str) -> c.Iterator[tuple[int, str]]:
    """Cut a valid document at the newlines outside of strings and brackets; yield (first line, statement)."""
    start = depth = 0
    line = first = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        line += token.count("\n")
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        elif token == "\n" and not depth:  # noqa: S105 - not that kind of token
            yield first, text[start : match.end()]
            start, first = match.end(), line
    yield first, text[start:]


class _Lines:
    """Collects the lines of all paths, statement by statement."""

    def __init__(self) -> None:
        self.found: dict[Path, int] = {}
        self.table: Path = ()
        self.arrays: dict[Path, int] = {}

    def add(self, line: int, statement: str) -> None:
        content = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            self._header(line, content)
        else:
            for path in _paths(content, ()):
                self.found.setdefault(self.table + path, line)

    def _header(self, line: int, content: t.Any) -> None:
        path: Path = ()
        while content:
            # a header names one chain of keys; a key that is an array of tables means the last table of it
            if path in self.arrays:
                path = (*path, self.arrays[path])
            key, content = next(iter(content.items()))
            path = (*path, key)
            if content:
                self.found.setdefault(path, line)
            if isinstance(content, list):
                self.arrays[path] = self.arrays.get(path, -1) + 1
                path, content = (*path, self.arrays[path]), None
        self.found[path] = line
        self.table = path


def _paths(value: t.Any, path: Path) -> c.Iterator[Path]:
    items: c.Iterable[tuple[str | int, t.Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


@attrs.define(eq=False)
class Layer:
    """One of the dicts that a source was merged from; *document* is the file it was read from, if it was."""

    values: c.Mapping[str, t.Any]
    document: Document | None = None

    def origin(self, path: Path) -> Place | str | None:
        """Tell the place of a value, or else of the table around it; the file alone when no line is known."""
        if self.document is None:
            return None
        while path:
            if path in self._lines:
                return Place(self.document.file, self._lines[path])
            path = path[:-1]
        return self.document.file

    @functools.cached_property
    def _lines(self) -> dict[Path, int]:
        # only when a place is asked for: a start that goes well never pays for it
        return locate(self.document.text) if self.document is not None else {}
