"""The statistics plugin: how often each link was followed.

A hit is counted in memory, and a background job writes what has come together, so that no redirect waits for a write.
At a graceful stop everything is written. A worker that is killed takes with it the hits of its last ``interval``.
"""

from __future__ import annotations

import asyncio
import collections
import collections.abc as c
import contextlib
import json
import sqlite3

import attrs
import structlog

from buvar import config, di, plugin
from buvar.plugins import bg

from . import database

log = structlog.get_logger(__name__)

SCHEMA = "CREATE TABLE IF NOT EXISTS hits (code TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID"
ADD = """
    INSERT INTO hits (code, count) SELECT key, value FROM json_each(?) WHERE true
    ON CONFLICT (code) DO UPDATE SET count = count + excluded.count
"""
READ = "SELECT code, count FROM hits WHERE code IN (SELECT value FROM json_each(?))"


@attrs.frozen
class StatisticsConfig(config.Config, section="statistics"):
    """How hits are counted."""

    #: seconds that hits are collected before they are written
    interval: float = attrs.field(default=0.3, validator=attrs.validators.gt(0))


class Hits:
    """The hits of all links: those of this worker that are not written yet, and the table that has the others."""

    def __init__(
        self, database: database.Database, jobs: bg.Jobs, cancel: plugin.Cancel, settings: StatisticsConfig
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._cancel = cancel
        self._interval = settings.interval
        self._pending: collections.Counter[str] = collections.Counter()
        self._writing = asyncio.Lock()
        self._job_runs = False

    def count(self, code: str) -> None:
        """Count one hit; a job writes it soon."""
        self._pending[code] += 1
        if not self._job_runs:
            self._job_runs = True
            self._jobs.add(self._write_until_none_is_left())

    async def of(self, *codes: str) -> dict[str, int]:
        """Return the hits of each of *codes*, all of this worker's included, and those of others as far as written."""
        # no write is under way then, so that each hit is either in the table or pending
        async with self._writing:
            written: dict[str, int] = dict(await self._database.read(READ, json.dumps(codes)))
            return {code: written.get(code, 0) + self._pending[code] for code in codes}

    async def flush(self) -> None:
        """Write the hits that are not written yet. After an error they are still there, for the next attempt."""
        async with self._writing:
            batch, self._pending = self._pending, collections.Counter()
            if not batch:
                return
            try:
                await self._database.write(ADD, json.dumps(batch))
            except sqlite3.Error:
                self._pending.update(batch)
                raise

    async def _write_until_none_is_left(self) -> None:
        try:
            while self._pending:
                await self._pause()
                await self._attempt()
        finally:
            self._job_runs = False

    async def _pause(self) -> None:
        # nobody waits for the interval when the service stops
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._cancel.wait()

    async def _attempt(self) -> None:
        try:
            await self.flush()
        except sqlite3.Error as error:
            log.warning("hits not written, trying again", error=str(error), hits=self._pending.total())
            await asyncio.sleep(self._interval)


async def counting(
    data: database.Database, jobs: bg.Jobs, cancel: plugin.Cancel, settings: StatisticsConfig
) -> c.AsyncIterator[Hits]:
    """Count the hits of this worker, and write the last of them at the end."""
    await data.write(SCHEMA)
    hits = Hits(data, jobs, cancel, settings)
    yield hits
    await hits.flush()


@plugin.exports(Hits)
async def prepare(load: plugin.Loader) -> None:
    """Give the `Hits` to who loads this."""
    await load("buvar.config", "buvar.plugins.bg", ".database")
    di.singleton(counting)
