"""Readers: who may read the metrics, by the address of who connects.

A proxy has an address of its own, a local one quite often, and asks for anybody: so what came through a proxy, as its
headers say, is refused, unless the configuration wants it answered.
"""

from __future__ import annotations

import typing as t

import attrs

from buvar_aiohttp import networks

if t.TYPE_CHECKING:
    from aiohttp import web

    from .config import MetricsConfig


@attrs.frozen
class Readers:
    """Those who come from some *networks*, and if *proxied* is false not by a proxy."""

    networks: networks.Networks
    proxied: bool

    @classmethod
    def of(cls, config: MetricsConfig) -> t.Self:
        """Return the readers that a configuration means."""
        return cls(networks.Networks.of(config.networks), config.proxied)

    def admit(self, request: web.Request) -> bool:
        """Tell whether who makes a request may read the metrics."""
        is_near = self.networks.has_peer(networks.peer_of(request))
        return is_near and (self.proxied or networks.proxy_header(request) is None)
