"""Looks: the part of a plan that looks whether all is as it was when it was decided."""

from __future__ import annotations

import typing as t

from .supply import Fit, Probe
from .text import Text
from .views import Level, View

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Home

#: how the dicts of a view are called
_MAPS: t.Final = ("maps", "scope", "root")


class Looks(Text):
    """The text of a plan for dependencies *given* by name, of those types; see `plan.compile_plan`."""

    def __init__(
        self,
        names: dict[str, t.Any],
        given: c.Mapping[str, type],
        owners: tuple[t.Any, ...],
        has_scope: bool,
        sync: bool,
        in_order: bool,
    ) -> None:
        super().__init__({**names, "owners": owners})
        self.given = given
        self.owners = owners
        self.has_scope = has_scope
        self.sync = sync
        self.awaits = "" if sync else "await "
        self.arguments = {name: f"k{number}" for number, name in enumerate(given)}
        self.parameters = tuple(self.arguments.values()) if in_order else ("given",) if given else ()
        self.in_order = in_order
        #: where the components that were found stand
        self.components: dict[tuple[View, t.Hashable], str] = {}
        #: the views whose dicts are used, and the homes other than that of who asks
        self.used: dict[View, None] = {}
        self.homes: dict[Home, str] = {}

    def again(self, indent: int) -> None:
        self.write(indent, f"return {self.awaits}again({', '.join(('current()', *self.parameters))})")

    def unless(self, condition: str) -> None:
        self.write(1, f"if {condition}:")
        self.again(2)

    def begin(self, *, needs_scope: bool, needs_context: bool) -> None:
        """Write the first lines: where that is which the lines after them use."""
        needs_scope = needs_scope or any(view.level is Level.SCOPE for view in self.used)
        self.write(0, f"{'' if self.sync else 'async '}def plan({', '.join(self.parameters)}):")
        if needs_scope or needs_context or self.used or self.owners:
            self.write(1, "context = current()")
        if self.owners:
            self.unless("context.home.adapters not in owners")
        if needs_scope:
            self.write(1, "scope = context.scope")
            self.unless("scope is None" if self.has_scope else "scope is not None")
            if self.has_scope:
                self.write(1, "kept = scope[0]")
        for home in dict.fromkeys(self.home(view.home) for view in self.used if view.home is not None):
            self.write(1, f"at_{home} = context.at({home})")
        for view in self.used:
            self.source(view)

    def source(self, view: View) -> None:
        """Write where the dicts of *view* are."""
        stack = "context" if view.home is None else f"at_{self.home(view.home)}"
        found = f"{stack}.maps"
        if view.level is Level.STAGE:
            found = f"{stack}.home.root"
        elif view.level is Level.SCOPE and self.has_scope:
            found = f"{stack}.scope"
        if view.inner:
            found = f"inner({found}, {stack}.home)"
        if found != "context.scope":  # that stands there already
            self.write(1, f"{self.maps(view)} = {found}")

    def maps(self, view: View) -> str:
        """Return how the dicts of *view* are called; the first lines say where they are."""
        self.used.setdefault(view)
        word = f"inner_{_MAPS[view.level]}" if view.inner else _MAPS[view.level]
        return word if view.home is None else f"{word}_{self.home(view.home)}"

    def home(self, home: Home) -> str:
        """Return how a home other than that of who asks is called."""
        if home not in self.homes:
            self.homes[home] = self.name("home", home)
        return self.homes[home]

    def look(self, look: Probe | Fit, indent: int) -> None:
        if isinstance(look, Fit):
            if not look.by_type:
                word = "not " if look.fits else ""
                self.unless(f"{word}fits({self.arguments[look.name]}, {self.name('tp', look.tp)})")
            return
        key = self.name("key", look.key)
        variable = f"c{len(self.components)}"
        if look.present and look.view.level is Level.SCOPE and self.has_scope:  # mostly the scope itself has it
            self.write(indent, f"if {key} in kept:")
            self.write(indent + 1, f"{variable} = kept[{key}]")
            self.write(indent, "else:")
            indent += 1
        self.write(indent, f"for layer in {self.maps(look.view)}:")
        self.write(indent + 1, f"if {key} in layer:")
        if not look.present:
            self.again(indent + 2)
            return
        self.components[look.view, look.key] = variable
        self.write(indent + 2, f"{variable} = layer[{key}]")
        self.write(indent + 2, "break")
        self.write(indent, "else:")
        self.again(indent + 1)
