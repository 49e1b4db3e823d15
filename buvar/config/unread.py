"""What nobody reads: sections that no plugin asks for, and environment variables that feed nothing."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import typing as t

import attrs

from buvar import diagnostic
from buvar.diagnostic import Diagnostic
from buvar.errors import ConfigError, ConfigProblem, did_you_mean

from . import describe, toml
from .section import Config, classes_by_section, name_of
from .source import ConfigSource, is_section

#: the section that `buvar run` itself reads
OURS: t.Final = "buvar"
#: how many variables of a table are named
_FEW: t.Final = 3


def look(source: ConfigSource | None = None, needs: diagnostic.Needs | None = None) -> c.Iterator[Diagnostic]:
    """Load the sections that will be injected somewhere, and tell what of the configuration nobody reads.

    Raises one `ConfigError` with all that is wrong with these sections.
    """
    if source is None:
        return
    problems = list(_load(source, needs.types if needs is not None else ()))
    yield from sections(source)
    yield from variables(source, os.environ)
    if problems:
        raise ConfigError(*dict.fromkeys(problems))


def _load(source: ConfigSource, types: c.Iterable[t.Any]) -> c.Iterator[ConfigProblem]:
    injected = {each for each in types if isinstance(each, type) and issubclass(each, Config) and describe.has(each)}
    for cls in sorted(injected | {*_configured(source)}, key=lambda each: (each.__module__, each.__qualname__)):
        try:
            source.load(cls, name_of(cls))
        except ConfigError as error:
            yield from error.problems


def _configured(source: ConfigSource) -> c.Iterator[t.Any]:
    """Yield the classes whose section is configured, though nobody may have asked for it yet."""
    for section, cls in classes_by_section().items():
        if section is None or not describe.has(cls):
            continue
        if section in source or not _variables(source, section, cls).isdisjoint(os.environ):
            yield cls


def _variables(source: ConfigSource, section: str | None, cls: type) -> set[str]:
    """Return the names of the variables of a class; none of one that cannot be loaded, which tells who loads it."""
    prefix = source.env_prefix if section is None else (*source.env_prefix, section)
    try:
        return {variable.name for variable in describe.variables(cls, prefix)}
    except ConfigError:
        return set()


def _known(source: ConfigSource) -> set[str]:
    """Return the keys of the whole configuration that somebody reads, or may read later: a class was made for them."""
    known = {key for claim in source.claims for key in claim.keys} | {OURS}
    for section, cls in classes_by_section().items():
        if section is not None:
            known.add(section)
        elif describe.has(cls):
            with contextlib.suppress(ConfigError):  # which tells who loads it
                known |= {field.key for field in describe.fields(cls)}
    return known


def sections(source: ConfigSource) -> c.Iterator[Diagnostic]:
    """Yield a warning for each section, and each value in the root, that nobody reads."""
    known = _known(source)
    for key, value in source.items():
        if key not in known:
            what = f"the section [{toml.key(str(key))}]" if is_section(value) else f"the value {key!r} above all tables"
            hint = did_you_mean(key, known)
            advice = "load the plugin that reads it, or remove it"
            yield Diagnostic("BV106", f"nothing reads {what}{hint}", "warning", source.origin(key), advice)


def variables(source: ConfigSource, environ: c.Iterable[str]) -> c.Iterator[Diagnostic]:
    """Yield a warning for each variable that begins like those of the configuration and feeds nothing."""
    if not source.env_prefix:
        return
    start = f"{describe.variable_name(*source.env_prefix)}_"
    names = _Names.of(source)
    for name in sorted(environ):
        if name not in names.known and (name.startswith(start) or name.upper() in names.known):
            message = f"the environment variable {name} feeds nothing{names.why(name)}"
            advice = "correct or unset it; 'buvar config env' lists those that there are"
            yield Diagnostic("BV107", message, "warning", f"environment variable {name}", advice)


@attrs.frozen
class _Names:
    """What names of variables mean: those that feed something, and those of what no variable can say."""

    known: set[str] = attrs.Factory(set)
    #: a table, as if it had a variable -> the variables of what is in it
    tables: dict[str, list[str]] = attrs.Factory(dict)
    #: what is read before the environment is
    in_files_only: set[str] = attrs.Factory(set)

    @classmethod
    def of(cls, source: ConfigSource) -> t.Self:
        names = cls()
        read = {(claim.section, claim.cls): None for claim in source.claims}
        read |= {
            ((name,) if name else (), each): None for name, each in classes_by_section().items() if describe.has(each)
        }
        for section, each in read:
            with contextlib.suppress(ConfigError):  # which tells who loads it
                names._add(each, (*source.env_prefix, *section))
        return names

    def _add(self, cls: type, prefix: tuple[str, ...]) -> None:
        for variable in describe.variables(cls, prefix):
            self.known.add(variable.name)
            for depth in range(0 if variable.from_file else len(variable.path)):
                found = self.tables.setdefault(describe.variable_name(*prefix, *variable.path[:depth]), [])
                found.append(variable.name)
        own = (field.key for field in describe.fields(cls) if field.in_files_only)
        self.in_files_only.update(describe.variable_name(*prefix, key) for key in own)

    def why(self, name: str) -> str:
        """Return how a message ends that says that a variable feeds nothing."""
        if name.upper() in self.known:
            return f": it is written in capitals, {name.upper()}"
        if name in self.in_files_only:
            return ": only files can say that, they are read before the environment"
        if name in self.tables:
            return f": a table has no variable, what is in it has: {_some(self.tables[name])}"
        return did_you_mean(name, self.known)


def _some(names: c.Iterable[str]) -> str:
    first, more = [*dict.fromkeys(names)][:_FEW], [*dict.fromkeys(names)][_FEW:]
    return ", ".join([*first, *(["…"] if more else [])])


#: what a plugin adds to have a stage look after its configuration
CHECK: t.Final = diagnostic.Check("buvar.config", look, last=True, failures=ConfigError)
