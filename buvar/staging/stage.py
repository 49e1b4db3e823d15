"""Stage: one run of a set of plugins in one process.

The phases:

1. prepare: the plugins are loaded; they load others, add components, register adapters, yield tasks
2. run: the tasks run together until all have ended, one has failed, or the stage is asked to stop
3. teardown: what was set up is taken down, the last first, also after a failure

The context is a stack, the innermost layer last: what was there at import; what was passed in; what the stage provides
(`Cancel`, `Teardown`, `Ready`, `Lead`, `Signals`, `Loader`); what the plugins share.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
import typing as t

import structlog

from buvar import context, di, errors
from buvar.components import Components, Home
from buvar.staging import checks, lead, picture, ready, tasks, teardown
from buvar.staging import loader as loading
from buvar.staging.signals import ECHO, Signals

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger(__name__)


class Phase(enum.Enum):
    """Where a stage is; it only ever moves on."""

    PREPARE = 1
    RUN = 2
    TEARDOWN = 3


class Stage:
    """Takes plugins through the three phases, one by one or all at once with `run`.

    *components* go below what the stage itself provides. *loop* stays open; without one the stage makes its own, by
    *loop_factory*, and closes it after teardown. *signals* is a subclass of `Signals`. Timeouts are in seconds:
    *cancel_timeout* for tasks to finish after `Cancel`, *start_timeout* for all plugins to prepare (None: no limit),
    *teardown_timeout* for each thing to be torn down.
    """

    def __init__(
        self,
        components: Components | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        signals: type[Signals] | None = None,
        cancel_timeout: float = 60.0,
        start_timeout: float | None = 60.0,
        teardown_timeout: float = 30.0,
        loop_factory: c.Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.cancel_timeout = cancel_timeout
        self.start_timeout = start_timeout
        self._owns_loop = loop is None
        self.loop = (loop_factory or asyncio.new_event_loop)() if loop is None else loop
        self.phase = Phase.PREPARE
        #: whether the check before the run logs its warnings; of several workers one does
        self.tells = True
        self._hurry = asyncio.Event()
        self._stop = asyncio.Event()
        self._stopped_at = 0.0
        self._provide(components, signals or Signals, teardown_timeout)
        self.runner = tasks.Runner(self.cancel, self._hurry, cancel_timeout)

    def _provide(self, passed: Components | None, signals_class: type[Signals], teardown_timeout: float) -> None:
        own = context.current_context().push(*(passed.stack if passed is not None else ())).push()
        self.cancel = own.add(tasks.Cancel())
        self.teardown = own.add(teardown.Teardown(teardown_timeout, self.cancel.set))
        self.ready = own.add(ready.Ready())
        self.lead = own.add(lead.Lead(self.cancel))
        self.signals = own.add(signals_class(self))
        self.context = own.push()
        home = self.context.home = Home(None, self.context.maps, self.teardown)
        home.adapters = di.Adapters(di.buvar_adapters.get(), home)
        self.plugins = loading.Plugins(self.context.stack[0], own.stack, self.context.home, self.teardown)
        self.look = checks.Look(self.context, self.plugins)
        self.loader = own.add(loading.Loader(self.plugins))

    @property
    def failures(self) -> tuple[BaseException, ...]:
        """The errors of the tasks that failed, in the order in which they did."""
        return tuple(self.runner.failures)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked the stage to stop, as a signal does."""
        return self._stop.is_set()

    def graph(self) -> di.Graph:
        """Return who provides what for whom, as it is now: what all see, and what each plugin has behind its walls."""
        views = [self.context, *(plugin.components for plugin in self.plugins if plugin.walls is not None)]
        return di.graph_all((view.home.adapters, view) for view in views)

    def picture(self) -> picture.Picture:
        """Return what the stage is made of, as it is now: its plugins, who loaded whom, and its `graph`."""
        return picture.draw(self.plugins, self.graph())

    def stop(self) -> None:
        """Ask the stage to stop, as a signal does: tasks get `Cancel`, a start is given up.

        A second call, not within half a second, cuts the grace of the tasks short.
        """
        now = time.monotonic()
        if not self._stop.is_set():
            self._stopped_at = now
            self._stop.set()
            self.cancel.set()
        elif now - self._stopped_at > ECHO:
            log.warning("second signal, cutting the grace short")
            self._hurry.set()

    def load(self, *plugins: loading.PluginRef) -> None:
        """Prepare *plugins*. Raises what the first one that failed raised, or `errors.StartTimeoutError`."""
        self._check_loop()
        if self.phase is not Phase.PREPARE:
            raise errors.StageError("plugins are loaded before the tasks run")
        self.signals.add_signal_handlers()
        log.debug("loading plugins")
        try:
            self._complete(self._load(plugins))
        except SystemExit as error:
            if not self.plugins.goes_on:  # then it is told at the end
                notes = getattr(error, "__notes__", ())
                log.error("the process is ended while its plugins are prepared", exit=error.code, notes=[*notes])
            raise

    def run_tasks(self) -> list[t.Any]:
        """Run the tasks to their end; return their results in load order, its error in place of one that failed."""
        self._check_loop()
        if self.phase is not Phase.PREPARE:
            raise errors.StageError("the tasks of a stage run once")
        self.phase = Phase.RUN
        self.plugins.open = False
        self.signals.add_signal_handlers()
        stage_tasks = self.plugins.tasks
        log.debug("running tasks", tasks=[task.name for task in stage_tasks])
        run = self.runner.run(stage_tasks, self.ready.start, self.lead.stop)
        return t.cast("list[t.Any]", self._complete(run))

    def run_teardown(self) -> None:
        """Take down what was set up; afterwards the stage is over. Raises an ExceptionGroup of all that failed."""
        self._check_loop()
        if self.phase is not Phase.RUN:
            self.plugins.close()
        self.phase = Phase.TEARDOWN
        self.plugins.open = False
        log.debug("teardown", tasks=len(self.teardown))
        try:
            self._complete(self._teardown())
        finally:
            self.signals.remove_signal_handlers()
            if self._owns_loop:
                self._close_loop()

    def run(self, *plugins: loading.PluginRef) -> list[t.Any]:
        """Take *plugins* through all three phases and return the results of the tasks.

        A failed prepare keeps its error, whatever teardown adds; failures of teardown alone come as an ExceptionGroup.
        """
        self._check_loop()
        try:
            self.load(*plugins)
            # tasks of a service that was told to stop while it started are not started any more
            results = [] if self._stop.is_set() else self.run_tasks()
        except BaseException as error:
            self._teardown_after(error)
            raise
        self.run_teardown()
        return results

    def _teardown_after(self, error: BaseException) -> None:
        try:
            self.run_teardown()
        except BaseExceptionGroup as group:
            errors.note(error, f"{group.message} too: {'; '.join(map(repr, group.exceptions))}")

    def _complete(self, coroutine: c.Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
        with self.context.home.adapters.current(self.context):
            phase = self.loop.create_task(coroutine)
        try:
            return self.loop.run_until_complete(phase)
        except BaseException:
            # SystemExit and KeyboardInterrupt leave the loop at once, whichever task raises them; what the phase still
            # has to do must not run beside the next one
            while not phase.done():
                self.stop()
                with contextlib.suppress(BaseException):
                    self.loop.run_until_complete(phase)
            raise

    def _check_loop(self) -> None:
        if self.loop.is_running():
            raise errors.StageError("the loop of the stage is running; from inside of it, await stage.loader(…)")
        if self.loop.is_closed():
            raise errors.StageError("the stage is over, or was given a closed loop; make another one")
        if asyncio._get_running_loop() is not None:
            raise errors.StageError("another loop runs in this thread; run the stage in a thread of its own")

    async def _load(self, plugins: tuple[loading.PluginRef, ...]) -> None:
        loads = asyncio.ensure_future(self._load_all(plugins))
        try:
            # Cancel alone does not give up a start: a plugin may set it while it prepares
            await tasks.first(tasks.all_ended([loads]), self._stop.wait(), timeout=self.start_timeout)
            if loads.done():
                return loads.result()
            if not self._stop.is_set():
                stuck = {plugin.name: plugin.stack() for plugin in self.plugins.preparing}
                raise errors.StartTimeoutError(self.start_timeout or 0.0, {**stuck, **self.look.stuck})
            log.info("told to stop while preparing", plugins=[plugin.name for plugin in self.plugins.preparing])
        except BaseException:
            await self._abort(loads)
            raise
        await self._abort(loads)
        return None

    async def _teardown(self) -> None:
        if self.plugins.preparing:  # loaded by hand, and given up by whoever waited for it
            await self.plugins.abort()
        await self.teardown.wait()

    async def _load_all(self, plugins: tuple[loading.PluginRef, ...]) -> None:
        try:
            await self.loader(*plugins)
            await self.plugins.settle()
        except Exception as error:
            await self.look.note(error)
            raise
        checks.enforce(await self.look.run(), tells=self.tells)

    async def _abort(self, loads: asyncio.Future[None]) -> None:
        await self.plugins.abort()
        loads.cancel()
        await asyncio.wait({loads}, timeout=tasks.OBEY_TIMEOUT)
        if loads.done() and not loads.cancelled():
            loads.exception()

    def _close_loop(self) -> None:
        left = asyncio.all_tasks(self.loop)
        if left:
            log.warning("cancelling what the stage left behind", tasks=[task.get_name() for task in left])
        for task in left:
            task.cancel()
        try:
            self.loop.run_until_complete(tasks.first(tasks.all_ended(left), timeout=tasks.OBEY_TIMEOUT))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()


def stage(
    *plugins: loading.PluginRef,
    components: Components | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    signals: type[Signals] | None = None,
    cancel_timeout: float = 60.0,
    start_timeout: float | None = 60.0,
    teardown_timeout: float = 30.0,
    loop_factory: c.Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> list[t.Any]:
    """Run a `Stage` of *plugins*; return the results of its tasks in load order, the error in place of a failed one."""
    return Stage(components, loop, signals, cancel_timeout, start_timeout, teardown_timeout, loop_factory).run(*plugins)
