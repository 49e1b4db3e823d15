"""Adapter: a callable that builds a component, read once."""

from __future__ import annotations

import collections.abc as c
import functools
import inspect
import types
import typing as t

import attrs

from buvar import errors
from buvar.components import Mark, missing
from buvar.context import buvar_context

from . import markers, signature, typeform
from .gate import Gate

_current: t.Final = buvar_context.get
_NOTHING: t.Final = (t.Any, object, types.NoneType, t.Never, t.NoReturn)


#: what calling it gives: the object, a coroutine that returns it, a generator that yields it; nobody calls a gate
Kind: t.TypeAlias = t.Literal["plain", "coroutine", "generator", "async generator", "gate"]
_ASYNC: t.Final = ("coroutine", "async generator")
_YIELDING: t.Final = (c.Generator, c.Iterator, c.Iterable, c.AsyncGenerator, c.AsyncIterator, c.AsyncIterable)


@attrs.define(eq=False, slots=False)
class Adapter:
    """A callable that builds a component.

    *return_type* is what it is found by, *owner* the plugin that registered it (None outside of plugins), *family* the
    class whose subclasses it builds too (a classmethod that returns its own class), None for all others.
    """

    implementation: t.Any
    return_type: t.Any
    #: what two registrations of one callable have in common; a bound method is a new object each time
    identity: c.Hashable
    kind: Kind = "plain"
    lifetime: markers.Lifetime = "transient"
    owner: str | None = None
    #: whether adapters registered before no longer answer what it answers
    replaces: bool = False
    family: type | None = None
    #: for what is built in another home
    gate: Gate | None = None
    #: whether it turned out to be a plain function that returns coroutines
    hides: bool = attrs.field(default=False, init=False)

    @classmethod
    def of(
        cls,
        implementation: t.Any,
        lifetime: markers.Lifetime = "transient",
        interface: t.Any = missing,
        *,
        replaces: bool = False,
    ) -> Adapter:
        """Read *implementation*, to be found by *interface* instead of by what it returns, if that is given.

        Raises `AdapterError`, with file and line, for what cannot be an adapter.
        """
        _check_lifetime(lifetime)
        _check(implementation)
        kind = _kind(implementation)
        annotation = signature.returned(implementation)
        if kind.endswith("generator") and annotation is not missing:
            annotation = _yielded(implementation, annotation)
        if annotation is missing and interface is not missing:
            annotation = interface
        known = _known(implementation)
        family = _family(signature.core(implementation), annotation, known)
        return_type = _return_type(implementation, annotation, known, family)
        if interface is not missing:
            return_type, family = _as(implementation, return_type, interface), None
        return cls(
            implementation=implementation,
            return_type=return_type,
            identity=_identity(implementation, interface),
            kind=kind,
            lifetime=lifetime,
            owner=_current().owner,
            replaces=replaces,
            family=family if isinstance(implementation, types.MethodType) else None,
        )

    @classmethod
    def each(
        cls, implementations: c.Iterable[t.Any], lifetime: markers.Lifetime, *, replaces: bool = False
    ) -> list[Adapter]:
        """Read *implementations*, all of them or none. Raises as `of`."""
        _check_lifetime(lifetime)
        owner = _current().owner
        return [
            cls(one, one, id(one), "plain", lifetime, owner, replaces)
            if _is_simple(one)
            else cls.of(one, lifetime, replaces=replaces)
            for one in implementations
        ]

    @classmethod
    def through(
        cls,
        gate: Gate,
        stands_for: Adapter,
        return_type: t.Any,
        *,
        family: type | None = None,
        replaces: bool = False,
    ) -> Adapter:
        """Return the adapter that gets *return_type* through *gate*; *stands_for* is told in messages."""
        owner = gate.home.owner or stands_for.owner
        told = stands_for.implementation
        return cls(told, return_type, gate, "gate", owner=owner, replaces=replaces, family=family, gate=gate)

    def bound(self, cls: type) -> Adapter:
        """Return the one adapter that builds *cls*, a subclass of the `family`, by the same classmethod."""
        return self._bound.get(cls) or self._bound.setdefault(cls, self._bind(cls))

    @functools.cached_property
    def _bound(self) -> dict[type, Adapter]:
        return {}

    def _bind(self, cls: type) -> Adapter:
        if self.gate is not None:
            target = self.gate.target.bound(cls) if isinstance(self.gate.target, Adapter) else cls
            return Adapter.through(
                attrs.evolve(self.gate, target=target), self, cls, family=cls, replaces=self.replaces
            )
        name = self.implementation.__name__
        method = getattr(cls, name, None)
        if not isinstance(method, types.MethodType) or method.__self__ is not cls:
            method = types.MethodType(self.implementation.__func__, cls)
        return attrs.evolve(
            self,
            implementation=method,
            return_type=typeform.substitute(self.return_type, {self.family: cls}),
            kind=_kind(method),
            family=cls,
        )

    @property
    def adapter(self) -> Adapter:
        """Itself: it is the key under which what it builds is kept."""
        return self

    @property
    def is_async(self) -> bool:
        """Whether to build it something must be awaited."""
        return self.kind in _ASYNC

    @property
    def opens(self) -> bool:
        """Whether it is a generator, which is finalised by the owner of what it yields."""
        return self.kind.endswith("generator")

    @functools.cached_property
    def is_sure(self) -> bool:
        """Whether a call can give nothing but what it says: that of a class that makes its objects as classes do."""
        found: t.Any = self.implementation
        return type(found) is type and t.cast("t.Any", found).__new__ is object.__new__ and found is self.return_type

    @functools.cached_property
    def accepted(self) -> set[type]:
        """The classes of what it has built so far and that were found to fit what it says it returns."""
        return set()

    @functools.cached_property
    def pending(self) -> Mark:
        """The key under which a scope or a stage notes that it is being built."""
        return Mark(f"pending {self.label}")

    @functools.cached_property
    def parameters(self) -> tuple[signature.Parameter, ...]:
        """What it needs, read at first use: annotations may name what is defined later. Raises `AdapterError`."""
        return signature.parameters(self.implementation, _known(self.implementation))

    @functools.cached_property
    def place(self) -> errors.Place | None:
        """The line where the callable is defined, None where it has no source."""
        return signature.place_of(self.implementation)

    @property
    def label(self) -> str:
        """The short name of the callable."""
        return signature.label(self.implementation)

    def __repr__(self) -> str:
        return f"<Adapter {self.label} -> {typeform.show(self.return_type)}>"


def _check_lifetime(lifetime: str) -> None:
    if lifetime not in markers.LIFETIMES:
        raise ValueError(f"{lifetime!r} is no lifetime; there are {', '.join(markers.LIFETIMES)}")


def _identity(implementation: t.Any, interface: t.Any) -> c.Hashable:
    if isinstance(implementation, types.MethodType):
        return id(implementation.__self__), id(implementation.__func__), interface
    return id(implementation) if interface is missing else (id(implementation), interface)


def _is_simple(implementation: t.Any) -> bool:
    """Say whether *implementation* is a class about which nothing has to be found out, as most are."""
    if type(implementation) is not type:
        return False
    cls: t.Any = implementation
    return type(cls.__init__) is types.FunctionType or (
        cls.__init__ is object.__init__ and cls.__new__ is object.__new__
    )


def _check(implementation: t.Any) -> None:
    signature.check(implementation)
    function = signature.core(implementation)
    function = t.get_origin(function) or function
    reason = _why_not_built(function) if isinstance(function, type) else _why_not_called(function)
    if reason:
        raise errors.AdapterError(implementation, reason, signature.place_of(implementation))


def _why_not_called(function: t.Any) -> str | None:
    hidden = getattr(function, "__wrapped__", None)
    if hidden is not None and (_is(inspect.isgeneratorfunction, hidden) or _is(inspect.isasyncgenfunction, hidden)):
        return "it makes a context manager; register the generator function without the decorator"
    return None


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


def _kind(implementation: t.Any) -> Kind:
    found = signature.core(implementation)
    if isinstance(found, type) or t.get_origin(found) is not None:
        return "plain"
    several = [found]
    if not isinstance(found, types.FunctionType):
        several.append(getattr(found, "__call__", None))  # noqa: B004 - to read it, not to test for it
    return next((kind for kind, test in _TESTS.items() if any(map(test, several))), "plain")


_TESTS: t.Final[dict[Kind, c.Callable[[t.Any], bool]]] = {
    "coroutine": inspect.iscoroutinefunction,
    "generator": inspect.isgeneratorfunction,
    "async generator": inspect.isasyncgenfunction,
}


def _yielded(implementation: t.Any, annotation: t.Any) -> t.Any:
    """Return what a generator yields, by its annotation."""
    args = t.get_args(annotation)
    if t.get_origin(annotation) not in _YIELDING or not args:
        written = "AsyncIterator" if _kind(implementation) in _ASYNC else "Iterator"
        says = f"it is a generator and says that it returns {typeform.show(annotation)}"
        _refuse(implementation, f"{says}; write what it yields: -> {written}[Type]")
    return args[0]


def _as(implementation: t.Any, offered: t.Any, interface: t.Any) -> t.Any:
    """Return the canonical *interface*, after a look at whether *offered* may stand for it."""
    wanted = typeform.canonical(interface)
    cls = typeform.plain(offered)
    unseen = getattr(wanted, "_is_protocol", False) and not typeform.may_be_alike(wanted)
    if not (unseen or typeform.answers(offered, wanted) or (cls is not None and typeform.is_like(cls, wanted))):
        _refuse(implementation, f"it gives {typeform.show(offered)}, which is no {typeform.show(wanted)}")
    return wanted


def _known(implementation: t.Any) -> dict[t.Any, t.Any]:
    """Return what ``Self`` and the type variables stand for inside of *implementation*."""
    found = signature.core(implementation)
    if isinstance(found, type):
        return {t.Self: found}
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
