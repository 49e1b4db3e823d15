"""What a type says: its one canonical form, the keys it is looked up by, and which type answers which.

Ground rule: what an adapter returns answers what is asked for when it may stand in its place. Classes answer for their
bases, generics for the same generic of bases (``list[Bar]`` for ``list[Foo]``), one member for a union, a union for a
union that has room for each member. A `typing.NewType` answers for itself alone.
"""

from __future__ import annotations

import abc
import collections.abc as c
import dataclasses
import inspect
import types
import typing as t

import attrs

#: says nothing about an object, so nothing is found by it
_SILENT: t.Final = frozenset({t.Any, object, t.Generic, t.Protocol, abc.ABC})
_UNIONS: t.Final = (t.Union, types.UnionType)


@attrs.frozen(eq=False)
class Form:
    """What is asked for. *tp* is canonical, *keys* are what a component may be filed under, the first choice first."""

    tp: t.Any
    keys: tuple[t.Any, ...]

    @classmethod
    def of(cls, annotation: t.Any) -> Form:
        """Return the form of an evaluated annotation; of one that cannot be a key it is the form of Any."""
        if type(annotation) is type:  # what nearly all are
            return cls(annotation, () if annotation is object else (annotation,))
        tp = canonical(annotation)
        if not (is_hashable(tp) and is_hashable(annotation)) or tp in _SILENT:
            return cls(t.Any, ())
        wanted = (annotation, tp, *(member for member in members(tp) if member is not types.NoneType))
        return cls(tp, tuple(key for key in dict.fromkeys(wanted) if key not in _SILENT))


def is_hashable(tp: t.Any) -> bool:
    """Say whether *tp* can be a key: ``Literal`` and ``Annotated`` may carry things that cannot."""
    try:
        hash(tp)
    except TypeError:
        return False
    return True


def canonical(tp: t.Any) -> t.Any:
    """Return the form in which types are compared: no ``Annotated``, ``list`` for ``List``, bounds for TypeVars."""
    if isinstance(tp, type):
        return tp
    if tp is None:
        return types.NoneType
    if isinstance(tp, t.TypeVar):
        return _of_typevar(tp)
    if isinstance(tp, dataclasses.InitVar):
        return canonical(tp.type)
    if type(tp).__name__ == "TypeAliasType":
        return canonical(tp.__value__)
    return _of_alias(tp)


def _of_typevar(tp: t.TypeVar) -> t.Any:
    if tp.__constraints__:
        return t.Union[tuple(canonical(one) for one in tp.__constraints__)]  # noqa: UP007 - of a tuple
    return t.Any if tp.__bound__ is None else canonical(tp.__bound__)


def _of_alias(tp: t.Any) -> t.Any:
    origin, args = t.get_origin(tp), t.get_args(tp)
    if origin is t.Annotated:
        return canonical(args[0])
    if origin is None or origin is t.Literal:
        return tp
    return rebuild(tp, tuple(arg if isinstance(arg, t.TypeVar) else canonical(arg) for arg in args))


def rebuild(tp: t.Any, args: tuple[t.Any, ...]) -> t.Any:
    """Return the generic or union *tp* with other arguments; what cannot be rebuilt stays as it is."""
    origin = t.get_origin(tp)
    if not args:
        return tuple[()] if origin is tuple and tp is not t.Tuple else origin  # noqa: UP006 - the bare one
    try:
        if origin in _UNIONS:
            return t.Union[args]  # noqa: UP007 - of a tuple
        return origin[args if len(args) > 1 else args[0]]
    except TypeError:
        return tp


def substitute(tp: t.Any, mapping: c.Mapping[t.Any, t.Any]) -> t.Any:
    """Return *tp* with each type that *mapping* names replaced, at any depth."""
    if is_hashable(tp) and tp in mapping:
        return mapping[tp]
    args = t.get_args(tp)
    if not args or t.get_origin(tp) in (t.Literal, t.Annotated):
        return tp
    replaced = tuple(substitute(arg, mapping) for arg in args)
    return tp if replaced == args else rebuild(tp, replaced)


def members(tp: t.Any) -> tuple[t.Any, ...]:
    """Return the members of a union; all else is its own only member."""
    return t.get_args(tp) if not isinstance(tp, type) and t.get_origin(tp) in _UNIONS else (tp,)


def plain(tp: t.Any) -> type | None:
    """Return the class behind a class or a generic, None for a union and for what is no class at all."""
    found = tp if isinstance(tp, type) else t.get_origin(tp)
    return found if isinstance(found, type) and found is not types.UnionType else None


def bases(tp: t.Any) -> tuple[t.Any, ...]:
    """Return the keys that something of the canonical type *tp* is filed under: itself and its bases."""
    if isinstance(tp, type):
        found: tuple[t.Any, ...] = tp.__mro__
        if len(found) == 2 and tp not in _SILENT:  # it has no base but object, as most classes
            return found[:1]
        return tuple([key for key in found if key not in _SILENT])
    cls = plain(tp)
    found = (tp,) if cls is None else (tp, *cls.__mro__)
    return tuple(key for key in dict.fromkeys(found) if key not in _SILENT)


def answers(offered: t.Any, wanted: t.Any) -> bool:
    """Say whether the canonical type *offered* may stand where the canonical type *wanted* is asked for."""
    if offered == wanted:
        return True
    if len(members(wanted)) > 1 or len(members(offered)) > 1:
        return all(any(answers(one, other) for other in members(wanted)) for one in members(offered)) and (
            len(members(wanted)) > 1
        )
    if isinstance(wanted, type):
        cls = plain(offered)
        return cls is not None and wanted in cls.__mro__
    return t.get_origin(wanted) is not None and _answers_generic(offered, wanted)


def _answers_generic(offered: t.Any, wanted: t.Any) -> bool:
    origin, args = t.get_origin(wanted), t.get_args(wanted)
    cls = plain(offered)
    if cls is None or not isinstance(origin, type):
        return False
    if origin not in cls.__mro__:  # list for Sequence: related by registration only, so that arguments map one to one
        return _is_subclass(cls, origin) and _fit(t.get_args(offered), args)
    return any(_fit(t.get_args(one) or _open(one), args) for one in _lineage(offered) if plain(one) is origin)


def _open(tp: t.Any) -> tuple[t.Any, ...]:
    return getattr(tp, "__parameters__", ())


def _fit(offered: tuple[t.Any, ...], wanted: tuple[t.Any, ...]) -> bool:
    return len(offered) == len(wanted) and all(
        one == other or isinstance(one, t.TypeVar) or other is t.Any or _answers_arg(one, other)
        for one, other in zip(offered, wanted, strict=True)
    )


def _answers_arg(offered: t.Any, wanted: t.Any) -> bool:
    # the Ellipsis of a tuple and the parameters of a Callable are equal or they are not
    return ... not in (offered, wanted) and not isinstance(offered, list) and answers(offered, wanted)


def _lineage(tp: t.Any) -> c.Iterator[t.Any]:
    """Yield *tp* and all it derives from, each generic base with the arguments that *tp* gives it."""
    yield tp
    cls = t.cast("type", plain(tp))
    known = dict(zip(_open(cls), t.get_args(tp), strict=False))
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        if plain(base) not in (None, object, t.Generic, t.Protocol):
            yield from _lineage(canonical(substitute(base, known)))


def _is_subclass(cls: type, other: type) -> bool:
    try:
        return issubclass(cls, other)
    except TypeError:  # a protocol that has more than methods cannot be asked
        return False


def may_be_alike(wanted: type) -> bool:
    """Say whether a class may satisfy *wanted* without deriving from it: a runtime protocol, or an ABC."""
    if getattr(wanted, "_is_protocol", False):
        return bool(getattr(wanted, "_is_runtime_protocol", False)) and _has_methods_alone(wanted)
    return isinstance(wanted, abc.ABCMeta)


def _has_methods_alone(protocol: type) -> bool:
    try:
        issubclass(object, protocol)
    except TypeError:  # a class does not tell what its objects have besides methods
        return False
    return True


def is_like(cls: type, wanted: t.Any) -> bool:
    """Say whether *cls* satisfies the runtime-checkable protocol *wanted*, or was registered with the ABC *wanted*.

    The one-method ABCs of the standard library, which anything callable or hashable satisfies, do not count.
    """
    if not may_be_alike(wanted):
        return False
    if not getattr(wanted, "_is_protocol", False) and wanted.__subclasshook__(cls) is not NotImplemented:
        return False
    return _is_subclass(cls, wanted)


def fits(item: object, tp: t.Any) -> bool:
    """Say whether *item*, which was given by name, can be meant for a parameter of the canonical type *tp*."""
    if tp is t.Any:
        return True
    if len(members(tp)) > 1:
        return any(fits(item, member) for member in members(tp))
    if t.get_origin(tp) is t.Literal:
        return item in t.get_args(tp)
    cls = plain(getattr(tp, "__supertype__", tp))
    if cls is None or (getattr(cls, "_is_protocol", False) and not getattr(cls, "_is_runtime_protocol", False)):
        return cls is None or cls in type(item).__mro__ or _has_members(item, cls)
    if cls in (float, complex) and isinstance(item, int):
        return True
    return isinstance(item, cls)


def _has_members(item: object, protocol: type) -> bool:
    names = {name for base in protocol.__mro__ if getattr(base, "_is_protocol", False) for name in _declared(base)}
    return all(hasattr(item, name) for name in names)


def _declared(protocol: type) -> c.Iterator[str]:
    for name in (*protocol.__dict__, *inspect.get_annotations(protocol)):
        if not name.startswith("_") or name in ("__call__", "__aenter__", "__enter__", "__iter__", "__aiter__"):
            yield name


def show(tp: t.Any) -> str:
    """Return the short name of a type, for the path in a message."""
    if tp is types.NoneType:
        return "None"
    if tp is ...:
        return "..."
    if len(members(tp)) > 1:
        return " | ".join(show(member) for member in members(tp))
    args = t.get_args(tp)
    if args and plain(tp) is not None:
        return f"{show(t.get_origin(tp))}[{', '.join(show(arg) for arg in args)}]"
    name = getattr(tp, "__qualname__", None) or getattr(tp, "__name__", None) or repr(tp)
    return str(name).rpartition("<locals>.")[2]
