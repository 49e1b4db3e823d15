"""The links themselves: what one is, where they are kept, and how their codes are made."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import secrets

import attrs

from . import database

#: letters and digits that nobody takes for one another; without vowels, so that no code is a word, as "links" is
ALPHABET = "23456789bcdfghjkmnpqrstvwxyzBCDFGHJKLMNPQRSTVWXYZ"
#: after so many collisions in a row codes are full enough to be made longer
ATTEMPTS = 4

SCHEMA = """
    CREATE TABLE IF NOT EXISTS links (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        code TEXT NOT NULL UNIQUE,
        url TEXT NOT NULL,
        created TEXT NOT NULL
    )
"""
INSERT = "INSERT INTO links (code, url, created) VALUES (?, ?, ?) ON CONFLICT (code) DO NOTHING RETURNING id"
SELECT = "SELECT code, url, created FROM links WHERE code = ?"
SELECT_NEWEST = """
    SELECT code, url, created FROM links
    WHERE id < coalesce((SELECT id FROM links WHERE code = ?), 9223372036854775807)
    ORDER BY id DESC LIMIT ? OFFSET ?
"""


@attrs.frozen
class Link:
    """A link. *created* is the time in UTC, as ISO 8601 writes it."""

    code: str
    url: str
    created: str


def new_codes(length: int) -> c.Iterator[str]:
    """Yield random codes for ever: of *length* letters, and longer ones when those turn out to be taken."""
    while True:
        for _ in range(ATTEMPTS):
            yield "".join(secrets.choice(ALPHABET) for _ in range(length))
        length += 1


class Links:
    """The links of the database."""

    def __init__(self, database: database.Database) -> None:
        self._database = database

    async def add(self, url: str, codes: c.Iterable[str]) -> Link:
        """Keep a new link under the first of *codes* that is free. The same URL may have any number of codes."""
        created = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for code in codes:
            if await self._database.write(INSERT, code, url, created):
                return Link(code, url, created)
        raise LookupError("all of the codes are taken")

    async def get(self, code: str) -> Link | None:
        """Return the link of *code*, if there is one."""
        rows = await self._database.read(SELECT, code)
        return Link(*rows[0]) if rows else None

    async def newest(self, limit: int, *, skip: int = 0, after: str | None = None) -> list[Link]:
        """Return up to *limit* links, the newest first, but for the first *skip*.

        With *after*, the code of a link, only those that are older than that one.
        """
        rows = await self._database.read(SELECT_NEWEST, after, limit, skip)
        return [Link(*row) for row in rows]

    async def count(self) -> int:
        """Return how many links there are."""
        ((count,),) = await self._database.read("SELECT count(*) FROM links")
        return int(count)
