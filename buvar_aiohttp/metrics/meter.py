"""The meter: it counts the requests of one worker, and how long they take.

It sits where a connection handles a request, around all that the request costs: scope, routing, handler and response.
To ask a gauge up and down with each request would double what it costs, so how many are in flight is a plain number
here, which is told when somebody wants to know. How many requests there were a histogram of their latencies knows too.

What is a label comes from a set that has an end: the template of a route, never a path; a method that HTTP has; a class
of statuses.
"""

from __future__ import annotations

import time
import typing as t

from aiohttp import hdrs
from prometheus_client import CollectorRegistry, Gauge

from buvar_aiohttp.connections import Connection, Server

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp import web

    from .latency import Latency, Observe

#: the label of all that no route matches
UNMATCHED: t.Final = "unmatched"
#: the label of all methods that HTTP does not have
OTHER: t.Final = "OTHER"
#: the label of what got no whole response, since the handler was cancelled, or failed in the middle of it
NONE: t.Final = "none"
_CLASSES: t.Final = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")

_Key: t.TypeAlias = tuple[str, object, int]


class Meter:
    """Counts requests by their *latency*; its gauges are in *registry*."""

    def __init__(self, latency: Latency, registry: CollectorRegistry) -> None:
        #: how many requests are being handled
        self.in_flight = 0
        self._servers: list[Server] = []
        self._observers: dict[_Key, Observe] = {}
        self._latency = latency
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being handled.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._connections = Gauge(
            "http_connections", "Connections that are open.", registry=registry, multiprocess_mode="livesum"
        )

    def tell(self) -> None:
        """Have the gauges say how it is just now."""
        self._in_flight.set(self.in_flight)
        self._connections.set(sum(each.open for each in self._servers))

    def measuring(self, make: c.Callable[..., Server]) -> c.Callable[..., Server]:
        """Return *make*, which makes the server of an application, so that its requests are counted."""
        connection = _measured(self)

        def make_measuring(**kwargs: t.Any) -> Server:
            server = make(**kwargs)
            server.connection_class = connection
            self._servers.append(server)
            return server

        return make_measuring

    def count(self, request: web.BaseRequest, status: int, seconds: float) -> None:
        """Count a request that was answered with *status* (0: not at all) after so many *seconds*."""
        info = getattr(request, "_match_info", None)  # there is none where not even the request was one
        resource = None if info is None else info.route.resource
        key = request.method, resource, status // 100
        observe = self._observers.get(key)
        if observe is None:
            observe = self._observer(key)
        observe(seconds)

    def _observer(self, key: _Key) -> Observe:
        method, resource, hundreds = key
        observe = self._latency(
            method if method in hdrs.METH_ALL else OTHER,
            UNMATCHED if resource is None else getattr(resource, "canonical", UNMATCHED),
            (_CLASSES[hundreds] if hundreds < len(_CLASSES) else OTHER) if hundreds else NONE,
        )
        if method in hdrs.METH_ALL:  # clients invent methods without end
            self._observers[key] = observe
        return observe


def _measured(meter: Meter) -> type[Connection]:
    clock = time.perf_counter

    class Measured(Connection):
        __slots__ = ()

        async def _handle_request(
            self, request: web.BaseRequest, start_time: float | None, request_handler: t.Any
        ) -> tuple[web.StreamResponse, bool]:
            meter.in_flight += 1
            status, began = 0, clock()
            try:
                answer = await Connection._handle_request(self, request, start_time, request_handler)
                status = answer[0].status
                return answer
            finally:
                meter.in_flight -= 1
                meter.count(request, status, clock() - began)

    return Measured
