"""Faults: all that is wrong with a value, where msgspec stops at the first.

`find` walks a value beside its type. At each place msgspec itself is asked whether it takes the part, and a part that
it takes is not looked into. So the two agree: what msgspec accepts has no fault, what it refuses has one at least, and
the texts are msgspec's; where it can be told, what would be right follows.

A client may send what it likes, so the work is bounded. Where msgspec says which part of a value is wrong, that part is
not converted again to look into it, so each part is converted about twice, however deep it lies. Of a dict it does not
say so; each level of dicts converts what is inside once more, and soon they are not looked into any more.
"""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import decimal
import json
import re
import typing as t
import uuid

import attrs
import msgspec
from msgspec import inspect

from buvar import words

#: levels of nesting that are looked into; below, the first fault of a part stands for all of them
DEPTH: t.Final = 100
#: for how many levels one of dicts counts, since it is more work
DICT: t.Final = 20
#: how many faults are told unless another limit is given
LIMIT: t.Final = 50
#: items of an array that are converted at once
CHUNK: t.Final = 1000
#: characters of a name that a client chose
NAME_LENGTH: t.Final = 80
#: characters of a message, which may quote the value
MESSAGE_LENGTH: t.Final = 500
#: choices that are listed
CHOICES: t.Final = 20

_PLACED: t.Final = re.compile(r"(?P<message>.*) - at `(?:key` in `)?\$(?P<path>[^`]*)`", re.DOTALL)
_INDEX: t.Final = re.compile(r"\[(\d+)\]")
# of JSON a Raw takes anything, but of what JSON was decoded to nothing
_RAW: t.Final = "Expected `raw"
_CHOICE: t.Final = re.compile(r"Invalid (enum )?value ")
_CONSTRAINTS: t.Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")

# what a type of `msgspec.inspect` was made of
_PLAIN: t.Final[dict[type[inspect.Type], t.Any]] = {
    inspect.AnyType: t.Any,
    inspect.NoneType: None,
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.StrType: str,
    inspect.BytesType: bytes,
    inspect.ByteArrayType: bytearray,
    inspect.MemoryViewType: memoryview,
    inspect.DateTimeType: dt.datetime,
    inspect.TimeType: dt.time,
    inspect.DateType: dt.date,
    inspect.TimeDeltaType: dt.timedelta,
    inspect.UUIDType: uuid.UUID,
    inspect.DecimalType: decimal.Decimal,
    inspect.ExtType: msgspec.msgpack.Ext,
    inspect.RawType: msgspec.Raw,
}
# for a type checker what is made of them at run time is no type
_LIST: t.Any = list
_TUPLE: t.Any = tuple
_DICT: t.Any = dict
_COLLECTIONS: t.Final[dict[type[inspect.Type], t.Any]] = {
    inspect.ListType: list,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}
#: types of which a value is an object
_OBJECTS: t.Final = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.DictType)
#: types of which a value is an array
_ARRAYS: t.Final = (inspect.CollectionType, inspect.TupleType, inspect.NamedTupleType, inspect.StructType)


@attrs.frozen
class Fault:
    """One thing that is wrong with a value."""

    #: where it is, as a JSON path: ``$.items[3].price``
    path: str
    #: what is wrong there, as msgspec says it
    message: str


def find(
    value: t.Any,
    tp: t.Any,
    *,
    strict: bool = True,
    limit: int = LIMIT,
    dec_hook: c.Callable[[type, t.Any], t.Any] | None = None,
) -> list[Fault]:
    """Return all that keeps *value* from becoming a *tp*, at most *limit* faults, and none if nothing does.

    *value* is what JSON is decoded to without a type or, with *strict* False, a mapping of texts or lists of texts, as
    a query has them. The keys of objects are texts, also for a ``dict[int, …]``. *dec_hook* is what
    ``msgspec.convert`` is given. The first fault that msgspec finds is among them. A ``msgspec.Raw`` has none.

    Raises what ``msgspec.convert`` raises besides ``msgspec.ValidationError``, as for a *tp* that it does not know.
    """
    asked = _Asked(strict, dec_hook)
    try:
        refusal = asked.convert(value, tp)
    except RecursionError:
        return [Fault("$", "The value is nested too deep")]
    if refusal is None:
        return []
    walk = _Walk(asked, max(limit, 1))
    walk.note(refusal, value, inspect.type_info(tp), "$", 0)
    return walk.faults


@attrs.frozen
class _Refusal:
    """What msgspec says of a value that it refuses."""

    message: str
    #: where in the value it is, empty for the value itself
    path: str = ""

    def below(self, step: str) -> _Refusal | None:
        """Return what it says of the part that is one *step* inside, None if it does not."""
        rest = self.path.removeprefix(step)
        return _Refusal(self.message, rest) if rest != self.path and rest[:1] in {"", ".", "["} else None

    def item(self) -> tuple[int, _Refusal] | None:
        """Return which item of an array it is about, and what it says of that."""
        if (found := _INDEX.match(self.path)) is None:
            return None
        return int(found[1]), _Refusal(self.message, self.path[found.end() :])

    @classmethod
    def of(cls, error: msgspec.ValidationError) -> _Refusal:
        text, path = str(error), ""
        if (placed := _PLACED.fullmatch(text)) is not None:
            text, path = placed["message"], placed["path"]
        cause = error.__cause__
        if cause is not None and len(cause.args) > 1 and isinstance(cause.args[0], str):
            text = cause.args[0]  # attrs' validators add the attribute and the value, which are not for clients
        return cls(_shorten(text, MESSAGE_LENGTH), path)


@attrs.define
class _Asked:
    """msgspec, asked about parts of a value."""

    strict: bool
    dec_hook: c.Callable[[type, t.Any], t.Any] | None
    _types: dict[int, t.Any] = attrs.field(factory=dict, init=False)

    def convert(self, value: t.Any, tp: t.Any) -> _Refusal | None:
        """Return why *value* is no *tp*, None if it is one."""
        try:
            msgspec.convert(value, tp, strict=self.strict, str_keys=True, dec_hook=self.dec_hook)
        except msgspec.ValidationError as error:
            return _Refusal.of(error)
        return None

    def part(self, value: t.Any, tp: t.Any) -> _Refusal | None:
        """Return why a part is no *tp*, None if it is one.

        A class that fails otherwise is not the fault of who sent the value: msgspec tells it when all else is right.
        """
        try:
            return self.convert(value, tp)
        except Exception:
            return None

    def type_of(self, info: inspect.Type) -> t.Any:
        """Return what *info*, a part of the type that is walked, was made of."""
        return self._types.get(id(info)) or self._types.setdefault(id(info), _type_of(info))


@attrs.define
class _Walk:
    """Walks a value beside its type and notes what is wrong."""

    asked: _Asked
    limit: int
    faults: list[Fault] = attrs.field(factory=list, init=False)

    @property
    def full(self) -> bool:
        """Whether there are as many faults as are asked for."""
        return len(self.faults) >= self.limit

    def add(self, path: str, message: str) -> None:
        """Note one more fault, unless there are enough."""
        if not self.full:
            self.faults.append(Fault(path, message))

    def look(self, value: t.Any, info: inspect.Type, path: str, depth: int, known: _Refusal | None = None) -> None:
        """Note what is wrong with a part; *known* is what msgspec said of it, if it did."""
        if not self.full and (refusal := known or self.asked.part(value, self.asked.type_of(info))) is not None:
            self.note(refusal, value, info, path, depth)

    def note(self, refusal: _Refusal, value: t.Any, info: inspect.Type, path: str, depth: int) -> None:
        """Note what is wrong with a part that is refused: all that is found inside, and what msgspec says of it."""
        before = len(self.faults)
        if depth < DEPTH:
            self.enter(refusal, value, _fitting(value, info), path, depth + 1)
        if refusal.message.startswith(_RAW):
            return
        inside = self.faults[before:]
        same = (each for each in inside if refusal.path or each.path == path)
        if not any(each.message.startswith(refusal.message[:NAME_LENGTH]) for each in same):
            message = refusal.message + _choices(refusal, info)
            self.faults.insert(before, Fault(path + refusal.path, message))
            del self.faults[self.limit :]

    def enter(self, refusal: _Refusal, value: t.Any, info: t.Any, path: str, depth: int) -> None:
        """Look at what is in a part, where it is an object or an array as its type is."""
        if isinstance(info, inspect.DictType):
            self.enter_dict(value, info, path, depth + DICT - 1)
        elif isinstance(info, inspect.StructType | inspect.NamedTupleType) and not isinstance(value, c.Mapping):
            tag = [] if getattr(info, "tag", None) is None else [inspect.AnyType()]  # it comes before the fields
            self.enter_tuple(refusal, value, [*tag, *(each.type for each in info.fields)], path, depth)
        elif isinstance(info, inspect.TupleType):
            self.enter_tuple(refusal, value, info.item_types, path, depth)
        elif isinstance(info, inspect.CollectionType):
            self.enter_items(refusal, value, info.item_type, lambda index: f"{path}[{index}]", depth)
        elif info is not None:
            self.enter_fields(refusal, value, info, path, depth)

    def enter_fields(
        self, refusal: _Refusal, value: c.Mapping[t.Any, t.Any], info: t.Any, path: str, depth: int
    ) -> None:
        fields = {each.encode_name: each for each in info.fields}
        exact = all(map(str.isidentifier, fields))  # else a name may look like a path
        strict = getattr(info, "forbid_unknown_fields", False)
        for name in value:
            if self.full:
                return
            if name in fields:
                known = refusal.below(f".{name}") if exact else None
                self.look(value[name], fields[name].type, path + _label(name), depth, known)
            elif name == getattr(info, "tag_field", None):
                self.look_at_tag(value[name], info, path)
            elif strict and isinstance(name, str):
                hint = words.did_you_mean(_shorten(name), [each for each in fields if each not in value])
                self.add(path, f"Object contains unknown field `{_shorten(name)}`{hint}")
        for each in info.fields:
            if each.required and each.encode_name not in value:
                self.add(path, f"Object missing required field `{each.encode_name}`")

    def look_at_tag(self, value: t.Any, info: inspect.StructType, path: str) -> None:
        refusal = self.asked.part({info.tag_field: value}, info.cls)
        if refusal is not None and refusal.path == f".{info.tag_field}":
            self.add(path + refusal.path, refusal.message + _choices(refusal, info))

    def enter_dict(self, value: c.Mapping[t.Any, t.Any], info: inspect.DictType, path: str, depth: int) -> None:
        keys = list(value)
        if self.asked.part(dict.fromkeys(keys), _DICT[self.asked.type_of(info.key_type), t.Any]) is not None:
            self.enter_keys(keys, info.key_type, path)
        self.enter_items(None, list(value.values()), info.value_type, lambda index: path + _label(keys[index]), depth)

    def enter_keys(self, keys: list[t.Any], info: inspect.Type, path: str) -> None:
        alone = _DICT[self.asked.type_of(info), t.Any]
        for key in keys:
            if self.full:
                return
            if (refusal := self.asked.part({key: None}, alone)) is not None:
                self.add(path, f"{refusal.message}{_choices(refusal, info)}; it is the key {_shorten(repr(key))}")

    def enter_tuple(
        self, refusal: _Refusal, value: c.Sequence[t.Any], types: c.Sequence[inspect.Type], path: str, depth: int
    ) -> None:
        for index, (item, info) in enumerate(zip(value, types, strict=False)):
            self.look(item, info, f"{path}[{index}]", depth, refusal.below(f"[{index}]"))

    def enter_items(
        self,
        refusal: _Refusal | None,
        value: c.Sequence[t.Any],
        info: inspect.Type,
        label: c.Callable[[int], str],
        depth: int,
    ) -> None:
        together = _LIST[self.asked.type_of(info)]
        start, found = 0, None if refusal is None else refusal.item()
        while start < len(value) and not self.full:
            if found is None:
                chunk = value[start : start + CHUNK]
                try:
                    refusal = self.asked.convert(chunk, together)
                except Exception:  # one of them has a class that fails by itself
                    for index, item in enumerate(chunk, start):
                        self.look(item, info, label(index), depth)
                    refusal = None
                found = None if refusal is None else refusal.item()
            if found is None:
                start += CHUNK
                continue
            index = start + found[0]
            self.note(found[1], value[index], info, label(index), depth)
            start, found = index + 1, None


def _type_of(info: inspect.Type) -> t.Any:
    """Return what `inspect.type_info` makes *info* of."""
    constraints = {name: found for name in _CONSTRAINTS if (found := getattr(info, name, None)) is not None}
    made = _unconstrained(info)
    return t.Annotated[made, msgspec.Meta(**constraints)] if constraints else made


def _unconstrained(info: t.Any) -> t.Any:
    kind = type(info)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind][_type_of(info.item_type)]
    match info:
        case inspect.Metadata():
            return _type_of(info.type)
        case inspect.LiteralType():
            return t.Literal[info.values]
        case inspect.UnionType():
            return t.Union[tuple(map(_type_of, info.types))]  # noqa: UP007 - it has no other spelling for a tuple
        case inspect.DictType():
            return _DICT[_type_of(info.key_type), _type_of(info.value_type)]
        case inspect.VarTupleType():
            return _TUPLE[_type_of(info.item_type), ...]
        case inspect.TupleType():
            return _TUPLE[tuple(map(_type_of, info.item_types))]
    return info.cls


def _fitting(value: t.Any, info: inspect.Type) -> inspect.Type | None:
    """Return the one type of *info*, which may be a union, that is an object or an array as *value* is one."""
    info = _bare(info)
    types = [_bare(each) for each in info.types] if isinstance(info, inspect.UnionType) else [info]
    found: list[t.Any]
    if isinstance(value, c.Mapping):
        found = [each for each in types if isinstance(each, _OBJECTS) and not getattr(each, "array_like", False)]
    elif isinstance(value, list | tuple):
        found = [each for each in types if isinstance(each, _ARRAYS) and getattr(each, "array_like", True)]
    else:
        return None
    if len(found) > 1:  # they are told apart by their tags
        found = [each for each in found if isinstance(each, inspect.StructType) and each.tag == _tag(value, each)]
    return found[0] if len(found) == 1 else None


def _bare(info: inspect.Type) -> inspect.Type:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info


def _tag(value: t.Any, info: inspect.StructType) -> t.Any:
    if isinstance(value, c.Mapping):
        return value.get(info.tag_field)
    return value[0] if value else None


def _choices(refusal: _Refusal, info: inspect.Type) -> str:
    """Return the choices that there were, if it is a choice that was refused."""
    if _CHOICE.match(refusal.message) is None:
        return ""
    info = _bare(info)
    types = [_bare(each) for each in info.types] if isinstance(info, inspect.UnionType) else [info]
    if refusal.path:
        return _either([each.tag for each in types if isinstance(each, inspect.StructType)])
    values: list[t.Any] = []
    for each in types:
        if isinstance(each, inspect.EnumType):
            values += [member.value for member in each.cls]
        elif isinstance(each, inspect.LiteralType):
            values += each.values
    return _either(values)


def _either(choices: list[t.Any]) -> str:
    """Return the end of a sentence that lists *choices*."""
    listed = [json.dumps(each, ensure_ascii=False, default=str) for each in choices[:CHOICES] if each is not None]
    if not listed:
        return ""
    more = ", …" if len(choices) > CHOICES else ""
    return f", expected {'one of ' if len(listed) > 1 else ''}{', '.join(listed)}{more}"


def _label(name: t.Any) -> str:
    """Return the step of a path to the member *name* of an object."""
    if isinstance(name, str) and name.isidentifier() and len(name) <= NAME_LENGTH:
        return f".{name}"
    return f"[{_shorten(json.dumps(name, ensure_ascii=False, default=str))}]"


def _shorten(text: str, length: int = NAME_LENGTH) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
