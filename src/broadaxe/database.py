"""The database an engine runs on, ready to be used: the one given, or a private PostgreSQL of the data directory.

Owns what has to be true of it before an engine starts: it answers, and its schema is that of this version. A private
one is brought up to date here; somebody else's is only looked at. Imports little, because a starting engine opens its
database while it imports the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import structlog

from broadaxe.config import Settings
from broadaxe.errors import BroadaxeError, ConfigurationError, Unavailable
from broadaxe.storage.connections import Pooling, is_same_database, pooling_of
from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import Phase, migrate, schema_of
from broadaxe.storage.outage import UNANSWERED
from broadaxe.storage.read_replica import is_replica_of
from broadaxe.storage.statements import use_schema

__all__ = ["Access", "Database", "no_connection", "not_answered"]

_log = structlog.get_logger(__name__)

#: What stays as it is until somebody writes another URL, or gives the role of this one what it lacks.
_REFUSALS: Final = (
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    FileNotFoundError,
)


@dataclass(frozen=True, slots=True)
class Access:
    """How to get at the database."""

    dsn: str
    pooling: Pooling = Pooling.NONE
    session_dsn: str | None = None
    """Where a connection keeps its session; None if nowhere."""
    read_dsn: str | None = None
    """A replica for people's reads."""
    read_pooling: Pooling = Pooling.NONE


class Database:
    """A database that is being opened from the moment this object exists. `close` it, whatever became of that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        use_schema(settings.database_schema)
        self._postgres: EmbeddedPostgres | None = None
        self._opening = asyncio.create_task(self._open(), name="database")

    async def ready(self) -> Access:
        """How to get at the database, once it can be used.

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

    async def _open(self) -> Access:
        settings = self._settings
        if settings.database_url is not None:
            access = await _access(settings.database_url, settings)
            return (
                access
                if settings.read_database_url is None
                else await _with_replica(access, settings.read_database_url)
            )
        self._postgres = await EmbeddedPostgres.start(settings.postgres_dir)
        for name in settings.extra_databases:
            await self._postgres.database_dsn(name)
        # One engine per data directory: no older one is left that the migrations could take something from.
        applied = await migrate(self._postgres.dsn, settings.retention_days, is_alone=True)
        if applied:
            # That a new database gets its schema is no news to anybody who has just asked for one.
            tell = _log.debug if self._postgres.is_new else _log.info
            tell("the database schema was brought up to date", applied=applied)
        return Access(self._postgres.dsn, session_dsn=self._postgres.dsn)


def no_connection(dsn: str, error: Exception, flag: str = "--database-url") -> str:
    """Why there is no connection to that database, and where to look. Never says the password."""
    if isinstance(error, socket.gaierror):
        reason = "there is no such host"
    elif isinstance(error, ConnectionRefusedError):
        reason = "nothing listens there"
    elif isinstance(error, FileNotFoundError) and (missing := _missing_file(dsn)):
        reason = missing
    else:
        reason = str(error) or type(error).__name__
    variable = "BROADAXE_" + flag.strip("-").upper().replace("-", "_")
    return f"cannot connect to the database{_where(dsn)}: {reason}; check {flag} ({variable})"


def not_answered(dsn: str, error: Exception, flag: str = "--database-url") -> BroadaxeError:
    """The same as an error: the user's to correct where the server said no, or one to try again."""
    message = no_connection(dsn, error, flag)
    return ConfigurationError(message, field=flag) if isinstance(error, _REFUSALS) else Unavailable(message)


def _missing_file(dsn: str) -> str:
    """Which file of the URL is not there, as a clause; empty if all are."""
    for name, value in parse_qsl(urlsplit(dsn).query):
        if name in ("sslrootcert", "sslcert", "sslkey", "sslcrl") and not Path(value).is_file():
            return f"{name} names no file: {value}"
    return ""


def _where(dsn: str) -> str:
    """` at host:port` of a URL, of each of several hosts; nothing if it does not say."""
    parts = urlsplit(dsn)
    if "host=" in parts.query:
        return ""
    hosts = parts.netloc.rpartition("@")[2].split(",")
    named = (host if re.search(r":[0-9]+$", host) else f"{host or 'localhost'}:5432" for host in hosts)
    return " at " + " or ".join(named)


async def _access(dsn: str, settings: Settings) -> Access:
    direct_dsn = settings.direct_database_url
    with _answering(dsn, "database_url"):
        pooling = await pooling_of(dsn)
        await _check_schema(dsn, settings)
    if pooling.has_sessions:
        return Access(dsn, pooling, session_dsn=dsn)
    if direct_dsn is None:
        _log.warning(
            "a connection pooler pools transactions, so the engine looks for enqueued work every second instead of "
            "hearing of it; give --direct-database-url (BROADAXE_DIRECT_DATABASE_URL) to listen past the pooler"
        )
        return Access(dsn, pooling)
    with _answering(direct_dsn, "direct_database_url"):
        if not (await pooling_of(direct_dsn)).has_sessions:
            raise ConfigurationError(
                "--direct-database-url leads to a connection pooler that pools transactions as well; name the "
                "PostgreSQL server itself, or leave it out",
                field="direct_database_url",
            )
        if not await is_same_database(dsn, direct_dsn):
            raise ConfigurationError(
                "--direct-database-url leads to another database than --database-url; name the same server and "
                "database, past the pooler",
                field="direct_database_url",
            )
    return Access(dsn, pooling, session_dsn=direct_dsn)


async def _with_replica(access: Access, read_dsn: str) -> Access:
    """One that does not answer just now is none of the reasons not to start."""
    try:
        pooling = await pooling_of(read_dsn)
        if await is_replica_of(read_dsn, access.dsn) is None:
            raise ConfigurationError(
                "--read-database-url leads to a server that follows another primary, or to another database; name a "
                "replica of --database-url",
                field="read_database_url",
            )
    except UNANSWERED as error:
        _log.warning(
            "the read replica does not answer, so the primary answers people for now",
            error=no_connection(read_dsn, error, "--read-database-url"),
        )
        # What works whatever will be there.
        pooling = Pooling.TRANSACTION
    return replace(access, read_dsn=read_dsn, read_pooling=pooling)


async def _check_schema(dsn: str, settings: Settings) -> None:
    """Sees that this version runs on the schema, brings it there first if asked to, and says what is left to do."""
    if settings.migrate:
        # An older engine may be at work; what it needs stays.
        applied = await migrate(settings.direct_database_url or dsn, settings.retention_days, Phase.PRE)
        if applied:
            _log.info("the database schema was brought up to date", applied=applied)
    schema = await schema_of(dsn)
    schema.check_not_too_new()
    if schema.lacks_pre:
        raise ConfigurationError(
            f"the database lacks {len(schema.lacks_pre)} migration(s); run `broadaxe migrate` first "
            "(with --phase pre while an older engine runs), or start with --migrate",
            field="database_url",
        )
    if schema.lacks_post:
        _log.info(
            "the database's upgrade is not finished; run `broadaxe migrate --phase post` once no older engine runs",
            missing=schema.lacks_post,
        )
    if schema.newer:
        _log.warning("a newer Broadaxe has prepared this database; this version still runs on it", newer=schema.newer)


@contextlib.contextmanager
def _answering(dsn: str, field: str) -> Iterator[None]:
    try:
        yield
    except UNANSWERED as error:
        raise ConfigurationError(no_connection(dsn, error, f"--{field.replace('_', '-')}"), field=field) from error
