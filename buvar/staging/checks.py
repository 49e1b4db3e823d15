"""The check before the run: all that can be known to be wrong once the plugins are prepared, told at once.

That is what will be injected and cannot be, what plugins have added as `Diagnostic`s, and what their `Check`s find.
"""

from __future__ import annotations

import collections.abc as c
import inspect
import typing as t

import attrs
import structlog

from buvar import components, context, di, diagnostic, errors
from buvar.di import resolve
from buvar.diagnostic import Check, Diagnostic
from buvar.staging import declared as declarations

if t.TYPE_CHECKING:
    from buvar.staging.declared import Declared
    from buvar.staging.loader import Plugins

#: what is told: an error as it was raised, or what a plugin says
Finding: t.TypeAlias = Diagnostic | Exception
View: t.TypeAlias = components.Components

log = structlog.get_logger(__name__)


async def look(stage: View, plugins: Plugins) -> list[Finding]:
    """Look after all that plugins have declared; *stage* is what all of them see."""
    walled = [plugin for plugin in plugins if plugin.walls is not None]
    # behind walls only their own roots: those of all are looked after from outside
    views = [(stage, di.roots(stage)), *((p.components, di.roots(p.walls.inside)) for p in walled if p.walls)]
    # what plugins of a former stage have registered is still there, what it needs is not
    owners = {None, *(plugin.name for plugin in plugins)}
    found: list[Finding] = list(declarations.clashes(plugins))
    try:
        di.check_all(((view.home.adapters, view, roots) for view, roots in views), owners)
    except ExceptionGroup as group:
        found += group.exceptions
    found += (_of(each.owner, each.item) for each in declarations.collected(Diagnostic, plugins))
    if checks := declarations.collected(Check, plugins):
        needs = diagnostic.Needs(frozenset(_needed(views, owners)))
        for each in sorted(checks, key=lambda each: each.item.last):
            found += await _run(each, needs)
    return found


async def note(error: Exception, plugins: Plugins) -> None:
    """Add to an *error* that ends a start what checks for errors of its kind find besides: all is told at once."""
    needs = diagnostic.Needs(frozenset())
    told = str(error).splitlines()
    for each in declarations.collected(Check, plugins):
        if each.item.failures is not None and isinstance(error, each.item.failures):
            found = [stop for finding in await _run(each, needs) if (stop := error_of(finding)) is not None]
            lines = [line for stop in found for line in str(stop).splitlines() if line not in told]
            for line in dict.fromkeys(lines):
                error.add_note(f"also {line}")


def _of(owner: str | None, told: Diagnostic) -> Diagnostic:
    return told if told.plugin is not None else attrs.evolve(told, plugin=owner)


def _needed(views: c.Iterable[tuple[View, list[di.Root]]], owners: c.Container[str | None]) -> c.Iterator[t.Any]:
    for view, roots in views:
        yield from (need for need in di.needed(view.home.adapters, roots, owners) if need not in view)


async def _run(declared: Declared[Check], needs: diagnostic.Needs) -> list[Finding]:
    """Run a check in the context of its plugin; what it raises is an error like those that it tells."""
    found: list[Finding] = []
    check = declared.item
    with declared.at_home(), context.child():
        context.add(needs)
        try:
            arguments = await resolve.arguments(di.buvar_adapters.get(), check.function)
            result: t.Any = check.function(**arguments)
            async for each in _each(await result if inspect.isawaitable(result) else result):
                if not isinstance(each, Diagnostic):
                    raise TypeError(f"it gave {each!r}, which is no Diagnostic")
                found.append(_of(declared.owner, each))
        except Exception as error:
            if not isinstance(error, errors.ConfigError):  # which tells a better place
                error.add_note(
                    f"in the check {check.name!r}{'' if declared.owner is None else f' of {declared.owner}'}"
                )
            found.append(error)
    return found


async def _each(items: t.Any) -> c.AsyncIterator[t.Any]:
    if isinstance(items, c.AsyncIterable):
        async for each in items:
            yield each
    else:
        for each in items or ():
            yield each


def error_of(finding: Finding) -> Exception | None:
    """Return what stops a start because of *finding*, if it does."""
    if isinstance(finding, Exception):
        return finding
    return errors.DiagnosticError(finding) if finding.severity == "error" else None


def enforce(findings: c.Iterable[Finding], *, tells: bool) -> None:
    """Raise one ExceptionGroup of all that stops a start; *tells*: log what does not."""
    found = []
    for each in findings:
        if (error := error_of(each)) is not None:
            found.append(error)
        elif tells and isinstance(each, Diagnostic) and each.severity == "warning":
            place = {} if each.place is None else {"place": str(each.place)}
            advice = {} if each.advice is None else {"advice": each.advice}
            log.warning(each.message, code=each.code, **place, **advice)
    if found:
        number = "1 error" if len(found) == 1 else f"{len(found)} errors"
        raise ExceptionGroup(f"the check before the run found {number}", found)
