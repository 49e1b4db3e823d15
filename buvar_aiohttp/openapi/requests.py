"""Requests: what a handler takes, as OpenAPI says it: parameters of path, query, headers and cookies, and a body."""

from __future__ import annotations

import typing as t

import msgspec
from aiohttp import web_urldispatcher as dispatcher

from buvar.components import missing
from buvar_aiohttp.http import bodies, markers
from buvar_aiohttp.http.returns import TEXT

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar_aiohttp.http.sources import Binding

    from .schemas import Schema, Schemas

#: what is no parameter in OpenAPI, since the media types of bodies and responses say it
_SAID: t.Final = frozenset({"accept", "content-type"})
_PARAMETERS: t.Final = ("path", "query", "header", "cookie")
_URLENCODED: t.Final = "application/x-www-form-urlencoded"
_MULTIPART: t.Final = "multipart/form-data"


def patterns(path: str) -> dict[str, str | None]:
    """Return the parts of *path* by name, with the regular expression of each that has one."""
    found: dict[str, str | None] = {}
    for part in dispatcher.ROUTE_RE.split(path):
        if (match := dispatcher.DynamicResource.DYN_WITH_RE.fullmatch(part)) is not None:
            found[match["var"]] = match["re"]
        elif (match := dispatcher.DynamicResource.DYN.fullmatch(part)) is not None:
            found[match["var"]] = None
    return found


def parameters(path: str, bindings: c.Iterable[Binding], schemas: Schemas) -> list[Schema]:
    """Return the parameters that are in no body; each part of *path* is one, whether or not it is bound."""
    parts = patterns(path)
    found = {
        (each.source, each.key): _parameter(each, schemas)
        for each in bindings
        if each.source in _PARAMETERS and not (each.source == "header" and each.key.lower() in _SAID)
    }
    for name, pattern in parts.items():
        made = found.setdefault(
            ("path", name), {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        )
        if pattern is not None and (translated := _translated(pattern)) is not None:
            made["schema"] = _with_pattern(made["schema"], translated)
    order = list(parts)
    return sorted(found.values(), key=lambda each: _place(each, order))


def _place(parameter: Schema, parts: list[str]) -> tuple[int, int]:
    source, name = parameter["in"], parameter["name"]
    return _PARAMETERS.index(source), parts.index(name) if source == "path" and name in parts else 0


def _parameter(binding: Binding, schemas: Schemas) -> Schema:
    schema = _schema(binding, schemas)
    made: Schema = {"name": binding.key, "in": binding.source}
    if "$ref" not in schema and "description" in schema:
        made["description"] = schema.pop("description")
    if binding.source == "path" or binding.is_required:
        made["required"] = True
    made["schema"] = schema
    if binding.many and binding.source == "query":
        made["explode"] = True
    return made


def _schema(binding: Binding, schemas: Schemas) -> Schema:
    """Return the schema of a parameter that a request writes as text: None is that it says nothing."""
    schema = schemas.of(binding.tp)
    options = schema.get("anyOf", [])
    if {"type": "null"} in options:
        rest = [each for each in options if each != {"type": "null"}]
        others = {key: value for key, value in schema.items() if key != "anyOf"}
        schema = {**rest[0], **others} if len(rest) == 1 else {**others, "anyOf": rest}
    if binding.default is not missing and binding.default is not None:
        try:
            schema = {**schema, "default": msgspec.to_builtins(binding.default, str_keys=True)}
        except Exception:  # a default that JSON cannot say
            return schema
    return schema


def _with_pattern(schema: Schema, pattern: str) -> Schema:
    return {"allOf": [schema, {"pattern": pattern}]} if "pattern" in schema else {**schema, "pattern": pattern}


def _translated(pattern: str) -> str | None:
    """Return the regular expression of a whole part as JSON Schema says it, None for what only Python knows."""
    if any(each in pattern for each in ("(?", "\\Z", "\\A")):
        return None
    return f"^({pattern})$" if "|" in pattern else f"^{pattern}$"


def body(bindings: c.Sequence[Binding], unknown: str, schemas: Schemas) -> Schema | None:
    """Return the body that is taken, None where there is none."""
    fields = [each for each in bindings if each.source in {"form", "file"}]
    if fields:
        return _form(fields, unknown, schemas)
    for each in bindings:
        if isinstance(each.marker, markers.Body):
            return _raw(each) if bodies.is_raw(each) else _json(each, schemas)
    return None


def _raw(binding: Binding) -> Schema:
    content: Schema = {TEXT: {"schema": {"type": "string"}}} if binding.tp is str else {"application/octet-stream": {}}
    return {"content": content}


def _json(binding: Binding, schemas: Schemas) -> Schema:
    made: Schema = {"content": {"application/json": {"schema": schemas.of(binding.tp)}}}
    return {"required": True, **made} if binding.is_required else made


def _form(fields: c.Sequence[Binding], unknown: str, schemas: Schemas) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {
            each.key: _file(each) if isinstance(each.marker, markers.File) else _schema(each, schemas)
            for each in fields
        },
    }
    if required := [each.key for each in fields if each.is_required]:
        schema["required"] = required
    if unknown == "refuse":
        schema["additionalProperties"] = False
    types = {
        each.key: {"contentType": ", ".join(each.marker.types)}
        for each in fields
        if isinstance(each.marker, markers.File) and each.marker.types
    }
    content: Schema = {"schema": schema, "encoding": types} if types else {"schema": schema}
    has_files = any(isinstance(each.marker, markers.File) for each in fields)
    kinds = [_MULTIPART] if has_files else [_URLENCODED, _MULTIPART]
    made: Schema = {"content": dict.fromkeys(kinds, content)}
    return {"required": True, **made} if required else made


def _file(binding: Binding) -> Schema:
    marker = t.cast("markers.File", binding.marker)
    schema: Schema = {"type": "string", "format": "binary"}
    if marker.max_size is not None:
        schema["description"] = f"at most {marker.max_size} bytes"
        schema["maxLength"] = marker.max_size
    return {"type": "array", "items": schema} if binding.many else schema
