"""Proxies: who is believed when it says for whom, by which scheme and for which host it forwards a request.

Only what a trusted peer says counts, and only the headers that are configured: a proxy that sets ``X-Forwarded-For``
passes on a ``Forwarded`` that its client made up. The client is the right-most address that no trusted proxy has, since
all to the left of it is its word. Of schemes and hosts the right-most counts, which the peer itself has written; in
``Forwarded`` those that stand beside the client.

aiohttp-remotes is kept alive (1.4), but does not fit: where it filters by networks it takes the header of any peer,
where it is strict it counts proxies, it knows no unix sockets, and as a middleware it comes after the routes of a
domain were chosen, and after the access log was given its request.

| the peer        | its headers                                   | ``request.remote``                     |
|-----------------|-----------------------------------------------|----------------------------------------|
| is not trusted  | whatever they are                             | the peer                               |
| is trusted      | an address that is not trusted                | the right-most of those                |
| is trusted      | trusted addresses only                        | the left-most of those                 |
| is trusted      | what is no address, before one not trusted    | the address right of it, else the peer |
"""

from __future__ import annotations

import typing as t

import attrs
from aiohttp import hdrs

from buvar_aiohttp import networks

from . import headers

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp import web

FORWARDED: t.Final = "forwarded"
X_FORWARDED: t.Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
Header: t.TypeAlias = t.Literal["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"]
#: those who write ``X-Forwarded-Proto`` for a web socket may call it by its scheme
_SCHEMES: t.Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


@attrs.frozen
class Origin:
    """Where a request came from: what proxies said of it, None where they said nothing."""

    remote: str | None = None
    scheme: str | None = None
    host: str | None = None


#: nobody who is trusted said anything
UNSAID: t.Final = Origin()


@attrs.frozen(eq=False)
class Proxies:
    """The trusted ones, and which of their headers are believed."""

    trusted: networks.Networks
    believed: frozenset[str]

    def origin_of(self, request: web.BaseRequest, peername: t.Any) -> Origin:
        """Return where *request*, which *peername* sent, came from."""
        if not self.trusted.has_peer(peername):
            return UNSAID
        if FORWARDED in self.believed:
            return self._forwarded(request.forwarded)
        hops = self._texts(request, hdrs.X_FORWARDED_FOR)
        protos = self._texts(request, hdrs.X_FORWARDED_PROTO)
        hosts = self._texts(request, hdrs.X_FORWARDED_HOST)
        at = self._client(hops)
        return Origin(
            None if at is None else str(networks.address_of(hops[at])),
            _scheme(protos[-1] if protos else None),
            _host(hosts[-1] if hosts else None),
        )

    def _texts(self, request: web.BaseRequest, name: str) -> list[str]:
        if name.lower() not in self.believed:
            return []
        return [text.strip() for line in request.headers.getall(name, ()) for text in line.split(",")]

    def _forwarded(self, elements: c.Sequence[c.Mapping[str, str]]) -> Origin:
        if not elements:
            return UNSAID
        hops = [element.get("for", "") for element in elements]
        at = self._client(hops)
        said = elements[-1 if at is None else at]
        remote = None if at is None else str(networks.address_of(hops[at]))
        return Origin(remote, _scheme(said.get("proto")), _host(said.get("host")))

    def _client(self, hops: c.Sequence[str]) -> int | None:
        """Return which of *hops* is the client, None if that is the peer."""
        found = None
        for at in reversed(range(len(hops))):
            address = networks.address_of(hops[at])
            if address is None:
                break
            found = at
            if not self.trusted.contains(str(address)):
                break
        return found


def _scheme(text: str | None) -> str | None:
    return None if text is None else _SCHEMES.get(text.lower())


def _host(text: str | None) -> str | None:
    return text if text is not None and headers.host_of(text) is not None else None
