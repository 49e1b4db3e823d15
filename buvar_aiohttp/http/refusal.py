"""Refusals: all that is wrong with a request, told in one problem.

The code that binds goes wrong at the first fault. Then this looks at the whole request: which parameters are missing,
unknown, given twice or of the wrong type, and what is wrong with the body, each with its JSON path.
"""

from __future__ import annotations

import itertools
import re
import typing as t
import urllib.parse

import attrs
import msgspec

from buvar import errors

from . import bodies, faults, markers
from .problems import Fault, Problem
from .sources import raw_of

if t.TYPE_CHECKING:
    import collections.abc as c

    from aiohttp import web

    from .sources import Binding

_BAD_ESCAPE: t.Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: an item of a header that is a list, in which a comma may stand between quotes
_ITEM: t.Final = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*(?:"|\\?$))+')
#: characters of a name that a client sent which are told again
_SHOWN: t.Final = 60


class Unfit(Exception):
    """What the request has is not what the handler takes."""


#: what the code that binds raises for a request that does not fit
UNFIT: t.Final = (Unfit, msgspec.DecodeError, bodies.Unreadable, UnicodeDecodeError, RecursionError)


def check_encoding(target: str) -> None:
    """Raise `Problem` (400) where percent signs in the *target* of a request stand for no text."""
    if (found := _BAD_ESCAPE.search(target)) is not None:
        escape = target[found.start() : found.start() + 3]
        raise Problem(400, f"{escape!r} in the URL is no escape; a percent sign itself is written %25")
    try:
        urllib.parse.unquote_to_bytes(target).decode()
    except UnicodeDecodeError:
        raise Problem(400, "the escapes in the URL are no UTF-8") from None


def split(values: c.Iterable[str]) -> list[str]:
    """Return the items of a header that is a list: whether each has a line or commas are between them is the same."""
    return [item for value in values for each in _ITEM.findall(value) if (item := each.strip())]


def check_texts(values: c.Iterable[str]) -> None:
    """Raise `Unfit` where one of *values*, of headers or cookies, was sent as bytes that are no UTF-8."""
    for each in values:
        if not each.isascii() and not _is_text(each):
            raise Unfit


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@attrs.frozen(eq=False)
class Refusal:
    """What is said of a request that does not fit *bindings*, those of *handler*."""

    handler: t.Any
    bindings: tuple[Binding, ...]
    unknown: str

    def problem(self, request: web.Request, unfit: Exception, content: t.Any, changes: c.Container[str]) -> Problem:
        """Return the problem for *request*, whose *content*, if it was read, is bytes or the fields of a form."""
        unread: list[Fault] = []
        found = [
            fault
            for each in self.bindings
            if each.marker is not None and each.name not in changes
            for fault in self._faults(each, request, content, unread)
        ]
        if self.unknown == "refuse":
            found += self._unknown("query", request.query)
            if any(each.source in {"form", "file"} and each.name not in changes for each in self.bindings):
                found += self._unknown("form", content)
        if unread:
            return Problem(400, unread[0].detail, errors=found)
        if not found:  # so that a difference between the two ways is a refusal all the same
            return Problem(422, str(unfit) or "the request does not fit")
        return Problem(422, errors=found)

    def _faults(self, binding: Binding, request: web.Request, content: t.Any, unread: list[Fault]) -> c.Iterator[Fault]:
        if isinstance(binding.marker, markers.Body):
            for fault in _of_body(binding, content):
                if fault.path is None:
                    unread.append(fault)
                else:
                    yield fault
            return
        source = "form" if binding.source == "file" else str(binding.source)
        for detail in self._wrong(binding, _values(binding, request, content)):
            yield Fault(source, detail, binding.key)

    def _wrong(self, binding: Binding, values: list[t.Any]) -> c.Iterable[str]:
        """Return what is wrong with the *values* of a parameter that is no body."""
        if not values:
            return ["it is missing"] if binding.is_required else []
        if len(values) > 1 and not binding.many:
            return [f"it is given {len(values)} times"]
        if binding.source in {"header", "cookie"} and not all(map(_is_text, values)):
            return ["it is no UTF-8"]
        if binding.source == "form" and not all(isinstance(each, str) for each in values):
            return ["it is a file; send it as a text"]
        if binding.source == "header" and binding.many:
            values = split(values)
        return _details(binding, values if binding.many else values[0])

    def _unknown(self, source: str, given: c.Mapping[str, t.Any]) -> c.Iterator[Fault]:
        """Yield what is said of parameters that nobody takes: of so many at most as a client that errs would have."""
        takes = {"query": {"query"}, "form": {"form", "file"}}[source]
        known = [each.key for each in self.bindings if each.source in takes]
        unknown = (key for key in dict.fromkeys(given) if key not in known)
        for key in itertools.islice(unknown, faults.LIMIT):
            hint = errors.did_you_mean(key[:_SHOWN], known)
            if not hint:
                hint = f"; there is {', '.join(known)}" if known else "; there is none"
            told = key[:_SHOWN].encode(errors="replace").decode()
            yield Fault(source, f"there is no such parameter{hint}", told)


def _values(binding: Binding, request: web.Request, content: t.Any) -> list[t.Any]:
    match binding.source:
        case "path":
            return [request.match_info[binding.key]]
        case "query":
            return list(request.query.getall(binding.key, ()))
        case "header":
            return list(request.headers.getall(binding.key, ()))
        case "cookie":
            return [request.cookies[binding.key]] if binding.key in request.cookies else []
        case _:
            return list(content.getall(binding.key, ()))


def _details(binding: Binding, value: t.Any) -> c.Iterator[str]:
    if isinstance(binding.marker, markers.File):
        take = bodies.file_taker(attrs.evolve(binding, many=False))
        for each in value if binding.many else [value]:
            try:
                take(each)
            except bodies.FileFault as error:
                yield str(error)
        return
    for fault in faults.find(value, binding.tp, strict=False):
        where = "" if fault.path == "$" else f"{fault.path}: "
        yield f"{where}{fault.message}"


def _of_body(binding: Binding, content: bytes) -> c.Iterator[Fault]:
    kind = raw_of(binding.tp)
    try:
        value = _json(content, binding) if kind is None else bodies.raw(kind, content)
    except bodies.Unreadable as error:
        yield Fault("body", str(error))
        return
    if content or binding.is_required:
        for each in faults.find(value, binding.tp):
            yield Fault("body", each.message, path=each.path)


def _json(content: bytes, binding: Binding) -> t.Any:
    if not content:
        if not binding.is_required:
            return None
        raise bodies.Unreadable("the body is empty, and has to be JSON")
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise bodies.Unreadable(f"the body is no JSON: {reason}") from None
