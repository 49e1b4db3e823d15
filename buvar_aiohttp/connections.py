"""Connections on which each request is a scope of its own, with the request as a component of it.

A scope begins before the application sees the request, in the task that aiohttp handles the request in, and ends when
the handler has: in `Connection.finish_response`, before the headers leave. Where aiohttp finishes no response, since
the handler was cancelled, or failed when the client had left or parts of the response had, it ends with that error.
"""

from __future__ import annotations

import sys
import typing as t

import structlog
from aiohttp import web

from buvar import context, scopes

from . import failures
from .edges import around, slow
from .http import after

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

    from aiohttp.typedefs import Handler

    from buvar.forking.board import Row

#: what aiohttp raises itself when no route matches; handlers may raise it too
_UNMATCHED: t.Final = frozenset({web.HTTPNotFound, web.HTTPMethodNotAllowed})

# redirects what no route matches to the same path with a slash at its end, or with fewer slashes in it, if that is one
_normalize_path = web.normalize_path_middleware()


# bound once: to look the methods up takes half of the time of a call
_current: t.Final = context.buvar_context.get
_enter: t.Final = context.buvar_context.set

log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """A connection whose requests are scopes.

    It also redirects what no route matches, if a path that is spelt a little differently is one.
    """

    __slots__ = ()

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: t.Any
    ) -> tuple[web.StreamResponse, bool]:
        # what `context.scope` does, written out; the request is filed, but not under its ten bases
        components = _current().push_scope(web.Request, request)
        _enter(components)
        try:
            answered = await web.RequestHandler._handle_request(self, request, start_time, request_handler)
        except BaseException as error:
            # aiohttp's own error, where it can tell the client nothing, has the handler's as its context
            handlers = error.__context__ if type(error) is ConnectionError else None
            await _abandon(components.maps[0], handlers or error)
            raise
        if request._state and after.KEY in request._state:
            request._state[after.KEY].start()
        return answered

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> c.Coroutine[t.Any, t.Any, tuple[web.StreamResponse, bool]]:
        """Answer *request* with *resp*, which is whatever the handler returned, or the HTTPException that it raised."""
        if (scope := _current().scope) is not None:
            if scopes.EXITS in scope[0]:
                # it is called while the handler's error, if there was one, is handled
                return self._finish_scope(scope[0], sys.exception(), request, resp, start_time)
            scope[0][scopes.EXITS] = scopes.CLOSED
        if isinstance(resp, web.HTTPException):
            return self._finish_error(request, resp, start_time)
        return web.RequestHandler.finish_response(self, request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the problem for an error, which is logged where it is not the client's.

        Raises ConnectionError where a part of a response is sent already.
        """
        return failures.answer(request, status, exc or sys.exception(), message)

    async def _finish_scope(
        self,
        scope: scopes.Scope,
        error: BaseException | None,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(error, web.HTTPException) and error.status < 400:
            error = None  # a redirect is no failure
        try:
            await scopes.close(scope, "request", error, _stay, None)
        except Exception as failure:  # so that what could not be committed is no success
            resp = self.handle_error(request, 500, failure)
        if isinstance(resp, web.HTTPException):
            return await self._finish_error(request, resp, start_time)
        return await web.RequestHandler.finish_response(self, request, resp, start_time)

    async def _finish_error(
        self, request: web.BaseRequest, resp: web.HTTPException, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        answer: web.StreamResponse = resp
        # it is aiohttp's own, not a handler's
        if type(resp) in _UNMATCHED and isinstance(request, web.Request) and request.match_info.http_exception is resp:
            try:
                await _normalize_path(request, _raise(resp))
            except web.HTTPException as redirect:
                answer = redirect
        if isinstance(answer, web.HTTPException):
            answer = failures.answer_of_aiohttp(request, answer)
        return await web.RequestHandler.finish_response(self, request, answer, start_time)


async def _abandon(scope: scopes.Scope, error: BaseException) -> None:
    """Close the scope of a request that gets no response. What fails is logged: *error* is what goes on."""
    if scope.setdefault(scopes.EXITS, scopes.CLOSED) is scopes.CLOSED:
        return
    try:
        await scopes.close(scope, "request", error, _stay, None)
    except Exception as failure:
        log.error("closing a scope failed", scope="request", exc_info=failure)


def _stay(_: object) -> None:
    """Leave the scope current: the task of the request ends with it."""


def _raise(error: web.HTTPException) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raise error

    return handle


class Server(web.Server):
    """A server that makes such connections, and notes on the *row* of its worker how many are open."""

    #: where siblings see it; None where there are none
    row: Row | None = None

    def __init__(self, *args: t.Any, read_timeout: float | None = None, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch: slow.Watch | None = None
        if read_timeout is not None:
            self._watch = slow.Watch(read_timeout, lambda: self._connections, self._loop)
        self._open: set[web.RequestHandler] = set()
        #: how many connections were open at once, at most, since somebody set it back; and how many have been closed
        self.peak = 0
        self.lost = 0

    def __call__(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def opened(self, connection: web.RequestHandler) -> None:
        """Count *connection*: it is accepted. To count it once more does nothing."""
        self._open.add(connection)
        number = len(self._open)
        self.peak = max(self.peak, number)
        if self.row is not None:
            self.row.connections = number

    def closed(self, connection: web.RequestHandler) -> None:
        """Do not count *connection* any more."""
        self._open.discard(connection)
        self.lost += 1
        if self.row is not None:
            self.row.connections = len(self._open)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection that is served from now on."""
        if handler not in self._open:  # it was accepted by another server than ours
            self.opened(handler)
        super().connection_made(handler, transport)
        if self._watch is not None:
            self._watch.start()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection that is closed."""
        self.closed(handler)
        super().connection_lost(handler, exc)

    def listens(self, more: int) -> None:
        """Note that connections are accepted on so many sockets *more*."""
        if self.row is not None:
            self.row.accepting += more

    def note_requests(self) -> None:
        """Note how many requests there were so far."""
        if self.row is not None:
            self.row.requests = self.requests_count


def serving(app: web.Application) -> c.Callable[..., Server]:
    """Return what the runner of *app* is to have its server made by, so that requests are scopes, within its edges."""
    make = app._make_handler

    def make_scoped(**kwargs: t.Any) -> Server:
        made = make(**kwargs)
        edges = around.of(app)
        return Server(
            edges.around(made.request_handler),
            read_timeout=edges.read_timeout,
            request_factory=edges.factory(app, made.request_factory),
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )

    return make_scoped
