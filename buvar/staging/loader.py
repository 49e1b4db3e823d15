"""Loading: from a name to a prepared plugin.

Each plugin is prepared in a task of its own, which lives until teardown if the plugin suspends itself with a bare
``yield``: so what it enters it also leaves from the same task. It runs in a context of its own too: the shared layer on
top, below it the plugin's own (its `Loader`), then what the stage has. Additions go to the shared layer and carry the
plugin's name.

A plugin is prepared once, however often it is loaded; who loads one that is just being prepared waits for it. The waits
form a graph. A load that would close a circle in it returns at once, and the circle is logged.
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextlib
import contextvars
import importlib.util
import inspect
import sys
import time
import types
import typing as t

import attrs
import structlog

from buvar import components, context, di, errors, names
from buvar.staging import discovery, exports, hints, preparing, record, tasks

if t.TYPE_CHECKING:
    from buvar.staging import teardown

PLUGIN_FUNCTION_NAME = "prepare"

log = structlog.get_logger(__name__)

#: where something is loaded, and by whom
Call: t.TypeAlias = tuple[errors.Place, record.PluginRecord | None]
PluginRef: t.TypeAlias = str | types.ModuleType | c.Callable[..., t.Any]


def resolve_plugin_func(
    plugin: PluginRef, *, function_name: str = PLUGIN_FUNCTION_NAME, package: str | None = None
) -> record.Prepare:
    """Return the prepare function of *plugin*: a dotted name (with a leading dot in *package*), a module, a function.

    Raises `errors.NameNotFoundError` or `errors.PluginError` (a ValueError), and whatever the import of it raises.
    """
    found: t.Any = names.resolve(plugin, package) if isinstance(plugin, str) else plugin
    if inspect.ismodule(found):
        found = _prepare_of(found, function_name)
    if not (inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found)):
        reason = "it is not async; write 'async def'" if callable(found) else "it is neither a module nor a function"
        raise errors.PluginError(names.fqdn(found), reason)
    return t.cast("record.Prepare", found)


def _prepare_of(module: types.ModuleType, function_name: str) -> t.Any:
    found = getattr(module, function_name, None)
    if found is None:
        near = errors.did_you_mean(function_name, vars(module))
        raise errors.PluginError(module.__name__, f"the module has no function {function_name!r}{near}")
    return found


@attrs.define(eq=False)
class Plugins:
    """All plugins of a stage, in the order in which they were first loaded.

    *shared* is the layer that they share, *below* the layers under it, *home* the home of all. *circles* holds the path
    of each circle, *loads* who loaded whom (None: the stage), *unfound* who named what could not be found, and the
    error, *doors* what walled plugins export. Where it *goes_on* (in a rehearsal), one that fails does not keep the
    next one from being loaded, and *failures* tells who loaded something, and the error.
    """

    shared: components.Layer
    below: tuple[components.Layer, ...]
    home: components.Home
    teardown: teardown.Teardown
    records: dict[record.Prepare, record.PluginRecord] = attrs.field(factory=dict, init=False)
    circles: list[tuple[str, ...]] = attrs.field(factory=list, init=False)
    loads: dict[tuple[record.PluginRecord | None, record.PluginRecord], record.LoadKind] = attrs.field(
        factory=dict, init=False
    )
    unfound: list[tuple[record.PluginRecord | None, str, Exception]] = attrs.field(factory=list, init=False)
    _imported: dict[record.Prepare, float] = attrs.field(factory=dict, init=False)
    doors: exports.Doors = attrs.field(init=False)
    open: bool = attrs.field(default=True, init=False)
    goes_on: bool = attrs.field(default=False, init=False)
    calls: list[Call] = attrs.field(factory=list, init=False)
    failures: list[tuple[record.PluginRecord | None, Exception]] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.doors = exports.Doors(exports.Shared(self.shared, self.home.adapters))
        self.home.hint = hints.Hint(self.doors)

    def __iter__(self) -> c.Iterator[record.PluginRecord]:
        return iter(self.records.values())

    @property
    def root(self) -> components.Maps:
        """The dicts of what all plugins see, which singletons are kept in and built from."""
        return tuple(layer.filed for layer in (self.shared, *self.below))

    @property
    def tasks(self) -> list[tasks.StageTask]:
        """What the plugins yielded, in load order."""
        return [task for plugin in self for task in plugin.tasks]

    @property
    def preparing(self) -> list[record.PluginRecord]:
        """The plugins that are still being prepared."""
        return [plugin for plugin in self if not plugin.prepared.done()]

    def found(self, prepare: record.Prepare, loader: record.PluginRecord | None, seconds: float) -> None:
        """Know how long it took to find a plugin: to import it, mostly, which is no time of the *loader*."""
        if prepare not in self.records:
            self._imported[prepare] = seconds
            if loader is not None:
                loader.imports(seconds)

    async def load(self, prepare: record.Prepare, loader: record.PluginRecord | None) -> None:
        """Prepare a plugin for *loader* (None: the stage), or wait for it if it is being prepared already."""
        plugin = self.records.get(prepare)
        if plugin is None:
            plugin = self._start(prepare, loader)
            self.loads[loader, plugin] = "first"
        elif loader is not None and not plugin.prepared.done() and (path := plugin.waiting_for(loader)):
            circle = (loader.name, *(each.name for each in path))
            self.loads[loader, plugin] = "circle"
            if walled := next((each for each in (loader, *path) if each.walls is not None), None):
                raise errors.UsageError(
                    f"{walled.name} has walls, and plugins load it in a circle, {' -> '.join(circle)}; "
                    "load it from one side only"
                )
            self.circles.append(circle)
            if not self.goes_on:  # then it is told at the end
                log.warning("plugins load each other in a circle", path=" -> ".join(circle))
            return
        self.loads.setdefault((loader, plugin), "again")
        await plugin.join(loader)
        if plugin.walls is not None and loader is not None:
            self.doors.give(plugin.walls, loader)

    def _start(self, prepare: record.Prepare, loader: record.PluginRecord | None) -> record.PluginRecord:
        if not self.open:
            raise errors.StageError(f"{names.fqdn(prepare)} is loaded too late: the stage runs; load it in a prepare")
        own = components.Layer()
        plugin = self._record(prepare, loader, own)
        plugin.imported = self._imported.get(prepare, 0.0)
        self.records[prepare] = plugin
        components.Components(own).add(Loader(self, plugin))
        scope = contextvars.copy_context()
        scope.run(context.buvar_context.set, plugin.components)
        scope.run(di.buvar_adapters.set, plugin.components.home.adapters)
        plugin.task = asyncio.create_task(self._live(plugin), name=f"plugin {plugin.name}", context=scope)
        plugin.task.add_done_callback(lambda _: plugin.prepared.cancel())  # if it was cancelled before it began
        return plugin

    def _record(
        self, prepare: record.Prepare, loader: record.PluginRecord | None, own: components.Layer
    ) -> record.PluginRecord:
        name = record.plugin_name(prepare)
        home = components.Home(name, self.root, self.teardown, adapters=self.home.adapters)
        walls = None
        layers = (self.shared, own, *self.below)
        if (keys := exports.exported(prepare)) is not None:
            home.outside = self.home
            home.adapters = di.Adapters(self.home.adapters, home)
            walls = exports.Walls(keys, home, home.adapters)
            layers = (walls.private, walls.imported, own, self.shared, *self.below)
            self.doors.add(walls)
        stack = components.Components(*layers, home=home)
        home.base = stack.maps
        if walls is not None:
            home.root = stack.maps
        plugin = record.PluginRecord(prepare, loader, stack, walls)
        home.hint = hints.Hint(self.doors, plugin)
        return plugin

    async def _live(self, plugin: record.PluginRecord) -> None:
        """The life of a plugin: prepared, suspended until teardown if it wants to be, finished."""
        began = time.perf_counter()
        log.debug("preparing plugin", plugin=plugin.name, loader=plugin.loader and plugin.loader.name)
        resume = asyncio.Event()
        try:
            suspended = await preparing.collect(plugin)
            failure = self._close(plugin)
        except BaseException as error:  # whoever loads the plugin gets it, and if nobody does the stage will
            plugin.failed(error)
            return
        finally:
            plugin.seconds = time.perf_counter() - began
        if suspended is not None:
            task = t.cast("asyncio.Task[None]", asyncio.current_task())
            self.teardown.add(preparing.Resume(plugin.name, resume, task))
        if failure is None:
            plugin.prepared.set_result(None)
        else:
            plugin.failed(failure)
        if suspended is not None:
            # it is closed also where somebody cancels it before its time
            async with contextlib.aclosing(suspended):
                await resume.wait()
                await preparing.finish(plugin.name, suspended)

    def _close(self, plugin: record.PluginRecord) -> errors.ExportError | None:
        """Look after what a plugin exports; what is wrong with that is told when its teardown is known."""
        try:
            if plugin.walls is not None:
                self.doors.close(plugin.walls)
        except errors.ExportError as error:
            return error
        return None

    async def settle(self) -> None:
        """Wait for the plugins that nobody waits for any more; raise the first error that nobody has seen."""
        while pending := self.preparing:
            await asyncio.wait([plugin.prepared for plugin in pending])
        for plugin in self:
            if (error := plugin.prepared.exception()) is not None and not plugin.seen:
                raise error

    async def abort(self) -> None:
        """Cancel what is still being prepared and wait until it has given up; close what will never be started."""
        pending = self.preparing
        for plugin in pending:
            if plugin.task is not None:
                plugin.task.cancel()
        if pending:
            await asyncio.wait([plugin.prepared for plugin in pending], timeout=tasks.OBEY_TIMEOUT)
        for plugin in self:
            if plugin.prepared.done() and not plugin.prepared.cancelled():
                plugin.prepared.exception()  # told: the error that made the stage give up is the one to tell
        self.close()

    def close(self) -> None:
        """Give up all tasks that were never started."""
        for task in self.tasks:
            task.close()


class Loader:
    """Loads plugins for the plugin that holds it (for the stage itself, where no plugin does).

    ``await load("package.module", ".relative", "package.module:function", module, function)`` prepares each, in this
    order, and returns when all are prepared. Relative names start from the package of the plugin that loads.

    ``await load.installed()`` prepares what installed distributions declare as plugins.
    """

    def __init__(self, plugins: Plugins, plugin: record.PluginRecord | None = None) -> None:
        self._plugins = plugins
        self._plugin = plugin

    @property
    def plugins(self) -> tuple[record.PluginRecord, ...]:
        """What is known of each plugin of the stage, in load order."""
        return tuple(self._plugins)

    @property
    def tasks(self) -> c.Iterator[c.Awaitable[t.Any]]:
        """What all plugins of the stage yielded, in load order."""
        return (task.awaitable for task in self._plugins.tasks)

    def __call__(self, *plugins: PluginRef, optional: bool = False) -> c.Coroutine[t.Any, t.Any, None]:
        """Load *plugins*; see the class. Raises what their preparation raises, with notes that say who loaded whom.

        One that is *optional* may be absent: its module, or a package on the way to it, does not exist. A module that
        is there, but has no such function, cannot be imported or fails to prepare, is an error all the same.
        """
        frame = sys._getframe(1)
        call = errors.Place(frame.f_code.co_filename, frame.f_lineno), self._plugin
        self._plugins.calls.append(call)  # until it is awaited
        return self._load(call, plugins, optional=optional)

    async def _load(self, call: Call, plugins: tuple[PluginRef, ...], *, optional: bool) -> None:
        self._plugins.calls.remove(call)
        failed: list[Exception] = []
        for plugin in plugins:
            try:
                prepare = self._resolve(plugin, optional)
                if prepare is not None:
                    await self._plugins.load(prepare, self._plugin)
            except Exception as error:
                if not self._plugins.goes_on:
                    raise
                self._plugins.failures.append((self._plugin, error))
                failed.append(error)
        if failed:
            raise failed[0]

    async def installed(self, group: str = discovery.GROUP, only: c.Iterable[str] | None = None) -> None:
        """Load the plugins that installed distributions declare as entry points of *group*, in the order of the names.

        *only* has the names of those that are allowed; None: all. Nothing is prepared where one of them cannot be.

        Raises `errors.ConfigError` for names in *only* that no distribution declares, and for those that several do;
        what importing a plugin raises, with a note that says which distribution declares it; an ExceptionGroup where
        several of these are wrong; and what the preparation raises.
        """
        found, failure = discovery.plugins(group, only, resolve_plugin_func)
        if failure is not None:
            if not self._plugins.goes_on:
                raise failure
            self._plugins.failures.append((self._plugin, failure))
        log.debug("loading installed plugins", group=group, plugins=[*found], loader=self._name)
        await self(*found.values())
        if failure is not None:
            raise failure

    def _resolve(self, plugin: PluginRef, optional: bool) -> record.Prepare | None:
        began = time.perf_counter()
        try:
            prepare = resolve_plugin_func(plugin, package=self._package())
        except Exception as error:
            # a plugin may look for another one while it is imported: that it misses that is its own error
            named = error if isinstance(error, errors.NameNotFoundError) and error.dotted == plugin else None
            if optional and named is not None and named.missing is not None:
                log.debug("optional plugin is absent", plugin=plugin, loader=self._name, reason=named.reason)
                return None
            self._plugins.unfound.append((self._plugin, _name_of(plugin, self._package()), error))
            raise
        self._plugins.found(prepare, self._plugin, time.perf_counter() - began)
        return prepare

    @property
    def _name(self) -> str | None:
        return None if self._plugin is None else self._plugin.name

    def _package(self) -> str | None:
        if self._plugin is None:
            return None
        module = sys.modules.get(self._plugin.prepare.__module__)
        return getattr(module, "__package__", None)


def _name_of(plugin: PluginRef, package: str | None) -> str:
    if not isinstance(plugin, str):
        return names.fqdn(plugin)
    with contextlib.suppress(ImportError):  # it leads out of the package
        return importlib.util.resolve_name(plugin, package)
    return plugin
