"""The database plugin: one SQLite file that all workers share.

Each worker has two connections, one to read and one to write, so that no read waits for a write. Every write is one
statement and therefore one transaction: SQLite keeps it whole whatever happens to the worker. Workers that write at the
same time wait for each other, up to ``busy_timeout``.
"""

from __future__ import annotations

import asyncio
import collections.abc as c
import contextlib
import pathlib
import sqlite3
import time
import typing as t

import aiosqlite
import attrs
import structlog

from buvar import config, context, di, plugin
from buvar.plugins import health

log = structlog.get_logger(__name__)

#: the first version that knows RETURNING
SQLITE_VERSION = (3, 35)
#: seconds between two attempts to do what SQLite refuses without waiting
RETRY_PAUSE = 0.02

Row: t.TypeAlias = tuple[t.Any, ...]


@attrs.frozen
class DatabaseConfig(config.Config, section="database"):
    """Where the data is."""

    #: the file; its folder is made if there is none
    path: str = attrs.field(default="data/links.sqlite3", validator=attrs.validators.min_len(1))
    #: seconds that a write waits for those of other workers
    busy_timeout: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    #: "full" survives the loss of power, "normal" (faster) only the death of processes
    synchronous: t.Literal["normal", "full"] = "full"


@attrs.frozen
class Database:
    """The connections of this worker. Each statement stands alone; what is written is kept when `write` returns."""

    reader: aiosqlite.Connection
    writer: aiosqlite.Connection

    async def read(self, sql: str, *values: t.Any) -> list[Row]:
        """Return the rows that a query finds."""
        return await _rows(self.reader, sql, *values)

    async def write(self, sql: str, *values: t.Any) -> list[Row]:
        """Execute one statement that changes something and return what it is ``RETURNING``."""
        return await _rows(self.writer, sql, *values)

    async def check(self) -> None:
        """Raise `sqlite3.Error` where the file cannot be read."""
        await self.read("PRAGMA schema_version")


async def _rows(connection: aiosqlite.Connection, sql: str, *values: t.Any) -> list[Row]:
    # all rows in one go: a statement left open would keep its transaction open
    return t.cast("list[Row]", await connection.execute_fetchall(sql, values))


def is_busy(error: BaseException) -> bool:
    """Tell whether *error* says no more than that other workers were writing for too long."""
    code = error.sqlite_errorcode if isinstance(error, sqlite3.OperationalError) else 0
    return code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextlib.asynccontextmanager
async def opened(settings: DatabaseConfig) -> c.AsyncIterator[Database]:
    """Open the database, making the file and its folder if needed; close it at the end."""
    pathlib.Path(settings.path).parent.mkdir(parents=True, exist_ok=True)
    # a file that cannot be opened is found out here: there it would leave a thread behind that outlives the loop
    sqlite3.connect(settings.path).close()
    async with _connection(settings) as writer:
        await _use_wal(writer, settings)
        await _rows(writer, f"PRAGMA synchronous={settings.synchronous}")
        async with _connection(settings) as reader:
            await _rows(reader, "PRAGMA query_only=ON")
            yield Database(reader, writer)


def _connection(settings: DatabaseConfig) -> aiosqlite.Connection:
    return aiosqlite.connect(settings.path, timeout=settings.busy_timeout, isolation_level=None)


async def _use_wal(connection: aiosqlite.Connection, settings: DatabaseConfig) -> None:
    """Let readers and a writer work at the same time. SQLite does not wait for others here, so this does."""
    deadline = time.monotonic() + settings.busy_timeout
    while True:
        try:
            ((mode,),) = await _rows(connection, "PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_PAUSE)
    if mode != "wal":
        log.warning("no write-ahead log here, readers wait for writers", path=settings.path, journal_mode=mode)


async def prepare(load: plugin.Loader) -> c.AsyncIterator[None]:
    """Add the `Database` and its check, and close it at the end."""
    if sqlite3.sqlite_version_info < SQLITE_VERSION:
        raise RuntimeError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or later is needed")
    await load("buvar.config")
    settings = await di.nject(DatabaseConfig)
    try:
        async with opened(settings) as database:
            context.add(database)
            context.add(health.HealthCheck("database", database.check))
            yield
    except (OSError, sqlite3.Error) as error:
        error.add_note(f"in the database {settings.path!r} (section database, key path)")
        raise
