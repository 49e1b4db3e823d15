"""Gates: the way to what is built in another home.

A gate stands among the adapters of one registry and is resolved by another one, in the context of the other one's home:
so what a plugin exports is built from what that plugin sees, and what is kept is kept there. What was pushed on the
stack of who asks, such as the scope of a request, is seen in both.
"""

from __future__ import annotations

import typing as t

import attrs

from buvar.components import Components

from . import decide, supply
from .supply import Level

if t.TYPE_CHECKING:
    from buvar.components import Home


class Enters(supply.Registry, t.Protocol):
    """The registry of a home, seen from the rooms that it stands on."""

    async def enter(self, target: t.Any, components: Components, way: frozenset[Gate]) -> t.Any: ...

    def enter_now(self, target: t.Any, components: Components, way: frozenset[Gate]) -> t.Any: ...


@attrs.frozen(eq=False)
class Gate:
    """The way to *target*, a type or an adapter, in another *home*, which has a registry."""

    home: Home
    target: t.Any

    @property
    def adapters(self) -> Enters:
        """The registry that it leads to."""
        return t.cast("Enters", self.home.adapters)

    def view(self, components: Components, level: Level) -> Components:
        """Return what is seen behind it by something that lives at *level* and is asked for in *components*."""
        if level is Level.STAGE:
            return Components.of(self.home.root, None, self.home)
        if level is Level.SCOPE and components.scope is not None:
            components = Components.of(components.scope, components.scope, components.home)
        return components.at(self.home)

    def offer(self, offer: supply.Supply, level: Level) -> supply.Supply:
        """Return what there is behind it, for a decision before it."""
        view = self.view(offer.components, level)
        behind = supply.Supply(self.adapters.index, view, {}, self.adapters.overrides)
        behind.gates = offer.gates | {self}
        behind.led = offer.led
        return behind

    def decide(self, behind: supply.Supply, level: Level) -> decide.Decision | None:
        """Decide where its target comes from, in what there is *behind* it."""
        return decide.decide(behind, (behind.index.need(self.target),), level)

    def leads(self, offer: supply.Supply, level: Level) -> bool:
        """Say whether what it leads to can be built, without going through it again."""
        if self in offer.gates:
            return False
        if (self, level) not in offer.led:
            found = self.decide(self.offer(offer, level), level) is not None
            if not found and offer.gates:
                return False  # it may be that only the way here is in its way
            offer.led[self, level] = found
        return offer.led[self, level]

    async def open(self, components: Components, level: Level, way: frozenset[Gate]) -> t.Any:
        """Return what is behind it. *way* are the gates that led here."""
        return await self.adapters.enter(self.target, self.view(components, level), way | {self})

    def open_now(self, components: Components, level: Level, way: frozenset[Gate]) -> t.Any:
        """Return what is behind it, without awaiting."""
        return self.adapters.enter_now(self.target, self.view(components, level), way | {self})
