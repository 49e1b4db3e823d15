"""The gate: who may see the page.

A request has to come from one of the networks, by the address of who connects. One that came through a proxy may come
from anybody: where the proxy says so in a header it is refused, whatever the header says.

And it has to ask for an address, for localhost, or for a name that is allowed. A web site whose name is made to lead to
this machine could otherwise have the browser of somebody who works here read the page for it (DNS rebinding).
"""

from __future__ import annotations

import typing as t

import attrs
from aiohttp import hdrs

from buvar_aiohttp import networks

if t.TYPE_CHECKING:
    from aiohttp import web

    from .config import IntrospectConfig

#: who makes a browser ask for data: this page, or a person
_OWN_SITES: t.Final = frozenset({"same-origin", "none"})


@attrs.frozen
class Gate:
    """Lets those in that come from some *networks* and ask for one of *hosts*."""

    networks: networks.Networks
    hosts: frozenset[str]

    @classmethod
    def of(cls, config: IntrospectConfig) -> t.Self:
        """Return the gate that a configuration means."""
        return cls(networks.Networks.of(config.networks), frozenset(each.lower() for each in config.hosts))

    def refusal(self, request: web.Request) -> str | None:
        """Return why a request is refused, None where it is not."""
        peer = networks.peer_of(request)
        if not self.networks.has_peer(peer):
            return f"it does not come from one of the networks, but from {peer!r}"
        if header := networks.proxy_header(request):
            return f"it has the header {header}: it came through a proxy"
        host = request.headers.get(hdrs.HOST)
        if host is not None and not self._is_host(host):
            return f"it asks for the host {host!r}; add it to introspect.hosts"
        return None

    def _is_host(self, host: str) -> bool:
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        name = name.lower().removesuffix(".")
        if name in self.hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        return networks.exactly(name) is not None


def is_foreign(request: web.Request) -> bool:
    """Tell whether the page of another site makes a browser ask for this: CORS might let it read the answer."""
    return request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES
