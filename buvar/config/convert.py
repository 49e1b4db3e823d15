"""Values to instances: a strict cattrs converter.

Text is taken for a number, a boolean, a date or a path where it can be nothing else ("8080", "on"), since the
environment knows only text; all else has to have its type. Errors are those of cattrs, one group per class or
collection, so hooks that users register on the converter nest in ours and ours in theirs.
"""

from __future__ import annotations

import collections
import collections.abc as c
import contextlib
import functools
import itertools
import types
import typing as t

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from buvar.errors import ConversionError, MissingFieldError, note

from . import describe as schema
from . import scalars
from .words import COLLECTIONS, MAPPINGS, is_table, no_member, text_of, unfit, withheld


def _noted(error: Exception, text: str) -> Exception:
    note(error, text)
    return error


class _Structure:
    """The hooks of collections and unions.

    They read the type that they are called with and keep nothing of it: to cattrs ``int | str`` and ``str | int`` are
    one type, but the order counts.
    """

    def __init__(self, converter: cattrs.Converter) -> None:
        self.converter = converter

    def _each(
        self, labels: c.Iterable[t.Any], values: c.Iterable[t.Any], hints: c.Iterable[t.Any], whole: t.Any
    ) -> list[t.Any]:
        """Convert *values*, each to its type in *hints*; the errors come together, each by its index or key."""
        structure = self.converter.structure
        results, failed = [], []
        for index, value, hint in zip(labels, values, hints, strict=False):
            try:
                results.append(structure(value, hint))
            except Exception as error:
                failed.append(_noted(error, IterableValidationNote(f"at {index!r}", index, hint)))
        if failed:
            raise IterableValidationError(f"While structuring {whole}", failed, whole)
        return results

    def collection(self, value: t.Any, hint: t.Any) -> t.Any:
        element = next(iter(t.get_args(hint)), t.Any)
        converted = self._each(itertools.count(), _require_list(value, hint), itertools.repeat(element), hint)
        try:
            return COLLECTIONS[schema.origin(hint)](converted)
        except TypeError:
            raise ConversionError("a list of values that a set can hold", "a list") from None

    def tuple(self, value: t.Any, hint: t.Any) -> t.Any:
        items = _require_list(value, hint)
        hints = t.get_args(hint) if hint not in (tuple, t.Tuple) else (t.Any, ...)  # noqa: UP006 - users write it
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = hints[:1] * len(items)
        if len(items) != len(hints):
            raise ConversionError(f"a list of {len(hints)} values", f"one of {len(items)}")
        return tuple(self._each(itertools.count(), items, hints, hint))

    def mapping(self, value: t.Any, hint: t.Any) -> t.Any:
        if not isinstance(value, c.Mapping):
            raise unfit(hint, value)
        key_hint, value_hint = t.get_args(hint) or (t.Any, t.Any)
        keys = self._each(value, value, itertools.repeat(key_hint), hint)
        values = self._each(value, value.values(), itertools.repeat(value_hint), hint)
        return dict(zip(keys, values, strict=True))

    def union(self, value: t.Any, hint: t.Any) -> t.Any:
        allowed = schema.members(hint)
        if value is None and types.NoneType in t.get_args(hint):
            return None
        if type(value) in allowed:
            return self.converter.structure(value, type(value))
        tables = [member for member in allowed if is_table(member)]
        if len(tables) == 1 and isinstance(value, c.Mapping):
            return self.converter.structure(value, tables[0])
        if len(allowed) == 1:
            return self.converter.structure(value, allowed[0])
        failed = {}
        for member in allowed:
            try:
                return self.converter.structure(value, member)
            except Exception as error:
                failed[member] = error
        nearest = _nearest(value, [member for member in tables if schema.has(member)])
        raise failed[nearest] if nearest is not None else no_member(hint, value)


def _nearest(value: t.Any, classes: c.Iterable[t.Any]) -> t.Any:
    """Return the one of *classes* that knows most of the keys of a table; None where there is no such one."""
    if not isinstance(value, c.Mapping):
        return None
    known = [(len({field.key for field in schema.fields(cls)} & value.keys()), cls) for cls in classes]
    most = max((count for count, _ in known), default=0)
    found = [cls for count, cls in known if count == most > 0]
    return found[0] if len(found) == 1 else None


def _require_list(value: object, hint: t.Any) -> c.Sequence[t.Any]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset | collections.deque):
        return list(value)
    raise unfit(hint, value)


@attrs.frozen
class _Class:
    """The hook of an attrs class or a dataclass: all of its fields are tried before an error is raised."""

    hint: t.Any
    cls: t.Any
    converter: cattrs.Converter
    fields: tuple[schema.Field, ...]
    known: frozenset[str]
    has_secrets: bool

    @classmethod
    def of(cls, hint: t.Any, converter: cattrs.Converter) -> _Class:
        fields = schema.fields(hint)
        return cls(
            hint,
            schema.origin(hint),
            converter,
            fields,
            frozenset(field.key for field in fields),
            schema.has_secrets(hint),
        )

    @functools.cached_property
    def hooks(self) -> tuple[tuple[schema.Field, c.Callable[[t.Any, t.Any], t.Any]], ...]:
        # looked up at the first call, for then the hook of a class that holds itself is known; when a user registers
        # another hook, cattrs makes all hooks anew, this one too
        return tuple((field, self._hook(field)) for field in self.fields)

    def _hook(self, field: schema.Field) -> c.Callable[[t.Any, t.Any], t.Any]:
        try:
            return self.converter.get_structure_hook(field.type)
        except Exception:
            return self.converter.structure  # which tells that there is none, should the field ever be configured

    def __call__(self, value: t.Any, _: t.Any) -> t.Any:
        if isinstance(value, self.cls):
            return value
        if not isinstance(value, c.Mapping):
            raise unfit(self.hint, value)
        arguments, failed = self._arguments(value)
        if not value.keys() <= self.known:
            failed.append(ForbiddenExtraKeysError(None, self.cls, set(value.keys() - self.known)))
        if not failed:
            try:
                return self.cls(**arguments)
            except Exception as error:
                failed.append(_refusal(error, self.fields, self._secrets(value, arguments)))
        raise ClassValidationError(f"While structuring {self.cls.__name__}", failed, self.cls)

    def _secrets(self, value: t.Any, arguments: dict[str, t.Any]) -> set[str]:
        if not self.has_secrets:
            return set()
        converted = {field.key: arguments.get(field.argument) for field in self.fields}
        return _secrets(self.hint, value) | _secrets(self.hint, converted)

    def _arguments(self, value: c.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[Exception]]:
        arguments: dict[str, t.Any] = {}
        failed: list[Exception] = []
        for field, hook in self.hooks:
            try:
                if field.key in value:
                    arguments[field.argument] = hook(value[field.key], field.type)
                elif field.required:
                    arguments[field.argument] = hook(_absent(field), field.type)
            except Exception as error:
                hide = field.secret and not isinstance(error, MissingFieldError)
                failed.append(_at(field, withheld(field) if hide else error))
        return arguments, failed


def _absent(field: schema.Field) -> t.Any:
    """Return what stands for a required field that is not configured, if something does."""
    if field.nested is None or field.optional or schema.needs_itself(field.nested):
        raise MissingFieldError(field.key)
    return {}  # all of its fields may have defaults


def _at(field: schema.Field, error: Exception) -> Exception:
    return _noted(error, AttributeValidationNote(f"at {field.key}", field.key, field.type))


def _refusal(error: Exception, fields: c.Iterable[schema.Field], secrets: c.Collection[str]) -> Exception:
    """Return what a validator or the constructor raised, without secrets and with the field, when attrs says which."""
    names = {argument.name for argument in error.args if isinstance(argument, attrs.Attribute)}
    text = text_of(error)
    # attrs' comparisons give no more than their text: "'size' must be > 0: -1"
    found = [field for field in fields if (field.key in names if names else repr(field.key) in text)]
    field = found[0] if len(found) == 1 else None
    text = text.casefold()
    if (field is not None and field.secret) or any(secret in text for secret in secrets):
        error = ValueError(f"refused ({type(error).__name__}); the reason is withheld, since it may show a secret")
    return _at(field, error) if field is not None else error


def _secrets(cls: type, value: t.Any) -> set[str]:
    """Collect the secrets in the values for a class, or in its instance, in all forms in which a message shows them."""
    given = value if isinstance(value, c.Mapping) else _held(value)
    found = set()
    for field in schema.fields(cls):
        each = given.get(field.key)
        if field.secret:
            found |= _forms(each) | _forms(field.make_default())
        else:
            found |= _secrets(field.nested, each) if field.nested is not None else _secrets_within(field.type, each)
    return found - {""}


def _secrets_within(hint: t.Any, value: t.Any) -> set[str]:
    """Collect the secrets of the classes that stand somewhere in an annotation, as in ``list[Account]``."""
    if isinstance(value, list | tuple):
        return {secret for item in value for secret in _secrets_within(hint, item)}
    given = value if isinstance(value, c.Mapping) else _held(value)
    inner = {secret for item in given.values() for secret in _secrets_within(hint, item)}
    return inner.union(*(_secrets(cls, given) for cls in schema.classes(hint))) if given else inner


def _held(value: t.Any) -> dict[str, t.Any]:
    cls: t.Any = type(value)
    return {field.key: getattr(value, field.key, None) for field in schema.fields(cls)} if schema.has(cls) else {}


def _forms(value: t.Any) -> set[str]:
    if value is None or value is attrs.NOTHING:
        return set()
    inner: c.Iterable[t.Any] = value if isinstance(value, list | tuple | set | frozenset) else ()
    inner = value.values() if isinstance(value, c.Mapping) else inner
    with contextlib.suppress(ValueError):  # an integer of more digits than Python writes: none writes it
        shown = repr(value)
        return {form.strip().casefold() for form in (str(value), shown, shown[1:-1])}.union(*map(_forms, inner))
    return set()


def make_converter() -> cattrs.Converter:
    """Return a converter with all of our hooks, ready for those of users, which go first."""
    converter = cattrs.Converter()
    structure = _Structure(converter)
    # a hook that a user registers for a whole union is kept by cattrs in a table of its own
    own = getattr(converter, "_union_struct_registry", {})
    scalars.register(converter)
    register = converter.register_structure_hook_func
    register(lambda hint: schema.origin(hint) in COLLECTIONS, structure.collection)
    register(lambda hint: schema.origin(hint) is tuple, structure.tuple)
    register(lambda hint: schema.origin(hint) in MAPPINGS, structure.mapping)
    register(lambda hint: schema.is_union(hint) and hint not in own, structure.union)
    converter.register_structure_hook_factory(schema.has, lambda hint: _Class.of(hint, converter))
    return converter
