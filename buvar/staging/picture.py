"""The picture of a stage: what it is made of, as plain frozen data that tools draw and programs read."""

from __future__ import annotations

import typing as t

import attrs

from buvar import errors
from buvar.di import picture as injection
from buvar.di import signature
from buvar.staging import record

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.staging.loader import Plugins

#: *missing*: it could not be loaded at all; *unfinished*: the stage gave up before it was prepared, or has not waited
State: t.TypeAlias = t.Literal["prepared", "failed", "missing", "unfinished"]


@attrs.frozen
class PluginNode:
    """A plugin. *about* is the first line of its docstring, *place* where its ``prepare`` is, *loader* who loaded it.

    *error* says why it is not prepared, *failed_with* which plugin's error that is, where it is that of one it loads.
    *exports* is what its walls have doors for, None for an open plugin. *seconds* is how long it took to import and to
    prepare it, *began* (after the first plugin) is when that was, *own_seconds* how long it took without what it loads.
    *tasks* are names of what it yielded; *adapters*, *components* and *roots* are ids of nodes of the injection graph.
    """

    id: str
    name: str
    state: State
    about: str | None
    place: errors.Place | None
    loader: str | None
    exports: tuple[str, ...] | None = None
    error: str | None = None
    failed_with: str | None = None
    began: float = 0.0
    seconds: float = 0.0
    own_seconds: float = 0.0
    tasks: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


@attrs.frozen
class Load:
    """That *loader* (None: the stage) loaded *plugin*; both are ids.

    It is the *first* load, for which the plugin was prepared, or one *again*, or one that would have closed a *circle*
    and returned at once. *gives* is what went through the walls of the plugin: to the loader, if that has walls itself,
    and otherwise to all.
    """

    loader: str | None
    plugin: str
    kind: record.LoadKind
    gives: tuple[str, ...] = ()


@attrs.frozen
class Picture:
    """What a stage is made of. All of it is text, numbers, None, tuples and places, so `attrs.asdict` makes JSON of it.

    *plugins* are in load order, those that could not be loaded at the end; *loads* in the order in which they happened;
    *circles* are paths of names. *seconds* is from the begin of the first plugin to the end of the last one.
    *injection* is who provides what for whom.
    """

    plugins: tuple[PluginNode, ...]
    loads: tuple[Load, ...]
    circles: tuple[tuple[str, ...], ...]
    seconds: float
    injection: injection.Graph


def draw(plugins: Plugins, graph: injection.Graph) -> Picture:
    """Return the picture of a stage with these *plugins* and this injection *graph*."""
    return _Drawing(plugins, graph).picture()


class _Drawing:
    def __init__(self, plugins: Plugins, graph: injection.Graph) -> None:
        self._plugins = plugins
        self._graph = graph
        self._ids: dict[record.PluginRecord | None, str] = {each: f"p{n}" for n, each in enumerate(plugins, 1)}
        self._zero = min(map(_began, plugins), default=0.0)

    def picture(self) -> Picture:
        nodes = [self._node(each) for each in self._plugins]
        loads = [self._load(*key, kind) for key, kind in self._plugins.loads.items()]
        missing: dict[str, PluginNode] = {}
        for loader, name, error in self._plugins.unfound:
            if name not in missing:
                missing[name] = self._missing(f"p{len(nodes) + len(missing) + 1}", name, loader, error)
            kind: record.LoadKind = "first" if missing[name].loader == self._ids.get(loader) else "again"
            load = Load(self._ids.get(loader), missing[name].id, kind)
            loads += [load] if load not in loads else []
        seconds = max((node.began + node.seconds for node in nodes), default=0.0)
        everything = (*nodes, *missing.values())
        return Picture(everything, tuple(loads), tuple(self._plugins.circles), seconds, self._graph)

    def _node(self, plugin: record.PluginRecord) -> PluginNode:
        state, error = _state(plugin)
        return PluginNode(
            self._ids[plugin],
            plugin.name,
            state,
            _about(plugin.prepare),
            signature.place_of(plugin.prepare),
            self._ids.get(plugin.loader),
            exports=None if plugin.walls is None else tuple(map(errors.describe, plugin.walls.keys)),
            error=error,
            failed_with=self._failed_with(plugin),
            began=_began(plugin) - self._zero,
            seconds=plugin.imported + plugin.seconds,
            own_seconds=plugin.own_seconds,
            tasks=tuple(task.name for task in plugin.tasks),
            adapters=_owned(self._graph.adapters, plugin.name),
            components=_owned(self._graph.components, plugin.name),
            roots=_owned(self._graph.roots, plugin.name),
        )

    def _failed_with(self, plugin: record.PluginRecord) -> str | None:
        if (error := plugin.failure) is None:
            return None
        loaded = (each for (loader, each), kind in self._plugins.loads.items() if loader is plugin and kind != "circle")
        return next((self._ids[each] for each in loaded if each.failure is error), None)

    def _load(self, loader: record.PluginRecord | None, plugin: record.PluginRecord, kind: record.LoadKind) -> Load:
        through = (
            loader is not None and kind != "circle" and plugin.walls is not None and _state(plugin)[0] == "prepared"
        )
        gives = tuple(map(errors.describe, plugin.walls.keys)) if through and plugin.walls is not None else ()
        return Load(self._ids.get(loader), self._ids[plugin], kind, gives)

    def _missing(self, identity: str, name: str, loader: record.PluginRecord | None, error: Exception) -> PluginNode:
        return PluginNode(identity, name, "missing", None, None, self._ids.get(loader), error=errors.explain(error))


def _state(plugin: record.PluginRecord) -> tuple[State, str | None]:
    if (error := plugin.failure) is not None:
        return "failed", errors.explain(error)
    if plugin.prepared.done() and not plugin.prepared.cancelled():
        return "prepared", None
    return "unfinished", "it was still being prepared"


def _about(prepare: record.Prepare) -> str | None:
    text = (getattr(prepare, "__doc__", None) or "").strip()
    return text.splitlines()[0].strip() if text else None


def _owned(
    nodes: c.Iterable[injection.AdapterNode | injection.ComponentNode | injection.RootNode], owner: str
) -> tuple[str, ...]:
    return tuple(node.id for node in nodes if node.owner == owner)


def _began(plugin: record.PluginRecord) -> float:
    return plugin.began - plugin.imported
