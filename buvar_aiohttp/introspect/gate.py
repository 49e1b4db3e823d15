"""The gate: who may see the page.

A request has to come from one of the networks, by the address of who connects. One that came through a proxy may come
from anybody: where the proxy says so in a header it is refused, whatever the header says.

And it has to ask for an address, for localhost, or for a name that is allowed. A web site whose name is made to lead to
this machine could otherwise have the browser of somebody who works here read the page for it (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import typing as t

import attrs
from aiohttp import hdrs

from .config import UNIX

if t.TYPE_CHECKING:
    from aiohttp import web

    from .config import IntrospectConfig

Network: t.TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: t.TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

#: what proxies add to what they pass on
_PROXIES: t.Final = (
    hdrs.FORWARDED,
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_HOST,
    hdrs.X_FORWARDED_PROTO,
    hdrs.VIA,
    "X-Real-IP",
)
#: who makes a browser ask for data: this page, or a person
_OWN_SITES: t.Final = frozenset({"same-origin", "none"})


@attrs.frozen
class Gate:
    """Lets those in that come from *networks* (with *unix*: over a unix socket) and ask for one of *hosts*."""

    networks: tuple[Network, ...]
    unix: bool
    hosts: frozenset[str]

    @classmethod
    def of(cls, config: IntrospectConfig) -> t.Self:
        """Return the gate that a configuration means."""
        networks = tuple(ipaddress.ip_network(each) for each in config.networks if each != UNIX)
        return cls(networks, UNIX in config.networks, frozenset(each.lower() for each in config.hosts))

    def refusal(self, request: web.Request) -> str | None:
        """Return why a request is refused, None where it is not."""
        peer = None if request.transport is None else request.transport.get_extra_info("peername")
        if not self._is_near(peer):
            return f"it does not come from one of the networks, but from {peer!r}"
        if header := next((each for each in _PROXIES if each in request.headers), None):
            return f"it has the header {header}: it came through a proxy"
        host = request.headers.get(hdrs.HOST)
        if host is not None and not self._is_host(host):
            return f"it asks for the host {host!r}; add it to introspect.hosts"
        return None

    def _is_near(self, peer: t.Any) -> bool:
        if not isinstance(peer, tuple):  # of a unix socket it is text, mostly an empty one
            return self.unix and peer is not None
        found = _address(str(peer[0]))
        return found is not None and any(found in each for each in self.networks)

    def _is_host(self, host: str) -> bool:
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        name = name.lower().removesuffix(".")
        if name in self.hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        return _address(name) is not None


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_foreign(request: web.Request) -> bool:
    """Tell whether the page of another site makes a browser ask for this: CORS might let it read the answer."""
    return request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES
