"""Health: what plugins say about whether the service is fit, asked for in one place.

A plugin declares a check; whoever needs to know loads ``"buvar.plugins.health"`` and asks::

    async def ping(engine: Engine):
        await engine.execute("select 1")

    context.add(health.HealthCheck("database", ping))
    …
    report = await health.check("ready")

A check runs in the context of the plugin that declared it, in a scope of its own, with its parameters injected.
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextvars
import functools
import inspect
import math
import typing as t

import attrs

from buvar import context, di, errors, plugin
from buvar.di import resolve

#: a check of readiness tells whether to send requests, one of liveness whether to go on with the process at all
Kind: t.TypeAlias = t.Literal["ready", "live"]

#: seconds that checks which still run when the stage is torn down may take to obey their cancellation
OBEY_TIMEOUT = 1.0


def _validate(instance: HealthCheck, _: object, __: object) -> None:
    whose = f"the HealthCheck {instance.name!r}"
    check: t.Any = instance.check
    if inspect.iscoroutine(check):
        check.close()  # else Python warns that it was never awaited
        raise errors.DeclarationError(f"{whose} was given what its function returns; write the name without ()")
    if not (inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(_function(check))):
        advice = "write 'async def', with 'await asyncio.to_thread(…)' for what blocks"
        raise errors.DeclarationError(f"{whose} needs an async function, not {check!r}; {advice}")
    if isinstance(instance.timeout, bool) or not (_is_number(instance.timeout) and 0 < instance.timeout < math.inf):
        raise errors.DeclarationError(
            f"the timeout of {whose} is a number of seconds above 0, not {instance.timeout!r}"
        )
    _check_kind(instance.kind, f"the kind of {whose}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _check_kind(kind: object, what: str) -> None:
    if kind not in t.get_args(Kind):
        raise errors.DeclarationError(f"{what} is 'ready' or 'live', not {kind!r}")


def _function(check: t.Any) -> t.Any:
    """Return what has the parameters of a check: itself, or how an object is called."""
    plain = inspect.isroutine(check) or isinstance(check, functools.partial)
    return check if plain else getattr(check, "__call__", check)  # noqa: B004 - the method itself is wanted


@attrs.frozen
class HealthCheck(plugin.Declaration):
    """A check of one thing that the service needs.

    *check* is an async function, its parameters are injected. It is healthy if the function returns nothing, or a text,
    which is kept as a detail; whatever it raises says that it is not. It gets *timeout* seconds. *kind* says what for:
    "ready" (send requests here) or "live" (go on with this process). Raises `errors.DeclarationError`.
    """

    collector: t.ClassVar[str | None] = __name__

    check: c.Callable[..., c.Awaitable[str | None]] = attrs.field()
    timeout: float = attrs.field(default=5.0, kw_only=True)
    kind: Kind = attrs.field(default="ready", kw_only=True, validator=_validate)  # the last, so all is there

    @property
    def needs(self) -> tuple[c.Callable[..., t.Any], ...]:
        return (_function(self.check),)


@attrs.frozen
class Result:
    """What came of one check after *seconds*: a *detail* that it told, or the *error*, a text for logs alone."""

    name: str
    kind: Kind
    ok: bool
    seconds: float
    detail: str | None = None
    error: str | None = None


@attrs.frozen
class Last:
    """The *result* of a check that was run a while ago: *at* that time of the loop, in seconds."""

    result: Result
    at: float


@attrs.frozen
class Report:
    """What came of all checks that were asked for, in the order in which they were declared."""

    results: tuple[Result, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no check has failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results of the checks that failed."""
        return tuple(each for each in self.results if not each.ok)

    def public(self) -> dict[str, t.Any]:
        """Return what strangers may see: ``{"ok": False, "checks": {"database": False}}``, and no text at all."""
        return {"ok": self.ok, "checks": {each.name: each.ok for each in self.results}}


class Health:
    """Runs the checks of a stage. Who asks while a check runs gets the result of that run."""

    def __init__(self) -> None:
        self._components = context.current_context()
        self._context = contextvars.copy_context()
        self._runs: dict[str, _Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: what came of each check when it was last run, by name
        self.last: dict[str, Last] = {}

    async def check(self, kind: Kind | None = None) -> Report:
        """Run all checks, or those of one *kind*, side by side, and return what came of them.

        A check that fails, hangs or ends in whatever way does not touch the others. Where nobody waits for a check any
        more, since all who asked were cancelled, it is cancelled too.
        """
        if kind is not None:
            _check_kind(kind, "the kind of checks to run")
        found = plugin.declared(HealthCheck, self._components).values()
        runs = [self._join(each) for each in found if kind in {None, each.item.kind}]
        try:
            if runs:
                await asyncio.wait([run.result for run in runs])
        finally:
            for run in runs:
                self._leave(run)
        return Report(tuple(run.result.result() for run in runs))

    async def close(self) -> None:
        """Cancel the checks that still run, and wait for their end."""
        if tasks := [*self._tasks]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=OBEY_TIMEOUT)

    def _join(self, declared: plugin.Declared[HealthCheck]) -> _Run:
        name = declared.item.name
        run = self._runs.get(name)
        if run is None or run.is_over:
            run = self._runs[name] = _Run(declared)
            run.result.add_done_callback(functools.partial(self._note, run))
            loop = asyncio.get_running_loop()
            task = run.task = loop.create_task(run.go(), name=f"health check {name}", context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(
                functools.partial(self._ended, run, loop.call_later(declared.item.timeout, run.expire))
            )
        run.waiters += 1
        return run

    def _note(self, run: _Run, result: asyncio.Future[Result]) -> None:
        if run.waiters:  # otherwise it was cancelled since nobody waited for it any more, which says nothing
            self.last[result.result().name] = Last(result.result(), asyncio.get_running_loop().time())

    def _leave(self, run: _Run) -> None:
        run.waiters -= 1
        if not run.waiters and not run.result.done():
            self._forget(run)
            t.cast("asyncio.Task[None]", run.task).cancel()

    def _ended(self, run: _Run, timer: asyncio.TimerHandle, task: asyncio.Task[None]) -> None:
        timer.cancel()
        self._tasks.discard(task)
        self._forget(run)
        if task.cancelled():
            run.tell(error="it was cancelled")

    def _forget(self, run: _Run) -> None:
        # one that ignores its cancellation stays until it ends: it is not started once more meanwhile
        if self._runs.get(run.declared.item.name) is run:
            del self._runs[run.declared.item.name]


@attrs.define(eq=False)
class _Run:
    """One run of a check, and how many wait for its *result*."""

    declared: plugin.Declared[HealthCheck]
    result: asyncio.Future[Result] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future(), init=False)
    began: float = attrs.field(factory=lambda: asyncio.get_running_loop().time(), init=False)
    task: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    waiters: int = attrs.field(default=0, init=False)

    async def go(self) -> None:
        """Run the check and tell what came of it."""
        try:
            detail: t.Any = await self._call()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit too: it is the check that failed, the service goes on
            self.tell(error=_text(error))
        else:
            if detail is None or isinstance(detail, str):
                self.tell(detail)
            else:
                self.tell(error=f"it returned {detail!r}; return nothing or a text if all is well, raise if not")

    async def _call(self) -> t.Any:
        check = self.declared.item.check
        with self.declared.at_home():
            async with context.scope(f"health check {self.declared.item.name}"):
                return await check(**await resolve.arguments(di.buvar_adapters.get(), _function(check)))

    @property
    def is_over(self) -> bool:
        """Whether the function of the check has ended."""
        return self.task is not None and self.task.done()

    def expire(self) -> None:
        """Tell that the check took too long, and cancel it."""
        self.tell(error=f"it took longer than {self.declared.item.timeout:g} s")
        t.cast("asyncio.Task[None]", self.task).cancel()

    def tell(self, detail: str | None = None, error: str | None = None) -> None:
        """Set the result, unless there is one."""
        if not self.result.done():
            check, seconds = self.declared.item, asyncio.get_running_loop().time() - self.began
            self.result.set_result(Result(check.name, check.kind, error is None, seconds, detail, error))


def _text(error: BaseException) -> str:
    try:
        return errors.explain(error)
    except Exception:  # an error that cannot be written is one all the same
        return type(error).__name__


async def check(kind: Kind | None = None) -> Report:
    """Run all checks of the stage, or those of one *kind*; see `Health.check`."""
    return await context.get(Health).check(kind)


async def prepare(teardown: plugin.Teardown, ready: plugin.Ready) -> None:
    """Add `Health` to the context."""
    health = context.add(Health())
    # when all others are prepared: so no check runs any more when what it needs is torn down
    ready.add_callback(lambda: teardown.add(health.close))
