"""The current context: the `Components` that is current, held in the one `ContextVar`.

A usable context exists in every thread and in every ``contextvars.Context``: where none was set, it is the one that was
made when buvar was imported.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import typing as t

from . import scopes
from .components import OUTER, Components, Layer, missing

if t.TYPE_CHECKING:
    import collections.abc as c
    import types

T = t.TypeVar("T")
D = t.TypeVar("D")
P = t.ParamSpec("P")
R = t.TypeVar("R")

#: the one context variable; its default serves threads, which start with an empty ``contextvars.Context``
buvar_context: contextvars.ContextVar[Components] = contextvars.ContextVar("buvar_context", default=Components())  # noqa: B039 - meant to be shared
# bound once: to look the methods up takes half of the time of a call
_current: t.Final = buvar_context.get
_set: t.Final = buvar_context.set
_reset: t.Final = buvar_context.reset


def current_context() -> Components:
    """Return the components that are current here."""
    return _current()


def add(item: T, namespace: t.Hashable = None, *, name: t.Hashable = None) -> T:
    """Add *item* to the innermost layer of the current context; see `Components.add`."""
    components = _current()
    # the frame tells the place, which is of no interest in a scope
    frame = None if components.scope is components.maps else sys._getframe(1)
    return components.add_from(frame, item, namespace, name)


@t.overload
def get(namespace: type[T], *, name: t.Hashable = None) -> T: ...
@t.overload
def get(namespace: type[T], *, name: t.Hashable = None, default: D) -> T | D: ...
@t.overload
def get(namespace: t.Hashable, *, name: t.Hashable = None, default: t.Any = ...) -> t.Any: ...
def get(namespace: t.Any, name: t.Hashable = None, default: t.Any = missing) -> t.Any:
    """Return a component of the current context; see `Components.get`."""
    return _current().get(namespace, name=name, default=default)


@t.overload
def find(namespace: type[T]) -> dict[t.Hashable, T]: ...
@t.overload
def find(namespace: t.Hashable) -> dict[t.Hashable, t.Any]: ...
def find(namespace: t.Any) -> dict[t.Hashable, t.Any]:
    """Return all components of the current context filed under *namespace*; see `Components.find`."""
    return _current().find(namespace)


def push(*layers: Layer) -> Components:
    """Return the current context with *layers*, or one fresh layer, on top; it does not become current."""
    return _current().push(*layers)


def pop() -> Components:
    """Return the current context without its innermost layer; it does not become current."""
    return _current().pop()


class child:  # noqa: N801 - reads as a verb: ``with context.child():``
    """``with context.child() as components:`` a fresh layer is current inside of the block, and gone after it."""

    __slots__ = ("_layers", "_token")

    def __init__(self, *layers: Layer) -> None:
        self._layers = layers

    def __enter__(self) -> Components:
        current = _current()
        components = current.push(*self._layers) if self._layers else current.push()
        self._token = _set(components)
        return components

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        _reset(self._token)


async def _nothing() -> None:
    """Be awaited."""


class scope(Components):  # noqa: N801 - reads as a verb: ``async with context.scope("request"):``
    """``async with context.scope("request") as components:`` a layer with an end, in which scoped things are kept.

    At the end what generator adapters opened in it is finalised, the last first; each learns of the error that ended
    the scope. Failures come as an ExceptionGroup. The name is for people: it says in messages what the scope is for.
    """

    __slots__ = ("_token", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> Components:
        # what `Components.push_scope` does, for the scope itself: each request, message and job has one
        below = _current()
        self.below = below.maps
        self.maps = self.scope = ({},) + below.maps  # noqa: RUF005 - half the time of unpacking
        self.home = below.home
        if below.scope is not None:
            self.maps[0][OUTER] = below.scope
        self._token = _set(self)
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> c.Awaitable[None]:
        scope = self.maps[0]
        if scopes.EXITS not in scope:  # nothing to be done, hence nothing to be waited for
            scope[scopes.EXITS] = scopes.CLOSED
            _reset(self._token)
            return _nothing()
        return scopes.close(scope, self.name, error, _reset, self._token)


def run(components: Components) -> c.Callable[[c.Callable[P, R]], c.Callable[P, R]]:
    """Decorate a function so that it runs with *components* current, in a ``contextvars.Context`` of its own."""

    def decorate(function: c.Callable[P, R]) -> c.Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            def call() -> R:
                _set(components)
                return function(*args, **kwargs)

            return contextvars.copy_context().run(call)

        return wrapper

    return decorate


class StackingTaskFactory:
    """A task factory that gives each task a layer of its own on top of the context it was created in."""

    def __init__(self, *, parent_factory: t.Any = None) -> None:
        self.parent_factory = parent_factory

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: c.Coroutine[t.Any, t.Any, T] | c.Generator[t.Any, None, T],
        context: contextvars.Context | None = None,
        **kwargs: t.Any,
    ) -> asyncio.Task[T]:
        own = contextvars.copy_context() if context is None else context.copy()
        own.run(lambda: _set(push()))
        if self.parent_factory is not None:
            return t.cast("asyncio.Task[T]", self.parent_factory(loop, coro, context=own, **kwargs))
        return asyncio.Task(coro, loop=loop, context=own, **kwargs)

    @classmethod
    def set(cls, *, loop: asyncio.AbstractEventLoop | None = None) -> StackingTaskFactory:
        """Make a stacking factory the one of *loop* (default: the running one), on top of the factory it had."""
        loop = asyncio.get_running_loop() if loop is None else loop
        factory = cls(parent_factory=loop.get_task_factory())
        loop.set_task_factory(t.cast("t.Any", factory))
        return factory

    def reset(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Give *loop* (default: the running one) back the factory that it had before."""
        loop = asyncio.get_running_loop() if loop is None else loop
        loop.set_task_factory(self.parent_factory)


set_task_factory = StackingTaskFactory.set
