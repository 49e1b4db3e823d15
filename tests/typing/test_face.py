"""The face, as type checkers see it."""

from __future__ import annotations

import typing as t

import buvar


async def rooms() -> None:
    """The rooms are attributes of the face, with the types of what they hold."""
    t.assert_type(buvar.context.add("text"), str)
    t.assert_type(buvar.ConfigSource(), buvar.config.ConfigSource)
    buvar.contxt  # type: ignore[attr-defined]
