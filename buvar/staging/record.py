"""What a stage knows of each of its plugins: who loaded it, how long it took, what it gave."""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextvars
import inspect
import time
import traceback
import typing as t

import attrs

from buvar import errors, names
from buvar.components import Components, Entry
from buvar.staging import exports, lead, tasks

Prepare: t.TypeAlias = c.Callable[..., t.Any]
Generator: t.TypeAlias = c.AsyncGenerator[t.Any, None]

#: a load: the one that the plugin is prepared for, one of a plugin that is already known, one that would close a circle
LoadKind: t.TypeAlias = t.Literal["first", "again", "circle"]

NOTE = "while preparing plugin"


def plugin_name(prepare: Prepare) -> str:
    """Return ``"package.module"`` for the ``prepare`` of a module, ``"package.module:function"`` for another."""
    module, _, function = names.fqdn(prepare).partition(":")
    return module if function in {"prepare", ""} else f"{module}:{function}"


@attrs.define(eq=False)
class PluginRecord:
    """One plugin of a stage.

    *prepared* is done when its preparation is, with the error if it failed. *began* is when that began, by
    ``time.perf_counter``, *seconds* how long it took, *waited* how much of it went by while what it loads was imported
    and prepared; *imported* is how long it took before that to find the plugin, to import it mostly.
    *components* is the context that its code runs in, *walls* what it has for itself alone, None for an open plugin.
    """

    prepare: Prepare
    loader: PluginRecord | None
    components: Components
    walls: exports.Walls | None = None
    name: str = attrs.field(init=False)
    prepared: asyncio.Future[None] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future(), init=False)
    tasks: list[tasks.StageTask] = attrs.field(factory=list, init=False)
    began: float = attrs.field(factory=time.perf_counter, init=False)
    seconds: float = attrs.field(default=0.0, init=False)
    waited: float = attrs.field(default=0.0, init=False)
    imported: float = attrs.field(default=0.0, init=False)
    seen: bool = attrs.field(default=False, init=False)
    task: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    generator: Generator | None = attrs.field(default=None, init=False)
    _waits: list[PluginRecord] = attrs.field(factory=list, init=False)
    _waits_since: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.name = plugin_name(self.prepare)

    @property
    def chain(self) -> list[str]:
        """The plugin and who loaded it, up to the one that the stage loaded."""
        chain, each = [self.name], self.loader
        while each is not None:
            chain.append(each.name)
            each = each.loader
        return chain

    @property
    def is_busy(self) -> bool:
        """Whether it is being prepared, and waits for no other plugin."""
        return not self.prepared.done() and not self._waits

    @property
    def own_seconds(self) -> float:
        """How long it took to import and to prepare the plugin, without what it loads."""
        return self.imported + self.seconds - self.waited

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the preparation, if one did."""
        done = self.prepared.done() and not self.prepared.cancelled()
        return self.prepared.exception() if done else None

    def add_task(self, awaitable: t.Any) -> None:
        """Keep what the plugin yielded, to be run in the plugin's context."""
        if not inspect.isawaitable(awaitable):
            raise errors.PluginError(
                self.name, f"it yielded {awaitable!r}, which is no awaitable; yield task(), not task"
            )
        if isinstance(awaitable, lead.Leader) and not awaitable.take():
            raise errors.PluginError(self.name, f"it yielded {awaitable!r} twice; make one for each task")
        self.tasks.append(tasks.StageTask(awaitable, self.name, contextvars.copy_context()))

    def added(self) -> list[Entry]:
        """List the components that the plugin added to what it shares."""
        return [entry for entry in self.components.entries() if entry.owner == self.name]

    async def join(self, loader: PluginRecord | None) -> None:
        """Wait, for *loader*, until the plugin is prepared. Raises the error of its preparation."""
        waits = loader._waits if loader is not None else []
        if loader is not None and not waits:
            loader._waits_since = time.perf_counter()
        waits.append(self)
        try:
            await asyncio.shield(self.prepared)
        finally:
            waits.remove(self)
            if loader is not None and not waits:  # several may be loaded side by side
                loader.waited += time.perf_counter() - loader._waits_since
            self.seen = self.seen or self.prepared.done()

    def imports(self, seconds: float) -> None:
        """Know that so much time went by while what the plugin loads was imported."""
        if not self._waits:  # otherwise it is part of a wait
            self.waited += seconds

    def waiting_for(self, target: PluginRecord) -> list[PluginRecord]:
        """Return the shortest path of waits from this plugin to *target*, both included; empty when there is none."""
        waiter: dict[PluginRecord, PluginRecord | None] = {self: None}  # who waits for it, on the way from here
        todo = [self]
        while todo and target not in waiter:
            found = {waited: each for each in todo for waited in each._waits if waited not in waiter}
            waiter.update(found)
            todo = list(found)
        path: list[PluginRecord] = []
        each = target if target in waiter else None
        while each is not None:
            path.insert(0, each)
            each = waiter[each]
        return path

    def failed(self, error: BaseException) -> None:
        """End the preparation with *error*, which keeps its type and gains a note that says where it happened."""
        if isinstance(error, asyncio.CancelledError):
            if self.task is not None and self.task.cancelling():
                self.prepared.cancel()
                return
            cancelled, error = error, errors.StageError(f"plugin {self.name} was cancelled by what it waited for")
            error.__cause__ = cancelled
        if not any(note.startswith(NOTE) for note in getattr(error, "__notes__", ())):
            errors.note(error, f"{NOTE} {', loaded by '.join(self.chain)}")
        self.prepared.set_exception(error)

    def stack(self) -> str:
        """Return where the preparation is just now, as the lines of a traceback."""
        return stack_of(self.task.get_coro() if self.task is not None else None, self.generator)


def stack_of(*awaited: object) -> str:
    """Return where coroutines and generators are just now, as the lines of a traceback."""
    frames = [frame for each in awaited for frame in _frames(each)]
    return "".join(traceback.format_list(traceback.StackSummary.extract((f, f.f_lineno) for f in frames)))


def _frames(awaited: t.Any) -> c.Iterator[t.Any]:
    # a suspended task only knows its outermost frame: walk on through what each one awaits
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            if (frame := getattr(awaited, f"{kind}_frame", None)) is not None:
                yield frame
        awaited = next(
            (
                found
                for name in ("cr_await", "gi_yieldfrom", "ag_await")
                if (found := getattr(awaited, name, None)) is not None
            ),
            None,
        )
