"""The routes of the application, looked after when all plugins have added theirs."""

from __future__ import annotations

import functools
import inspect
import re
import typing as t

import attrs
from aiohttp import hdrs, web, web_urldispatcher

from buvar import diagnostic, errors, names
from buvar.di import signature

if t.TYPE_CHECKING:
    import collections.abc as c

_GROUP_NAME: t.Final = re.compile(r"\?P<\w+>")


@attrs.frozen
class Route:
    """A route, with the *shape* of its path: two that match the same paths have the same.

    *comes_with_get* says of a HEAD that nobody asked for it. *folder* is where the static files are that it serves,
    *domain* has the domains that its application is mounted for, the outermost first. *route* is what aiohttp knows it
    by, *within* are the resources of the sub-applications that it is in, the outermost first.
    """

    route: web.AbstractRoute = attrs.field(repr=False)
    method: str
    path: str
    shape: t.Hashable
    handler: t.Any
    folder: str | None = None
    comes_with_get: bool = False
    domain: tuple[str, ...] = ()
    within: tuple[web_urldispatcher.PrefixedSubAppResource, ...] = attrs.field(default=(), repr=False)

    @property
    def name(self) -> str:
        """What its handler is called, or which folder it serves."""
        return names.fqdn(core(self.handler)) if self.folder is None else f"the static files in {self.folder}"

    @property
    def place(self) -> errors.Place | None:
        """Where its handler is, where that can be known."""
        return signature.place_of(core(self.handler)) if self.folder is None else None


def core(handler: t.Any) -> t.Any:
    """Return what a handler was made of."""
    handler = inspect.unwrap(handler)
    while isinstance(handler, functools.partial):
        handler = inspect.unwrap(handler.func)
    return handler if hasattr(handler, "__qualname__") else type(handler)


def look(app: web.Application) -> c.Iterator[diagnostic.Diagnostic]:
    """Yield an error for each route that is never called, since another one of its path and method comes first."""
    twins = list(_twins(app))
    gets = {(first.name, route.name) for first, route in twins if route.method == hdrs.METH_GET}
    for first, route in twins:
        if route.method == hdrs.METH_HEAD and (first.name, route.name) in gets:
            continue  # it came with its GET
        message = f"{route.method} {route.path} is added twice, by {first.name} and by {route.name}"
        advice = "only the first is ever called; remove one of them, or change its path"
        if route.comes_with_get or first.comes_with_get:
            advice = "only the first is ever called; add the GET with allow_head=False"
            yield diagnostic.Diagnostic("BV401", message, "warning", route.place, advice)
        else:
            yield diagnostic.Diagnostic("BV401", message, place=route.place, advice=advice)


def _twins(app: web.Application) -> c.Iterator[tuple[Route, Route]]:
    known: dict[t.Hashable, dict[str, Route]] = {}
    for route in every(app):
        same = known.setdefault(route.shape, {})
        first = same.get(route.method) or same.get(hdrs.METH_ANY)
        if first is None:
            same[route.method] = route
        else:
            yield first, route


def every(
    app: web.Application,
    domain: tuple[str, ...] = (),
    within: tuple[web_urldispatcher.PrefixedSubAppResource, ...] = (),
) -> c.Iterator[Route]:
    """Yield all routes in the order in which they were added, those of sub-applications too; see `Route.domain`."""
    for resource in app.router.resources():
        if isinstance(resource, web_urldispatcher.MatchedSubAppResource):
            yield from every(resource._app, (*domain, str(resource.get_info()["rule"].canonical)), (*within, resource))
        elif isinstance(resource, web_urldispatcher.PrefixedSubAppResource):
            yield from every(resource._app, domain, (*within, resource))
        else:
            shape = (domain, type(resource), _shape(resource))
            folder = resource.get_info().get("directory")
            # what a plugin with walls adds is wrapped twice
            gets = {inspect.unwrap(route.handler) for route in resource if route.method == hdrs.METH_GET}
            for route in resource:
                yield Route(
                    route,
                    route.method,
                    resource.canonical,
                    shape,
                    route.handler,
                    None if folder is None else str(folder),
                    route.method == hdrs.METH_HEAD and inspect.unwrap(route.handler) in gets,
                    domain,
                    within,
                )


def _shape(resource: web_urldispatcher.AbstractResource) -> str:
    pattern = resource.get_info().get("pattern")
    return resource.canonical if pattern is None else _GROUP_NAME.sub("", pattern.pattern)
