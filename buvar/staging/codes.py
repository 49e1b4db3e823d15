"""Errors as diagnostics: each kind of error has a code of its own."""

from __future__ import annotations

import typing as t

import attrs

from buvar import errors
from buvar.diagnostic import Diagnostic
from buvar.staging import checks, record

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.staging.checks import Finding

_RESOLVE: t.Final[dict[errors.ResolveFault, str]] = {
    "missing": "BV301",
    "circle": "BV302",
    "lifetime": "BV303",
    "ambiguous": "BV304",
}
#: what an error of a type is; the first that fits counts
_KINDS: t.Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.NameNotFoundError, "BV201"),
    (errors.DottedNameError, "BV201"),
    (errors.PluginError, "BV202"),
    (errors.ExportError, "BV207"),
    (errors.DeclarationError, "BV210"),
    (errors.AdapterError, "BV305"),
)
_OTHER: t.Final = "BV203"
_IN_CHECK: t.Final = "BV901"


def of_finding(finding: Finding) -> c.Iterator[Diagnostic]:
    """Return what the check before the run found, as diagnostics."""
    if isinstance(finding, Diagnostic):
        yield finding
    else:
        yield from diagnose(finding)


def diagnose(error: BaseException) -> c.Iterator[Diagnostic]:
    """Return what an error says, as diagnostics: one for each thing that is wrong."""
    notes = tuple(getattr(error, "__notes__", ()))
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            for found in diagnose(each):
                yield attrs.evolve(found, plugin=found.plugin or _plugin(notes), notes=(*found.notes, *notes))
    elif isinstance(error, errors.DiagnosticError):
        yield attrs.evolve(error.diagnostic, notes=(*error.diagnostic.notes, *notes))
    elif isinstance(error, errors.ConfigError):
        for problem in error.problems:
            message = f"{problem.path}: {problem.message}" if problem.path else problem.message
            yield Diagnostic(problem.code, message, place=problem.origin, notes=notes)
    elif isinstance(error, errors.StartTimeoutError):
        message = f"not started after {error.seconds:g} s"
        for name, stack in error.stuck.items():
            yield Diagnostic("BV204", f"{message}, still preparing: {name}", notes=tuple(stack.splitlines()))
    else:
        yield _plain(error, notes)


def _plain(error: BaseException, notes: tuple[str, ...]) -> Diagnostic:
    first, *rest = errors.summary(error).splitlines() or [type(error).__name__]
    if isinstance(error, errors.ResolveError):
        place = next((step.place for step in error.steps if step.place is not None), None)
        return Diagnostic(_RESOLVE[error.kind], first, place=place, notes=(*rest, *notes))
    other = _IN_CHECK if any(note.startswith(checks.NOTE) for note in notes) else _OTHER
    code = next((code for kind, code in _KINDS if isinstance(error, kind)), other)
    return Diagnostic(code, first, place=_place(error), plugin=_plugin(notes), notes=(*rest, *notes))


def _plugin(notes: tuple[str, ...]) -> str | None:
    """Return the plugin that an error is of, as its note says."""
    said = next((note for note in notes if note.startswith(record.NOTE)), None)
    return None if said is None else said.removeprefix(record.NOTE).strip().partition(",")[0]


def _place(error: BaseException) -> errors.Place | None:
    found = errors.place(error)
    return None if found is None else found[0]
