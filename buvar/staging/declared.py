"""Declarations of a whole stage: what all see, and what each plugin has behind its walls.

What a walled plugin declares is found too, since it declares it for others to use. Two of one name are an error even
so: the name stands in a configuration, in a report or in a token, none of which knows of walls.
"""

from __future__ import annotations

import typing as t

import attrs

from buvar import context, di, errors
from buvar.components import Components
from buvar.declaration import Declaration, clash, kinds
from buvar.staging import loader

if t.TYPE_CHECKING:
    import collections.abc as c
    import contextlib

D = t.TypeVar("D", bound=Declaration)


@attrs.frozen(eq=False)
class Declared(t.Generic[D]):
    """A declaration, *item*, with the context of the plugin that declared it, and the line that did.

    *place* is None for what was added in a scope. *added_by* is the plugin that added it, of whatever stage.
    """

    item: D
    components: Components = attrs.field(repr=False)
    place: errors.Place | None = None
    added_by: str | None = attrs.field(default=None, repr=False)

    @property
    def owner(self) -> str | None:
        """The plugin that declared it, None outside of plugins."""
        return self.components.owner

    def at_home(self) -> contextlib.AbstractContextManager[None]:
        """Return a context manager: inside of its block the context of the plugin is current."""
        adapters = self.components.home.adapters or di.buvar_adapters.get()
        current: contextlib.AbstractContextManager[None] = adapters.current(self.components)
        return current


def declared(kind: type[D], components: Components | None = None) -> dict[str, Declared[D]]:
    """Return all declarations of *kind* by name, in load order: those of the stage of *components*, walls or not.

    *components* is the current context if not given; outside of a stage it is what is looked at. A declaration in a
    layer hides one of the same name in a layer below. Raises `DeclarationError` for all that are declared twice.
    """
    components = context.current_context() if components is None else components
    stage = components.get(loader.Loader, default=None)
    views = (View(components, components),) if stage is None else _views(stage._plugins)
    found, told = _collect(kind, views)
    if told:
        raise errors.DeclarationError(*told)
    return found


def collected(kind: type[D], plugins: loader.Plugins) -> tuple[Declared[D], ...]:
    """Return what plugins of a stage, and nobody, have declared of *kind*; of those of one name the first.

    What a stage has declared that runs around this one is left out.
    """
    owners = {None, *(plugin.name for plugin in plugins)}
    found = _collect(kind, _views(plugins))[0].values()
    return tuple(each for each in found if each.added_by in owners)


def added(plugins: loader.Plugins) -> tuple[Declared[Declaration], ...]:
    """Return all declarations of a stage, of whatever kind, as they were added."""
    contexts = [(view, entry) for view in _views(plugins) for entry in view.own.entries(Declaration)]
    found = {
        id(entry.item): Declared(t.cast("Declaration", entry.item), view.context, entry.place, entry.owner)
        for view, entry in reversed(contexts)
    }
    return tuple(reversed(found.values()))


def clashes(plugins: loader.Plugins) -> list[errors.DeclarationError]:
    """Return an error for each two declarations of one kind and one name that a stage has, of whatever kind."""
    views = _views(plugins)
    every = {kind for view in views for entry in view.own.entries(Declaration) for kind in kinds(type(entry.item))}
    told = {text: None for kind in sorted(every, key=errors.describe) for text in _collect(kind, views)[1]}
    return [errors.DeclarationError(text) for text in told]


@attrs.frozen(eq=False)
class View:
    """What is seen together: all that is in *own*. It belongs to *context*, or to whom of *plugins* has added it."""

    own: Components
    context: Components
    plugins: c.Mapping[str | None, Components] = attrs.field(factory=dict)


def _views(plugins: loader.Plugins) -> tuple[View, ...]:
    shared = Components.of(plugins.root, None, plugins.home)
    contexts: dict[str | None, Components] = {
        plugin.name: plugin.components for plugin in plugins if plugin.walls is None
    }
    walled = [View(Components(each.walls.private), each.components) for each in plugins if each.walls is not None]
    return View(shared, shared, contexts), *walled


def _collect(kind: type[D], views: c.Iterable[View]) -> tuple[dict[str, Declared[D]], list[str]]:
    """Return what there is by name, and a sentence for each of another one of a name."""
    added: dict[int, Declared[D]] = {}  # what is exported is found in several views, and belongs to who added it
    for view in views:
        for entry in view.own.entries(kind):
            home = view.plugins.get(entry.owner, view.context)
            added.setdefault(id(entry.item), Declared(t.cast("D", entry.item), home, entry.place, entry.owner))
    found: dict[str, Declared[D]] = {}
    told = []
    for view in views:
        for name, item in view.own.find(kind).items():
            one = added.get(id(item)) or Declared(item, view.context)
            other = found.setdefault(str(name), one)
            if other.item is not item:
                told.append(clash((other.item, other.owner, other.place), (item, one.owner, one.place)))
    return found, told
