"""Hosts: a request is served only if it is meant for one of the hosts that are configured.

Who builds links of ``request.host``, or keeps answers by it, would otherwise build them of what a client invents. A
request for another host gets 421, which is made for it by RFC 9110: "unable or unwilling to produce an authoritative
response for the target URI"; there is nothing wrong with the request, but it came to the wrong server. One that names
no host, or what cannot be one, is malformed: 400.
"""

from __future__ import annotations

import functools
import typing as t

import attrs
from aiohttp import HttpVersion11, hdrs

from buvar_aiohttp.http import problems

from . import headers

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp import web

EXPECTED: t.Final = "a host as 'example.org', without a port, or '*.example.org' for those below it"


def is_pattern(text: str) -> bool:
    """Tell whether *text* is a host, or ``*.`` and a host."""
    return headers.host_of(text.removeprefix("*.")) == text.removeprefix("*.").lower().removesuffix(".")


@attrs.frozen(eq=False)
class Hosts:
    """The hosts that are served: some by their names, all below some others."""

    names: frozenset[str]
    suffixes: tuple[str, ...]
    allows: c.Callable[[str], int] = attrs.field(init=False)

    @allows.default
    def _remember(self) -> c.Callable[[str], int]:
        return functools.lru_cache(1024)(self._judge)

    @classmethod
    def of(cls, patterns: c.Iterable[str]) -> Hosts:
        """Return the hosts that match one of *patterns*, see `is_pattern`."""
        texts = [text.lower().removesuffix(".") for text in patterns]
        suffixes = tuple(text[1:] for text in texts if text.startswith("*."))
        return cls(frozenset(text for text in texts if not text.startswith("*.")), suffixes)

    def _judge(self, authority: str) -> int:
        """Return the status for a request to *authority*: 200, 400 or 421."""
        host = headers.host_of(authority)
        if host is None:
            return 400
        return 200 if host in self.names or host.endswith(self.suffixes) else 421

    def check(self, request: web.BaseRequest) -> None:
        """Let a request for one of the hosts pass. Raises `problems.Problem` for all others."""
        if hdrs.HOST not in request.headers and request.version >= HttpVersion11:
            raise problems.Problem(400, "the header Host is missing")
        url = request._message.url
        if url.absolute and headers.host_of(request.headers.get(hdrs.HOST, url.authority)) != headers.host_of(
            url.authority
        ):
            # by RFC 9112 that of the URL goes before the header, which others may read even so
            raise problems.Problem(400, "the URL and the header Host name different hosts")
        status = self.allows(request.host)
        if status == 400:
            raise problems.Problem(400, "the header Host is no host")
        if status != 200:
            raise problems.Problem(421, "this host is not served here")
