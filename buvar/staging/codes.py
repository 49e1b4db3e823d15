"""Errors as diagnostics: each kind of error has a code of its own."""

from __future__ import annotations

import typing as t

from buvar import errors
from buvar.diagnostic import Diagnostic

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
            yield from diagnose(each)
    elif isinstance(error, errors.DiagnosticError):
        yield error.diagnostic
    elif isinstance(error, errors.ConfigError):
        for problem in error.problems:
            message = f"{problem.path}: {problem.message}" if problem.path else problem.message
            yield Diagnostic(problem.code, message, place=problem.origin, notes=notes)
    elif isinstance(error, errors.StartTimeoutError):
        message = f"not started after {error.seconds:g} s"
        for name, stack in error.stuck.items():
            yield Diagnostic(
                "BV204", f"{message}, still preparing: {name}", plugin=name, notes=tuple(stack.splitlines())
            )
    else:
        yield _plain(error, notes)


def _plain(error: BaseException, notes: tuple[str, ...]) -> Diagnostic:
    first, *rest = errors.summary(error).splitlines() or [type(error).__name__]
    if isinstance(error, errors.ResolveError):
        place = next((step.place for step in error.steps if step.place is not None), None)
        return Diagnostic(_RESOLVE[error.kind], first, place=place, notes=(*rest, *notes))
    code = next((code for kind, code in _KINDS if isinstance(error, kind)), _OTHER)
    return Diagnostic(code, first, place=_place(error), notes=(*rest, *notes))


def _place(error: BaseException) -> errors.Place | None:
    found = errors.place(error)
    return None if found is None else found[0]
