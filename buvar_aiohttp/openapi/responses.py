"""Responses: what a handler answers, by status: its results, and the problems that its binding can give."""

from __future__ import annotations

import types
import typing as t

from buvar.components import missing
from buvar.di import typeform
from buvar_aiohttp.http import bodies, markers, problems, returns

from . import requests

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar_aiohttp.http.returns import Returned
    from buvar_aiohttp.http.routes import Spec
    from buvar_aiohttp.http.sources import Binding

    from .schemas import Schema, Schemas

#: the problems that the server itself finds, by status: their names in the document, and what they mean
PROBLEMS: t.Final[c.Mapping[int, tuple[str, str]]] = {
    400: ("BadRequest", "The request cannot be read."),
    404: ("NotFound", "There is nothing at this path."),
    413: ("ContentTooLarge", "The body is too long."),
    415: ("UnsupportedMediaType", "The body is of a type that is not taken."),
    422: ("UnprocessableContent", "The request does not fit; `errors` tells each thing that is wrong with it."),
    503: ("ServiceUnavailable", "It took too long."),
}

_FAULT: t.Final[Schema] = {
    "type": "object",
    "properties": {
        "in": {"type": "string", "description": "where it is: path, query, header, cookie, form or body"},
        "name": {"type": "string", "description": "the name of a parameter"},
        "path": {"type": "string", "description": "the place in a JSON body, as `$.items[3].price`"},
        "detail": {"type": "string", "description": "what is wrong there"},
    },
    "required": ["in", "detail"],
}
#: the schema of all problems
PROBLEM: t.Final[Schema] = {
    "title": "Problem",
    "description": "Why a request was not answered: problem details as of RFC 9457.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "default": "about:blank"},
        "title": {"type": "string", "description": "what kind of problem it is"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what went wrong with this request"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {"type": "array", "items": _FAULT, "description": "all that is wrong with the request"},
    },
    "required": ["title", "status"],
}

_CONTENT: t.Final[Schema] = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def shared(status: int) -> Schema:
    """Return what the document has once for a problem that many handlers give."""
    return {"description": PROBLEMS[status][1], "content": _CONTENT}


def responses(
    path: str, spec: Spec, bindings: c.Sequence[Binding], found: Returned, schemas: Schemas
) -> dict[str, Schema]:
    """Return the responses by status, the smallest first; ``default`` is what nobody can tell."""
    content = {} if spec.method == "HEAD" else _content(found, schemas)
    made: dict[str, Schema] = {}
    told = {status: text for status, text in spec.raises.items() if status < 400}
    if found.contents:
        made[str(spec.status)] = _response(spec.status, content)
    if found.is_empty:
        status = 204 if spec.status == 200 else spec.status
        made.setdefault(str(status), _response(status, {}))
    if found.is_open and not told:
        made["default"] = {"description": "What the handler answers."}
    for status in refusals(path, spec, bindings):
        made[str(status)] = {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}
    for status, text in told.items():
        made[str(status)] = _response(status, content if 200 <= status < 300 and status != 204 else {}, text)
    for status, text in spec.raises.items():
        if status >= 400:
            made[str(status)] = {"description": text or problems.phrase(status), "content": _CONTENT}
    if not made:
        made["default"] = {"description": "What the handler answers."}
    return dict(sorted(made.items()))


def _response(status: int, content: Schema, text: str = "") -> Schema:
    made: Schema = {"description": text or problems.phrase(status)}
    return {**made, "content": content} if content else made


def _content(found: Returned, schemas: Schemas) -> Schema:
    content: Schema = {}
    for media_type, tp in found.contents.items():
        if tp is not missing:
            content[media_type] = {"schema": schemas.of(tp)}
        else:
            content[media_type] = {"schema": {"type": "string"}} if media_type == returns.TEXT else {}
    return content


def refusals(path: str, spec: Spec, bindings: c.Sequence[Binding]) -> list[int]:
    """Return the statuses that binding can refuse a request with."""
    sources = {each.source for each in bindings}
    has_form = bool(sources & {"form", "file"})
    body = next((each for each in bindings if isinstance(each.marker, markers.Body)), None)
    found = {
        400: has_form or bool(sources & {"path", "query", "body"}),
        404: any(requests.patterns(path).values()),
        413: has_form or body is not None,
        415: has_form or (body is not None and not bodies.is_raw(body)),
        422: spec.unknown == "refuse" or any(map(_may_misfit, bindings)),
        503: spec.timeout is not None,
    }
    return [status for status, may in found.items() if may]


def _may_misfit(binding: Binding) -> bool:
    if binding.marker is None or (binding.source == "body" and bodies.is_raw(binding)):
        return False
    return not _is_any_text(binding.tp) or (binding.is_required and binding.source != "path")


def _is_any_text(tp: t.Any) -> bool:
    """Tell whether a *tp* can be made of whatever texts there are."""
    found = set(typeform.members(tp)) - {types.NoneType}
    return found <= {str, list[str]}
