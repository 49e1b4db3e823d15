"""CORS: which origins may have scripts of theirs read the responses, by the Fetch standard.

aiohttp-cors is alpha still, last released in March 2025, wants each route added to it by hand, sends no ``Vary``, and
allows credentials to any origin at all where an origin is ``*`` and credentials are allowed: so we have our own.

| request                                              | response                                                    |
|------------------------------------------------------|-------------------------------------------------------------|
| OPTIONS, Origin and Access-Control-Request-Method    | 204 with what is allowed; the application does not see it   |
| the same, from an origin that is not allowed         | 204 without any of it                                       |
| any other with an Origin that is allowed             | that of the application, with the headers, errors too       |
| all others                                           | that of the application                                     |

All of them have ``Vary: Origin``, unless all origins are allowed, since the response is the same for all then.
"""

from __future__ import annotations

import re
import typing as t

import attrs
from aiohttp import hdrs, web

from . import checks, headers

if t.TYPE_CHECKING:
    from multidict import CIMultiDict

ANY: t.Final = "*"
_ORIGIN: t.Final = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[^/?#@\s]+)")
_EXPECTED_ORIGIN: t.Final = (
    "an origin as a browser sends it, 'https://example.org' or 'https://example.org:8443', or '*'"
)
_EXPECTED_NAME: t.Final = "the name of a header, or '*'"


_NAMES: t.Final = checks.each(headers.is_token, _EXPECTED_NAME)


def _is_origin(text: str) -> bool:
    if text == ANY:
        return True
    found = _ORIGIN.fullmatch(text.lower())
    return found is not None and headers.host_of(found["host"]) is not None


def _refuse_credentials(cors: t.Any, attribute: attrs.Attribute[t.Any], value: object) -> None:
    """Refuse what would let the scripts of every page act with the cookies of who looks at it."""
    if value and ANY in cors.origins:
        raise ValueError("credentials are not allowed together with origins = ['*']; name the origins", attribute)


@attrs.frozen
class Cors:
    """Which pages of other origins may read responses."""

    #: the origins, exactly as a browser sends them; '*': all
    origins: list[str] = attrs.field(validator=checks.each(_is_origin, _EXPECTED_ORIGIN))
    #: the methods that they may use
    methods: list[str] = attrs.field(
        factory=lambda: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        validator=checks.each(headers.is_token, "the name of a method"),
    )
    #: the headers that they may send beside those that are always allowed; '*': all
    headers: list[str] = attrs.field(factory=list, validator=_NAMES)
    #: the headers of responses that they may read beside those that are always allowed
    expose: list[str] = attrs.field(factory=list, validator=_NAMES)
    #: whether requests with cookies, certificates or passwords are allowed
    credentials: bool = attrs.field(default=False, validator=_refuse_credentials)
    #: seconds for which a browser remembers what is allowed
    max_age: int = attrs.field(default=600, validator=checks.between(0))


class Edge:
    """Answers preflights, and has all other responses say who may read them."""

    def __init__(self, config: Cors) -> None:
        self.origins = frozenset(origin.lower() for origin in config.origins)
        self.any_origin = ANY in self.origins
        self.any_header = ANY in config.headers
        self.allowed = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(config.methods),
            hdrs.ACCESS_CONTROL_MAX_AGE: str(config.max_age),
        }
        if config.headers and not self.any_header:
            self.allowed[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join(config.headers)
        self.always = {hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true"} if config.credentials else {}
        self.exposed = {hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: ", ".join(config.expose)} if config.expose else {}

    def enter(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Answer *request* if it is a preflight."""
        if request.method != hdrs.METH_OPTIONS:
            return None
        if hdrs.ORIGIN not in request.headers or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return None
        response = web.Response(status=204)
        if self._allow(request, response.headers):
            response.headers.update(self.allowed)
            if self.any_header and (asked := request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)):
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
        headers.vary(response.headers, hdrs.ACCESS_CONTROL_REQUEST_METHOD, hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
        return response

    def mark(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Have *response* say whether the origin of *request* may read it."""
        if self._allow(request, response.headers):
            for name, value in self.exposed.items():
                response.headers.setdefault(name, value)

    def _allow(self, request: web.BaseRequest, said: CIMultiDict[str]) -> bool:
        """Allow the origin of *request*, if it is allowed; tell whether it is. What a handler *said* itself stays."""
        if self.any_origin:
            said.setdefault(hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, ANY)
            return True
        headers.vary(said, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin.lower() not in self.origins:
            return False
        said.setdefault(hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, origin)
        for name, value in self.always.items():
            said.setdefault(name, value)
        return True
