"""Networks: which peers are trusted, or may see what is not for all, by the address that they connect from."""

from __future__ import annotations

import functools
import ipaddress
import typing as t

import attrs
from aiohttp import hdrs

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp import web

#: stands for all peers on unix sockets, which have no address
UNIX: t.Final = "unix"
EXPECTED: t.Final = "a network as '10.0.0.0/8', an address, or 'unix' for peers on unix sockets"

LOOPBACK: t.Final = ("127.0.0.0/8", "::1/128")
#: what proxies add to what they pass on
PROXY_HEADERS: t.Final = (
    hdrs.FORWARDED,
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_HOST,
    hdrs.X_FORWARDED_PROTO,
    hdrs.VIA,
    "X-Real-IP",
)

Network: t.TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
Address: t.TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"


def is_network(text: str) -> bool:
    """Tell whether *text* is a network, an address or ``unix``."""
    try:
        return text == UNIX or bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def are_networks(_: object, attribute: attrs.Attribute[t.Any], value: c.Iterable[str]) -> None:
    """Validate a list of networks, addresses and ``unix``; what is raised says why one of them is none."""
    for each in value:
        try:
            _ = each == UNIX or ipaddress.ip_network(each)
        except ValueError as error:
            message = f"{each!r} is no network as '10.0.0.0/8' or '::1', nor {UNIX!r}: {error}"
            raise ValueError(message, attribute) from None


def peer_of(request: web.Request) -> t.Any:
    """Return who makes a request, as the transport calls it; None where the connection is lost."""
    return None if request.transport is None else request.transport.get_extra_info("peername")


def proxy_header(request: web.Request) -> str | None:
    """Return a header by which a request shows that it came through a proxy, and so from anybody; None without one."""
    return next((each for each in PROXY_HEADERS if each in request.headers), None)


def address_of(text: str) -> Address | None:
    """Return the address that *text* is, IPv4 where it only is written as IPv6; None if it is none.

    It may have a port: ``192.0.2.1:80``, ``[2001:db8::1]:80``.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return exactly(text)


def exactly(text: str) -> Address | None:
    """Return the address that *text* is, as `address_of` does; one that has a port is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@attrs.frozen(eq=False)
class Networks:
    """Some networks; all of them are known by the address of a peer, which is text."""

    networks: tuple[Network, ...]
    #: whether peers on unix sockets belong to them
    unix: bool
    #: the same question for the same peer is asked with each request
    contains: c.Callable[[str], bool] = attrs.field(init=False)

    @contains.default
    def _remember(self) -> c.Callable[[str], bool]:
        return functools.lru_cache(1024)(self._contains)

    @classmethod
    def of(cls, written: c.Iterable[str]) -> Networks:
        """Return the networks that are *written* as `is_network` takes them."""
        texts = list(written)
        return cls(tuple(ipaddress.ip_network(text) for text in texts if text != UNIX), UNIX in texts)

    def _contains(self, text: str) -> bool:
        found = address_of(text)
        return found is not None and any(found in network for network in self.networks)

    def has_peer(self, peername: t.Any) -> bool:
        """Tell whether the peer of a connection, as its transport calls it, belongs to them."""
        if isinstance(peername, tuple):
            return self.contains(str(peername[0]))
        return self.unix and peername is not None  # of a unix socket it is text, mostly an empty one
