"""Bodies: how the body of a request is read, and made an object: JSON, a form, files, or as it is."""

from __future__ import annotations

import functools
import typing as t

import msgspec
from aiohttp import hdrs, http_exceptions, web
from msgspec import inspect

from buvar.components import missing
from buvar.di import typeform

from . import markers, problems
from .sources import collection_of, is_file, raw_of, wrong

if t.TYPE_CHECKING:
    import collections.abc as c

    from multidict import MultiDictProxy

    from .sources import Binding

#: characters of what aiohttp says of a body, which it quotes
_TOLD: t.Final = 200
_FORMS: t.Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class Unreadable(ValueError):
    """A body that is not what it says; the message is for who sent it."""


def is_raw(binding: Binding) -> bool:
    """Tell whether the body is taken as it is."""
    return raw_of(binding.tp) is not None


def is_json(media_type: str) -> bool:
    """Tell whether *media_type* is JSON, or something that is written in it."""
    return media_type == "application/json" or media_type.endswith("+json")


def reader(binding: Binding) -> c.Callable[[web.Request], c.Awaitable[bytes]]:
    """Return what reads the body for *binding*. It raises `problems.Problem` (400, 413, 415)."""
    return read if is_raw(binding) else read_json


async def read(request: web.Request) -> bytes:
    """Return the body. Raises `problems.Problem` where it is too long, or ends too early."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(request) from None
    except web.RequestPayloadError as error:
        raise problems.Problem(400, f"the body cannot be read: {error}") from None


def too_large(request: web.Request) -> problems.Problem:
    """Return the problem of a body that is too long."""
    return problems.Problem(413, f"the body is longer than {request._client_max_size} bytes")


async def read_json(request: web.Request) -> bytes:
    """Return the body, which says that it is JSON, if there is one.

    It has to say so: a page of another site can send other types without being asked for permission.
    """
    if request.headers.get(hdrs.CONTENT_TYPE) != "application/json" and not is_json(request.content_type):
        if request.can_read_body:
            told = request.headers.get(hdrs.CONTENT_TYPE)
            what = "no Content-Type" if told is None else f"the Content-Type {told[:80]!r}"
            detail = f"the body has {what}; send it as application/json"
            raise problems.Problem(415, detail, headers={"Accept-Post": "application/json"})
        return b""
    return await read(request)


async def read_form(request: web.Request) -> MultiDictProxy[str | bytes | bytearray | web.FileField]:
    """Return the fields of a form. Raises `problems.Problem` (400, 413, 415)."""
    if request.content_type not in _FORMS:
        if request.can_read_body:
            detail = f"the body is {request.content_type}; send a form, urlencoded or multipart"
            raise problems.Problem(415, detail, headers={"Accept-Post": ", ".join(sorted(_FORMS))})
        return await request.post()
    try:
        return await request.post()
    except web.HTTPRequestEntityTooLarge as error:
        if "fields" in (error.text or ""):  # aiohttp has no class of its own for that
            raise problems.Problem(413, f"the form has more than {request.client_max_fields} fields") from None
        raise too_large(request) from None
    except web.RequestPayloadError as error:
        raise problems.Problem(400, f"the body cannot be read: {error}") from None
    except http_exceptions.HttpProcessingError as error:  # of the headers of a part
        raise problems.Problem(400, f"the body is no form: {error.message.strip()[:_TOLD]}") from None
    except (ValueError, LookupError, AssertionError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith("unknown content"):
            raise  # aiohttp has no other class for an encoding that it does not know
        raise problems.Problem(400, f"the body is no form: {str(error)[:_TOLD] or type(error).__name__}") from None


def decoder(binding: Binding) -> c.Callable[[bytes], t.Any]:
    """Return what makes the parameter of the body."""
    kind = raw_of(binding.tp)
    decode: c.Callable[[bytes], t.Any]
    if kind is None:
        decode = msgspec.json.Decoder(binding.tp).decode
    elif binding.tp is kind:
        decode = functools.partial(raw, kind)
    else:  # with constraints
        decode = lambda content: msgspec.convert(raw(kind, content), binding.tp)  # noqa: E731
    if binding.is_required:
        return decode
    default = None if binding.default is missing else binding.default
    return lambda content: decode(content) if content else default


def raw(kind: type, content: bytes) -> bytes | str:
    """Return a body as it is: bytes or str. Raises `Unreadable`."""
    return _text(content) if kind is str else bytes(content)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"the body is no UTF-8: {error.reason} at byte {error.start}") from None


class FileFault(msgspec.ValidationError):
    """A file that is not taken."""


def file_taker(binding: Binding) -> c.Callable[[t.Any], t.Any]:
    """Return what makes the parameter of one file, or, where there are many, of a list of them."""
    marker = t.cast("markers.File", binding.marker)
    as_bytes = "FileField" not in str(binding.tp)
    collect = collection_of(binding.tp) or list

    def take(value: t.Any) -> t.Any:
        if not isinstance(value, web.FileField):
            raise FileFault("it is a text; send it as a file, with a filename")
        _check(value, marker)
        return value.file.read() if as_bytes else value

    def take_all(values: c.Iterable[t.Any]) -> t.Any:
        return collect([take(each) for each in values])

    return take_all if binding.many else take


def _check(file: web.FileField, marker: markers.File) -> None:
    if marker.types and not any(_matches(file.content_type, each) for each in marker.types):
        raise FileFault(f"it is {file.content_type[:80]}, and has to be {' or '.join(marker.types)}")
    if marker.max_size is not None and (size := file.file.seek(0, 2)) > marker.max_size:
        raise FileFault(f"it has {size} bytes, and may have {marker.max_size}")
    file.file.seek(0)


def _matches(media_type: str, wanted: str) -> bool:
    return media_type == wanted or (wanted.endswith("/*") and media_type.startswith(wanted[:-1]))


def check(handler: t.Any, binding: Binding) -> None:
    """Raise `errors.DeclarationError` where nothing that a request has can become the parameter of *binding*."""
    if isinstance(binding.marker, markers.File):
        if not binding.many and not is_file(binding.tp):
            reason = f"its parameter {binding.name!r} is a file, and no {typeform.show(binding.tp)}: take it as bytes"
            raise wrong(handler, f"{reason}, as an aiohttp.web.FileField, or as a list of these")
        return
    is_body = isinstance(binding.marker, markers.Body)
    try:
        if is_body and not is_raw(binding):
            decoder(binding)
        for each in _strange(inspect.type_info(binding.tp), set()):
            raise TypeError(f"msgspec cannot read {typeform.show(each)}")
    except (TypeError, NameError) as error:  # NameError: of an annotation inside of the class
        what = "the body" if is_body else f"the {binding.source}"
        advice = "; or is it to be injected, and nothing provides it?" if is_body else ""
        shown = typeform.show(binding.tp)
        reason = f"its parameter {binding.name!r} comes from {what}, and no {shown} can: {error}{advice}"
        raise wrong(handler, reason) from None


def _strange(info: t.Any, seen: set[int]) -> c.Iterator[type]:
    """Yield the classes in *info* that msgspec knows nothing of: it takes them, and then no value is one."""
    if id(info) in seen:
        return
    seen.add(id(info))
    if isinstance(info, inspect.CustomType):
        yield info.cls
    for name in ("type", "item_type", "key_type", "value_type"):
        if isinstance(found := getattr(info, name, None), inspect.Type):
            yield from _strange(found, seen)
    for each in (*getattr(info, "types", ()), *getattr(info, "item_types", ()), *getattr(info, "fields", ())):
        yield from _strange(getattr(each, "type", each), seen)
