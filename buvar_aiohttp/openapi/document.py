"""The document: what all typed routes of a service take and answer, as OpenAPI 3.1.

It is made of the plan that binds their parameters, so it says what the service does. Web sockets, and routes that are
hidden or that aiohttp alone knows, are not in it.
"""

from __future__ import annotations

import collections
import inspect
import re
import typing as t

import attrs
import structlog

from buvar.components import missing
from buvar_aiohttp.http import markers, returns

from . import requests, responses
from .schemas import Schema, Schemas

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar import plugin
    from buvar_aiohttp.http.mounting import Route
    from buvar_aiohttp.http.sources import Binding

    from .config import OpenApiConfig

VERSION: t.Final = "3.1.0"
#: in the order in which a path tells its operations
METHODS: t.Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
#: what is told of a handler of any method
_ANY: t.Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

_PART: t.Final = re.compile(r"\{(\w+)\}")
_UNNAMEABLE: t.Final = re.compile(r"\W+")

log = structlog.get_logger(__name__)


@attrs.frozen(eq=False)
class Operation:
    """A handler for one method, as it is told."""

    route: Route
    method: str
    plugin: str | None
    bindings: tuple[Binding, ...]
    results: returns.Returned

    def types(self) -> c.Iterator[t.Any]:
        """Yield the types that are to be described."""
        for each in self.bindings:
            if each.marker is not None and not isinstance(each.marker, markers.File):
                yield each.tp
        yield from (tp for tp in self.results.contents.values() if tp is not missing)

    def ids(self) -> tuple[str, ...]:
        """Return what it may be called, the shortest first: each where another one has the one before."""
        name = self.route.handler.__name__
        owner = self.route.endpoint.found.owner
        home = owner.__name__ if owner is not None else (self.plugin or "").partition(":")[0].rpartition(".")[2]
        longer = f"{home}_{name}" if home else name
        place = _UNNAMEABLE.sub("_", f"{self.method.lower()} {self.route.path}").strip("_")
        return tuple(_UNNAMEABLE.sub("_", each) for each in (name, longer, f"{longer}_{place}"))

    def document(self, path: str, operation_id: str, schemas: Schemas) -> Schema:
        """Return what the document says of it at *path*, which has the names of its parts."""
        endpoint, spec = self.route.endpoint, self.route.spec
        declared = endpoint.found.path
        summary, _, description = inspect.cleandoc(self.route.handler.__doc__ or "").partition("\n\n")
        told: Schema = {
            "tags": list(dict.fromkeys(endpoint.found.tags)),
            "summary": spec.summary or " ".join(summary.split()),
            "description": description.strip(),
            "operationId": operation_id,
            "deprecated": spec.deprecated,
            "parameters": _renamed(requests.parameters(declared, self.bindings, schemas), self.route.path, path),
            "requestBody": requests.body(self.bindings, spec.unknown, schemas),
        }
        made = {key: value for key, value in told.items() if value}
        made["responses"] = responses.responses(declared, spec, self.bindings, self.results, schemas)
        return made


def _renamed(parameters: list[Schema], own: str, path: str) -> list[Schema]:
    """Return *parameters* with the names that the parts of *path* have, which are in the order of their *own*."""
    names = dict(zip(_PART.findall(own), _PART.findall(path), strict=True))
    return [
        {**each, "name": names.get(each["name"], each["name"])} if each["in"] == "path" else each for each in parameters
    ]


def make(settings: OpenApiConfig, declared: c.Iterable[plugin.Declared[Route]]) -> Schema:
    """Return the document of the routes that plugins have *declared*, when all of them are prepared."""
    operations = sorted(_operations(declared), key=lambda each: (each.route.path, METHODS.index(each.method)))
    schemas = Schemas(tp for each in operations for tp in each.types())
    ids = _ids(operations)
    paths: dict[str, dict[str, Schema]] = {}
    shapes: dict[str, str] = {}
    for each, operation_id in zip(operations, ids, strict=True):
        path = _template(each, paths, shapes)
        paths.setdefault(path, {})[each.method.lower()] = each.document(path, operation_id, schemas)
    if schemas.undescribed:
        log.info("not described in the OpenAPI document", types=schemas.undescribed)
    tags = dict.fromkeys(tag for each in operations for tag in each.route.endpoint.found.tags)
    info = {"title": settings.title, "version": settings.version, "description": settings.description}
    told: Schema = {
        "openapi": VERSION,
        "info": {key: value for key, value in info.items() if value or key != "description"},
        "servers": [{"url": url} for url in settings.servers],
        "tags": [{"name": name} for name in tags],
    }
    made = {key: value for key, value in told.items() if value}
    return {**made, "paths": paths, "components": _components(operations, schemas)}


def _operations(declared: c.Iterable[plugin.Declared[Route]]) -> c.Iterator[Operation]:
    for each in declared:
        route = each.item
        if route.spec.hidden or route.spec.socket is not None:
            continue
        bindings, found = route.endpoint.bindings(), returns.read(route.handler)
        for method in _methods(route.method, bindings):
            yield Operation(route, method, each.added_by, bindings, found)


def _methods(method: str, bindings: c.Iterable[Binding]) -> c.Sequence[str]:
    if method != "*":
        return [method] if method in METHODS else []  # OpenAPI knows no others
    has_body = any(each.source in {"body", "form", "file"} for each in bindings)
    return [each for each in _ANY if not has_body or each.startswith("P")]


def _template(operation: Operation, paths: c.Mapping[str, c.Container[str]], shapes: dict[str, str]) -> str:
    """Return the path under which the document has *operation*.

    For OpenAPI two paths are the same that differ in the names of their parts alone: they share the names of the first.
    Where regular expressions tell apart what is the same path and method there, the parts of the second have others.
    """
    own = operation.route.path
    path = shapes.setdefault(_PART.sub("{}", own), own)
    while operation.method.lower() in paths.get(path, ()):
        path = _PART.sub(r"{\1_}", path)
    return path


def _ids(operations: c.Sequence[Operation]) -> list[str]:
    """Return an id for each of *operations*: all that share a name have a longer one."""
    found = [each.ids() for each in operations]
    chosen = [0] * len(found)
    for level in (1, 2):
        counts = collections.Counter(ids[at] for ids, at in zip(found, chosen, strict=True))
        chosen = [level if counts[ids[at]] > 1 else at for ids, at in zip(found, chosen, strict=True)]
    ids, taken = [], collections.Counter[str]()
    for names, at in zip(found, chosen, strict=True):
        taken[names[at]] += 1
        ids.append(names[at] if taken[names[at]] == 1 else f"{names[at]}_{taken[names[at]]}")
    return ids


def _components(operations: c.Iterable[Operation], schemas: Schemas) -> Schema:
    refused = {
        status
        for each in operations
        for status in responses.refusals(each.route.endpoint.found.path, each.route.spec, each.bindings)
    }
    found = {**schemas.components, "Problem": responses.PROBLEM}
    made: Schema = {"schemas": dict(sorted(found.items()))}
    if refused:
        made["responses"] = {responses.PROBLEMS[status][0]: responses.shared(status) for status in sorted(refused)}
    return made
