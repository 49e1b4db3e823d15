"""Claims: which class reads which section of a source, and so which keys and environment variables mean something."""

from __future__ import annotations

import typing as t

import attrs

from buvar.errors import ConfigError, ConfigProblem

from . import describe
from .files import Path
from .tree import dotted

if t.TYPE_CHECKING:
    import collections.abc as c

#: the keys that lead to a section: none for the root
Section: t.TypeAlias = tuple[str, ...]


@attrs.frozen
class Claim:
    """A *section*, the class that was asked for it, and the environment *variables* that set the fields of that."""

    section: Section
    cls: type
    variables: tuple[describe.Variable, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the whole configuration that it knows: its section, or in the root those of its fields."""
        return frozenset(self.section or [field.key for field in describe.fields(self.cls)])


class Claims:
    """All claims on a source, in the order in which they were made."""

    def __init__(self) -> None:
        self._claims: dict[tuple[Section, type], Claim] = {}
        #: a variable -> where what it sets is in the whole configuration
        self._fed: dict[str, Path] = {}

    def __iter__(self) -> c.Iterator[Claim]:
        return iter(tuple(self._claims.values()))

    def claim(self, cls: type, section: Section, prefix: tuple[str, ...]) -> Claim:
        """Return the claim of a class on a section; *prefix* begins the names of its variables.

        Raises `ConfigError` when a variable would feed fields of two sections.
        """
        known = self._claims.get((section, cls))
        return self._add(cls, section, prefix) if known is None else known

    def _add(self, cls: type, section: Section, prefix: tuple[str, ...]) -> Claim:
        claim = Claim(section, cls, describe.variables(cls, prefix + section))
        problems = []
        for variable in claim.variables:
            path: Path = section + variable.path
            other = self._fed.get(variable.name, path)
            if other != path:
                message = f"shares the environment variable {variable.name} with {dotted(other)}; rename one of them"
                problems.append(ConfigProblem(dotted(path), message, code="BV105"))
        if problems:
            raise ConfigError(*problems)
        self._fed |= {variable.name: section + variable.path for variable in claim.variables}
        self._claims[section, cls] = claim
        return claim
