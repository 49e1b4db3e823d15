"""Diagnostics: what is wrong, or worth knowing, with a service that was prepared and does not run yet.

A plugin contributes them in two ways. What it knows while it prepares it adds as a `Diagnostic`. What can only be known
when all plugins are prepared it looks for in a function, which it declares by a `Check`.
"""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs

from .declaration import Declaration
from .errors import DeclarationError, Place

Severity: t.TypeAlias = t.Literal["error", "warning", "info"]

#: all codes of buvar's own, which never change their meaning; plugins have prefixes of their own
CODES: t.Final[c.Mapping[str, str]] = {
    "BV101": "a configured value does not fit",
    "BV102": "a section has a key that its class does not know",
    "BV103": "a value is required and not configured",
    "BV104": "a configuration file cannot be read, or not be included",
    "BV105": "two fields share an environment variable",
    "BV106": "nothing reads a section of the configuration",
    "BV107": "an environment variable feeds nothing",
    "BV108": "one place has a table where another has a value",
    "BV109": "two classes claim one section",
    "BV110": "the file of a secret cannot be read, or is empty",
    "BV111": "an option --set cannot be understood",
    "BV112": "two environment variables set one value",
    "BV113": "the machine is not made for what [buvar] says",
    "BV201": "a plugin was not found",
    "BV202": "what was named is not a plugin",
    "BV203": "a plugin fails to prepare",
    "BV204": "plugins take too long to prepare",
    "BV205": "plugins load each other in a circle",
    "BV206": "a plugin took long to prepare",
    "BV207": "a plugin exports what it cannot",
    "BV208": "a teardown fails",
    "BV209": "an installed plugin that is asked for is not there, or there twice",
    "BV210": "a declaration is wrong, or there are two of one name",
    "BV211": "a plugin calls load() and does not await it",
    "BV212": "what plugins declare is collected by a plugin that nobody loads",
    "BV301": "nothing provides what is injected",
    "BV302": "what is injected needs itself",
    "BV303": "what is injected would outlive what it needs",
    "BV304": "several adapters provide what is injected, and none is preferred",
    "BV305": "a callable cannot be an adapter",
    "BV306": "more may be wrong, but only since plugins fail",
    "BV401": "two routes have the same method and path",
    "BV901": "a check fails",
}


def _check_severity(instance: Diagnostic, _: object, severity: object) -> None:
    if severity not in t.get_args(Severity):
        raise DeclarationError(f"the severity of {instance.code} is 'error', 'warning' or 'info', not {severity!r}")


def _one_of_many(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.code} {id(diagnostic):x}"


@attrs.frozen
class Diagnostic(Declaration):
    """One thing that is wrong with a service, or worth knowing of it.

    *code* is stable, as in ``"BV101"``: letters of who tells it, and a number. An *error* stops a start. *place* is
    where it comes from: a line in a file, or a text such as the name of an environment variable. *advice* says what to
    do, where *message* does not. *plugin* is whose it is, *notes* are lines with more of it.
    """

    code: str
    message: str
    severity: Severity = attrs.field(default="error", validator=_check_severity)
    place: Place | str | None = None
    advice: str | None = None
    plugin: str | None = None
    notes: tuple[str, ...] = ()
    #: no two are alike: what is told twice is no fault of who tells it
    name: str = attrs.field(default=attrs.Factory(_one_of_many, takes_self=True), init=False, eq=False, repr=False)

    def __str__(self) -> str:
        where = "" if self.place is None else f" ({self.place})"
        advice = "" if self.advice is None else f"; {self.advice}"
        return "\n".join([f"{self.code} {self.message}{advice}{where}", *self.notes])


Found: t.TypeAlias = (
    c.Iterable[Diagnostic] | c.Awaitable[c.Iterable[Diagnostic] | None] | c.AsyncIterable[Diagnostic] | None
)


@attrs.frozen
class Check(Declaration):
    """A function that a plugin declares to be called when all plugins are prepared, before the tasks run.

    It may be a function, a coroutine function or a generator of either kind; it gives `Diagnostic`s, or nothing. Its
    parameters are injected, and it runs in the context of the plugin. What it raises is an error that stops the start.
    One that is *last* runs after those that are not: it looks at what they have done. One that is for *failures* of a
    kind also runs where a start fails with such an error, which then tells what else is wrong.
    """

    function: c.Callable[..., Found]
    last: bool = False
    failures: type[Exception] | None = None


@attrs.frozen
class Needs:
    """The types that will be injected somewhere, as far as is declared; a parameter of a `Check` may ask for it."""

    types: frozenset[t.Any]
