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
import inspect
import typing as t

from aiohttp import web

from buvar import di, errors
from buvar.di import signature

from . import problems, results

if t.TYPE_CHECKING:
    Step: t.TypeAlias = c.Callable[..., c.Coroutine[t.Any, t.Any, web.StreamResponse]]
    Enclosed: t.TypeAlias = c.Callable[
        [web.Request, Step, dict[str, t.Any]], c.Coroutine[t.Any, t.Any, web.StreamResponse]
    ]

AroundFunction: t.TypeAlias = c.Callable[..., c.Coroutine[t.Any, t.Any, t.Any]]

#: that a step is called with no changes
NONE: t.Final[dict[str, t.Any]] = {}


class Call:
    """What is inside of an ``around``: the handler, with what else stands around it.

    ``await call()`` makes the call and returns its response. ``await call(user=user)`` has a parameter of the handler
    be that, in place of what it would be bound to or injected. Raises TypeError where there is no such parameter.
    """

    __slots__ = ("_changes", "_inside", "_request")

    def __init__(self, inside: Step, request: web.Request, changes: dict[str, t.Any]) -> None:
        self._inside = inside
        self._request = request
        self._changes = changes

    def __call__(self, **changes: t.Any) -> c.Coroutine[t.Any, t.Any, web.StreamResponse]:
        """Return the response, when it is awaited."""
        return self._inside(self._request, {**self._changes, **changes} if changes else self._changes)


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


def enclose(function: AroundFunction, adapters: di.Adapters) -> Enclosed:
    """Return what calls *function* around a step that is given with each request."""
    needs = injected(function)
    respond = results.respond
    if not needs.parameters:

        async def plain(request: web.Request, inside: Step, changes: dict[str, t.Any]) -> web.StreamResponse:
            result = await function(Call(inside, request, changes), request)
            return result if isinstance(result, web.StreamResponse) else respond(result)

        return plain
    inject = adapters.bind_injected(needs)
    names = tuple(str(each.name) for each in needs.parameters)
    only = len(names) == 1

    async def injecting(request: web.Request, inside: Step, changes: dict[str, t.Any]) -> web.StreamResponse:
        found = await inject()
        given = dict(zip(names, (found,) if only else found, strict=True))
        result = await function(Call(inside, request, changes), request, **given)
        return result if isinstance(result, web.StreamResponse) else respond(result)

    return injecting


def build(functions: c.Sequence[AroundFunction], inside: Step, adapters: di.Adapters) -> Step:
    """Return the step that has *functions* around *inside*, the outermost first."""
    for function in reversed(functions):
        inside = _step(enclose(function, adapters), inside)
    return inside


def _step(enclosed: Enclosed, inside: Step) -> Step:
    def step(request: web.Request, changes: dict[str, t.Any] = NONE) -> c.Coroutine[t.Any, t.Any, web.StreamResponse]:
        return enclosed(request, inside, changes)

    return step


def middleware(function: AroundFunction, adapters: di.Adapters) -> t.Any:
    """Return *function* as a middleware, which stands around the whole application."""
    enclosed = enclose(function, adapters)

    @web.middleware
    async def handle(request: web.Request, handler: t.Any) -> web.StreamResponse:
        def inside(
            request: web.Request, changes: dict[str, t.Any] = NONE
        ) -> c.Coroutine[t.Any, t.Any, web.StreamResponse]:
            if changes:
                raise TypeError(f"call() around the application sets no parameters, such as {next(iter(changes))!r}")
            return t.cast("c.Coroutine[t.Any, t.Any, web.StreamResponse]", handler(request))

        return await enclosed(request, inside, NONE)

    return handle


def limit(step: Step, seconds: float) -> Step:
    """Return *step* with the number of *seconds* that it may take. Then it is a problem, 503."""

    async def limited(request: web.Request, changes: dict[str, t.Any] = NONE) -> web.StreamResponse:
        try:
            async with asyncio.timeout(seconds) as clock:
                return await step(request, changes)
        except TimeoutError:
            if not clock.expired():
                raise
            raise problems.Problem(503, f"it took longer than {seconds:g} s") from None

    return limited
