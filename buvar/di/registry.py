"""Adapters: the registry of what builds components, and the one that is current."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import typing as t
import weakref

from buvar.components import missing
from buvar.context import buvar_context

from . import bound, resolve
from .adapter import Adapter
from .bound import KEYWORDS
from .gate import Gate
from .index import Index
from .override import Override, Overrides

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components, Home

    from .injected import Injected
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
    """A registry of adapters. It can be listed: ``for adapter in adapters`` in order of registration.

    One that has a *parent* goes on where that one ends, for the plugins of a *home*: that of all, or that of one plugin
    with walls. It has what it imports and what is registered here; where there are no walls, the parent has that too.
    """

    def __init__(self, parent: Adapters | None = None, home: Home | None = None) -> None:
        self._parent = parent
        self.home = home
        self.is_walled = home is not None and home.outside is not None
        self._index = Index()
        self._inner: Index | None = None
        self._registered: list[Adapter] = []
        self._imported: list[Adapter] = []
        self._gates: dict[Adapter, Adapter] = {}
        self._below: Index | None = None
        self._waiting: list[Adapter] = []
        self._lock = threading.RLock()
        self._resolver = resolve.Resolver(self)
        self._resolver_now = resolve.Resolver(self, sync=True)
        self._plans: dict[t.Hashable, AsyncPlan] = self._resolver.plans
        self._children: weakref.WeakSet[Adapters] = weakref.WeakSet()
        self.overrides: Overrides = Overrides() if parent is None else parent.overrides
        if parent is not None:
            parent._children.add(self)

    @property
    def index(self) -> Index:
        """What is registered now; later registrations make another one."""
        if self._parent is not None and self._below is not self._parent.index:
            with self._lock:
                below = self._parent.index
                self._index = self._above(below)
                self._below = below
        if self._waiting:
            with self._lock:
                self._index = self._index.plus(*self._waiting)
                self._waiting = []
        return self._index

    @property
    def inner(self) -> Index | None:
        """What was imported and registered here, where that is behind walls; None in a registry without."""
        if not self.is_walled:
            return None
        with self._lock:
            if self._inner is None:
                self._inner = Index().plus(*self._here())
            return self._inner

    def _above(self, below: Index) -> Index:
        """Return what is *below*, what was imported and what was registered here, each preferred to those before."""
        if not self.is_walled:
            if not self._imported:
                return below
            known = set(below)  # what was registered here may have been registered again there
            return Index().plus(*below, *(one for one in self._imported if one.gate or one in known))
        outside = [
            self._from_outside(adapter)
            for adapter in below
            if adapter.gate is None or adapter.gate.home is not self.home  # that would lead back here
        ]
        return Index().plus(*outside, *self._here())

    @property
    def own(self) -> c.Iterable[Adapter]:
        """The adapters that are no gates: behind walls those of the plugin alone."""
        inner = self.inner
        return [one for one in (self.index if inner is None else inner) if one.gate is None]

    def _here(self) -> list[Adapter]:
        return [*self._imported, *self._registered]

    def _from_outside(self, adapter: Adapter) -> Adapter:
        if adapter.lifetime == "transient" or self.home is None or self.home.outside is None:
            return adapter
        # what is kept for all is built from what all see
        gate = self._gates.get(adapter)
        if gate is None:
            through = Gate(self.home.outside, adapter)
            gate = Adapter.through(
                through, adapter, adapter.return_type, family=adapter.family, replaces=adapter.replaces
            )
            self._gates[adapter] = gate
        return gate

    def builds(self, key: t.Any, *, imported: bool = True) -> bool:
        """Say whether something that was registered here answers *key*, or that was *imported*, if that counts."""
        inner = self.inner
        return inner is not None and any(imported or one.gate is None for one in inner.answering(key))

    def import_(self, *adapters: Adapter) -> None:
        """Take adapters that lead to what another plugin exports; those registered here are preferred to it."""
        with self._lock:
            self._imported += adapters
            self._below = self._inner = None
        self._forget()

    def current(self, components: Components) -> Current:
        """Return a context manager: inside of its block *components* and this registry are current."""
        return Current(components, self)

    def register(
        self, *implementations: c.Callable[..., t.Any], lifetime: Lifetime = "transient", replace: bool = False
    ) -> None:
        """Register callables by the types that they return: all of them, or none if one is refused.

        What they build lives for the call ("transient"), once in the innermost open scope ("scoped"), or once in the
        stage ("singleton"). A callable that is registered already becomes the last. With *replace*, adapters registered
        before no longer answer for the types that the new ones answer for. Raises `AdapterError` for what cannot be an
        adapter, ValueError for a lifetime that is none.
        """
        self._add(Adapter.each(implementations, lifetime, replaces=replace))

    def _add(self, adapters: list[Adapter]) -> None:
        if self._parent is not None and not self.is_walled:
            self._parent._add(adapters)
            if self._imported:  # what comes later is preferred to what is imported already
                self.import_(*adapters)
            return
        with self._lock:
            if self._parent is None:
                self._waiting += adapters
            else:
                self._registered += adapters
                self._below = self._inner = None
        self._forget()

    def _forget(self) -> None:
        """Drop all plans that may know what is here: a gate may lead here from anywhere."""
        for one in self._top._family():
            one._resolver.forget()
            one._resolver_now.forget()

    @property
    def _top(self) -> Adapters:
        return self if self._parent is None else self._parent._top

    def _family(self) -> c.Iterator[Adapters]:
        yield self
        for child in tuple(self._children):
            yield from child._family()

    def _register_as(self, lifetime: Lifetime, interface: t.Any, implementation: t.Any, replace: bool) -> t.Any:
        if implementation is missing:
            implementation = interface
            self.register(implementation, lifetime=lifetime, replace=replace)
        else:
            self._add([Adapter.of(implementation, lifetime, interface, replaces=replace)])
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
        top = self._top
        with top._lock:
            self.overrides.add(override)
        top._forget()
        try:
            yield fake
        finally:
            with top._lock:
                self.overrides.remove(override)
            top._forget()
            self.overrides.restore(override)

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
                    return plan()
            else:
                request = (KEYWORDS, (target, *more) if more else target, tuple(dependencies))
                if (plan := self._plans.get(request)) is not None:
                    return plan(dependencies)
        except TypeError:  # a target that cannot be a key, such as Literal[[]]
            request = None
        return self._nject(request, () if target is missing else (target, *more), dependencies)

    async def _nject(
        self, key: t.Any, targets: tuple[t.Any, ...], given: dict[str, t.Any], function: t.Any = None
    ) -> t.Any:
        return await self._resolver.resolve(resolve.Request(key, targets, function), _current(), given)

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
            return plan(dependencies) if dependencies else plan()
        return self._resolver_now.resolve_now(resolve.Request(request, targets), _current(), dependencies)

    def bind(self, target: Target[A], /, **dependencies: t.Any) -> bound.Bound[A]:
        """Return a coroutine function that does ``nject(target, name=…)``, for hot paths.

        *dependencies* names what its caller gives, and the types of it: ``bind(Report, user=User)`` is called as
        ``await bound(user)`` or ``await bound(user=user)``.
        """
        return bound.bind(self._nject, self._plans, target, tuple(dependencies))

    def bind_injected(self, injected: Injected) -> c.Callable[[], c.Coroutine[t.Any, t.Any, t.Any]]:
        """Return a coroutine function that gives what the parameters of *injected* need, for hot paths.

        That is a tuple, or where there is but one parameter the object itself. Without parameters it cannot be called.
        """
        return bound.bind_injected(self._nject, self._plans, injected)

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


class Current:
    """``with Current(components, adapters):`` code inside of the block sees these."""

    __slots__ = ("_adapters", "_components", "_tokens")

    def __init__(self, components: Components, adapters: Adapters) -> None:
        self._components = components
        self._adapters = adapters

    def __enter__(self) -> None:
        self._tokens = buvar_context.set(self._components), buvar_adapters.set(self._adapters)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        components, adapters = self._tokens
        buvar_adapters.reset(adapters)
        buvar_context.reset(components)
