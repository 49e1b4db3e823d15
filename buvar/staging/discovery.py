"""Discovery: the plugins that installed distributions declare as entry points.

An entry point has a name, which is unique in its group, and a value, which refers to a plugin: ``package.module`` or
``package.module:function``. Of a distribution that is found twice on the import path the first one counts.
"""

from __future__ import annotations

import collections.abc as c
import typing as t

from buvar import errors

if t.TYPE_CHECKING:
    import importlib.metadata

#: the group of entry points that plugins of any service are declared in
GROUP: t.Final = "buvar.plugins"

Plugin = t.TypeVar("Plugin")
# by name, and by the distribution and the value
Declared: t.TypeAlias = "dict[str, dict[tuple[str, str], importlib.metadata.EntryPoint]]"


def check(group: str, only: c.Iterable[str] | None) -> list[str]:
    """Return the names of the plugins of *group* that are installed and in *only* (None: all); import none of them.

    Raises `errors.ConfigError` for names that nobody declares, and for those that several distributions do.
    """
    names, declared = _choose(group, only)
    if problems := [*_problems(group, names, declared)]:
        raise errors.ConfigError(*problems)
    return names


def plugins(
    group: str, only: c.Iterable[str] | None, resolve: c.Callable[[str], Plugin]
) -> tuple[dict[str, Plugin], Exception | None]:
    """Return, by name, what *resolve* makes of the plugins of *group* that are installed and in *only* (None: all).

    With it goes what is wrong with the others: what `check` raises, and what *resolve* raises, with a note; an
    ExceptionGroup where there are several errors, None where there is none.
    """
    names, declared = _choose(group, only)
    problems = [*_problems(group, names, declared)]
    failures: list[Exception] = [errors.ConfigError(*problems)] if problems else []
    found = {}
    for name in names:
        if len(entries := declared.get(name, {})) == 1:
            ((distribution, value), entry) = next(iter(entries.items()))
            try:
                found[name] = resolve(_reference(entry))
            except Exception as error:
                errors.note(error, f"declared by {distribution} in the entry-point group {group!r}: {name} = {value}")
                failures.append(error)
    if len(failures) > 1:
        return found, ExceptionGroup("installed plugins cannot be loaded", failures)
    return found, failures[0] if failures else None


def names_of(group: str) -> frozenset[str]:
    """Return the names of all plugins of *group* that are installed; import none of them."""
    return frozenset(_choose(group, None)[0])


def _choose(group: str, only: c.Iterable[str] | None) -> tuple[list[str], Declared]:
    if isinstance(only, str):
        raise errors.UsageError(f"only={only!r} is no list of names; write only=[{only!r}]")
    import importlib.metadata

    declared: Declared = {}
    for entry in importlib.metadata.entry_points(group=group):
        declared.setdefault(entry.name, {})[_distribution(entry), entry.value] = entry
    return sorted(declared if only is None else set(only)), declared


def _problems(group: str, names: c.Iterable[str], declared: Declared) -> c.Iterator[errors.ConfigProblem]:
    for name in names:
        plugin = f"the plugin {name!r} in the entry-point group {group!r}"
        entries = sorted(declared.get(name, {}))
        if not entries:
            yield problem(f"no installed distribution declares {plugin}{_near(name, declared)}")
        elif len(entries) > 1:
            several = " and by ".join(f"{distribution} ({value})" for distribution, value in entries)
            yield problem(f"{plugin} is declared by {several}; uninstall all but one, or allow only other names")


def problem(message: str) -> errors.ConfigProblem:
    """Return what is wrong with the choice of installed plugins."""
    return errors.ConfigProblem("", message, code="BV209")


def _near(name: str, declared: Declared) -> str:
    known = ", ".join(map(repr, sorted(declared))) or "none"
    return errors.did_you_mean(name, declared) or f"; there is {known}"


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    # what an interrupted uninstallation has left may lack its metadata
    metadata: t.Any = entry.dist.metadata if entry.dist is not None else {}
    return " ".join(metadata[key] for key in ("Name", "Version") if key in metadata) or "an unknown distribution"


def _reference(entry: importlib.metadata.EntryPoint) -> str:
    """Return the value without what else it may have: spaces, and extras in brackets."""
    if entry.pattern.match(entry.value) is None:
        raise errors.DottedNameError(entry.value)
    return f"{entry.module}:{entry.attr}" if entry.attr else entry.module
