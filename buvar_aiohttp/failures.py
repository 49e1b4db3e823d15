"""Failures: what a client is told where a request fails, and what the log says of it.

| what was raised                          | the response                                     | the log            |
|------------------------------------------|--------------------------------------------------|--------------------|
| a `Problem` below 500, alone in a group  | that problem                                     | nothing            |
| too, as a TaskGroup raises it            |                                                  |                    |
| a `Problem` of 500 and more              | that problem, with an id                         | a warning, with it |
| `PermissionDenied`                       | 403                                              | nothing            |
| an HTTPException of aiohttp without body | a problem of that status                         | nothing            |
| … with a body of its own, a redirect     | as it is                                         | nothing            |
| ConnectionError, and the client has left | none                                             | an information     |
| TimeoutError                             | 504, with an id, and nothing else                | an error, with it  |
| what is no HTTP at all                   | 400                                              | nothing            |
| anything else                            | 500, with an id, and nothing else                | an error, with it  |
"""

from __future__ import annotations

import copy
import typing as t
import uuid

import structlog
from aiohttp import http_exceptions, web

from buvar import errors

from .http import problems

log = structlog.get_logger(__name__)

#: member of a problem document, and key of the log: by it one is found by the other
ID: t.Final = "request_id"
#: errors of aiohttp's own whose text is the detail of a problem
_TELLING: t.Final = (web.HTTPRequestEntityTooLarge, web.HTTPExpectationFailed)


class Broken(ConnectionError):
    """A response that ends in its middle, since of the error, which the log has, no other one can tell."""


def answer(
    request: web.BaseRequest, status: int, error: BaseException | None, message: str | None = None
) -> web.StreamResponse:
    """Return the response for *error*. Raises `Broken` where a part of a response is sent already."""
    if isinstance(error, Broken):
        raise error
    alone = _alone(error)
    if isinstance(alone, problems.Problem | errors.PermissionDenied):
        error = alone
    found = _problem(status, error, message)
    if found.status >= 500 and ID not in found.members:
        found = copy.copy(found)  # it may be one that is raised again and again
        found.members = {**found.members, ID: id_of(request)}
    broken = request.writer.output_size > 0
    if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
        log.info("client left", method=request.method, path=request.path)
        raise error
    if found.status >= 500 or broken:
        _tell(request, found, error, broken=broken)
    if broken:
        raise Broken("a part of the response is sent already; no other one can tell the error")
    return _response(request, found, status, error)


def _problem(status: int, error: BaseException | None, message: str | None) -> problems.Problem:
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, errors.PermissionDenied):
        return problems.Problem(403, str(error), missing=list(error.missing))
    if status < 500:  # aiohttp's parser says so
        return problems.Problem(status, _of_parser(error, message))
    return problems.Problem(status)


def _alone(error: BaseException | None) -> BaseException | None:
    """Return what a group of one error, as a TaskGroup raises it, stands for; all else is what it is."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _of_parser(error: BaseException | None, message: str | None) -> str:
    told = error.message if isinstance(error, http_exceptions.HttpProcessingError) else message
    return " ".join((told or "the request is no HTTP").split())[:200]


def id_of(request: web.BaseRequest) -> str:
    """Return the id that the log has for *request*: the one that was given to it, or else a fresh one."""
    bound = structlog.contextvars.get_contextvars().get(ID)
    return str(bound) if bound else uuid.uuid4().hex


def _tell(request: web.BaseRequest, problem: problems.Problem, error: BaseException | None, *, broken: bool) -> None:
    expected = isinstance(error, problems.Problem)
    tell = log.warning if expected else log.error
    told = {ID: problem.members.get(ID) or id_of(request)}
    if broken:
        told["sent"] = "a part of the response"
    if expected:
        told["detail"] = str(error)
    tell(
        "request failed",
        method=request.method,
        path=request.path,
        status=problem.status,
        exc_info=None if expected else error,
        **told,
    )


def _response(
    request: web.BaseRequest, problem: problems.Problem, status: int, error: BaseException | None
) -> web.StreamResponse:
    response = problem.response()
    # what is no HTTP, or was not answered to its end, cannot be followed by another request
    is_unexpected = problem.status >= 500 and not isinstance(error, problems.Problem)
    if not isinstance(request, web.Request) or is_unexpected or request._payload.exception() is not None:
        response.force_close()
    return response


def answer_of_aiohttp(request: web.BaseRequest, error: web.HTTPException) -> web.StreamResponse:
    """Return the response for an error of aiohttp's: a problem, unless it has a body of its own, or is none."""
    if error.status < 400 or not _is_bare(error):
        return error
    found = problems.of_aiohttp(error, request)
    if found.status >= 500:
        return answer(request, found.status, found)
    return found.response()


def _is_bare(error: web.HTTPException) -> bool:
    if error.content_type != "text/plain" or error.empty_body:
        return error.empty_body
    return error.text in {f"{error.status}: {error.reason}", None} or isinstance(error, _TELLING)
