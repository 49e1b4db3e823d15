"""Views: where something is looked up, by the home that it is asked for in and by how long it lives.

What lives for the call sees all that is current; what is kept in a scope sees what the scope began with, and what is
kept in the stage sees what the stage has: so nothing that is kept holds what ends before it. Behind the walls of
another home it sees what its plugin sees there. What was pushed on the stack of who asks, such as the scope of a
request, is seen in both.
"""

from __future__ import annotations

import contextlib
import enum
import typing as t

from buvar.components import Components

if t.TYPE_CHECKING:
    from buvar.components import Home, Maps


class Level(enum.IntEnum):
    """For how long something lives, and so where its needs are looked up."""

    CALL = 0
    SCOPE = 1
    STAGE = 2


class View(t.NamedTuple):
    """What something that lives at *level* sees in *home*; None is the home of who asks.

    It is all that is seen there, or, *inner*, without what is outside of the walls.
    """

    level: Level
    home: Home | None = None
    inner: bool = False

    @property
    def is_of_call(self) -> bool:
        """Whether it is what who asks sees himself, which dependencies given by keyword are for."""
        return self.level is Level.CALL and self.home is None


CALL: t.Final = View(Level.CALL)


class Views:
    """What is seen in the homes, by what is asked for in *components*."""

    __slots__ = ("_homes", "components")

    def __init__(self, components: Components) -> None:
        self.components = components
        self._homes: dict[Home, Components] = {}

    def maps(self, view: View) -> Maps:
        """Return the dicts of what is seen."""
        level, home, is_inner = view
        components = self.components if home is None else self._at(home)
        if level is Level.STAGE:
            maps = components.home.root
        else:
            maps = components.maps if level is Level.CALL else components.scope or components.maps
        return inner(maps, components.home) if is_inner else maps

    def _at(self, home: Home) -> Components:
        if home not in self._homes:
            self._homes[home] = self.components.at(home)
        return self._homes[home]


def inner(maps: Maps, home: Home) -> Maps:
    """Return *maps* without what is outside of the walls of *home*."""
    return maps if home.outside is None else maps[: -len(home.outside.base)]


def stack(components: Components, view: View) -> Components:
    """Return the stack of what is seen, in *components*."""
    level, home = view.level, view.home or components.home
    if level is Level.STAGE:
        return Components.of(home.root, None, home)
    if level is Level.SCOPE and components.scope is not None:
        components = Components.of(components.scope, components.scope, components.home)
    return components.at(home)


def at_home(components: Components, view: View) -> contextlib.AbstractContextManager[None]:
    """Return a context manager: inside of its block what is current is what code of that home sees."""
    if view.home is None:
        return contextlib.nullcontext()
    current: contextlib.AbstractContextManager[None] = view.home.adapters.current(stack(components, view))
    return current
