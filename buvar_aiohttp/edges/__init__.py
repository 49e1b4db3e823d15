"""Edges: what stands around the whole application, by configuration. What is not configured costs nothing.

| edge        | on the way in                                  | on the way out, on every response            |
|-------------|------------------------------------------------|----------------------------------------------|
| proxies     | where the request came from                    |                                              |
| request id  | the id, for the log and as a component         | the header with the id                       |
| hosts       | 400 or 421 for a host that is not served       |                                              |
| cors        | the answer to preflights                       | who may read it                              |
| compression |                                                | its bytes                                    |

In this order, before the application chooses a route. What acts on the way out acts when the headers are about to be
sent, after the callbacks of ``on_response_prepare``: on streams, files and errors too.
"""

from __future__ import annotations

import typing as t

from buvar_aiohttp import networks

from . import access, around, compression, cors, hosts, proxies, request_id
from .request_id import RequestId as RequestId

if t.TYPE_CHECKING:
    from aiohttp import web

    from buvar_aiohttp.config import AioHttpConfig


def settle(app: web.Application, config: AioHttpConfig) -> None:
    """Have *app*, which is not served yet, stand within the edges that *config* asks for."""
    ids = None if config.request_id is None else request_id.Edge(config.request_id)
    origins = None if config.cors is None else cors.Edge(config.cors)
    served = hosts.Hosts.of(config.hosts) if config.hosts else None
    trusted = networks.Networks.of(config.proxies)
    app._client_max_size = config.max_body
    app[around.KEY] = around.Edges(
        proxies.Proxies(trusted, frozenset(config.proxy_headers)) if config.proxies else None,
        tuple(edge for edge in (ids and ids.enter, served and served.check, origins and origins.enter) if edge),
        tuple(edge.mark for edge in (ids, origins) if edge),
        None if config.compression is None else compression.Edge(config.compression).finish,
        config.read_timeout or None,
    )


def server_options(config: AioHttpConfig) -> dict[str, t.Any]:
    """Return what *config* says of connections, as a runner of aiohttp takes it."""
    return {
        "access_log": config.access_log,
        "access_log_class": access.AccessLogWithQuery if config.access_log_query else access.AccessLog,
        "keepalive_timeout": config.keepalive_timeout,
        "max_line_size": config.max_line_size,
        "max_field_size": config.max_field_size,
    }
