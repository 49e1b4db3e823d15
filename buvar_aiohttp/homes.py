"""Homes: what a plugin with walls adds to the application runs in the context of that plugin, whoever calls it.

What is pushed on the context of who calls, such as the scope of a request, is seen at home too. All of that is decided
when something is added, by the plugin that adds it: what an open plugin adds is taken as it is, and costs nothing.
"""

from __future__ import annotations

import collections.abc as c
import contextlib
import functools
import typing as t

import aiosignal
import frozenlist
from aiohttp import web, web_app, web_urldispatcher

from buvar import context, di

F = t.TypeVar("F", bound=c.Callable[..., t.Any])

_current: t.Final = context.buvar_context.get

#: which plugin has added a route, or the resource that it came with
OWNERS: t.Final = web.AppKey("buvar_owners", dict[t.Any, str | None])


def settle(app: web.Application) -> None:
    """Have *app*, to which nothing was added yet, take what plugins add to it for theirs."""
    inside: t.Any = app
    inside._middlewares = Middlewares()
    inside._cleanup_ctx = CleanupContext()
    for signal in ("_on_startup", "_on_shutdown", "_on_cleanup", "_on_response_prepare"):
        setattr(inside, signal, Signal(app))
    inside._on_startup.append(inside._cleanup_ctx._on_startup)
    inside._on_cleanup.append(inside._cleanup_ctx._on_cleanup)
    router: t.Any = app.router
    app[OWNERS] = {}
    router.register_resource = _homing(router.register_resource, app[OWNERS])


def _is_open() -> bool:
    return _current().home.outside is None


def _here() -> c.Callable[[F], F]:
    """Return what makes a coroutine function one that sees what is seen here, and what its caller has pushed."""
    home, adapters = _current().home, di.buvar_adapters.get()

    def bind(function: F) -> F:
        @functools.wraps(function)
        async def run(*args: t.Any, **kwargs: t.Any) -> t.Any:
            with adapters.current(_current().at(home)):
                return await function(*args, **kwargs)

        return t.cast("F", run)

    return bind


def _homed(function: F) -> F:
    return function if _is_open() else _here()(function)


def _homed_middleware(middleware: t.Any) -> t.Any:
    """Return *middleware* so that it runs at home; what it calls sees again what the caller of the middleware sees."""
    if _is_open():
        return middleware
    at_home = _here()
    run = at_home(middleware)

    @functools.wraps(middleware)
    async def handle(request: web.Request, handler: t.Any) -> web.StreamResponse:
        return t.cast("web.StreamResponse", await run(request, handler=_here()(handler)))

    @functools.wraps(middleware)
    async def make_handler(app: web.Application, handler: t.Any) -> t.Any:
        return at_home(await run(app, _here()(handler)))

    is_new = getattr(middleware, "__middleware_version__", None) == 1
    return web.middleware(handle) if is_new else make_handler


def _homed_context(make: t.Any) -> t.Any:
    if _is_open():
        return make
    own = web_app.CleanupContext()  # it knows which kinds of them there are
    own.append(make)
    enter, leave = _homed(own._on_startup), _homed(own._on_cleanup)

    @contextlib.asynccontextmanager
    @functools.wraps(make)
    async def stay(app: web.Application) -> c.AsyncIterator[None]:
        await enter(app)
        yield  # at home only while it is entered and left: the rest of the time is its caller's
        await leave(app)

    return stay


class _Homes(frozenlist.FrozenList[t.Any]):
    """A list of what is called, each item in the context of the plugin that adds it."""

    __slots__ = ()

    def _home(self, item: t.Any) -> t.Any:
        return _homed(item)

    def insert(self, position: int, item: t.Any) -> None:
        super().insert(position, self._home(item))

    # the list of aiohttp does these without `insert`

    def append(self, item: t.Any) -> None:
        self.insert(len(self), item)

    def extend(self, items: c.Iterable[t.Any]) -> None:
        for item in items:
            self.append(item)

    def __iadd__(self, items: c.Iterable[t.Any]) -> t.Self:
        self.extend(items)
        return self

    def __setitem__(self, index: t.Any, item: t.Any) -> None:
        super().__setitem__(index, [*map(self._take, item)] if isinstance(index, slice) else self._take(item))

    def _take(self, item: t.Any) -> t.Any:
        return item if item in self else self._home(item)  # what is there already has its home


class Middlewares(_Homes):
    """The middlewares of the application."""

    __slots__ = ()

    def _home(self, item: t.Any) -> t.Any:
        return _homed_middleware(item)


class Signal(_Homes, aiosignal.Signal):
    """A signal of the application."""

    __slots__ = ()


class CleanupContext(_Homes, web_app.CleanupContext):
    """What the application enters when it starts, and leaves when it is cleaned up."""

    def _home(self, item: t.Any) -> t.Any:
        return _homed_context(item)


def _homing(register_resource: c.Callable[[t.Any], None], owners: dict[t.Any, str | None]) -> c.Callable[[t.Any], None]:
    """Return *register_resource* so that it minds whose the resource and its routes are, and notes that in *owners*."""

    @functools.wraps(register_resource)
    def register(resource: t.Any) -> None:
        register_resource(resource)
        owners[resource] = _current().owner
        if not _is_open():
            for route in resource:  # a sub-application brings its own
                _home_route(route)
            if isinstance(resource, web_urldispatcher.PrefixedSubAppResource):
                _home_app(resource._app)
        if isinstance(resource, web.Resource):  # it is given out again for the same path, to whoever asks
            register_route = resource.register_route

            def register_at_home(route: t.Any) -> None:
                owners[route] = _current().owner
                register_route(_home_route(route))

            vars(resource)["register_route"] = register_at_home

    return register


def owner_of(app: web.Application, route: web.AbstractRoute, within: c.Iterable[web.AbstractResource]) -> str | None:
    """Return the plugin that added *route* to *app*, or what it is *within*; None where that is not known."""
    owners = app.get(OWNERS, {})
    return next((owners[each] for each in (route, route.resource, *within) if each in owners), None)


def _home_route(route: t.Any) -> t.Any:
    route._handler = _homed(route._handler)
    route._expect_handler = _homed(route._expect_handler)
    return route


def _home_app(app: t.Any) -> None:
    """Have the middlewares and the signal of a sub-application run at home.

    The other signals are sent by callbacks that the application gets when the sub-application is mounted.
    """
    app.pre_freeze()  # aiohttp is about to do that: from now on nothing is added
    *middlewares, last = app._middlewares_handlers  # the last is aiohttp's own
    app._middlewares_handlers = (*((_homed_middleware(each), is_new) for each, is_new in middlewares), last)
    signal = Signal(app)
    signal.extend(app.on_response_prepare)
    signal.freeze()
    app._on_response_prepare = signal
    for inner in app._subapps:
        _home_app(inner)
