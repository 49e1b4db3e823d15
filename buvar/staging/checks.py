"""The check before the run: all that can be known to be wrong once the plugins are prepared, told at once.

That is what will be injected and cannot be, what plugins have added as `Diagnostic`s, and what their `Check`s find.
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextlib
import inspect
import typing as t

import attrs
import structlog

from buvar import components, context, di, diagnostic, errors
from buvar.di import resolve
from buvar.diagnostic import Check, Diagnostic
from buvar.staging import declared as declarations
from buvar.staging import record

if t.TYPE_CHECKING:
    from buvar.staging.declared import Declared
    from buvar.staging.loader import Plugins

#: what is told: an error as it was raised, or what a plugin says
Finding: t.TypeAlias = Diagnostic | Exception
View: t.TypeAlias = components.Components

#: what begins the note on an error that a check has raised
NOTE: t.Final = "in the check"

log = structlog.get_logger(__name__)


@attrs.define(eq=False)
class Look:
    """One look after all that the *plugins* of a stage have declared; *stage* is what all of them see.

    *found* grows as it goes: it is there also where the look does not come to its end.
    """

    stage: View
    plugins: Plugins
    found: list[Finding] = attrs.field(factory=list, init=False)
    _running: str | None = attrs.field(default=None, init=False)
    _awaited: object = attrs.field(default=None, init=False)

    async def run(self) -> list[Finding]:
        """Look after everything, and return what was found."""
        walled = [(each.components, each.walls) for each in self.plugins if each.walls is not None]
        # behind walls only their own roots: those of all are looked after from outside
        views = [(self.stage, di.roots(self.stage)), *((view, di.roots(walls.inside)) for view, walls in walled)]
        # what plugins of a former stage have registered is still there, and so is what a stage around this one has;
        # what they need is not, or is no affair of this one
        owners = {None, *(plugin.name for plugin in self.plugins)}
        self.found += declarations.clashes(self.plugins)
        try:
            di.check_all(((view.home.adapters, view, roots) for view, roots in views), owners)
        except ExceptionGroup as group:
            self.found += group.exceptions
        self.found += (_of(each.owner, each.item) for each in self._declared(Diagnostic))
        self.found += _never_awaited(self.plugins)
        self.found += _never_collected(self.plugins)
        if checks := self._declared(Check):
            needs = diagnostic.Needs(frozenset(_needed(views, owners)))
            for each in sorted(checks, key=lambda each: each.item.last):
                await self._check(each, needs, self.found)
        return self.found

    @property
    def stuck(self) -> dict[str, str]:
        """The check that runs just now, by name, with its stack."""
        return {} if self._running is None else {self._running: record.stack_of(self._awaited)}

    async def note(self, error: Exception) -> None:
        """Add to an *error* that ends a start what checks for its kind find besides: all is told at once."""
        told = str(error).splitlines()
        for each in self._declared(Check):
            if each.item.failures is not None and isinstance(error, each.item.failures):
                found: list[Finding] = []
                await self._check(each, diagnostic.Needs(frozenset()), found)
                stops = [stop for finding in found if (stop := error_of(finding)) is not None]
                lines = [line for stop in stops for line in str(stop).splitlines() if line not in told]
                for line in dict.fromkeys(lines):
                    errors.note(error, f"also {line}")

    def _declared(self, kind: type[declarations.D]) -> tuple[Declared[declarations.D], ...]:
        return declarations.collected(kind, self.plugins)

    async def _check(self, declared: Declared[Check], needs: diagnostic.Needs, found: list[Finding]) -> None:
        """Run a check in the context of its plugin; what it raises is an error like those that it tells."""
        owner = "" if declared.owner is None else f" of {declared.owner}"
        self._running = f"the check {declared.item.name!r}{owner}"
        with declared.at_home(), context.child():
            context.add(needs)
            try:
                async with contextlib.aclosing(self._results(declared.item.function)) as results:
                    async for each in results:
                        found.append(_of(declared.owner, each))  # noqa: PERF401 - also what comes before an error
            except (Exception, asyncio.CancelledError) as error:
                found.append(_told(error, f"{NOTE} {declared.item.name!r}{owner}"))
        self._running = self._awaited = None

    async def _results(self, function: c.Callable[..., diagnostic.Found]) -> c.AsyncGenerator[Diagnostic, None]:
        result: t.Any = function(**await resolve.arguments(di.buvar_adapters.get(), function))
        self._awaited = result
        async with contextlib.aclosing(_each(await result if inspect.isawaitable(result) else result)) as items:
            async for each in items:
                if not isinstance(each, Diagnostic):
                    raise TypeError(f"it gave {each!r}, which is no Diagnostic")
                yield each


def _never_awaited(plugins: Plugins) -> c.Iterator[Diagnostic]:
    for place, loader in plugins.calls:
        plugin = None if loader is None else loader.name
        message = f"{plugin or 'the stage'} calls load() and does not await it, so that nothing is loaded"
        yield Diagnostic("BV211", message, place=place, advice="write 'await load(…)'", plugin=plugin)


def _never_collected(plugins: Plugins) -> c.Iterator[Diagnostic]:
    """Yield a warning for each kind of declaration that a plugin is to collect which nobody has loaded."""
    told: dict[str, Diagnostic] = {}
    loaded = {plugin.name for plugin in plugins}
    for each in declarations.added(plugins):
        collector = each.item.collector
        if collector is not None and collector not in loaded:
            kind = type(each.item).__name__
            message = f"{kind} {each.item.name!r} is declared, and nobody loads {collector!r}, which is there for it"
            advice = f"write await load({collector!r})"
            told.setdefault(collector, Diagnostic("BV212", message, "warning", each.place, advice, each.added_by))
    yield from told.values()


def _needed(views: c.Iterable[tuple[View, list[di.Root]]], owners: c.Container[str | None]) -> c.Iterator[t.Any]:
    for view, roots in views:
        yield from (need for need in di.needed(view.home.adapters, roots, owners) if need not in view)


def _of(owner: str | None, told: Diagnostic) -> Diagnostic:
    return told if told.plugin is not None else attrs.evolve(told, plugin=owner)


def _told(error: BaseException, where: str) -> Exception:
    """Return the error of a check as it is told; what cancels the look is no error of the check, and is raised."""
    if isinstance(error, asyncio.CancelledError):
        if t.cast("asyncio.Task[t.Any]", asyncio.current_task()).cancelling():
            raise error
        cancelled, error = error, errors.StageError("it was cancelled by what it waited for")
        error.__cause__ = cancelled
    if not isinstance(error, errors.ConfigError):  # which tells a better place
        errors.note(error, where)
    return t.cast("Exception", error)


async def _each(items: t.Any) -> c.AsyncGenerator[t.Any, None]:
    if isinstance(items, c.AsyncIterable):
        try:
            async for each in items:
                yield each
        finally:
            if isinstance(items, c.AsyncGenerator):
                await items.aclose()
    elif items is None or isinstance(items, c.Iterable):
        for each in items or ():
            yield each
    else:
        yield items


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
