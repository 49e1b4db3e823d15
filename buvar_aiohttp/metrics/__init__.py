"""Metrics for Prometheus, over all workers, whichever of them answers: ``await load("buvar_aiohttp.metrics")``.

| metric                          | labels                | what it is                               |
|---------------------------------|-----------------------|------------------------------------------|
| `http_requests_total`           | method, route, status | requests that were answered, or given up |
| `http_request_duration_seconds` | method, route, status | a histogram of how long they took        |
| `http_requests_in_flight`       |                       | requests that are being handled          |
| `http_connections`              |                       | connections that are open                |
| `buvar_workers`                 | state                 | workers that boot, are ready, stop       |
| `process_…`                     | slot, pid             | memory, CPU time, files of each process  |

Whatever plugins count with the objects of `prometheus_client`, in its own registry, is there too.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import typing as t

import attrs
import structlog
from aiohttp import hdrs, web

try:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.exposition import choose_encoder
except ModuleNotFoundError as error:
    error.add_note("metrics need prometheus_client: pip install 'buvar[metrics]'")
    raise

from buvar import context, di, fork, plugin
from buvar.forking.board import Board, Row
from buvar_aiohttp.app import prepare_app

from . import exposition, latency, shared
from .config import MetricsConfig
from .meter import Meter
from .readers import Readers

if t.TYPE_CHECKING:
    from prometheus_client.registry import Collector

_METHODS: t.Final = (hdrs.METH_GET, hdrs.METH_HEAD)

log = structlog.get_logger(__name__)


@attrs.define(eq=False)
class Metrics:
    """Answers who may read with all that *collector* has."""

    meter: Meter
    collector: Collector
    readers: Readers
    _reading: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer in the format that the request accepts: of OpenMetrics, or the older one of Prometheus."""
        if not self.readers.admit(request):
            raise web.HTTPNotFound  # whatever its method is: 405 would say that there is something
        if request.method not in _METHODS:
            raise web.HTTPMethodNotAllowed(request.method, _METHODS)
        encode, content_type = choose_encoder(", ".join(request.headers.getall(hdrs.ACCEPT, ())))
        async with self._reading:  # who asks while another one does would only slow both down
            self.tell()
            # in a thread: many workers with many routes take a moment to read
            body = await asyncio.to_thread(encode, t.cast("t.Any", self.collector))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"})

    def tell(self) -> None:
        """Note what is not noted each time that it changes."""
        self.meter.tell()
        if isinstance(self.collector, exposition.Together):
            for value, now in exposition.functions(self.collector.registry):
                value.set(now)


def _share(config: MetricsConfig, registry: CollectorRegistry, stack: contextlib.ExitStack) -> shared.Shared | None:
    """Have the values of this worker's metrics be in files that its siblings read; None where it is alone."""
    row, board = context.get(Row, default=None), context.get(Board, default=None)
    who = context.get(fork.Fork, default=None)
    if row is None or board is None or who is None:
        return None
    made = shared.Shared.of(shared.base(config.folder, os.environ), who.ppid, row, board)
    made.enter()
    stack.callback(made.leave)
    made.adopt(registry)
    return made


async def prepare(load: plugin.Loader, ready: plugin.Ready, teardown: plugin.Teardown) -> None:
    """Add the route, and count what the server does; see `MetricsConfig`."""
    await load("buvar.config", prepare_app)
    config, app = await di.nject(MetricsConfig), context.get(web.Application)
    stack = contextlib.ExitStack()
    teardown.add(stack.close)
    readers, own = Readers.of(config), CollectorRegistry()
    together = _share(config, REGISTRY, stack)
    if together is None:
        meter = Meter(latency.alone(config.buckets, own), own)
        metrics = Metrics(meter, exposition.Alone((own, REGISTRY)), readers)
    else:
        meter = Meter(latency.shared(config.buckets, latency.open_file(together.latency)), own)
        metrics = Metrics(meter, exposition.Together(together, together.board, REGISTRY), readers)
        together.row.on_beat(metrics.tell)
        if together.row.status.slot == 0:  # one that says it is enough
            ready.add_callback(functools.partial(_warn, REGISTRY))
    object.__setattr__(app, "_make_handler", meter.measuring(t.cast("t.Any", app._make_handler)))
    app.router.add_route(hdrs.METH_ANY, config.path, metrics.answer)


def _warn(registry: CollectorRegistry) -> None:
    if left := exposition.unshared(registry):
        advice = "use a Gauge with set_function, which each worker asks once a second"
        log.warning("metrics that workers cannot share are left out", collectors=left, advice=advice)
