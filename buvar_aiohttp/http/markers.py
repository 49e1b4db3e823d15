"""Markers: what stands beside a type in ``Annotated`` to say where in a request a parameter comes from.

Without a marker: what is named in the path comes from there, a scalar or a list of scalars from the query, an attrs
class, dataclass or msgspec Struct that nothing provides from the body; everything else is injected.
"""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs


@attrs.frozen
class Marker:
    """The base of the markers. *name* is what the request calls it, by default what the parameter is called."""

    #: where it comes from, as problem documents and OpenAPI call it
    source: t.ClassVar[str]

    name: str | None = None


@attrs.frozen
class Path(Marker):
    """A part of the path, ``{name}`` in it."""

    source: t.ClassVar[str] = "path"


@attrs.frozen
class Query(Marker):
    """A parameter of the query; all of them, for a list, tuple or set."""

    source: t.ClassVar[str] = "query"


@attrs.frozen
class Header(Marker):
    """A header, by default that of the parameter's name with ``-`` for ``_``; all of them for a list, tuple or set."""

    source: t.ClassVar[str] = "header"


@attrs.frozen
class Cookie(Marker):
    """A cookie."""

    source: t.ClassVar[str] = "cookie"


@attrs.frozen
class Form(Marker):
    """A field of a form, urlencoded or multipart; all of them for a list, tuple or set."""

    source: t.ClassVar[str] = "form"


def _types(types: str | c.Iterable[str]) -> tuple[str, ...]:
    return (types,) if isinstance(types, str) else tuple(types)


@attrs.frozen
class File(Marker):
    """A file of a multipart form, as an ``aiohttp.web.FileField``, or as bytes.

    *max_size* is the number of bytes that it may have. *types* are the media types that it may be of, as the client
    calls them, such as ``"image/png"`` or ``"image/*"``.
    """

    source: t.ClassVar[str] = "file"

    max_size: int | None = attrs.field(default=None, kw_only=True)
    types: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_types)


@attrs.frozen
class Body(Marker):
    """The body, which is JSON; as it is, for bytes and str."""

    source: t.ClassVar[str] = "body"
