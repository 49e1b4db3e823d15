"""Problems: errors that a client is told, as problem details (RFC 9457).

Raise a `Problem` anywhere in a request. Its document has a title, the status, a detail, and what else is given to it::

    raise http.Problem(409, "the order is paid", order=order.id)

What a client did wrong is told with all that is known. Of what went wrong here it learns an id, that the log has too.
"""

from __future__ import annotations

import http
import json
import typing as t

import attrs
import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

if t.TYPE_CHECKING:
    import collections.abc as c

MEDIA_TYPE: t.Final = "application/problem+json"
#: members of a document that RFC 9457 gives a meaning
_OWN: t.Final = frozenset({"type", "title", "status", "detail", "instance"})
#: headers of an aiohttp error that describe the body it had
_OF_BODY: t.Final = frozenset({"content-type", "content-length"})


@attrs.frozen
class Fault:
    """One thing that is wrong with a request: in which *source* ("query", "body", …), under which *name*, and why.

    *path* leads into a JSON body, as in ``$.items[3].price``.
    """

    source: str
    detail: str
    name: str | None = None
    path: str | None = None

    def document(self) -> dict[str, str]:
        """Return what a problem document says of it."""
        told = {"in": self.source, "name": self.name, "path": self.path, "detail": self.detail}
        return {key: value for key, value in told.items() if value is not None}


class Problem(Exception):
    """A request that cannot be answered: the *status*, why (*detail*), and what else the document is to say.

    *title* is by default that of the status, *type* a URI that identifies the kind of problem, *headers* go with the
    response. *errors* are `Fault`s, told under that name; without a *detail*, one that is alone is the detail. Raises
    ValueError for a status below 400.
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        title: str | None = None,
        type: str = "about:blank",  # noqa: A002 - the word of RFC 9457
        headers: c.Mapping[str, str] | None = None,
        errors: c.Sequence[Fault] = (),
        **members: t.Any,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"the status of a problem is between 400 and 599, not {status}")
        super().__init__(status, detail)
        self.status = status
        self.detail = _summary(errors) if detail is None and errors else detail
        self.title = title if title is not None else phrase(status)
        self.type = type
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
        self.members = members

    def __str__(self) -> str:
        told = f"{self.status} {self.title}" if self.detail is None else f"{self.status} {self.title}: {self.detail}"
        return "\n".join(
            [told, *(f"  {each.source} {each.name or each.path or ''}: {each.detail}" for each in self.errors)]
        )

    def document(self) -> dict[str, t.Any]:
        """Return the problem details."""
        told: dict[str, t.Any] = {"title": self.title, "status": self.status}
        if self.type != "about:blank":
            told = {"type": self.type, **told}
        if self.detail is not None:
            told["detail"] = self.detail
        if self.errors:
            told["errors"] = [each.document() for each in self.errors]
        told.update((key, value) for key, value in self.members.items() if key not in _OWN)
        return told

    def response(self) -> web.Response:
        """Return the response that tells it."""
        headers = CIMultiDict(self.headers)
        headers[hdrs.CONTENT_TYPE] = MEDIA_TYPE
        document = self.document()
        try:
            body = msgspec.json.encode(document, enc_hook=str)
        except UnicodeEncodeError:  # it quotes bytes of a request that are no text
            body = json.dumps(document, default=str).encode()
        return web.Response(status=self.status, reason=phrase(self.status), body=body, headers=headers)


def _summary(errors: c.Sequence[Fault]) -> str:
    if len(errors) > 1:
        return "the request does not fit"
    (fault,) = errors
    where = fault.path or "the body" if fault.source == "body" else f"{fault.source} parameter {fault.name!r}"
    return f"{where}: {fault.detail}"


#: where versions of Python differ, the phrases of RFC 9110
_PHRASES: t.Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def phrase(status: int) -> str:
    """Return what HTTP calls *status*."""
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def of_aiohttp(error: web.HTTPException, request: web.BaseRequest) -> Problem:
    """Return the problem for an error that aiohttp raised, or a handler by its classes, with no body of its own."""
    details = {404: f"there is nothing at {request.path}", 405: f"{request.method} is not allowed at {request.path}"}
    text = error.text
    detail = text if text and text != f"{error.status}: {error.reason}" else details.get(error.status)
    headers = {key: value for key, value in error.headers.items() if key.lower() not in _OF_BODY}
    return Problem(error.status, detail, headers=headers)
