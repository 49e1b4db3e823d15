"""Keys: under what a scope or a stage keeps what an adapter has built."""

from __future__ import annotations

import typing as t

from buvar.components import Mark

if t.TYPE_CHECKING:
    from .adapter import Adapter


class Key(t.Protocol):
    """Under what something is kept: the adapter, or a `Substitute` while something that it needs is overridden."""

    @property
    def adapter(self) -> Adapter: ...

    @property
    def pending(self) -> Mark: ...

    def __hash__(self) -> int: ...


class Substitute:
    """Under what is kept what *adapter* builds with fakes."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.pending = Mark(f"pending {adapter.label}")
        self.stores: list[dict[t.Hashable, t.Any]] = []

    def discard(self) -> None:
        """Drop what was built with fakes."""
        for store in self.stores:
            store.pop(self, None)
