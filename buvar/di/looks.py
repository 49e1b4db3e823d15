"""Looks: the part of a plan that looks whether all is as it was when it was decided."""

from __future__ import annotations

import typing as t

from .supply import Fit, Probe
from .text import Text
from .views import Level, View

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Home

#: the dicts of a view; of the stage only the first, which is what it keeps things in
_MAPS: t.Final = ("maps", "scope", "staged")


class Looks(Text):
    """The text of a plan for dependencies *given* by name, of those types; see `plan.compile_plan`."""

    def __init__(
        self, names: dict[str, t.Any], given: c.Mapping[str, type], has_scope: bool, sync: bool, in_order: bool
    ) -> None:
        super().__init__(names)
        self.given = given
        self.has_scope = has_scope
        self.sync = sync
        self.awaits = "" if sync else "await "
        self.arguments = {name: f"k{number}" for number, name in enumerate(given)}
        self.parameters = tuple(self.arguments.values()) if in_order else ("given",) if given else ()
        self.in_order = in_order
        #: the current context, which is looked up only where it is needed
        self.context = "current()"
        #: where the components that were found stand
        self.components: dict[tuple[View, t.Hashable], str] = {}
        #: the homes other than that of who asks
        self.homes: list[Home] = []

    def again(self, indent: int) -> None:
        self.write(indent, f"return {self.awaits}again({', '.join((self.context, *self.parameters))})")

    def unless(self, condition: str) -> None:
        self.write(1, f"if {condition}:")
        self.again(2)

    def sources(self, used: set[View], *, needs_scope: bool, needs_context: bool) -> None:
        """Write where the dicts of all views in *used* are, and with *needs_scope* that of the scope at any rate."""
        if used or needs_scope or needs_context:
            self.context = "context"
            self.write(1, "context = current()")
        if needs_scope or any(view.level is Level.SCOPE for view in used):
            self.write(1, "scope = context.scope")
            self.unless("scope is None" if self.has_scope else "scope is not None")
            if self.has_scope:
                self.write(1, "kept = scope[0]")
        for home in dict.fromkeys(self.home(view.home) for view in used if view.home is not None):
            self.write(1, f"at_{home} = context.at({home})")
        for view in sorted(used, key=lambda view: view.level):
            self.source(view)

    def source(self, view: View) -> None:
        """Write where the dicts of *view* are."""
        stack = "context" if view.home is None else f"at_{self.home(view.home)}"
        found = f"{stack}.scope" if view.level is Level.SCOPE and self.has_scope else f"{stack}.maps"
        if view.level is Level.STAGE:
            found = f"{stack}.home.root[0]"
        elif view.inner:
            found = f"inner({found}, {stack}.home)"
        if found != "context.scope":  # that stands there already
            self.write(1, f"{self.maps(view)} = {found}")

    def maps(self, view: View) -> str:
        """Return how the dicts of *view* are called."""
        word = f"inner_{_MAPS[view.level]}" if view.inner else _MAPS[view.level]
        return word if view.home is None else f"{word}_{self.home(view.home)}"

    def home(self, home: Home) -> str:
        """Return how a home other than that of who asks is called."""
        if home not in self.homes:
            self.homes.append(home)
        name = f"home{self.homes.index(home)}"
        self.names[name] = home
        return name

    def look(self, look: Probe | Fit, indent: int) -> None:
        if isinstance(look, Fit):
            if not look.by_type:
                word = "not " if look.fits else ""
                self.unless(f"{word}fits({self.arguments[look.name]}, {self.name('tp', look.tp)})")
            return
        key = self.name("key", look.key)
        self.write(indent, f"for layer in {self.maps(look.view)}:")
        self.write(indent + 1, f"if {key} in layer:")
        if not look.present:
            self.again(indent + 2)
            return
        variable = self.components[look.view, look.key] = f"c{len(self.components)}"
        self.write(indent + 2, f"{variable} = layer[{key}]")
        self.write(indent + 2, "break")
        self.write(indent, "else:")
        self.again(indent + 1)
