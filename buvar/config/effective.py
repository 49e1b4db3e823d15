"""The configuration as it counts: each value that is read, and where it came from. Secrets are masked."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import enum
import os
import typing as t

import attrs

from buvar.components import missing
from buvar.errors import ConfigError, ConfigProblem, Place

from . import describe, tree, words
from .section import Config
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
    option, `DEFAULT` or `MISSING`.
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
    found = _settings(loading, claim.cls, (), instance, loading.values, secret=False)
    return Section(claim, tuple(found), problems)


def _settings(
    loading: Loading, cls: type, path: tuple[str, ...], instance: t.Any, values: t.Any, *, secret: bool
) -> c.Iterator[Setting]:
    for field in describe.fields(cls):
        here = (*path, field.key)
        given = values.get(field.key, missing) if isinstance(values, c.Mapping) else missing
        value = missing if instance is missing else getattr(instance, field.attribute, missing)
        hidden = secret or field.secret
        is_none = value is None or (value is missing and given is missing and field.optional)
        if field.nested is not None and not is_none and field.nested is not cls:
            inner = {} if given is missing else given
            yield from _settings(loading, field.nested, here, value, inner, secret=hidden)
            continue
        origin: Place | str | None = loading.origin(here) if given is not missing else None
        if given is missing:
            origin = MISSING if field.required else DEFAULT
        shown = given if value is missing else value
        told = None if shown is missing else plain(shown, field.type, secret=hidden)
        yield Setting(loading.section + here, told, origin or "code", hidden, field)


def plain(value: t.Any, hint: t.Any = t.Any, *, secret: bool = False) -> t.Any:
    """Return *value* as TOML and JSON can say it, with ``***`` in place of what is secret in it."""
    if secret:
        return value if value is None or value == "" else words.HIDDEN
    cls: t.Any = type(value)
    if describe.has(cls):
        return {f.key: plain(getattr(value, f.attribute, None), f.type, secret=f.secret) for f in describe.fields(cls)}
    if isinstance(value, str | bytes | int | float) and any(map(describe.has_secrets, describe.classes(hint))):
        return words.HIDDEN  # it stands where a table with secrets should
    if isinstance(value, c.Mapping):
        return _plain_table(value, hint)
    if isinstance(value, list | tuple | set | frozenset | c.Sequence) and not isinstance(value, str | bytes):
        arguments = t.get_args(describe.plain(hint)) if not describe.is_union(hint) else describe.members(hint)
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [plain(each, _joined(arguments)) for each in items]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int | float | dt.datetime | dt.date | dt.time):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _joined(hints: c.Sequence[t.Any]) -> t.Any:
    found = [hint for hint in hints if hint is not Ellipsis]
    return t.Union[tuple(found)] if found else t.Any  # noqa: UP007 - they are only known here


def _plain_table(value: c.Mapping[t.Any, t.Any], hint: t.Any) -> dict[str, t.Any]:
    """Mask a table that is not converted: what a field of any class that may stand there calls secret is."""
    classes = [*describe.classes(hint)]
    secret = {f.key for cls in classes for f in describe.fields(cls) if f.secret}
    inner = {f.key: f.type for cls in classes for f in describe.fields(cls)}
    element = _joined(t.get_args(describe.plain(hint)))
    # a key that no class knows may be a secret that is misspelt
    hidden = {k for k, each in value.items() if k in secret or (secret and k not in inner and not _holds(each))}
    return {str(k): plain(each, inner.get(k, element), secret=k in hidden) for k, each in value.items()}


def _holds(value: object) -> bool:
    return isinstance(value, c.Mapping | list)


def claim_all(source: ConfigSource) -> list[ConfigProblem]:
    """Have all known classes claim their section, also those that nobody has asked for yet; return what fails."""
    problems: list[ConfigProblem] = []
    classes: dict[str | None, t.Any] = {**Config.__buvar_config_sections__}
    for name, cls in classes.items():
        if describe.has(cls):
            try:
                source.claims.claim(cls, (name,) if name else (), source.env_prefix)
            except ConfigError as error:
                problems += error.problems
    return problems
