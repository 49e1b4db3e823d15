"""What nobody reads: sections that no plugin asks for, and environment variables that feed nothing."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import typing as t

from buvar import diagnostic
from buvar.diagnostic import Diagnostic
from buvar.errors import ConfigError, ConfigProblem, did_you_mean

from . import describe, toml
from .section import Config, SkipSection
from .source import ConfigSource, is_section

#: the section that `buvar run` itself reads
OURS: t.Final = "buvar"


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
            source.load(cls, _section(cls))
        except ConfigError as error:
            yield from error.problems


def _configured(source: ConfigSource) -> c.Iterator[t.Any]:
    """Yield the classes whose section is configured, though nobody may have asked for it yet."""
    for section, cls in _classes().items():
        if section is None or not describe.has(cls):
            continue
        if section in source or not _variables(source, section, cls).isdisjoint(os.environ):
            yield cls


def _section(cls: type[Config]) -> str | None:
    section = cls.__buvar_config_section__
    return None if isinstance(section, SkipSection) else section


def _classes() -> dict[str | None, t.Any]:
    return {**Config.__buvar_config_sections__}


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
    for section, cls in _classes().items():
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
    known = {variable.name for claim in source.claims for variable in claim.variables}
    for section, cls in _classes().items():
        if describe.has(cls):
            known |= _variables(source, section, cls)
    for name in sorted(environ):
        if name.startswith(start) and name not in known:
            message = f"the environment variable {name} feeds nothing{did_you_mean(name, known)}"
            advice = "unset it; 'buvar config env' lists those that there are"
            yield Diagnostic("BV107", message, "warning", f"environment variable {name}", advice)


#: what a plugin adds to have a stage look after its configuration
CHECK: t.Final = diagnostic.Check("buvar.config", look, last=True, failures=ConfigError)
