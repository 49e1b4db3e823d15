"""Connections on which each request is a scope of its own, with the request as a component of it.

A scope begins before the application sees the request, in the task that aiohttp handles the request in, and ends when
the handler has, before the headers leave. Where there is no response, since the handler was cancelled, or failed when
the client had left or parts of the response had, it ends with that error.
"""

from __future__ import annotations

import asyncio
import typing as t

import structlog
from aiohttp import hdrs, http_exceptions, web

from buvar import context, scopes

from . import failures, files
from .edges import around, slow
from .http import after, answers, ending

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp.typedefs import Handler

    from buvar.forking.board import Row

#: what aiohttp raises itself when no route matches; handlers may raise it too
_UNMATCHED: t.Final = frozenset({web.HTTPNotFound, web.HTTPMethodNotAllowed})

#: what nearly all responses are; others are looked at
_KNOWN: t.Final[frozenset[type]] = frozenset({web.Response, answers.Answer})

# redirects what no route matches to the same path with a slash at its end, or with fewer slashes in it, if that is one
_normalize_path = web.normalize_path_middleware()


# bound once: to look the methods up takes half of the time of a call
_current: t.Final = context.buvar_context.get
_enter: t.Final = context.buvar_context.set

log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """A connection whose requests are scopes, and whose errors are problems.

    It also redirects what no route matches, if a path that is spelt a little differently is one.
    """

    __slots__ = ()

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: t.Any
    ) -> tuple[web.StreamResponse, bool]:
        # what aiohttp's does, in a scope. What `context.scope` does is written out; the request is filed, but not under
        # its ten bases
        components = _current().push_scope(web.Request, request)
        _enter(components)
        scope = components.maps[0]
        self._request_in_progress = True
        is_kept = False
        try:
            try:
                self._current_request = request
                response = await request_handler(request)
            finally:
                self._current_request = None
            kind: type = response.__class__
            if kind not in _KNOWN:
                if kind is web.FileResponse:
                    response = files.checked(response)
                elif not _is_whole(kind):
                    raise _no_response(response)
            is_kept = True
            if scopes.EXITS in scope:
                closed = await self._closed(scope, request, response, None)
                is_kept, response = closed is response, closed
            else:
                scope[scopes.EXITS] = scopes.CLOSED
            answered = await self.finish_response(request, response, start_time)
        except Exception as error:
            answered = await self._fail(scope, request, error, start_time)
            is_kept = isinstance(error, web.HTTPException) and answered[0].status < 400  # a redirect is no failure
        except BaseException as error:
            if not _is_own(error):
                await _abandon(scope, error)
                raise
            failure = RuntimeError("something that the handler waited for was cancelled")
            failure.__cause__ = error
            answered = await self._fail(scope, request, failure, start_time)
        finally:
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        if is_kept and request._state and after.KEY in request._state:
            request._state[after.KEY].start()
        return answered

    async def _fail(
        self, scope: scopes.Scope, request: web.BaseRequest, error: Exception, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer *request*, which ended with *error*, while that is handled: what logs the access may look at it."""
        try:
            response = await self._answer(request, error)
            response = await self._closed(scope, request, response, error)
            try:
                return await self.finish_response(request, response, start_time)
            except ConnectionError:
                raise
            except Exception as failure:  # a header that cannot be sent, such as one with a line break
                response = self.handle_error(request, 500, failure)
                return await self.finish_response(request, response, start_time)
        except BaseException as broken:
            # what no answer could tell is the error of the scope
            await _abandon(scope, error if isinstance(broken, ConnectionError) else broken)
            raise

    async def _answer(self, request: web.BaseRequest, error: Exception) -> web.StreamResponse:
        if not isinstance(error, web.HTTPException):
            return self.handle_error(request, 504 if isinstance(error, TimeoutError) else 500, error)
        if isinstance(request, web.Request) and _is_unmatched(request, error):
            try:
                await _normalize_path(request, _raise(error))
            except web.HTTPException as redirect:
                error = redirect
        return failures.answer_of_aiohttp(request, error)

    async def _closed(
        self, scope: scopes.Scope, request: web.BaseRequest, response: web.StreamResponse, error: Exception | None
    ) -> web.StreamResponse:
        """Close *scope*; return *response*, or 500 where that fails: what could not be committed is no success."""
        if scope.setdefault(scopes.EXITS, scopes.CLOSED) is scopes.CLOSED:
            return response
        if isinstance(error, web.HTTPException) and error.status < 400:
            error = None  # a redirect is no failure
        try:
            await scopes.close(scope, "request", error, _stay, None)
        except Exception as failure:
            return self.handle_error(request, 500, failure)
        return response

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the problem for an error, which is logged where it is not the client's.

        Raises `failures.Broken` where a part of a response is sent already.
        """
        return failures.answer(request, status, exc, message)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the task too, unless it handles a request: a client that has left sends no rest of a body.

        A stream ends as well, which may wait for long until it has something to write.
        """
        task = None if self._request_in_progress else self._task_handler
        request = self._current_request
        super().connection_lost(exc)
        if task is not None:
            task.cancel()
        if request is not None and request._state and ending.KEY in request._state:
            request._state[ending.KEY].leave()

    def log_exception(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Log what aiohttp could not handle, unless it is a body, which nobody needed, that its client has broken."""
        if not isinstance(kwargs.get("exc_info"), web.RequestPayloadError | http_exceptions.HttpProcessingError):
            super().log_exception(*args, **kwargs)


def _is_own(error: BaseException) -> bool:
    """Tell whether *error* is a cancellation that nobody has asked the task of the request for: the handler failed."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()


def _is_whole(kind: type) -> bool:
    """Tell whether a response of that *kind* can be sent."""
    return web.StreamResponse in kind.__mro__ and web.HTTPException not in kind.__mro__


def _no_response(result: t.Any) -> Exception:
    """Return the error for what a handler of aiohttp's returned in place of a response."""
    if isinstance(result, web.HTTPException):
        return result
    if result is None:
        return TypeError("the handler returned nothing; a return statement is missing")
    return TypeError(f"the handler returned {type(result).__qualname__}, and has to return a response")


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


def _is_unmatched(request: web.Request, error: web.HTTPException) -> bool:
    """Tell whether *error* is aiohttp's own, since no route matches, and not a handler's."""
    found = request._match_info
    return type(error) in _UNMATCHED and found is not None and found.http_exception is error


def _raise(error: web.HTTPException) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raise error

    return handle


def dispatching(app: web.Application) -> c.Callable[[t.Any], c.Awaitable[web.StreamResponse]]:
    """Return what `Application._handle` does, without a coroutine of its own where nothing has to be awaited for it."""
    router: t.Any = app.router

    def dispatch(request: t.Any) -> c.Awaitable[web.StreamResponse]:
        if app._run_middlewares or hdrs.EXPECT in request.headers or (match := router.look_up(request)) is None:
            return app._handle(request)
        match.add_app(app)
        match.freeze()
        request._match_info = match
        return t.cast("c.Awaitable[web.StreamResponse]", match.handler(request))

    return dispatch


class Server(web.Server):
    """A server that makes such connections, and notes on the *row* of its worker how many are open."""

    #: where siblings see it; None where there are none
    row: Row | None = None
    #: what its connections are: who measures them has a class of its own
    connection_class: type[Connection] = Connection

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
        return self.connection_class(self, loop=self._loop, **self._kwargs)

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._open)

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
            edges.around(dispatching(app)),
            read_timeout=edges.read_timeout,
            request_factory=edges.factory(app, made.request_factory),
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )

    return make_scoped
