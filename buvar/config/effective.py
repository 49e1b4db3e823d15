"""The configuration as it counts: each value that is read, and where it came from. Secrets are masked."""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs

from buvar.components import missing
from buvar.errors import ConfigError, ConfigProblem, Place

from . import describe, masks, tree
from .section import classes_by_section
from .source import ConfigSource, Loading

if t.TYPE_CHECKING:
    from .claims import Claim
    from .files import Path

#: what stands where nothing is configured, and nothing has to be
DEFAULT: t.Final = "default"
#: what stands where something has to be configured, and is not
MISSING: t.Final = "missing"


@attrs.frozen
class Setting:
    """A value that is read: *value* as TOML and JSON can say it (``***`` for a secret), None where there is none.

    *path* is the place in the whole configuration, *origin* where it came from: a line, the name of a variable or an
    option, `DEFAULT` or `MISSING`; a text that names all of them where several have a part in a table.
    """

    path: Path
    value: t.Any
    origin: Place | str
    secret: bool
    field: describe.Field

    def __str__(self) -> str:
        return tree.dotted(self.path)


@attrs.frozen
class Section:
    """A section as a class reads it: its settings, and what is wrong with them."""

    claim: Claim
    settings: tuple[Setting, ...]
    problems: tuple[ConfigProblem, ...]


def sections(source: ConfigSource) -> tuple[Section, ...]:
    """Return all sections that classes read, in the order of their names; the root first."""
    return tuple(section(source, each) for each in sorted(source.claims, key=lambda claim: claim.section))


def section(source: ConfigSource, claim: Claim) -> Section:
    """Return one section as its class reads it."""
    loading = Loading(source, claim.cls, *claim.section)
    problems: tuple[ConfigProblem, ...] = ()
    instance: t.Any = missing
    try:
        instance = loading.run()
    except ConfigError as error:
        problems = error.problems
    found = _settings(loading, (claim.cls,), (), instance, loading.values, secret=False)
    return Section(claim, tuple(found), problems)


def _settings(
    loading: Loading, classes: tuple[type, ...], path: tuple[str, ...], instance: t.Any, values: t.Any, *, secret: bool
) -> c.Iterator[Setting]:
    """Yield the settings of the last of *classes*, which are nested in each other."""
    for field in describe.fields(classes[-1]):
        here = (*path, field.key)
        given = values.get(field.key, missing) if isinstance(values, c.Mapping) else missing
        value = missing if instance is missing else getattr(instance, field.attribute, missing)
        hidden = secret or field.secret
        if value is missing and given is missing and not field.required:
            # nothing was made of the class, since something else in it is wrong
            default = field.make_default()
            value = missing if default is attrs.NOTHING else default
        nowhere = value is missing and given is missing
        # a class within itself has no end of fields
        ends = value is None or (nowhere and (field.optional or field.nested in classes))
        if field.nested is not None and not ends:
            inner = {} if given is missing else given
            yield from _settings(loading, (*classes, field.nested), here, value, inner, secret=hidden)
            continue
        origin: Place | str | None = _origin(loading, here, given) if given is not missing else None
        if given is missing:
            origin = MISSING if field.required and value is missing else DEFAULT
        shown = given if value is missing else value
        told = None if shown is missing else masks.plain(shown, field.type, secret=hidden)
        yield Setting(loading.section + here, told, origin or "code", hidden, field)


def _origin(loading: Loading, path: Path, value: t.Any) -> Place | str | None:
    """Return where a value came from, and of a table that was merged all that have a part in it, files first."""
    found: dict[str, Place | str] = {}
    for leaf in tree.leaves(value):
        place = loading.origin((*path, *leaf)) or "code"
        found.setdefault(place.file if isinstance(place, Place) else place, place)
    if len(found) == 1:
        return loading.origin(path)
    return ", ".join(map(str, sorted(found.values(), key=lambda place: isinstance(place, str))))


def claim_all(source: ConfigSource) -> list[ConfigProblem]:
    """Have all known classes claim their section, also those that nobody has asked for yet; return what fails."""
    problems: list[ConfigProblem] = []
    for name, cls in classes_by_section().items():
        if describe.has(cls):
            try:
                source.claims.claim(cls, (name,) if name else (), source.env_prefix)
            except ConfigError as error:
                problems += error.problems
    return problems
