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
        self._fed: dict[str, tuple[str, ...]] = {}

    def __iter__(self) -> c.Iterator[Claim]:
        return iter(tuple(self._claims.values()))

    def claim(self, cls: type, section: Section, prefix: tuple[str, ...]) -> Claim:
        """Return the claim of a class on a section; *prefix* begins the names of its variables.

        Raises `ConfigError` when a variable would feed fields of two sections.
        """
        known = self._claims.get((section, cls))
        return self._add(cls, section, prefix) if known is None else known

    def _add(self, cls: type, section: Section, prefix: tuple[str, ...]) -> Claim:
        variables = describe.variables(cls, prefix + section)
        fed = {variable.name: section + variable.path for variable in variables}
        shared = [name for name in fed.keys() & self._fed.keys() if fed[name] != self._fed[name]]
        if shared:
            raise ConfigError(*(self._shared(name, fed[name]) for name in fed if name in shared))
        self._fed |= fed
        claim = self._claims[section, cls] = Claim(section, cls, variables)
        return claim

    def _shared(self, name: str, path: Path) -> ConfigProblem:
        message = f"shares the environment variable {name} with {dotted(self._fed[name])}; rename one of them"
        return ConfigProblem(dotted(path), message, code="BV105")
