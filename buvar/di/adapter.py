"""Adapter: a callable that builds a component, read once."""

from __future__ import annotations

import functools
import inspect
import types
import typing as t

import attrs

from buvar import context, errors
from buvar.components import missing

from . import signature, typeform

_NOTHING: t.Final = (t.Any, object, types.NoneType, t.Never, t.NoReturn)


@attrs.frozen(eq=False, slots=False)
class Adapter:
    """A callable that builds a component.

    *return_type* is what it is found by, *owner* the plugin that registered it (None outside of plugins), *family* the
    class whose subclasses it builds too (a classmethod that returns its own class), None for all others.
    """

    implementation: t.Any
    return_type: t.Any
    is_async: bool
    owner: str | None = None
    family: type | None = None
    known: dict[t.Any, t.Any] = attrs.field(factory=dict, repr=False)

    @classmethod
    def of(cls, implementation: t.Any) -> Adapter:
        """Read *implementation*. Raises `AdapterError`, with file and line, for what cannot be an adapter."""
        _check(implementation)
        annotation = signature.returned(implementation)
        known = _known(implementation)
        family = _family(signature.core(implementation), annotation, known)
        return cls(
            implementation=implementation,
            return_type=_return_type(implementation, annotation, known, family),
            is_async=_is_async(implementation),
            owner=context.current_context().owner,
            family=family if isinstance(implementation, types.MethodType) else None,
            known=known,
        )

    def bound(self, cls: type) -> Adapter:
        """Return the adapter that builds *cls*, a subclass of the `family`, by the same classmethod."""
        name = self.implementation.__name__
        method = getattr(cls, name, None)
        if not isinstance(method, types.MethodType) or method.__self__ is not cls:
            method = types.MethodType(self.implementation.__func__, cls)
        return attrs.evolve(
            self,
            implementation=method,
            return_type=typeform.substitute(self.return_type, {self.family: cls}),
            is_async=_is_async(method),
            family=cls,
            known=_known(method),
        )

    @functools.cached_property
    def parameters(self) -> tuple[signature.Parameter, ...]:
        """What it needs, read at first use: annotations may name what is defined later. Raises `AdapterError`."""
        return signature.parameters(self.implementation, self.known)

    @functools.cached_property
    def place(self) -> errors.Place | None:
        """The line where the callable is defined, None where it has no source."""
        return signature.place_of(self.implementation)

    @property
    def label(self) -> str:
        """The short name of the callable."""
        return signature.label(self.implementation)

    @property
    def identity(self) -> tuple[int, ...]:
        """What two registrations of one callable have in common; a bound method is a new object each time."""
        found = self.implementation
        if isinstance(found, types.MethodType):
            return id(found.__self__), id(found.__func__)
        return (id(found),)

    def __repr__(self) -> str:
        return f"<Adapter {self.label} -> {typeform.show(self.return_type)}>"


def _check(implementation: t.Any) -> None:
    signature.read(implementation)
    function = signature.core(implementation)
    function = t.get_origin(function) or function
    if isinstance(function, type):
        reason = _why_not_built(function)
    elif _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function):
        reason = "it is a generator; register a function or a coroutine function that returns what it yields"
    else:
        return
    if reason:
        raise errors.AdapterError(implementation, reason, signature.place_of(implementation))


def _why_not_built(cls: type) -> str | None:
    if getattr(cls, "_is_protocol", False):
        return "it is a Protocol; register a class that has what it asks for"
    if inspect.isabstract(cls):
        names = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"it is abstract ({names}); register a class that has these"
    return None


def _is(test: t.Any, implementation: t.Any) -> bool:
    function = signature.function_of(implementation)
    return bool(test(implementation) or (function is not None and test(function)))


def _is_async(implementation: t.Any) -> bool:
    found = signature.core(implementation)
    if isinstance(found, type) or t.get_origin(found) is not None:
        return False
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None))  # noqa: B004


def _known(implementation: t.Any) -> dict[t.Any, t.Any]:
    """Return what ``Self`` and the type variables stand for inside of *implementation*."""
    found = signature.core(implementation)
    generic = t.get_origin(found)
    if generic is not None:
        return dict(zip(getattr(generic, "__parameters__", ()), t.get_args(found), strict=False))
    cls = signature.class_of(found)
    if cls is None:
        return {}
    variable = _variable_of_first(found)
    return {t.Self: cls} if variable is None else {t.Self: cls, variable: cls}


def _variable_of_first(method: t.Any) -> t.Any:
    """Return C where the first parameter of a classmethod is annotated ``type[C]``, of a method ``C``."""
    function = signature.function_of(method)
    if not isinstance(method, types.MethodType) or function is None or not function.__code__.co_argcount:
        return None
    name = function.__code__.co_varnames[0]
    if name not in function.__annotations__:
        return None
    annotation = signature.evaluate(method, function.__annotations__[name], name)
    args = t.get_args(annotation) if t.get_origin(annotation) is type else (annotation,)
    return args[0] if isinstance(args[0], t.TypeVar) else None


def _family(method: t.Any, annotation: t.Any, known: dict[t.Any, t.Any]) -> type | None:
    """Return the class of a classmethod that says it returns that class."""
    if not isinstance(method, types.MethodType) or not isinstance(method.__self__, type):
        return None
    cls = method.__self__
    own = (cls, _definer(method))
    for member in typeform.members(annotation):
        if (typeform.is_hashable(member) and member in known) or typeform.canonical(member) in own:
            return cls
    return None


def _definer(method: types.MethodType) -> t.Any:
    """Return the class in whose body a classmethod stands, which an inherited one names in its annotation."""
    for base in t.cast("type", method.__self__).__mro__:
        found = base.__dict__.get(method.__name__)
        if isinstance(found, classmethod) and found.__func__ is method.__func__:
            return base
    return method.__self__


def _return_type(implementation: t.Any, annotation: t.Any, known: dict[t.Any, t.Any], family: type | None) -> t.Any:
    if annotation is missing:
        _refuse(implementation, "it does not say what it returns; annotate it: -> Type")
    mapping = known if family is None else {**known, _definer(signature.core(implementation)): family}
    # the annotation of an inherited classmethod names the base; bounds do so too, hence once before and once after
    tp = typeform.substitute(typeform.canonical(typeform.substitute(annotation, mapping)), mapping)
    if tp in _NOTHING:
        _refuse(implementation, f"it says that it returns {typeform.show(tp)}, which nothing can be found by")
    if not typeform.is_hashable(tp):
        _refuse(implementation, f"it says that it returns {tp}, which cannot be a key")
    return tp


def _refuse(implementation: t.Any, reason: str) -> t.NoReturn:
    raise errors.AdapterError(implementation, reason, signature.place_of(implementation))
