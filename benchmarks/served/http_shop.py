"""What all servers of the HTTP benchmark have between them: a store that lives as long as they, and a unit of work."""

from __future__ import annotations

import typing as t

TEXT: t.Final = "Hello, world"


class Store:
    """A singleton: what there is to sell."""

    def __init__(self) -> None:
        self.items = {number: (f"item {number}", number + 0.5) for number in range(1, 101)}


class Unit:
    """What one request has for itself, on the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, number: int, limit: int) -> tuple[str, float, list[int]]:
        """Return name and price of an item, and at most *limit* others that are like it."""
        name, price = self.store.items[number]
        return name, price, list(range(number + 1, number + 1 + limit))
