"""What an application has around it, and its requests: they know where they came from, and mark their responses."""

from __future__ import annotations

import typing as t

import attrs
from aiohttp import web
from aiohttp.helpers import reify

from . import proxies

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

Handler: t.TypeAlias = "c.Callable[[t.Any], c.Awaitable[web.StreamResponse]]"
Enter: t.TypeAlias = "c.Callable[[t.Any], web.StreamResponse | None]"
Mark: t.TypeAlias = "c.Callable[[t.Any, web.StreamResponse], None]"
Compress: t.TypeAlias = "c.Callable[[t.Any, web.StreamResponse], c.Awaitable[None]]"


@attrs.frozen(eq=False)
class Edges:
    """The edges of one application."""

    proxies: proxies.Proxies | None = None
    #: what looks at a request, and may answer it in place of the application, or raise
    enters: tuple[Enter, ...] = ()
    #: what marks each response
    marks: tuple[Mark, ...] = ()
    compress: Compress | None = None
    #: seconds that a client may keep a request waiting, None for ever
    read_timeout: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests and responses go through untouched."""
        return not (self.proxies or self.enters or self.marks or self.compress)

    def around(self, handler: Handler) -> Handler:
        """Return *handler*, which is that of a whole application, so that requests pass the edges first."""
        if not self.enters:
            return handler
        enters = self.enters

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            for enter in enters:
                if (response := enter(request)) is not None:
                    return response
            return await handler(request)

        return handle

    def factory(self, app: web.Application, make: c.Callable[..., web.BaseRequest]) -> c.Callable[..., web.BaseRequest]:
        """Return what makes the requests of *app*: *make*, if no edge has to do with them."""
        if self.is_open:
            return make
        kind: type[Request] = Request if self.proxies is None else ForwardedRequest
        # a class for each application: its requests, and their clones, know its edges at no cost
        own = type(kind.__name__, (kind,), {"edges": self})

        def make_request(
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            task: asyncio.Task[None],
        ) -> web.BaseRequest:
            return app._make_request(message, payload, protocol, writer, task, own)

        return make_request


class Request(web.Request):
    """A request that has its responses marked, those too that no route has to do with."""

    edges: t.ClassVar[Edges]

    @property
    def peername(self) -> t.Any:
        """The peer of the connection, as its transport calls it: a proxy, where there is one."""
        return self._transport_peername

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        # last of all, so that the edges see what the callbacks of `on_response_prepare` did
        await super()._prepare_hook(response)
        edges = self.edges
        for mark in edges.marks:
            mark(self, response)
        if edges.compress is not None:
            await edges.compress(self, response)


class ForwardedRequest(Request):
    """A request that believes proxies, see `proxies`; it asks them when somebody wants to know."""

    @reify
    def _origin(self) -> proxies.Origin:
        found = self.edges.proxies
        return proxies.UNSAID if found is None or not self._message.headers else found.origin_of(self, self.peername)

    @reify
    def remote(self) -> str | None:
        """The address of the client."""
        return self._origin.remote or super().remote

    @reify
    def scheme(self) -> str:
        """``http`` or ``https``, as the client used it."""
        return self._origin.scheme or super().scheme

    @reify
    def host(self) -> str:
        """The host that the client asked for, and its port, if it named one."""
        return self._origin.host or super().host


#: where an application has its edges
KEY: t.Final = web.AppKey("buvar_aiohttp.edges", Edges)
_NONE: t.Final = Edges()


def of(app: web.Application) -> Edges:
    """Return the edges of *app*."""
    return app.get(KEY, _NONE)
