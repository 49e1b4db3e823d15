"""The routes of the application as ``buvar routes`` lists them: who answers, what stands around it, what it takes."""

from __future__ import annotations

import typing as t

import attrs
from aiohttp import web, web_urldispatcher

from buvar import names, plugin, routes
from buvar.di import typeform
from buvar_aiohttp import homes
from buvar_aiohttp.http import mounting

from . import router, segments
from . import routes as ours

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar_aiohttp.http.sources import Binding

Resource: t.TypeAlias = web_urldispatcher.AbstractResource
#: of which kind something is that routes differ in, its number among its like, its text
Step: t.TypeAlias = tuple[int, int, str]
_RANKS: t.Final = {segments.Kind.STATIC: 0, segments.Kind.PATTERN: 1, segments.Kind.WILD: 2}
_DOMAIN, _TAIL = -1, 3


def tell(app: web.Application) -> list[routes.Route]:
    """Return the routes of *app*, in the order in which they are tried; see `routes.Listing`."""
    typed = {
        id(route): each for each in plugin.declared(mounting.Route).values() for route in each.item.endpoint.mounted
    }
    around_all = tuple(map(_name, app.middlewares))
    found = [each for each in in_order(ours.every(app)) if not each.comes_with_get]
    return [_route(app, each, typed.get(id(each.route)), around_all) for each in found]


def _route(
    app: web.Application, found: ours.Route, typed: plugin.Declared[mounting.Route] | None, around_all: tuple[str, ...]
) -> routes.Route:
    owner = None if typed is None else typed.owner
    inner = [_name(each) for resource in found.within for each in resource._app.middlewares]
    around: tuple[t.Any, ...] = () if typed is None else typed.item.endpoint.found.around
    resource = found.route.resource
    return routes.Route(
        found.method,
        found.path,
        found.path if resource is None else router.written(resource),
        ", ".join(found.domain) or None,
        found.route.name,
        found.name if found.folder is None else None,
        found.folder,
        found.place,
        owner or homes.owner_of(app, found.route, found.within),
        (*around_all, *inner, *map(_name, around)),
        None if typed is None else tuple(map(_parameter, typed.item.endpoint.bindings())),
    )


def _name(function: t.Any) -> str:
    return names.fqdn(ours.core(function))


def _parameter(binding: Binding) -> routes.Parameter:
    injected = binding.marker is None
    return routes.Parameter(
        binding.name,
        binding.source or "injected",
        None if injected or binding.source == "body" else binding.key,
        typeform.show(binding.tp.__origin__ if t.get_origin(binding.tp) is t.Annotated else binding.tp),
        binding.is_required,
    )


def in_order(found: c.Iterable[ours.Route]) -> list[ours.Route]:
    """Return all routes of an application, which come as they were added, in the order in which they are tried."""
    order = _Order()
    keys = [(order.key(each), each) for each in found]  # all of them first, as they were added
    return [each for _, each in sorted(keys, key=lambda pair: pair[0])]


@attrs.frozen
class _Order:
    """Knows which of several was the first that was added."""

    _numbers: dict[t.Hashable, int] = attrs.field(factory=dict, init=False)

    def key(self, route: ours.Route) -> tuple[Step, ...]:
        """Return what sorts *route*: by the rules of `router`, each segment counts more than those behind it."""
        key: tuple[Step, ...] = ()
        for resource in (*route.within, route.route.resource):
            if isinstance(resource, web_urldispatcher.MatchedSubAppResource):
                key = (*key, (_DOMAIN, self._number(key, id(resource)), ""))
            elif resource is not None:
                key = self._beneath(key, resource)
        return key

    def _beneath(self, key: tuple[Step, ...], resource: Resource) -> tuple[Step, ...]:
        template = router.template_of(resource)
        for each in template.segments:
            rank = _RANKS[each.kind]
            number = self._number(key, each.text) if each.kind is segments.Kind.PATTERN else 0
            key = (*key, (rank, number, each.text if rank == 0 else ""))
        return (*key, (_TAIL, self._number(key, id(resource)), "")) if template.tail else key

    def _number(self, key: tuple[Step, ...], it: t.Hashable) -> int:
        return self._numbers.setdefault((key, it), len(self._numbers))
