"""Returns: what a handler answers, as its return annotation says; `results` makes it so."""

from __future__ import annotations

import collections.abc as c
import enum
import inspect
import types
import typing as t

import attrs
from aiohttp import web

from buvar import errors
from buvar.components import missing
from buvar.di import signature, typeform

from . import results, sources

TEXT: t.Final = results.TEXT.partition(";")[0]
#: the header that says it
_HEADERS: t.Final = {TEXT: results.TEXT}


@attrs.frozen
class Returned:
    """What a handler answers: *contents* are types by media type, `missing` for one that has no schema.

    *is_empty* is whether it may answer without a body, *is_open* whether it may answer what nobody can tell.
    """

    contents: c.Mapping[str, t.Any] = attrs.field(factory=dict)
    is_empty: bool = False
    is_open: bool = False


def read(handler: t.Any) -> Returned:
    """Return what *handler* answers; nobody can tell where its annotation is missing, or means nothing."""
    annotation = inspect.signature(handler).return_annotation
    if annotation is inspect.Signature.empty:
        return Returned(is_open=True)
    try:
        tp = signature.evaluate(handler, annotation, "return")
    except errors.BuvarError:
        return Returned(is_open=True)
    return _of_stream(tp) if inspect.isasyncgenfunction(handler) else _of_values(tp)


def stream_type(handler: t.Any) -> str:
    """Return the media type of what *handler*, an async generator, sends where it yields nothing by which to tell."""
    media_type = next(iter(read(handler).contents), results.BYTES)
    return _HEADERS.get(media_type, media_type)


def _of_stream(tp: t.Any) -> Returned:
    """Return what an async generator sends, which is annotated ``AsyncIterator[X]`` or the like."""
    item = next(iter(t.get_args(sources.plain(tp))), t.Any)
    kinds = {_media_type(each) for each in _members(item)}
    if kinds == {results.JSON}:
        return Returned({results.LINES: item})
    return Returned(dict.fromkeys(sorted(results.LINES if each == results.JSON else each for each in kinds), missing))


def _of_values(tp: t.Any) -> Returned:
    members = list(_members(tp))
    contents: dict[str, t.Any] = {}
    found: list[t.Any] = []
    for each in members:
        if not _is_open(each) and sources.plain(each) not in {None, types.NoneType, t.Never, t.NoReturn}:
            kind = _media_type(each)
            contents.setdefault(kind, missing)
            found += [each] if kind == results.JSON else []
    if found:
        contents[results.JSON] = t.Union[tuple(found)]  # noqa: UP007 - it has no other spelling for a tuple
    is_empty = any(sources.plain(each) in {None, types.NoneType} for each in members)
    return Returned(contents, is_empty, any(map(_is_open, members)))


def _members(tp: t.Any) -> c.Iterator[t.Any]:
    """Yield what a value of *tp* may be, where a `results.Response` is its value."""
    bare = sources.plain(tp)
    if t.get_origin(bare) in {t.Union, types.UnionType}:
        for each in typeform.members(bare):
            yield from _members(each)
    elif t.get_origin(bare) is results.Response:
        yield from _members(t.get_args(bare)[0])
    else:
        yield tp


def _is_open(tp: t.Any) -> bool:
    bare = sources.plain(tp)
    if isinstance(bare, t.TypeVar) or bare in {t.Any, object, results.Response}:
        return True
    return isinstance(bare, type) and issubclass(bare, web.StreamResponse)


def _media_type(tp: t.Any) -> str:
    bare = sources.plain(tp)
    if t.get_origin(bare) is t.Literal:
        return TEXT if all(isinstance(each, str) for each in t.get_args(bare)) else results.JSON
    if isinstance(bare, type):
        if issubclass(bare, str) and not issubclass(bare, enum.Enum):
            return TEXT
        if bare in {bytes, bytearray, memoryview}:
            return results.BYTES
        if issubclass(bare, results.Event):
            return results.EVENTS
    return results.JSON
