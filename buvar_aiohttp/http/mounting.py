"""Mounting: handlers become routes of the application, each in the context of the plugin that mounts it.

A signature is read here, so that what is wrong with it stops the start. When all plugins are prepared it is decided
what is injected, and checked; the code that binds is made at the first request.
"""

from __future__ import annotations

import functools
import sys
import typing as t

import attrs
from aiohttp import web

from buvar import context, di, errors, plugin
from buvar.di.check import Root

from . import bind, bodies, chain, routes, sources

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components

    from .chain import AroundFunction, Step
    from .sources import Binding


def _one_of_many(route: Route) -> str:
    return f"{route.method} {route.path} {id(route.endpoint):x}"


@attrs.frozen(eq=False)
class Route(plugin.Declaration):
    """A typed handler at its place: a declaration, by which documentation and pages know of it."""

    endpoint: Endpoint
    resource: web.AbstractResource
    #: no two are alike: that two are at one place is found by the check of the routes
    name: str = attrs.field(default=attrs.Factory(_one_of_many, takes_self=True), init=False, repr=False)

    @property
    def spec(self) -> routes.Spec:
        """What the decorator says."""
        return self.endpoint.found.spec

    @property
    def method(self) -> str:
        """Its method."""
        return self.spec.method

    @property
    def path(self) -> str:
        """Its path, with the prefixes of the applications that it is in, and with the names of its parts."""
        return self.resource.canonical

    @property
    def handler(self) -> t.Any:
        """The function."""
        return self.endpoint.found.handler

    @property
    def needs(self) -> tuple[t.Any, ...]:
        """What is injected: into the handler, and into what stands around it."""
        return self.endpoint.needs()


@attrs.define(eq=False)
class Endpoint:
    """A handler with its signature, in the context of the plugin that mounted it."""

    found: routes.Found
    signature: sources.Signature
    components: Components
    adapters: di.Adapters
    #: what aiohttp knows it by; there are two for GET, which comes with HEAD
    mounted: list[web.AbstractRoute] = attrs.field(factory=list, init=False)
    _step: Step | None = attrs.field(default=None, init=False)

    def bindings(self) -> tuple[Binding, ...]:
        """Return where each parameter comes from, as all plugins are prepared."""
        return self.signature.decide(self.components, self.adapters)

    def needs(self) -> tuple[di.Injected, ...]:
        """Return what is injected: into the handler, and into what stands around it."""
        handler = sources.injected(self.signature.handler, self.bindings())
        return (handler, *(chain.injected(each) for each in self.found.around))

    def check(self) -> None:
        """Raise `errors.DeclarationError` where a parameter cannot be made of what a request has."""
        self._step = None
        sources.check(self.signature.handler, self.bindings())
        for each in self.bindings():
            if each.marker is not None:
                bodies.check(self.signature.handler, each)
            else:
                sources.check_injected(self.signature.handler, each, self.components, self.adapters)

    def step(self) -> Step:
        """Return what binds, injects, calls the handler and makes a response, and all that stands around that."""
        if self._step is None:
            spec = self.found.spec
            made = bind.compile_endpoint(
                self.signature.handler,
                self.bindings(),
                self.adapters,
                bind.Options(spec.status, spec.max_body, spec.unknown, spec.socket),
            )
            made = chain.build(self.found.around, made, self.adapters)
            self._step = made if spec.timeout is None else chain.limit(made, spec.timeout)
        return self._step

    def handler(self) -> c.Callable[[web.Request], c.Awaitable[web.StreamResponse]]:
        """Return what aiohttp calls."""

        @functools.wraps(self.signature.handler)
        async def handle(request: web.Request) -> web.StreamResponse:
            step = self._step
            if step is None:
                step = self.step()
                for route in self.mounted:  # from now on it is called without this one, unless that has a home
                    if route._handler is handle:
                        route._handler = step
            return await step(request)

        return handle


def mount(
    *items: t.Any,
    prefix: str = "",
    around: c.Iterable[AroundFunction] = (),
    tags: str | c.Iterable[str] = (),
    app: web.Application | None = None,
) -> None:
    """Add *items*, which are handlers, controllers and groups, to the application, or to *app*.

    All of them are below *prefix*, and *around* stands around each of their handlers, the first as the outermost.

    Raises `errors.DeclarationError` for what is no handler, and an ExceptionGroup of all that is wrong with signatures.
    """
    application = context.get(web.Application) if app is None else app
    found = list(routes.find(routes.group(*items, prefix=prefix, around=around, tags=tags), "", (), ()))
    read: list[tuple[routes.Found, sources.Signature]] = []
    faults: list[Exception] = []
    for each in found:
        try:
            for function in each.around:
                chain.injected(function)
            read.append((each, _signature(each)))
        except errors.BuvarError as error:
            faults.append(error)
        except ExceptionGroup as group:
            faults += group.exceptions
    if faults:
        told = "1 handler" if len(faults) == 1 else "handlers"
        raise ExceptionGroup(f"{told} cannot be mounted", faults)
    for owner in dict.fromkeys(each.owner for each in found if each.owner is not None):
        _register(owner)
    frame = sys._getframe(1)
    components, adapters = context.current_context(), di.buvar_adapters.get()
    heads = {each.path for each in found if each.spec.method in {"HEAD", "*"}}
    for each, what in read:
        _add(application, Endpoint(each, what, components, adapters), frame, heads)


def _signature(found: routes.Found) -> sources.Signature:
    spec = found.spec
    names = names_in(found.path)
    return sources.read(found.handler, names, spec.method, found.owner, socket=spec.socket is not None)


def names_in(path: str) -> frozenset[str]:
    """Return the names of the parts of *path*. Raises `errors.DeclarationError` for one that cannot be read."""
    try:
        resource = web.UrlDispatcher().add_resource(path)
    except ValueError as error:
        raise errors.DeclarationError(f"the path {path!r} cannot be read: {error}") from None
    pattern = resource.get_info().get("pattern")
    return frozenset(() if pattern is None else pattern.groupindex)


def _register(owner: type) -> None:
    """Have *owner*, a controller, be built as it says, unless something builds that very class already."""
    made = routes.controller_of(owner)
    if made is not None and not _builders(owner):
        di.register(owner, lifetime=made.lifetime)
    for base in owner.__mro__[1:]:  # what was registered last would be what a handler of its base gets
        if routes.controller_of(base) is not None:
            for each in _builders(base):
                if each.implementation is base:
                    di.register(base, lifetime=each.lifetime)


def _builders(owner: type) -> list[t.Any]:
    return [each for each in di.buvar_adapters.get().lookup(owner) if owner in {each.return_type, each.family}]


def _add(application: web.Application, endpoint: Endpoint, frame: t.Any, heads: c.Container[str]) -> None:
    found = endpoint.found
    router, handler = application.router, endpoint.handler()
    mounted = router.add_route(found.spec.method, found.path or "/", handler, name=found.spec.name)
    endpoint.mounted.append(mounted)
    resource = t.cast("web.Resource", mounted.resource)
    comes_with_get = found.spec.method == "GET" and found.spec.socket is None and found.path not in heads
    if comes_with_get and not _handles(resource, "HEAD"):
        endpoint.mounted.append(resource.add_route("HEAD", handler))
    endpoint.components.add_from(frame, Route(endpoint, resource), None, None)


def _handles(resource: web.Resource, method: str) -> bool:
    return any(route.method in {method, "*"} for route in resource)


def around(*functions: AroundFunction) -> None:
    """Have *functions* stand around the whole application, the first as the outermost, with its middlewares.

    Raises `errors.DeclarationError` for what cannot.
    """
    application, adapters = context.get(web.Application), di.buvar_adapters.get()
    frame = sys._getframe(1)
    place = errors.Place(frame.f_code.co_filename, frame.f_lineno)
    for each in functions:
        root = Root(chain.injected(each), (web.Request,), place=place)
        context.add(root, name=root)
        application.middlewares.append(chain.middleware(each, adapters))


async def check() -> None:
    """Check all typed handlers, when all plugins are prepared. Raises an ExceptionGroup of what is wrong with them."""
    faults: list[Exception] = []
    for each in plugin.declared(Route).values():
        try:
            each.item.endpoint.check()
        except errors.BuvarError as error:
            faults.append(error)
    if faults:
        raise ExceptionGroup("handlers cannot be called", faults)
