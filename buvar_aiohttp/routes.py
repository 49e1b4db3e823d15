"""The routes of the application, looked after when all plugins have added theirs."""

from __future__ import annotations

import inspect
import re
import typing as t

import attrs
from aiohttp import hdrs, web, web_urldispatcher

from buvar import diagnostic, names
from buvar.di import signature

if t.TYPE_CHECKING:
    import collections.abc as c

_GROUP_NAME: t.Final = re.compile(r"\?P<\w+>")


@attrs.frozen
class _Route:
    """A route, with the *shape* of its path: two that match the same paths have the same."""

    method: str
    path: str
    shape: t.Hashable
    handler: t.Any

    @property
    def name(self) -> str:
        return names.fqdn(inspect.unwrap(self.handler))


def look(app: web.Application) -> c.Iterator[diagnostic.Diagnostic]:
    """Yield an error for each route that is never called, since another one of its path and method comes first."""
    twins = list(_twins(app))
    gets = {(first.handler, route.handler) for first, route in twins if route.method == hdrs.METH_GET}
    for first, route in twins:
        if route.method == hdrs.METH_HEAD and (first.handler, route.handler) in gets:
            continue  # it came with its GET
        yield diagnostic.Diagnostic(
            "BV401",
            f"{route.method} {route.path} is added twice, by {first.name} and by {route.name}",
            place=signature.place_of(inspect.unwrap(route.handler)),
            advice="only the first is ever called; remove one of them, or change its path",
        )


def _twins(app: web.Application) -> c.Iterator[tuple[_Route, _Route]]:
    known: dict[t.Hashable, dict[str, _Route]] = {}
    for route in _routes(app, ()):
        same = known.setdefault(route.shape, {})
        first = same.get(route.method) or same.get(hdrs.METH_ANY)
        if first is None:
            same[route.method] = route
        else:
            yield first, route


def _routes(app: web.Application, domain: tuple[str, ...]) -> c.Iterator[_Route]:
    for resource in app.router.resources():
        if isinstance(resource, web_urldispatcher.MatchedSubAppResource):
            yield from _routes(resource._app, (*domain, str(resource.get_info()["rule"].canonical)))
        elif isinstance(resource, web_urldispatcher.PrefixedSubAppResource):
            yield from _routes(resource._app, domain)
        else:
            shape = (domain, type(resource), _shape(resource))
            for route in resource:
                yield _Route(route.method, resource.canonical, shape, route.handler)


def _shape(resource: web_urldispatcher.AbstractResource) -> str:
    pattern = resource.get_info().get("pattern")
    return resource.canonical if pattern is None else _GROUP_NAME.sub("", pattern.pattern)
