"""Adapters: the registry of what builds components, and the one that is current."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import typing as t

from buvar.components import missing
from buvar.context import buvar_context

from . import bound, resolve
from .adapter import Adapter
from .bound import KEYWORDS
from .index import Index
from .override import Override, Overrides

if t.TYPE_CHECKING:
    import collections.abc as c

    from .markers import Lifetime
    from .plan import AsyncPlan

A = t.TypeVar("A")
B = t.TypeVar("B")
C = t.TypeVar("C")
D = t.TypeVar("D")
E = t.TypeVar("E")
_current: t.Final = buvar_context.get

F = t.TypeVar("F", bound="c.Callable[..., t.Any]")

# the callable beside the type lets a protocol and an abstract class through, which mypy refuses as type[A] alone
Target: t.TypeAlias = "type[A] | c.Callable[..., A]"


class Adapters:
    """A registry of adapters. It can be listed: ``for adapter in adapters`` in order of registration."""

    def __init__(self) -> None:
        self._index = Index()
        self._waiting: list[tuple[list[Adapter], bool]] = []
        self._lock = threading.RLock()
        self._resolver = resolve.Resolver(self)
        self._resolver_now = resolve.Resolver(self, sync=True)
        self._plans: dict[t.Hashable, AsyncPlan] = self._resolver.plans
        self.overrides = Overrides()

    @property
    def index(self) -> Index:
        """What is registered now; later registrations make another one."""
        if self._waiting:
            with self._lock:
                for adapters, replace in self._waiting:
                    self._index = self._index.plus(adapters, replace=replace)
                self._waiting = []
        return self._index

    def register(
        self, *implementations: c.Callable[..., t.Any], lifetime: Lifetime = "transient", replace: bool = False
    ) -> None:
        """Register callables by the types that they return: all of them, or none if one is refused.

        What they build lives for the call ("transient"), once in the innermost open scope ("scoped"), or once in the
        stage ("singleton"). A callable that is registered already becomes the last. With *replace*, adapters registered
        before no longer answer for the types that the new ones answer for. Raises `AdapterError` for what cannot be an
        adapter, ValueError for a lifetime that is none.
        """
        self._add([Adapter.of(implementation, lifetime) for implementation in implementations], replace)

    def _add(self, adapters: list[Adapter], replace: bool) -> None:
        with self._lock:
            self._waiting.append((adapters, replace))
        self._forget()

    def _forget(self) -> None:
        self._resolver.forget()
        self._resolver_now.forget()

    def _register_as(self, lifetime: Lifetime, interface: t.Any, implementation: t.Any, replace: bool) -> t.Any:
        if implementation is missing:
            interface, implementation = missing, interface
        self._add([Adapter.of(implementation, lifetime, interface)], replace)
        return implementation

    @t.overload
    def transient(self, implementation: F, /, *, replace: bool = False) -> F: ...
    @t.overload
    def transient(self, interface: t.Any, implementation: F, /, *, replace: bool = False) -> F: ...
    def transient(self, interface: t.Any, implementation: t.Any = missing, /, *, replace: bool = False) -> t.Any:
        """Register a callable, to be found as *interface* where that is given, whose objects live for the call.

        It returns the callable, and so can decorate it. Raises `AdapterError`.
        """
        return self._register_as("transient", interface, implementation, replace)

    @t.overload
    def scoped(self, implementation: F, /, *, replace: bool = False) -> F: ...
    @t.overload
    def scoped(self, interface: t.Any, implementation: F, /, *, replace: bool = False) -> F: ...
    def scoped(self, interface: t.Any, implementation: t.Any = missing, /, *, replace: bool = False) -> t.Any:
        """Do what `transient` does for a callable that builds once in each scope."""
        return self._register_as("scoped", interface, implementation, replace)

    @t.overload
    def singleton(self, implementation: F, /, *, replace: bool = False) -> F: ...
    @t.overload
    def singleton(self, interface: t.Any, implementation: F, /, *, replace: bool = False) -> F: ...
    def singleton(self, interface: t.Any, implementation: t.Any = missing, /, *, replace: bool = False) -> t.Any:
        """Do what `transient` does for a callable that builds once in each stage."""
        return self._register_as("singleton", interface, implementation, replace)

    def lookup(self, target: t.Any) -> list[Adapter]:
        """Return the adapters that answer *target*, the first choice first, satisfied or not."""
        index = self.index
        return list(index.candidates(index.form(target)))

    @contextlib.contextmanager
    def override(self, key: t.Any, fake: t.Any, *, name: t.Hashable = None) -> c.Iterator[t.Any]:
        """Have *fake* taken wherever *key* (of that *name*, if one is given) is needed, for the time of a block.

        It wins over all: components, dependencies given by keyword, adapters. What was built before and holds the real
        thing is not used in the block either, but built anew, and is there again after it.
        """
        override = Override(self.index.form(key).tp, fake, name)
        with self._lock:
            self.overrides.add(override)
        self._forget()
        try:
            yield fake
        finally:
            with self._lock:
                self.overrides.remove(override)
            self._forget()
            self._resolver.restore(override)
            self._resolver_now.restore(override)

    @t.overload
    def nject(self, target: Target[A], /, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, A]: ...
    @t.overload
    def nject(self, a: Target[A], b: Target[B], /, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, tuple[A, B]]: ...
    @t.overload
    def nject(
        self, a: Target[A], b: Target[B], c: Target[C], /, **dependencies: t.Any
    ) -> c.Coroutine[t.Any, t.Any, tuple[A, B, C]]: ...
    @t.overload
    def nject(
        self, a: Target[A], b: Target[B], c: Target[C], d: Target[D], /, **dependencies: t.Any
    ) -> c.Coroutine[t.Any, t.Any, tuple[A, B, C, D]]: ...
    @t.overload
    def nject(
        self, a: Target[A], b: Target[B], c: Target[C], d: Target[D], e: Target[E], /, **dependencies: t.Any
    ) -> c.Coroutine[t.Any, t.Any, tuple[A, B, C, D, E]]: ...
    @t.overload
    def nject(self, /, *targets: t.Any, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, t.Any]: ...
    def nject(
        self, target: t.Any = missing, /, *more: t.Any, **dependencies: t.Any
    ) -> c.Coroutine[t.Any, t.Any, t.Any]:
        """Return, when awaited, an object of the type *target*, or a tuple of objects when several are asked for.

        *dependencies* are used for parameters of their name, or else of their type. In one call an adapter builds once.
        Raises `ResolveError` when something needed is not to be had (then nothing was built), `AdapterError` for an
        annotation that means nothing, and what an adapter itself raises, with a note that tells which one.
        """
        try:
            if not dependencies:
                request: t.Any = (target, *more) if more else target
                if (plan := self._plans.get(request)) is not None:
                    return plan(_current())
            else:
                request = (KEYWORDS, (target, *more) if more else target, tuple(dependencies))
                if (plan := self._plans.get(request)) is not None:
                    return plan(_current(), *dependencies.values())
        except TypeError:  # a target that cannot be a key, such as Literal[[]]
            request = None
        return self._nject(request, () if target is missing else (target, *more), dependencies)

    async def _nject(self, request: t.Any, targets: tuple[t.Any, ...], given: dict[str, t.Any]) -> t.Any:
        return await self._resolver.resolve(request, targets, _current(), given)

    @t.overload
    def nject_now(self, target: Target[A], /, **dependencies: t.Any) -> A: ...
    @t.overload
    def nject_now(self, a: Target[A], b: Target[B], /, **dependencies: t.Any) -> tuple[A, B]: ...
    @t.overload
    def nject_now(self, a: Target[A], b: Target[B], c: Target[C], /, **dependencies: t.Any) -> tuple[A, B, C]: ...
    @t.overload
    def nject_now(
        self, a: Target[A], b: Target[B], c: Target[C], d: Target[D], /, **dependencies: t.Any
    ) -> tuple[A, B, C, D]: ...
    @t.overload
    def nject_now(
        self, a: Target[A], b: Target[B], c: Target[C], d: Target[D], e: Target[E], /, **dependencies: t.Any
    ) -> tuple[A, B, C, D, E]: ...
    @t.overload
    def nject_now(self, /, *targets: t.Any, **dependencies: t.Any) -> t.Any: ...
    def nject_now(self, /, *targets: t.Any, **dependencies: t.Any) -> t.Any:
        """Do what `nject` does without awaiting.

        Raises `ResolveError` for what is built asynchronously, unless it is kept and there already.
        """
        request: t.Any = (KEYWORDS, targets, tuple(dependencies))
        try:
            plan = self._resolver_now.plans.get(request)
        except TypeError:
            request = plan = None
        if plan is not None:
            return plan(_current(), *dependencies.values())
        return self._resolver_now.resolve_now(request, targets, _current(), dependencies)

    def bind(self, target: Target[A], /, **dependencies: t.Any) -> bound.Bound[A]:
        """Return a coroutine function that does ``nject(target, name=…)``, for hot paths.

        *dependencies* names what its caller gives, and the types of it: ``bind(Report, user=User)`` is called as
        ``await bound(user)`` or ``await bound(user=user)``.
        """
        return bound.bind(self._nject, self._plans, target, tuple(dependencies))

    def __iter__(self) -> c.Iterator[Adapter]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, target: t.Any) -> bool:
        return bool(self.lookup(target))

    def __repr__(self) -> str:
        return f"<Adapters: {len(self)}>"


#: the adapters that are current; the default serves threads, which start with an empty ``contextvars.Context``
buvar_adapters: contextvars.ContextVar[Adapters] = contextvars.ContextVar("buvar_adapters", default=Adapters())  # noqa: B039 - meant to be shared
# bound once: to look the method up takes half of the time of a call
_adapters: t.Final = buvar_adapters.get


def register(*implementations: c.Callable[..., t.Any], lifetime: Lifetime = "transient", replace: bool = False) -> None:
    """Register callables with the current adapters; see `Adapters.register`."""
    _adapters().register(*implementations, lifetime=lifetime, replace=replace)


@t.overload
def transient(implementation: F, /, *, replace: bool = False) -> F: ...
@t.overload
def transient(interface: t.Any, implementation: F, /, *, replace: bool = False) -> F: ...
def transient(interface: t.Any, implementation: t.Any = missing, /, *, replace: bool = False) -> t.Any:
    """Register with the current adapters what lives for the call; see `Adapters.transient`."""
    return _adapters().transient(interface, implementation, replace=replace)


@t.overload
def scoped(implementation: F, /, *, replace: bool = False) -> F: ...
@t.overload
def scoped(interface: t.Any, implementation: F, /, *, replace: bool = False) -> F: ...
def scoped(interface: t.Any, implementation: t.Any = missing, /, *, replace: bool = False) -> t.Any:
    """Register with the current adapters what is built once in each scope; see `Adapters.scoped`."""
    return _adapters().scoped(interface, implementation, replace=replace)


@t.overload
def singleton(implementation: F, /, *, replace: bool = False) -> F: ...
@t.overload
def singleton(interface: t.Any, implementation: F, /, *, replace: bool = False) -> F: ...
def singleton(interface: t.Any, implementation: t.Any = missing, /, *, replace: bool = False) -> t.Any:
    """Register with the current adapters what is built once in each stage; see `Adapters.singleton`."""
    return _adapters().singleton(interface, implementation, replace=replace)


@t.overload
def nject(target: Target[A], /, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, A]: ...
@t.overload
def nject(a: Target[A], b: Target[B], /, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, tuple[A, B]]: ...
@t.overload
def nject(
    a: Target[A], b: Target[B], c: Target[C], /, **dependencies: t.Any
) -> c.Coroutine[t.Any, t.Any, tuple[A, B, C]]: ...
@t.overload
def nject(
    a: Target[A], b: Target[B], c: Target[C], d: Target[D], /, **dependencies: t.Any
) -> c.Coroutine[t.Any, t.Any, tuple[A, B, C, D]]: ...
@t.overload
def nject(
    a: Target[A], b: Target[B], c: Target[C], d: Target[D], e: Target[E], /, **dependencies: t.Any
) -> c.Coroutine[t.Any, t.Any, tuple[A, B, C, D, E]]: ...
@t.overload
def nject(*targets: t.Any, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, t.Any]: ...
def nject(target: t.Any = missing, /, *more: t.Any, **dependencies: t.Any) -> c.Coroutine[t.Any, t.Any, t.Any]:
    """Return an object of the type *target* by the current adapters, or a tuple of several; see `Adapters.nject`."""
    try:  # the way of most requests, without another call
        if not more:
            if not dependencies:
                return _adapters()._plans[target](_current())
            return _adapters()._plans[KEYWORDS, target, tuple(dependencies)](_current(), *dependencies.values())
    except (KeyError, TypeError):
        pass
    return _adapters().nject(target, *more, **dependencies)


@t.overload
def nject_now(target: Target[A], /, **dependencies: t.Any) -> A: ...
@t.overload
def nject_now(a: Target[A], b: Target[B], /, **dependencies: t.Any) -> tuple[A, B]: ...
@t.overload
def nject_now(a: Target[A], b: Target[B], c: Target[C], /, **dependencies: t.Any) -> tuple[A, B, C]: ...
@t.overload
def nject_now(
    a: Target[A], b: Target[B], c: Target[C], d: Target[D], /, **dependencies: t.Any
) -> tuple[A, B, C, D]: ...
@t.overload
def nject_now(
    a: Target[A], b: Target[B], c: Target[C], d: Target[D], e: Target[E], /, **dependencies: t.Any
) -> tuple[A, B, C, D, E]: ...
@t.overload
def nject_now(*targets: t.Any, **dependencies: t.Any) -> t.Any: ...
def nject_now(*targets: t.Any, **dependencies: t.Any) -> t.Any:
    """Do what `nject` does without awaiting, by the current adapters; see `Adapters.nject_now`."""
    return _adapters().nject_now(*targets, **dependencies)


def bind(target: Target[A], /, **dependencies: t.Any) -> bound.Bound[A]:
    """Return a coroutine function that does ``nject(target, name=…)`` by the current adapters; see `Adapters.bind`."""
    return _adapters().bind(target, **dependencies)


def override(key: t.Any, fake: t.Any, *, name: t.Hashable = None) -> contextlib.AbstractContextManager[t.Any]:
    """Have *fake* taken wherever *key* is needed, by the current adapters, in a block; see `Adapters.override`."""
    return _adapters().override(key, fake, name=name)
