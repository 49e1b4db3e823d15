"""JSON responses, and what makes JSON of an object."""

from __future__ import annotations

import abc
import dataclasses
import datetime as dt
import enum
import json
import typing as t
import uuid

import attrs
from aiohttp import web

from buvar import context

if t.TYPE_CHECKING:
    from aiohttp.typedefs import LooseHeaders


class Jsonify(abc.ABC):
    """Makes JSON of objects and objects of JSON. Add an instance of a subclass to the context, and it is used."""

    @abc.abstractmethod
    def loads(self, text: str | bytes) -> t.Any:
        """Return what the JSON text says. Raises ValueError when it is none."""

    @abc.abstractmethod
    def dumps(self, obj: t.Any) -> str | bytes:
        """Return *obj* as JSON. Raises TypeError for what has no form in JSON."""

    def default(self, obj: t.Any) -> t.Any:
        """Return what stands for an object that JSON does not know: its ``__json__()``, or a dict of its fields.

        Dates and times are written in ISO 8601, UUIDs as text, members of an enum as their value.
        """
        if hasattr(obj, "__json__"):
            return obj.__json__()
        if attrs.has(type(obj)):
            return {field.name: getattr(obj, field.name) for field in attrs.fields(type(obj))}
        if dataclasses.is_dataclass(obj):
            return {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
        if isinstance(obj, dt.date | dt.time):
            return obj.isoformat()
        if isinstance(obj, enum.Enum):
            return obj.value
        if isinstance(obj, uuid.UUID):
            return str(obj)
        name = type(obj).__qualname__
        raise TypeError(f"{name} cannot be written as JSON; give it a method __json__, or add a Jsonify that knows it")


class StandardJsonify(Jsonify):
    """The default: the standard library's ``json``. NaN and infinity are refused, since JSON has none."""

    def loads(self, text: str | bytes) -> t.Any:
        """Return what the JSON text says. Raises ValueError when it is none."""
        return json.loads(text)

    def dumps(self, obj: t.Any) -> str | bytes:
        """Return *obj* as JSON, in UTF-8."""
        return json.dumps(obj, default=self.default, ensure_ascii=False, allow_nan=False).encode()


#: what is used where the context has no `Jsonify`
jsonify: t.Final[Jsonify] = StandardJsonify()


def response(
    data: t.Any, status: int = 200, reason: str | None = None, headers: LooseHeaders | None = None
) -> web.Response:
    """Return a response with *data* as JSON, made by the `Jsonify` of the context."""
    made = context.get(Jsonify, default=jsonify).dumps(data)
    body = made.encode() if isinstance(made, str) else made
    return web.Response(body=body, status=status, reason=reason, headers=headers, content_type="application/json")


async def prepare() -> None:
    """Add the default `Jsonify`, where there is none."""
    if context.get(Jsonify, default=None) is None:
        context.add(jsonify)
