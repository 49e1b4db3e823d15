"""Routes: what requests a service answers, as the plugins that answer them tell it to whoever wants to list them.

A plugin for the web declares a `Listing`; ``buvar routes`` shows what all of them tell, and needs to know none of them.
"""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs

from .declaration import Declaration
from .errors import Place


@attrs.frozen
class Parameter:
    """A parameter of a handler.

    *source* says which part of a request it comes from, as in ``"path"``, ``"query"`` or ``"body"``, and *key* what it
    is called there. What is injected has ``"injected"``, and no key. *type* is what a person calls its type. A request
    need not have what is not *required*.
    """

    name: str
    source: str
    key: str | None
    type: str
    required: bool


@attrs.frozen
class Route:
    r"""A route. All of it is text, None, tuples and places, so `attrs.asdict` makes JSON of it.

    *method* is ``"*"`` where any is answered. *path* is by what the route is known, as ``"/users/{id}"``, and *pattern*
    how it is written, as ``"/users/{id:\d+}"``. *domain* is the one that a request has to be for, and *name* that by
    which its URL is built, None if there is none.

    *handler* is the dotted name of what is called, at *place*; None for static files, which are in *folder*. *plugin*
    is who added the route, where that is known. *around* are the dotted names of what stands around the handler, the
    outermost first. *parameters* are None for a handler that takes the request as it is.
    """

    method: str
    path: str
    pattern: str
    domain: str | None = None
    name: str | None = None
    handler: str | None = None
    folder: str | None = None
    place: Place | None = None
    plugin: str | None = None
    around: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] | None = None


@attrs.frozen
class Listing(Declaration):
    """A function that gives all routes of one application, in the order in which they are tried.

    It is called in the context of the plugin that declares it, when all plugins are prepared. A route that is there
    only because another one is, such as HEAD beside GET, is left out.
    """

    function: t.Callable[[], c.Iterable[Route]] = attrs.field(eq=False)
