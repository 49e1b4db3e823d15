"""Hints: what a stage knows of a thing that a plugin did not find, for the error to tell."""

from __future__ import annotations

import inspect
import typing as t

import attrs

from buvar import errors
from buvar.di import typeform

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.staging import exports


#: what parameters of a plugin are mostly meant to be, by their names: words of `buvar.plugin`
_MEANT: t.Final = {
    "load": "Loader",
    "loader": "Loader",
    "teardown": "Teardown",
    "cancel": "Cancel",
    "ready": "Ready",
    "lead": "Lead",
}


def meant_by(prepare: c.Callable[..., t.Any]) -> str:
    """Return what to write for parameters that have no annotation and are called as what each plugin can have."""
    parameters = inspect.signature(prepare).parameters.values()
    bare = [each.name for each in parameters if each.annotation is each.default is inspect.Parameter.empty]
    meant = [f"{name}: plugin.{_MEANT[name]}" for name in bare if name in _MEANT]
    return f"write {', '.join(meant)}" if meant else ""


@attrs.frozen
class Hint:
    """What can be said to *asker* (None: the stage) of what it did not find."""

    doors: exports.Doors
    asker: exports.Loads | None = None

    def __call__(self, keys: c.Iterable[t.Hashable], names: c.Iterable[t.Hashable]) -> str | None:
        """Return what is known of something under one of *keys*, of one of *names*; None is the name of the unnamed."""
        names = tuple(names)
        asked = sorted(keys, key=lambda key: len(typeform.members(key)))  # a union says less than each of its members
        tellers = (self._built, self._exported, self._private, _own)
        said = (tell(key, name) for tell in tellers for key in asked for name in names)
        return next(filter(None, said), None)

    @property
    def _sees(self) -> exports.Shared | exports.Walls:
        walls = None if self.asker is None else self.asker.walls
        return walls or self.doors.shared

    @property
    def _others(self) -> list[exports.Walls]:
        return [walls for walls in self.doors.walled if walls is not self._sees]

    def _built(self, key: t.Hashable, name: t.Hashable) -> str | None:
        """Tell of an adapter that the asker has: who looks for a component does not find what would be built."""
        # a registry remembers what it was asked for, so it is not asked for any text that somebody made up
        if name is not None or typeform.plain(key) is None or not (found := self._sees.adapters.lookup(key)):
            return None
        adapter = "an adapter" if found[0].owner is None else f"an adapter of {found[0].owner}"
        return f"{adapter} builds it: await di.nject({typeform.show(key)})"

    def _exported(self, key: t.Hashable, name: t.Hashable) -> str | None:
        for walls in self._others:
            for exported in walls.keys:
                if exported not in self._sees.origins and _answers(exported, key) and name in walls.names(exported):
                    what = "it" if exported == key else errors.describe(exported)
                    loader = "no open plugin loads" if self.asker is None else f"{self.asker.name} does not load"
                    return f"{walls.name} exports {what}, {loader} {walls.name}"
        return None

    def _private(self, key: t.Hashable, name: t.Hashable) -> str | None:
        owner = next((each.name for each in self._others if name in each.names(key, imported=False)), None)
        return None if owner is None else f"{errors.describe(key, name)} is private to {owner}"


def _own(key: t.Hashable, name: t.Hashable) -> str | None:
    """Tell what a class says itself, in its attribute ``__buvar_hint__``."""
    hint = getattr(typeform.plain(key), "__buvar_hint__", None) if name is None else None
    return hint if isinstance(hint, str) else None


def _answers(exported: t.Hashable, key: t.Hashable) -> bool:
    cls = typeform.plain(exported)
    return typeform.answers(exported, key) or (cls is not None and typeform.is_like(cls, key))
