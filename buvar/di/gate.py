"""Gates: the way to what is built in another home.

A gate stands among the adapters of one registry for what another one has: so what a plugin exports is built from what
that plugin sees, by code that runs in its context, and what is kept is kept there. To decide and to build, a gate is an
adapter with one parameter, which is what it leads to, looked up behind it.
"""

from __future__ import annotations

import typing as t

import attrs

if t.TYPE_CHECKING:
    from buvar.components import Home


@attrs.frozen(eq=False)
class Gate:
    """The way to *target*, a type or an adapter, in another *home*, which has a registry."""

    home: Home
    target: t.Any
