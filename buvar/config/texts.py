"""Text of the environment and of the command line, made into values for the converter to check."""

from __future__ import annotations

import collections.abc as c
import json
import typing as t

import attrs

from buvar.errors import ConversionError

from . import describe as schema
from .words import HIDDEN, SCALARS, is_container, is_table, shown

if t.TYPE_CHECKING:
    import cattrs


def from_text(converter: cattrs.Converter, field: schema.Field, text: str) -> t.Any:
    """Return the value that *text* means for a field, for the converter to check.

    Lists and tables are JSON; a list may be separated by commas. Raises `ConversionError` for JSON that is none.
    """
    try:
        return _from_text(converter, field.type, text)
    except ConversionError as error:
        # the text of a table may show what is secret in it
        hide = field.secret or schema.holds_secrets(field.type)
        found = ConversionError(error.expected, HIDDEN) if hide else error
    raise found


def from_option(
    converter: cattrs.Converter, field: schema.Field, keys: c.Sequence[str], text: str, value: t.Any
) -> t.Any:
    """Return what ``--set path=text`` means for a field, or for what *keys* lead to in it.

    That is *value*, the text read as TOML, unless only the text itself fits (a string of digits); what was no TOML
    (then *value* is *text*) is read as from the environment. Raises as `from_text` does.
    """
    hint = field.type
    for key in keys:
        hint = _inner(hint, key)
    if value is text:
        return from_text(converter, attrs.evolve(field, type=hint), text)
    is_scalar = isinstance(value, SCALARS) and not isinstance(value, str)
    return text if is_scalar and not _fits(converter, hint, value) and _fits(converter, hint, text) else value


def _inner(hint: t.Any, key: str) -> t.Any:
    """Return what may stand under a key of a table that an annotation allows."""
    tables = [member for member in schema.members(hint) if is_table(member)]
    if not tables:
        return t.Any
    if schema.has(tables[0]):
        return next((field.type for field in schema.fields(tables[0]) if field.key == key), t.Any)
    return (t.get_args(tables[0]) or (t.Any,))[-1]


def _fits(converter: cattrs.Converter, hint: t.Any, value: t.Any) -> bool:
    try:
        converter.structure(value, hint)
    except Exception:
        return False
    return True


def _from_text(converter: cattrs.Converter, hint: t.Any, text: str) -> t.Any:
    allowed = schema.members(hint)
    start = text.strip()
    if start.startswith("{") and any(is_table(member) for member in allowed):
        return _json(text, "a JSON object")
    lists = [member for member in allowed if is_container(member) and not is_table(member)]
    scalars = not any(is_container(item) for member in lists for item in _items(member))
    if lists and _is_json_list(start):
        return _json(text, "a JSON list, or values separated by commas" if scalars else "a JSON list")
    if str in allowed:
        return _guess(converter, [member for member in allowed if not is_container(member)], text)
    if any(member is bool and _fits(converter, member, text) for member in allowed):
        return converter.structure(text, bool)
    if lists and scalars:
        return [part.strip() for part in text.split(",")] if start else []
    if any(map(is_container, allowed)) and all(map(is_container, allowed)):
        raise ConversionError("a JSON list" if lists else "a JSON object", shown(text))
    return text


def _items(hint: t.Any) -> c.Iterator[t.Any]:
    for arg in t.get_args(hint):
        yield from schema.members(arg)


def _is_json_list(text: str) -> bool:
    # "[::1]:80,[::]:80" is a list of two addresses
    return text.startswith("[") and (text.endswith("]") or text[1:].lstrip().startswith(('"', "{", "[")))


def _json(text: str, expected: str) -> t.Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConversionError(expected, shown(text)) from None


def _guess(converter: cattrs.Converter, allowed: c.Iterable[t.Any], text: str) -> t.Any:
    """Return *text* as the first of *allowed* other than str that it fits, else as it is."""
    fitting = next((member for member in allowed if member is not str and _fits(converter, member, text)), str)
    return converter.structure(text, fitting)
