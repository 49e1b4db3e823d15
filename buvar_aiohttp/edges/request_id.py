"""Request ids: each request has one, which all of its log lines carry, and its response too.

What a trusted peer sends is kept, so that one id goes through several services; from all others an id would only be a
way to write into somebody's log.
"""

from __future__ import annotations

import re
import secrets
import typing as t

import attrs
import structlog
from aiohttp import web

from buvar import context
from buvar_aiohttp import networks

from . import checks, headers

if t.TYPE_CHECKING:
    from .around import Request

#: where a request has its id, as it is logged
KEY: t.Final = web.RequestKey("request_id", str)
#: visible ASCII; longer ones are not taken from anybody
_VALID: t.Final = re.compile(r"[!-~]{1,128}")


@attrs.frozen
class RequestId:
    """The id of a request, a component of its scope. ``str()`` gives the text."""

    text: str

    def __str__(self) -> str:
        return self.text


def _is_name(_: object, attribute: attrs.Attribute[t.Any], value: str) -> None:
    if not headers.is_token(value):
        raise ValueError(f"{value!r} is no name of a header, as X-Request-ID", attribute)


@attrs.frozen
class RequestIds:
    """How requests get their ids."""

    #: the header that has the id, of requests and of responses
    header: str = attrs.field(default="X-Request-ID", validator=_is_name)
    #: whose ids are kept: true for everybody's, or networks; others get a fresh one
    trust: bool | list[str] = attrs.field(default=False, validator=checks.each(networks.is_network, networks.EXPECTED))


class Edge:
    """Gives requests their ids."""

    def __init__(self, config: RequestIds) -> None:
        self.header = config.header
        self.everybody = config.trust is True
        self.trusted = networks.Networks.of(() if isinstance(config.trust, bool) else config.trust)

    def enter(self, request: Request) -> None:
        """Give *request* its id. The log has it for as long as the task of the request lives."""
        text = self._inbound(request) or secrets.token_hex(16)
        request[KEY] = text
        structlog.contextvars.bind_contextvars(request_id=text)
        context.add(RequestId(text))

    def _inbound(self, request: Request) -> str | None:
        text = request.headers.get(self.header)
        if text is None or not (self.everybody or self.trusted.has_peer(request.peername)):
            return None
        return text if _VALID.fullmatch(text) else None

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Have *response* say the id."""
        if (text := request.get(KEY)) is not None:
            response.headers[self.header] = text
