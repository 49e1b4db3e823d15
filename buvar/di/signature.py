"""Reading callables: what they need, what they return, where they stand.

Annotations that are strings mean what they mean where the callable was written: its closure, its class, its module.
Who registers it plays no part.
"""

from __future__ import annotations

import builtins
import collections.abc as c
import dataclasses
import functools
import inspect
import linecache
import re
import sys
import types
import typing as t

import attrs

from buvar import errors
from buvar.components import missing

from . import markers, typeform

#: a parameter as it is written: its name, annotation and default, and whether it is given by keyword only
Written: t.TypeAlias = tuple[str, t.Any, t.Any, bool]

_EMPTY: t.Final = inspect.Parameter.empty
_SKIPPED: t.Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@attrs.frozen(eq=False)
class Parameter:
    """One thing that a callable needs.

    *name* is None for what is asked for by type alone, *default* is `missing` where there is none, *metadata* what
    stands beside the type in ``Annotated``: *pick* is the name that a component must have by it, *collect* the type
    whose objects are all wanted, and what they come in.
    """

    name: str | None
    form: typeform.Form
    default: t.Any = missing
    pick: t.Hashable = None
    collect: tuple[typeform.Form, type] | None = None
    keyword_only: bool = False
    metadata: tuple[t.Any, ...] = ()
    #: the one adapter that may build it, where it was asked for by the adapter
    only: t.Any = None

    @property
    def component_name(self) -> t.Hashable:
        """The name that a component for it may have, or, where it picks one, must have."""
        return self.name if self.pick is None else self.pick

    @classmethod
    def of(cls, name: str | None, tp: t.Any, known: c.Mapping[t.Any, t.Any], **fields: t.Any) -> Parameter:
        """Read an evaluated annotation. Raises ValueError for markers that mean nothing where they stand."""
        if type(tp) is type:  # what nearly all are, and it carries nothing else
            return cls(name, typeform.Form.of(tp), **fields)
        pick, collect = None, None
        metadata: tuple[t.Any, ...] = ()
        if t.get_origin(tp) is t.Annotated:
            tp, metadata = tp.__origin__, tp.__metadata__
        for member in typeform.members(tp):  # Annotated[Foo, Name("x")] | None
            if t.get_origin(member) is t.Annotated:
                metadata += member.__metadata__
        tp = typeform.substitute(tp, known) if known else tp
        for mark in metadata:
            if isinstance(mark, markers.Name):
                pick = mark.name
            elif mark is markers.All:
                collect = _collected(tp)
        return cls(name, typeform.Form.of(tp), pick=pick, collect=collect, metadata=metadata, **fields)


def _collected(tp: t.Any) -> tuple[typeform.Form, type]:
    origin, args = t.get_origin(tp), t.get_args(tp)
    if origin is dict and len(args) == 2:
        return typeform.Form.of(args[1]), dict
    if origin is tuple and len(args) == 2 and args[1] is ...:
        return typeform.Form.of(args[0]), tuple
    if origin in (list, c.Sequence, c.Iterable, c.Collection) and len(args) == 1:
        return typeform.Form.of(args[0]), list
    raise ValueError(f"{typeform.show(tp)} cannot collect; write Annotated[list[Type], di.All], or dict[str, Type]")


def core(implementation: t.Any) -> t.Any:
    """Return what stands behind a (nested) `functools.partial`; all else is its own core."""
    while isinstance(implementation, functools.partial):
        implementation = implementation.func
    return implementation


def function_of(implementation: t.Any) -> t.Any:
    """Return the plain function that runs when *implementation* is called, None when it is not written in Python."""
    found = core(implementation)
    if isinstance(found, type) or isinstance(t.get_origin(found), type):
        found = _constructor(t.get_origin(found) or found)
    elif isinstance(found, types.MethodType):
        found = found.__func__
    elif not isinstance(found, types.FunctionType | staticmethod):
        found = getattr(type(found), "__call__", None)  # noqa: B004 - to read it, not to test for it
    found = inspect.unwrap(found) if found is not None else None
    return found if isinstance(found, types.FunctionType) else None


def _constructor(cls: type) -> t.Any:
    """Return the ``__init__`` of *cls*, or its ``__new__`` where that is what it defines."""
    for base in cls.__mro__[:-1]:
        for name in ("__init__", "__new__"):
            if name in base.__dict__:
                found = base.__dict__[name]
                return found.__func__ if isinstance(found, staticmethod) else found
    return None


def class_of(implementation: t.Any) -> type | None:
    """Return the class that *implementation* is, or is bound to, or is an instance of; None for a plain function."""
    found = core(implementation)
    found = t.get_origin(found) or found
    if isinstance(found, type):
        return found
    if isinstance(found, types.MethodType):
        return found.__self__ if isinstance(found.__self__, type) else type(found.__self__)
    return None if isinstance(found, types.FunctionType | staticmethod) else type(found)


def label(implementation: t.Any) -> str:
    """Return the short name of a callable, for the path in a message."""
    found = core(implementation)
    if isinstance(found, types.MethodType):
        return f"{typeform.show(class_of(found))}.{found.__name__}"
    if isinstance(found, type) or t.get_origin(found) is not None:
        return typeform.show(found)
    name = getattr(found, "__qualname__", None) or type(found).__qualname__
    return str(name).rpartition("<locals>.")[2]


def place_of(implementation: t.Any) -> errors.Place | None:
    """Return the line where *implementation* is defined, None where there is no source to point at."""
    found = core(implementation)
    found = t.get_origin(found) or found
    if isinstance(found, type):
        return _place_of_class(found)
    function = function_of(found)
    return None if function is None else errors.Place(function.__code__.co_filename, function.__code__.co_firstlineno)


def _place_of_class(cls: type) -> errors.Place | None:
    try:
        file = inspect.getfile(cls)
    except (OSError, TypeError):
        return None
    # Python 3.13 knows the line; before, inspect parses the whole file for it, which an error message is not worth
    line = cls.__dict__.get("__firstlineno__") or _line_of_class(cls, file)
    return None if line is None else errors.Place(file, line)


def _line_of_class(cls: type, file: str) -> int | None:
    statement = re.compile(rf"\s*class\s+{re.escape(cls.__name__)}\b")
    lines = [number for number, line in enumerate(linecache.getlines(file), 1) if statement.match(line)]
    functions = (value for value in vars(cls).values() if isinstance(value, types.FunctionType))
    inside = [one.__code__.co_firstlineno for one in functions if one.__code__.co_filename == file]
    # of several classes of that name it is the last one that begins before what stands inside of it
    return max((line for line in lines if line < min(inside, default=0)), default=next(iter(lines), None))


def check(implementation: t.Any) -> None:
    """Raise `AdapterError` for what cannot be called, and for what does not say how."""
    if _plain_function(implementation) is None:
        _read(implementation)


def _read(implementation: t.Any) -> inspect.Signature:
    """Return the signature of *implementation* as it is written, its annotations not evaluated. Raises as `check`."""
    if not callable(implementation):
        hint = "; register the method of the class: Class.method" if isinstance(implementation, classmethod) else ""
        raise errors.AdapterError(implementation, f"it cannot be called{hint}")
    called = t.get_origin(implementation) or implementation
    try:
        return inspect.signature(called)
    except (ValueError, TypeError) as error:
        if isinstance(called, type) and called.__flags__ & 1 << 9:  # a class statement over a built-in class
            return inspect.Signature()
        reason = "it does not say which parameters it has; write a function that calls it"
        raise errors.AdapterError(implementation, reason, place_of(implementation)) from error


def parameters(implementation: t.Any, known: c.Mapping[t.Any, t.Any]) -> tuple[Parameter, ...]:
    """Return what *implementation* needs; *known* maps ``Self`` and type variables to what they stand for.

    Arguments that a partial fixes, ``*args`` and ``**kwargs`` are none of it. Raises `AdapterError`.
    """
    return tuple(_parameter(implementation, known, *each) for each in _written(implementation))


def _written(implementation: t.Any) -> list[Written]:
    function = _plain_function(implementation)
    if function is object.__init__:
        return []
    if function is not None:
        return _of_code(function)[1 if isinstance(implementation, type) else 0 :]
    fixed = implementation.keywords if isinstance(implementation, functools.partial) else {}
    return [
        (each.name, each.annotation, each.default, each.kind is inspect.Parameter.KEYWORD_ONLY)
        for each in _read(implementation).parameters.values()
        if each.kind not in _SKIPPED and each.name not in fixed
    ]


def _plain_function(implementation: t.Any) -> t.Any:
    """Return the one function that says how to call *implementation*: itself, or the ``__init__`` of a class.

    None where there may be more to it, which `inspect` finds out.
    """
    found = implementation
    if type(implementation) is type:
        cls: t.Any = implementation
        found = cls.__init__ if cls.__new__ is object.__new__ and not hasattr(cls, "__signature__") else None
        if found is object.__init__:
            return found
    if type(found) is not types.FunctionType or found.__dict__:  # where decorators leave what they wrap
        return None
    return found if found is implementation or found.__code__.co_argcount else None


def _of_code(function: t.Any) -> list[Written]:
    """Return what `inspect.signature` tells too, which takes several times as long."""
    code, annotations = function.__code__, function.__annotations__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    in_order = function.__defaults__ or ()
    defaults = dict(zip(names[code.co_argcount - len(in_order) :], in_order, strict=False))
    defaults.update(function.__kwdefaults__ or {})
    return [
        (name, annotations.get(name, _EMPTY), defaults.get(name, _EMPTY), place >= code.co_argcount)
        for place, name in enumerate(names)
    ]


def _parameter(
    implementation: t.Any,
    known: c.Mapping[t.Any, t.Any],
    name: str,
    annotation: t.Any,
    default: t.Any,
    keyword_only: bool,
) -> Parameter:
    tp = t.Any if annotation is _EMPTY else evaluate(implementation, annotation, name)
    try:
        return Parameter.of(
            name, tp, known, default=missing if default is _EMPTY else default, keyword_only=keyword_only
        )
    except ValueError as error:
        reason = f"its parameter {name!r}: {error}"
        raise errors.AdapterError(implementation, reason, place_of(implementation)) from error


def returned(implementation: t.Any) -> t.Any:
    """Return the evaluated return annotation (the class itself for a class), `missing` where there is none."""
    found = core(implementation)
    if isinstance(found, type) or t.get_origin(found) is not None:
        return found
    function = _plain_function(found)
    annotation = _read(found).return_annotation if function is None else function.__annotations__.get("return", _EMPTY)
    return missing if annotation is _EMPTY else evaluate(found, annotation, "return")


def evaluate(implementation: t.Any, annotation: t.Any, name: str) -> t.Any:
    """Return what *annotation* means where *implementation* was written; *name* is its parameter, or ``"return"``.

    Raises `AdapterError`, with the nearest name, for what means nothing there.
    """
    if isinstance(annotation, type):
        return annotation
    globalns, localns = _namespaces(implementation, annotation, name)
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    try:
        return t.get_type_hints(t.cast("t.Any", holder), globalns, localns, include_extras=True)[name]
    except Exception as error:
        reason = f"{_what(name)} is annotated {_text(annotation)}, {_why(error, {**globalns, **localns})}"
        raise errors.AdapterError(implementation, reason, place_of(implementation)) from error


def _what(name: str) -> str:
    return "what it returns" if name == "return" else f"its parameter {name!r}"


def _text(annotation: t.Any) -> str:
    return repr(annotation) if isinstance(annotation, str) else str(annotation).replace("typing.", "")


def _why(error: Exception, names: c.Mapping[str, object]) -> str:
    if isinstance(error, NameError):
        module = names.get("__name__", "its module")
        near = errors.did_you_mean(error.name or "", [*names, *vars(builtins)])
        hint = near or "; define or import it at module level, not in a function or under TYPE_CHECKING"
        return f"and {module} knows no {error.name!r}{hint}"
    if isinstance(error, AttributeError):
        return f"and {error}{errors.did_you_mean(error.name or '', dir(error.obj))}"
    return f"which cannot be read: {error}"


def _namespaces(implementation: t.Any, annotation: t.Any, name: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the names that an annotation may use: of the module, and of the scopes inside of it."""
    function, cls = function_of(implementation), class_of(implementation)
    inner: dict[str, t.Any] = {}
    outer: dict[str, t.Any] = dict(function.__globals__) if function is not None else {}
    if cls is not None:
        outer = _of_class(core(implementation), cls, outer, annotation, name)
        inner.update((base.__name__, base) for base in reversed(cls.__mro__) if _is_hidden(base, outer))
        inner.update((one.__name__, one) for one in getattr(cls, "__type_params__", ()))
    inner.update(_closure(function))
    inner.update((one.__name__, one) for one in getattr(function, "__type_params__", ()))
    return outer, inner


def _of_class(
    implementation: t.Any, cls: type, outer: dict[str, t.Any], annotation: t.Any, name: str
) -> dict[str, t.Any]:
    # the body of the class is the last resort, and only its types are: a field is often named like a type
    spaces = [vars(base) for base in reversed(cls.__mro__)]
    body = {key: value for space in spaces for key, value in space.items() if isinstance(value, type)}
    if "__attrs_attrs__" not in vars(cls) and not dataclasses.is_dataclass(cls):
        return {**body, **outer}
    if not isinstance(t.get_origin(implementation) or implementation, type):
        return {**body, **outer}
    # a generated __init__ repeats the annotations of the fields; each means what it means where the field was written
    return {**body, **outer, **_module(cls), **_module(_home(cls, name, annotation))}


def _home(cls: type, name: str, annotation: t.Any) -> type:
    for base in cls.__mro__:
        own = inspect.get_annotations(base)
        if annotation in (own.get(name), own.get(f"_{name}")):
            return base
    return cls


def _module(cls: type) -> dict[str, t.Any]:
    module = sys.modules.get(cls.__module__)
    return dict(vars(module)) if module is not None else {}


def _is_hidden(cls: type, outer: dict[str, t.Any]) -> bool:
    """Say whether the module cannot tell of *cls*, because it stands inside of a function or a class."""
    return cls.__qualname__ != cls.__name__ or cls.__name__ not in outer


def _closure(function: t.Any) -> c.Iterator[tuple[str, t.Any]]:
    if function is None:
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet assigned
            continue
