"""Scopes: what was opened in one is finalised when it ends, the last opened first.

A scope is a layer with an end. What generator adapters opened for it waits in the dict of that layer, as generators
that stand at their ``yield``. At the end each goes on from there: with the error that ended the scope, if one did. Each
is attempted, whatever becomes of the others.
"""

from __future__ import annotations

import collections.abc as c
import types
import typing as t

import attrs
import structlog

from . import errors
from .components import Mark

#: in the dict of a scope: the list of what is open in it, `CLOSED` when it is over
EXITS: t.Final = Mark("exits")
CLOSED: t.Final = Mark("closed")

AnyGenerator: t.TypeAlias = "c.Generator[t.Any, None, None] | c.AsyncGenerator[t.Any, None]"
Scope: t.TypeAlias = "dict[t.Hashable, t.Any]"

log = structlog.get_logger(__name__)


class Opens(t.Protocol):
    """Whose generator something is: the adapter, seen from the rooms that it stands on."""

    @property
    def implementation(self) -> t.Any: ...

    @property
    def label(self) -> str: ...

    @property
    def place(self) -> errors.Place | None: ...


@attrs.frozen(eq=False)
class Managed:
    """A generator as an async context manager, for a teardown to hold."""

    generator: AnyGenerator
    adapter: Opens

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.adapter.label

    async def __aenter__(self) -> t.Any:
        return await start(self.generator, self.adapter)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        await finish(self.generator, self.adapter, error)


async def start(generator: AnyGenerator, adapter: Opens) -> t.Any:
    """Return what *generator* yields first. Raises `AdapterError` when it yields nothing."""
    if not isinstance(generator, c.AsyncGenerator):
        return start_now(generator, adapter)
    try:
        return await anext(generator)
    except StopAsyncIteration:
        raise yields_nothing(adapter) from None


def start_now(generator: c.Generator[t.Any, None, None], adapter: Opens) -> t.Any:
    """Return what a synchronous *generator* yields first. Raises `AdapterError` when it yields nothing."""
    try:
        return next(generator)
    except StopIteration:
        raise yields_nothing(adapter) from None


def yields_nothing(adapter: Opens) -> errors.AdapterError:
    """Return the error for a generator that ends before it has yielded."""
    reason = "it yielded nothing; yield what it builds, once"
    return errors.AdapterError(adapter.implementation, reason, adapter.place)


async def finish(generator: AnyGenerator, adapter: Opens, error: BaseException | None) -> None:
    """Let *generator* end, with *error* where its scope ended with one. That error itself is not raised again.

    Raises what else the generator raises, and `AdapterError` when it yields once more.
    """
    if not isinstance(generator, c.AsyncGenerator):
        return finish_now(generator, adapter, error)
    try:
        await (anext(generator) if error is None else generator.athrow(error))
    except StopAsyncIteration:
        return None
    except BaseException as raised:
        if _is_same(raised, error):
            return None
        raise
    return await _refuse_more(generator, adapter)


def finish_now(generator: c.Generator[t.Any, None, None], adapter: Opens, error: BaseException | None = None) -> None:
    """Let a synchronous *generator* end; see `finish`."""
    try:
        if error is None:
            next(generator)
        else:
            generator.throw(error)
    except StopIteration:
        return
    except BaseException as raised:
        if _is_same(raised, error):
            return
        raise
    try:
        raise _yields_twice(adapter)
    finally:
        generator.close()


def _is_same(raised: BaseException, error: BaseException | None) -> bool:
    # a StopIteration that is thrown into a generator comes out as the cause of a RuntimeError
    return error is not None and (raised is error or (type(raised) is RuntimeError and raised.__cause__ is error))


def _yields_twice(adapter: Opens) -> errors.AdapterError:
    reason = "it yielded twice; what follows its yield runs when the scope ends, and yields no more"
    return errors.AdapterError(adapter.implementation, reason, adapter.place)


def keep(scope: Scope, generator: AnyGenerator, adapter: Opens) -> bool:
    """Have *generator* finalised when *scope* ends; False when it has ended already."""
    exits = scope.setdefault(EXITS, [])
    if exits is CLOSED:
        return False
    exits.append((generator, adapter))
    return True


async def close(
    scope: Scope, name: str, error: BaseException | None, leave: c.Callable[[t.Any], object], token: t.Any
) -> None:
    """Finalise all that is open in *scope*, the last opened first, also what is opened meanwhile, and ``leave(token)``.

    Raises an ExceptionGroup of all failures, that of the scope's own *error* included. An *error* that is no Exception,
    such as a cancellation, goes on by itself: the failures are logged then, and noted on it.
    """
    failures: list[BaseException] = []
    exits = scope[EXITS]
    try:
        while exits:
            generator, adapter = exits.pop()
            try:
                if error is None and type(generator) is types.AsyncGeneratorType:
                    # what `finish` does for what is by far the most frequent, as a loop, which ends without an `except`
                    async for _ in generator:
                        await _refuse_more(generator, adapter)
                else:
                    await finish(generator, adapter, error)
            except BaseException as failure:
                errors.note(failure, f"while finalising {adapter.label} at the end of the scope {name!r}")
                failures.append(failure)
        scope[EXITS] = CLOSED
        if failures:
            _raise(failures, name, error)
    finally:
        leave(token)


async def _refuse_more(generator: c.AsyncGenerator[t.Any, None], adapter: Opens) -> None:
    try:
        raise _yields_twice(adapter)
    finally:
        await generator.aclose()


def _raise(failures: list[BaseException], name: str, error: BaseException | None) -> None:
    stops = [one for one in (error, *failures) if one is not None and not isinstance(one, Exception)]
    if not stops:
        told = failures if error is None else [error, *failures]
        raise BaseExceptionGroup(f"the scope {name!r} was not closed well", told) from error
    for failure in failures:
        if failure is not stops[0]:
            log.error("closing a scope failed", scope=name, exc_info=failure)
            errors.note(stops[0], f"closing the scope {name!r} failed too: {errors.summary(failure)}")
    if stops[0] is not error:
        raise stops[0]
