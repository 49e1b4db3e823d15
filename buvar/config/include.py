"""Files that name others: ``[buvar] include = ["base.toml", "conf.d/*.toml"]``.

Included files are weaker than the file that includes them, the last one named being the strongest of them. Their names
start from the folder of that file; one with wildcards means all others that match, in the order of their names, maybe
none. A file that several include is read once, before the first of these, and so is weaker than all of them.
"""

from __future__ import annotations

import glob
import os
import typing as t

from buvar.errors import ConfigError, ConfigProblem

from . import files

if t.TYPE_CHECKING:
    import collections.abc as c

#: where a file says what it includes
KEYS: t.Final = ("buvar", "include")
#: so many files may include one another
DEEPEST: t.Final = 20


def read(paths: c.Iterable[str | os.PathLike[str]]) -> list[files.Document]:
    """Read files, and all that they include, the weakest first.

    Raises one `ConfigError` with all that cannot be read, or cannot be included.
    """
    reading = _Reading()
    for path in paths:
        reading.read(os.fspath(path), ())
    if reading.problems:
        raise ConfigError(*reading.problems)
    return reading.documents


class _Reading:
    def __init__(self) -> None:
        self.documents: list[files.Document] = []
        self.problems: list[ConfigProblem] = []
        #: those that were read, with all that they include
        self.done: list[str] = []

    def read(self, path: str, above: tuple[str, ...]) -> None:
        """Read a file that those *above* include one another to, after all that it includes."""
        self._read(path, (*above, path))
        self.done.append(path)

    def _read(self, path: str, above: tuple[str, ...]) -> None:
        try:
            document = files.read(path)
        except ConfigError as error:
            self.problems += error.problems
            return
        for number, name in enumerate(self._names(document)):
            for found in self._found(document, number, name):
                if _is_among(found, above):
                    self._problem(document, number, f"{found} includes itself; remove it from one of the files")
                elif len(above) == DEEPEST:
                    self._problem(document, number, f"files include one another {DEEPEST} deep; name them with -c")
                elif not _is_among(found, self.done):
                    self.read(found, above)
        self.documents.append(document)

    def _names(self, document: files.Document) -> list[str]:
        value: t.Any = document.values
        for key in KEYS:
            value = value.get(key, []) if isinstance(value, dict) else []
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return value
        self._problem(document, None, "expected a list of file names")
        return []

    def _found(self, document: files.Document, number: int, name: str) -> list[str]:
        if "\0" in name or not name:
            self._problem(document, number, f"{name!r} is no name of a file")
            return []
        folder = os.path.dirname(document.file)  # noqa: PTH120 - names stay as they were given
        path = os.path.join(folder, name)  # noqa: PTH118
        if glob.has_magic(name) and not os.path.exists(path):  # noqa: PTH110
            found = sorted(glob.glob(os.path.join(glob.escape(folder), name), recursive=True))  # noqa: PTH118, PTH207
            itself = os.path.realpath(document.file)
            return [each for each in found if os.path.realpath(each) != itself]
        if not os.path.exists(path):  # noqa: PTH110
            self._problem(document, number, f"there is no file {path}; create it, or correct the name")
            return []
        return [path]

    def _problem(self, document: files.Document, number: int | None, message: str) -> None:
        path: files.Path = KEYS if number is None else (*KEYS, number)
        place = files.Layer(document.values, document).origin(path)
        self.problems.append(ConfigProblem(".".join(KEYS), message, place, "BV104"))


def _is_among(path: str, others: c.Iterable[str]) -> bool:
    """Tell whether a file is one of others, whatever they are called."""
    return os.path.realpath(path) in map(os.path.realpath, others)
