"""Readers: who may read the metrics, by the address of who connects.

A proxy has an address of its own, a local one quite often, and asks for anybody: so what came through a proxy, as its
headers say, is refused, unless the configuration wants it answered.
"""

from __future__ import annotations

import ipaddress
import typing as t

import attrs
from aiohttp import hdrs

from .config import UNIX

if t.TYPE_CHECKING:
    from aiohttp import web

    from .config import MetricsConfig

#: what proxies add to what they pass on
PROXIES: t.Final = (
    hdrs.FORWARDED,
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_HOST,
    hdrs.X_FORWARDED_PROTO,
    hdrs.VIA,
    "X-Real-IP",
)


@attrs.frozen
class Readers:
    """Those who come from *networks* (with *unix*: over a unix socket), and if *proxied* is false not by a proxy."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    unix: bool
    proxied: bool

    @classmethod
    def of(cls, config: MetricsConfig) -> t.Self:
        """Return the readers that a configuration means."""
        networks = tuple(ipaddress.ip_network(each) for each in config.networks if each != UNIX)
        return cls(networks, UNIX in config.networks, config.proxied)

    def admit(self, request: web.Request) -> bool:
        """Tell whether who makes a request may read the metrics."""
        peer = None if request.transport is None else request.transport.get_extra_info("peername")
        return self._contains(peer) and (self.proxied or not any(each in request.headers for each in PROXIES))

    def _contains(self, peer: t.Any) -> bool:
        if not isinstance(peer, tuple):  # of a unix socket it is text, mostly an empty one
            return self.unix and peer is not None
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in each for each in self.networks)
