"""The functions of `buvar.di`: what `Adapters` does, by those that are current."""

from __future__ import annotations

import typing as t

from buvar.components import missing

from .bound import KEYWORDS, Bound
from .registry import A, B, C, D, E, F, Target, buvar_adapters

if t.TYPE_CHECKING:
    import collections.abc as c
    import contextlib

    from .markers import Lifetime

# bound once: to look the methods up takes half of the time of a call
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
                return _adapters()._plans[target]()
            return _adapters()._plans[KEYWORDS, target, tuple(dependencies)](dependencies)
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


def bind(target: Target[A], /, **dependencies: t.Any) -> Bound[A]:
    """Return a coroutine function that does ``nject(target, name=…)`` by the current adapters; see `Adapters.bind`."""
    return _adapters().bind(target, **dependencies)


def override(key: t.Any, fake: t.Any, *, name: t.Hashable = None) -> contextlib.AbstractContextManager[t.Any]:
    """Have *fake* taken wherever *key* is needed, by the current adapters, in a block; see `Adapters.override`."""
    return _adapters().override(key, fake, name=name)
