"""Schemas: what msgspec says of types as JSON Schema, with a name for each class that the whole document shares.

msgspec describes and this names: where two classes have one name, their modules are part of it, whatever they are
generic over. What msgspec cannot describe has an empty schema, which anything fits.
"""

from __future__ import annotations

import collections
import inspect
import re
import typing as t

import msgspec
from msgspec import _json_schema

if t.TYPE_CHECKING:
    import collections.abc as c

Schema: t.TypeAlias = dict[str, t.Any]

#: where the document keeps what is referred to
TEMPLATE: t.Final = "#/components/schemas/{name}"
#: what the document has under a name of its own
RESERVED: t.Final = frozenset({"Problem"})

_UNNAMEABLE: t.Final = re.compile(r"[^A-Za-z0-9._-]+")


class Schemas:
    """The schemas of *types*: each that is asked for is one of them."""

    def __init__(self, types: c.Iterable[t.Any]) -> None:
        self._infos = {_key(tp): _info(tp) for tp in types}
        classes = _json_schema._collect_component_types(self._infos.values())
        self._generator = _Generator(_names(classes), None, TEMPLATE)
        names = self._generator.name_map
        #: the shared ones, by name
        self.components: dict[str, Schema] = {
            names[cls]: self._generator.to_schema(info, False)
            for cls, info in sorted(classes.items(), key=lambda item: names[item[0]])
        }

    def of(self, tp: t.Any) -> Schema:
        """Return the schema of *tp*, which refers to those of classes."""
        return self._generator.to_schema(self._infos[_key(tp)])

    @property
    def undescribed(self) -> list[str]:
        """What has an empty schema since msgspec cannot describe it."""
        return sorted(self._generator.undescribed)


def _key(tp: t.Any) -> t.Hashable:
    try:
        hash(tp)
    except TypeError:  # what stands in Annotated may be anything
        return repr(tp)
    return (tp, repr(tp))  # list[int] == List[int], and Annotated[int, 1] == Annotated[int, True]


def _info(tp: t.Any) -> msgspec.inspect.Type:
    try:
        return msgspec.inspect.type_info(tp)
    except Exception:
        return msgspec.inspect.CustomType(tp)


class _Generator(_json_schema._SchemaGenerator):
    """msgspec's own, which lets nothing that cannot be described spoil the rest."""

    def __init__(self, *args: t.Any) -> None:
        super().__init__(*args)
        self.undescribed: set[str] = set()

    def to_schema(self, t: msgspec.inspect.Type, check_ref: bool = True) -> Schema:
        try:
            schema = super().to_schema(t, check_ref)
        except Exception:
            self.undescribed.add(str(getattr(t, "cls", t)))
            return {}
        return schema if "$ref" in schema else _mended(schema, t)


def _mended(schema: Schema, info: t.Any) -> Schema:
    """Return *schema* with what msgspec knows and leaves out."""
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    if isinstance(info, msgspec.inspect.DateTimeType) and info.tz is None:
        schema.setdefault("format", "date-time")
    kinds = {type(each) for each in schema.get("enum", ())}
    if len(kinds) == 1 and (kind := {str: "string", int: "integer"}.get(kinds.pop())) is not None:
        schema = {"type": kind, **schema}
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    if schema.get("required") == []:
        del schema["required"]
    return schema


def _names(classes: c.Iterable[t.Any]) -> dict[t.Any, str]:
    """Return a name for each of *classes*, whatever the order they are in."""
    alike: dict[str, list[t.Any]] = collections.defaultdict(list)
    for cls in classes:
        alike[_name(cls)].append(cls)
    names: dict[t.Any, str] = {}
    taken: set[str] = set()
    for name, group in sorted(alike.items()):
        for cls in sorted(group, key=_full_name):
            wanted = name if len(group) == 1 and name not in RESERVED else _full_name(cls)
            names[cls] = _free(wanted, taken)
            taken.add(names[cls])
    return names


def _free(name: str, taken: c.Container[str]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _name(cls: t.Any) -> str:
    return _written(cls, lambda each: each.__name__)


def _full_name(cls: t.Any) -> str:
    return _written(cls, lambda each: f"{each.__module__}.{each.__qualname__}".replace("<locals>.", ""))


def _written(tp: t.Any, name: c.Callable[[type], str]) -> str:
    """Return *tp* as ``Page_Item``, for ``Page[Item]``, where each class is written as *name* says."""
    origin = t.get_origin(tp)
    cls = origin if isinstance(origin, type) else tp
    written = name(cls) if isinstance(cls, type) else str(tp).replace("typing.", "")
    args = [_written(each, name) for each in t.get_args(tp)] if cls is origin else []
    return _UNNAMEABLE.sub("_", "_".join([written, *args])).strip("_")
