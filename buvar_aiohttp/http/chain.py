"""Chains: what stands around a call, built once, where it is mounted.

There is one concept for guards, interceptors, exception filters and pipes::

    async def signed_in(call: http.Call, request: web.Request, users: Users) -> web.StreamResponse:
        if await users.of(request) is None:
            raise http.Problem(401)  # a guard
        response = await call()
        response.headers["X-Signed-In"] = "yes"  # an interceptor
        return response

The first parameter is the call, the second the request; all others are injected. What it returns is the result,
whatever a handler may return. It can stand around the application, a plugin's routes, a controller, a handler, in this
order.
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import functools
import inspect
import typing as t
from functools import partial

from aiohttp import web

from buvar import di, errors
from buvar.di import signature

from . import problems, results

AroundFunction: t.TypeAlias = c.Callable[..., c.Coroutine[t.Any, t.Any, t.Any]]
#: calls a handler, or what is around it, for a request; keywords are what its parameters are in place of what is bound
Step: t.TypeAlias = c.Callable[..., c.Coroutine[t.Any, t.Any, web.StreamResponse]]


class Call(t.Protocol):
    """What is inside of an ``around``: the handler, with what else stands around it.

    ``await call()`` makes the call and returns its response. ``await call(user=user)`` has a parameter of the handler
    be that, in place of what it would be bound to or injected. Raises TypeError where there is no such parameter.
    """

    def __call__(self, **changes: t.Any) -> c.Coroutine[t.Any, t.Any, web.StreamResponse]:
        """Return the response, when it is awaited."""


def injected(function: AroundFunction) -> di.Injected:
    """Return what is injected into an ``around``. Raises `errors.DeclarationError` for what cannot be one."""
    name = signature.label(function)
    place = signature.place_of(function)
    where = "" if place is None else f" ({place})"
    if not inspect.iscoroutinefunction(function):
        raise errors.DeclarationError(f"{name}{where} cannot be an around: it is no coroutine function")
    parameters = list(inspect.signature(function).parameters.values())
    in_order = [each for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    if len(in_order) < 2:
        raise errors.DeclarationError(
            f"{name}{where} cannot be an around: its first parameters are the call and the request: "
            f"write async def {name.rpartition('.')[2]}(call, request, …)"
        )
    first = {each.name for each in in_order[:2]}
    needs = [each for each in signature.parameters(function, {}) if each.name not in first]
    return di.Injected(function, tuple(needs), (web.Request,))


def build(functions: c.Sequence[AroundFunction], inside: Step, adapters: di.Adapters) -> Step:
    """Return the step that has *functions* around *inside*, the outermost first."""
    for function in reversed(functions):
        inside = around(function, inside, adapters)
    return inside


def around(function: AroundFunction, inside: Step, adapters: di.Adapters) -> Step:
    """Return the step that has *function* around *inside*."""
    needs = injected(function)
    if needs.parameters:
        return _injecting(function, inside, needs, adapters)
    if not _returns_response(function):
        return _responding(function, inside)

    def step(request: web.Request, /, **changes: t.Any) -> c.Coroutine[t.Any, t.Any, web.StreamResponse]:
        # nothing is awaited here: each coroutine more would cost as much as all of this
        return function(partial(inside, request, **changes) if changes else partial(inside, request), request)

    return step


def _returns_response(function: AroundFunction) -> bool:
    """Tell whether *function* says that it returns a response, and nothing that has to be made one."""
    try:
        found = signature.returned(function)
    except errors.AdapterError:
        return False
    return isinstance(found, type) and issubclass(found, web.StreamResponse)


def _responding(function: AroundFunction, inside: Step) -> Step:
    async def step(request: web.Request, /, **changes: t.Any) -> web.StreamResponse:
        return results.respond(await function(partial(inside, request, **changes), request))

    return step


def _injecting(function: AroundFunction, inside: Step, needs: di.Injected, adapters: di.Adapters) -> Step:
    give = _giving(needs, adapters)

    async def step(request: web.Request, /, **changes: t.Any) -> web.StreamResponse:
        given = await give()
        return results.respond(await function(partial(inside, request, **changes), request, **given))

    return step


def _giving(needs: di.Injected, adapters: di.Adapters) -> c.Callable[[], c.Awaitable[dict[str, t.Any]]]:
    """Return what gives the injected parameters by name."""
    names = tuple(str(each.name) for each in needs.parameters)
    inject = adapters.bind_injected(needs)

    async def give() -> dict[str, t.Any]:
        if not names:
            return {}
        found = await inject()
        return {names[0]: found} if len(names) == 1 else dict(zip(names, found, strict=True))

    return give


def middleware(function: AroundFunction, adapters: di.Adapters) -> t.Any:
    """Return *function* as a middleware, which stands around the whole application."""
    give = _giving(injected(function), adapters)

    @web.middleware
    @functools.wraps(function)
    async def handle(request: web.Request, handler: t.Any) -> web.StreamResponse:
        return results.respond(await function(partial(_call, handler, request), request, **await give()))

    return handle


def _call(handler: t.Any, request: web.Request, /, **changes: t.Any) -> c.Coroutine[t.Any, t.Any, web.StreamResponse]:
    if changes:
        raise TypeError(f"call() around the application sets no parameters, such as {next(iter(changes))!r}")
    return t.cast("c.Coroutine[t.Any, t.Any, web.StreamResponse]", handler(request))


def limit(step: Step, seconds: float) -> Step:
    """Return *step* with the number of *seconds* that it may take. Then it is a problem, 503."""

    async def limited(request: web.Request, /, **changes: t.Any) -> web.StreamResponse:
        try:
            async with asyncio.timeout(seconds) as clock:
                return await step(request, **changes)
        except TimeoutError:
            if not clock.expired():
                raise
            raise problems.Problem(503, f"it took longer than {seconds:g} s") from None

    return limited
