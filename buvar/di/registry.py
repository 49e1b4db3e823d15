"""Adapters: the registry of what builds components, and the one that is current."""

from __future__ import annotations

import contextvars
import threading
import typing as t

from . import resolve
from .adapter import Adapter
from .index import Index

if t.TYPE_CHECKING:
    import collections.abc as c

A = t.TypeVar("A")
B = t.TypeVar("B")
C = t.TypeVar("C")
D = t.TypeVar("D")
E = t.TypeVar("E")

# the callable beside the type lets a protocol and an abstract class through, which mypy refuses as type[A] alone
Target: t.TypeAlias = "type[A] | c.Callable[..., A]"


class Adapters:
    """A registry of adapters. It can be listed: ``for adapter in adapters`` in order of registration."""

    def __init__(self) -> None:
        self._index = Index()
        self._lock = threading.Lock()

    @property
    def index(self) -> Index:
        """What is registered now; later registrations make another one."""
        return self._index

    def register(self, *implementations: c.Callable[..., t.Any], replace: bool = False) -> None:
        """Register callables by the types that they return: all of them, or none if one is refused.

        A callable that is registered already becomes the last. With *replace*, adapters registered before no longer
        answer for the types that the new ones answer for. Raises `AdapterError` for what cannot be an adapter.
        """
        adapters = [Adapter.of(implementation) for implementation in implementations]
        with self._lock:
            self._index = self._index.plus(adapters, replace=replace)

    def lookup(self, target: t.Any) -> list[Adapter]:
        """Return the adapters that answer *target*, the first choice first, satisfied or not."""
        index = self._index
        return list(index.candidates(index.form(target)))

    @t.overload
    async def nject(self, target: Target[A], /, **dependencies: t.Any) -> A: ...
    @t.overload
    async def nject(self, a: Target[A], b: Target[B], /, **dependencies: t.Any) -> tuple[A, B]: ...
    @t.overload
    async def nject(self, a: Target[A], b: Target[B], c: Target[C], /, **dependencies: t.Any) -> tuple[A, B, C]: ...
    @t.overload
    async def nject(
        self, a: Target[A], b: Target[B], c: Target[C], d: Target[D], /, **dependencies: t.Any
    ) -> tuple[A, B, C, D]: ...
    @t.overload
    async def nject(
        self, a: Target[A], b: Target[B], c: Target[C], d: Target[D], e: Target[E], /, **dependencies: t.Any
    ) -> tuple[A, B, C, D, E]: ...
    @t.overload
    async def nject(self, /, *targets: t.Any, **dependencies: t.Any) -> t.Any: ...
    async def nject(self, /, *targets: t.Any, **dependencies: t.Any) -> t.Any:
        """Return an object of the type *target*, or a tuple of objects when several types are asked for.

        *dependencies* are used for parameters of their name, or else of their type. In one call an adapter builds once.
        Raises `ResolveError` when something needed is not to be had (then nothing was built), `AdapterError` for an
        annotation that means nothing, and what an adapter itself raises, with a note that tells which one.
        """
        found = await resolve.nject(self, targets, dependencies)
        return found[0] if len(found) == 1 else tuple(found)

    def __iter__(self) -> c.Iterator[Adapter]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, target: t.Any) -> bool:
        return bool(self.lookup(target))

    def __repr__(self) -> str:
        return f"<Adapters: {len(self)}>"


#: the adapters that are current; the default serves threads, which start with an empty ``contextvars.Context``
buvar_adapters: contextvars.ContextVar[Adapters] = contextvars.ContextVar("buvar_adapters", default=Adapters())  # noqa: B039 - meant to be shared


def register(*implementations: c.Callable[..., t.Any], replace: bool = False) -> None:
    """Register callables with the current adapters; see `Adapters.register`."""
    buvar_adapters.get().register(*implementations, replace=replace)


@t.overload
async def nject(target: Target[A], /, **dependencies: t.Any) -> A: ...
@t.overload
async def nject(a: Target[A], b: Target[B], /, **dependencies: t.Any) -> tuple[A, B]: ...
@t.overload
async def nject(a: Target[A], b: Target[B], c: Target[C], /, **dependencies: t.Any) -> tuple[A, B, C]: ...
@t.overload
async def nject(
    a: Target[A], b: Target[B], c: Target[C], d: Target[D], /, **dependencies: t.Any
) -> tuple[A, B, C, D]: ...
@t.overload
async def nject(
    a: Target[A], b: Target[B], c: Target[C], d: Target[D], e: Target[E], /, **dependencies: t.Any
) -> tuple[A, B, C, D, E]: ...
@t.overload
async def nject(*targets: t.Any, **dependencies: t.Any) -> t.Any: ...
async def nject(*targets: t.Any, **dependencies: t.Any) -> t.Any:
    """Return an object of the type *target* by the current adapters, or a tuple of several; see `Adapters.nject`."""
    return await buvar_adapters.get().nject(*targets, **dependencies)
