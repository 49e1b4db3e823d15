"""Nested dicts: merged, copied, looked into and written for people."""

from __future__ import annotations

import collections.abc as c
import typing as t

from buvar.components import missing

from . import files, toml


def merge(
    left: c.Mapping[str, t.Any], right: c.Mapping[str, t.Any], clashes: list[files.Path] | None = None
) -> dict[str, t.Any]:
    """Return *left* with *right* over it.

    Where only one of both has a table, its path is added to *clashes*; without such a list, *right* wins there too.
    """
    return _merge(left, right, (), clashes)


def _merge(
    left: c.Mapping[str, t.Any], right: c.Mapping[str, t.Any], path: files.Path, clashes: list[files.Path] | None
) -> dict[str, t.Any]:
    merged = dict(left)
    for key, value in right.items():
        old = left.get(key, missing)
        here = (*path, key)
        if isinstance(value, c.Mapping) and isinstance(old, c.Mapping):
            merged[key] = _merge(old, value, here, clashes)
        elif clashes is not None and old is not missing and isinstance(value, c.Mapping) != isinstance(old, c.Mapping):
            clashes.append(here)
        else:
            merged[key] = copy(value)
    return merged


def overlay(values: c.Mapping[str, t.Any], path: tuple[str, ...], value: t.Any) -> c.Mapping[str, t.Any]:
    """Return *values* with *value* at a path; what leads through a value that is no table stays as it is."""
    if not path:
        return merge(values, value) if isinstance(value, c.Mapping) else values
    key, rest = path[0], path[1:]
    old = values.get(key)
    if not rest and not (isinstance(old, c.Mapping) and isinstance(value, c.Mapping)):
        return {**values, key: value}
    inner = {} if old is None else old
    return {**values, key: overlay(inner, rest, value)} if isinstance(inner, c.Mapping) else values


def blocks(values: c.Mapping[str, t.Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the way to the value that is no table, though *path* leads through it; () where there is none."""
    inner: t.Any = values
    for depth, key in enumerate(path[:-1], start=1):
        inner = inner.get(key)
        if inner is None:
            break
        if not isinstance(inner, c.Mapping):
            return path[:depth]
    return ()


#: most values are of these; to learn that something is no Mapping takes long
_SCALARS: t.Final = frozenset((str, int, float, bool))


def copy(value: t.Any) -> t.Any:
    if type(value) in _SCALARS:
        return value
    if isinstance(value, c.Mapping):
        return {key: copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy(item) for item in value]
    return value


def dig(value: t.Any, path: c.Iterable[t.Hashable]) -> t.Any:
    for key in path:
        if isinstance(value, c.Mapping):
            value = value.get(key, missing)
        elif isinstance(value, list | tuple) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return missing
    return value


def leaves(value: t.Any, path: files.Path = ()) -> c.Iterator[files.Path]:
    """Yield the paths of all that is no table in a value, and of tables that are empty."""
    if isinstance(value, c.Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield path


def dotted(path: c.Iterable[t.Hashable]) -> str:
    """Write a path for a person: ``servers[1].port``; what is no bare key in TOML is quoted."""
    text = ""
    for key in path:
        name = f"[{key}]" if isinstance(key, int) else toml.key(str(key))
        text += f".{name}" if text and not isinstance(key, int) else name
    return text
