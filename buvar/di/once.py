"""Once: what is kept in a scope or a stage is built by the first who needs it, and the others wait for that.

While it is built, its *pending* key stands in the dict of the scope: with the task that builds it, or, when somebody
waits, with a `Waiters`. A creator that is cancelled hands over: those who wait try again, and the first of them builds.
A creator that fails fails all who wait. What is there already is found with one look-up, and no lock.

Tasks that would wait for each other are told so instead of waiting for ever. Where a creator waits by other means for
who waits for it, such as a task that it has started, nothing tells: who waits for long says so in the log.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import typing as t

import structlog

from buvar import errors, scopes

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.scopes import Scope

    from .adapter import Adapter
    from .keys import Key

#: seconds after which it is logged that somebody still waits for what another one builds
PATIENCE = 10.0

#: who builds something: a task, or the number of a thread in which no task runs
Builder: t.TypeAlias = "asyncio.Task[t.Any] | int"

F = t.TypeVar("F")

#: whose building each builder waits for
_waiting: dict[Builder, Builder] = {}
_lock = threading.Lock()

log = structlog.get_logger(__name__)


class Waiters:
    """Those who wait for what *builder* builds, in whatever loop."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.was_told = False
        self._futures: list[asyncio.Future[None]] = []
        self._blocked: list[concurrent.futures.Future[None]] = []

    def join(self) -> asyncio.Future[None]:
        """Return a future for one more who waits."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        return future

    def join_now(self) -> concurrent.futures.Future[None]:
        """Return a future for one more who waits, in a thread without a loop."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._blocked.append(future)
        return future

    def wake(self, error: Exception | None) -> None:
        """Let all go on, with *error* if there is one."""
        for future in self._futures:
            loop = future.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future, error)
        for blocked in self._blocked:
            _settle(blocked, error)


def _settle(future: asyncio.Future[None] | concurrent.futures.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def builder() -> Builder:
    """Return who is building here."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else task


def begin(scope: Scope, key: Key) -> bool:
    """Note that *key* is being built by us; False when somebody else is at it."""
    with _lock:
        if key in scope or key.pending in scope:
            return False
        scope[key.pending] = builder()
        return True


def done(scope: Scope, key: Key, error: BaseException | None = None) -> None:
    """Note that we have built *key*, or have failed to."""
    with _lock:
        pending = scope.pop(key.pending, None)
    if type(pending) is Waiters:
        pending.wake(error if isinstance(error, Exception) else None)


async def wait(scope: Scope, key: Key) -> None:
    """Wait until somebody else has built *key*, or has given up. Raises what it failed with.

    Raises `ResolveError` when that one, or whom it waits for, waits for us.
    """
    if (future := _queue(scope, key, Waiters.join)) is not None:
        late = asyncio.get_running_loop().call_later(PATIENCE, _tell, scope, key)
        try:
            await future
        finally:
            late.cancel()
            _waiting.pop(builder(), None)


def wait_now(scope: Scope, key: Key) -> None:
    """Do what `wait` does in a thread in which no loop runs, where it blocks.

    Raises `ResolveError` where a loop runs, since that must not be blocked.
    """

    def join(waiters: Waiters) -> concurrent.futures.Future[None]:
        if asyncio._get_running_loop() is not None:
            reason = "it is just being built by somebody else; use await di.nject(…) instead"
            raise errors.ResolveError(key.adapter.return_type, reason)
        return waiters.join_now()

    if (future := _queue(scope, key, join)) is not None:
        try:
            if not concurrent.futures.wait((future,), PATIENCE).done:
                _tell(scope, key)
            future.result()
        finally:
            _waiting.pop(builder(), None)


def _queue(scope: Scope, key: Key, join: c.Callable[[Waiters], F]) -> F | None:
    """Return the future that *join* makes with those who wait for *key*, None when nobody builds it any more."""
    me = builder()
    with _lock:
        pending = scope.get(key.pending)
        if pending is None:
            return None
        if type(pending) is not Waiters:
            pending = scope[key.pending] = Waiters(pending)
        _check(me, pending.builder, key)
        future = join(pending)
        _waiting[me] = pending.builder
    return future


def _tell(scope: Scope, key: Key) -> None:
    """Log, once, that *key* takes long."""
    pending = scope.get(key.pending)
    if isinstance(pending, Waiters) and not pending.was_told:
        pending.was_told = True
        by = pending.builder.get_name() if isinstance(pending.builder, asyncio.Task) else f"thread {pending.builder}"
        log.warning(
            "waiting for what another task builds; should that one wait for this, it is a circle",
            adapter=key.adapter.label,
            builder=by,
            seconds=PATIENCE,
        )


def _check(me: Builder, other: Builder, key: Key) -> None:
    each: Builder | None = other
    while each is not None:
        if each == me:
            label = key.adapter.label
            raise errors.ResolveError(
                key.adapter.return_type,
                f"a circle: {label} is asked for while it is being built, by what it needs itself; "
                "declare that as a parameter, or do without",
            )
        each = _waiting.get(each)


def ended(adapter: Adapter) -> errors.ResolveError:
    """Return the error for what is asked for when its scope is over."""
    reason = "its scope has ended; ask for it while the scope is open, or open another one: async with context.scope(…)"
    return errors.ResolveError(adapter.return_type, reason, (errors.Step(adapter.label, adapter.place),))


async def once(scope: Scope, key: Key, create: c.Callable[[], c.Awaitable[t.Any]], *, sync: bool = False) -> t.Any:
    """Return what *scope* keeps under *key*, or else the result of *create*, which then runs only once.

    With *sync* nothing is awaited, unless *create* does. Raises `ResolveError` when it is not there and the scope has
    ended.
    """
    while (found := scope.get(key)) is None:
        if scope.get(scopes.EXITS) is scopes.CLOSED:
            raise ended(key.adapter)
        if not begin(scope, key):
            if sync:
                wait_now(scope, key)
            else:
                await wait(scope, key)
            continue
        try:
            found = scope[key] = await create()
        except BaseException as error:
            done(scope, key, error)
            raise
        done(scope, key)
    return found
