"""The database an engine runs on, ready to be used: the one given, or a private PostgreSQL of the data directory.

Owns what has to be true of it before an engine starts: it answers, and its schema is that of this version. A private
one is brought up to date here; somebody else's is only looked at. Imports little, because a starting engine opens its
database while it imports the rest.
"""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

import structlog

from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError
from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import migrate, pending
from broadaxe.storage.outage import UNANSWERED

__all__ = ["Database", "no_connection"]

_log = structlog.get_logger(__name__)


class Database:
    """A database that is being opened from the moment this object exists. `close` it, whatever became of that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._postgres: EmbeddedPostgres | None = None
        self._opening = asyncio.create_task(self._open(), name="database")

    async def ready(self) -> str:
        """The DSN, once the database can be used.

        Raises ConfigurationError if the database given does not answer or waits for migrations, or if the data
        directory cannot be used.
        """
        return await asyncio.shield(self._opening)

    async def dsn_of(self, name: str) -> str:
        """The DSN, for other programs, of a database on the private server, made if it is missing."""
        await self.ready()
        if self._postgres is None:
            raise ConfigurationError("only the embedded PostgreSQL makes databases", field="--extra-database")
        return await self._postgres.database_dsn(name)

    async def close(self) -> None:
        """Leave; a private server that nobody else uses stops. Calling it again does nothing."""
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)
        if self._postgres is not None:
            await self._postgres.stop()

    async def _open(self) -> str:
        settings = self._settings
        if settings.database_url is not None:
            await _check_schema(settings.database_url)
            return settings.database_url
        self._postgres = await EmbeddedPostgres.start(settings.postgres_dir)
        for name in settings.extra_databases:
            await self._postgres.database_dsn(name)
        applied = await migrate(self._postgres.dsn, settings.retention_days)
        if applied:
            # That a new database gets its schema is no news to anybody who has just asked for one.
            tell = _log.debug if self._postgres.is_new else _log.info
            tell("the database schema was brought up to date", applied=applied)
        return self._postgres.dsn


def no_connection(dsn: str, error: Exception, flag: str = "--database-url") -> str:
    """Why there is no connection to that database, and where to look. Never says the password."""
    if isinstance(error, socket.gaierror):
        reason = "there is no such host"
    elif isinstance(error, ConnectionRefusedError):
        reason = "nothing listens there"
    else:
        reason = str(error) or type(error).__name__
    parts = urlsplit(dsn)
    where = f" at {parts.hostname or 'localhost'}:{parts.port or 5432}" if "host=" not in parts.query else ""
    return f"cannot connect to the database{where}: {reason}; check {flag} (BROADAXE_DATABASE_URL)"


async def _check_schema(dsn: str) -> None:
    try:
        waiting = await pending(dsn)
    except UNANSWERED as error:
        raise ConfigurationError(no_connection(dsn, error), field="database_url") from error
    if waiting:
        raise ConfigurationError(
            f"the database lacks {len(waiting)} migration(s); run `broadaxe migrate` first", field="database_url"
        )
