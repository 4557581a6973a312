"""Applies `migrations/*.sql` in order, each in its own transaction, and sees to the partitions.

Forward only. A migration that was applied is remembered with its checksum; an edited one is refused, because a schema
that differs between installations cannot be reasoned about. Two processes that migrate at once take turns, migration by
migration: the lock belongs to a transaction, since a connection pooler may leave no other.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import asyncpg

from broadaxe.config import DEFAULT_RETENTION_DAYS
from broadaxe.errors import ConfigurationError
from broadaxe.storage.connections import connect
from broadaxe.storage.partitions import ensure_partitions, merge_old_days
from broadaxe.storage.statements import statement

POSTGRES_VERSION_MIN = 15


async def migrate(dsn: str, retention_days: int = DEFAULT_RETENTION_DAYS) -> list[str]:
    """Brings the database at `dsn` to this version's schema, with partitions as history of `retention_days` needs them;
    returns the names of the migrations it applied."""
    connection = await connect(dsn)
    try:
        version = connection.get_server_version().major
        if version < POSTGRES_VERSION_MIN:
            raise ConfigurationError(
                f"PostgreSQL {version} is too old; Broadaxe needs {POSTGRES_VERSION_MIN} or newer", field="database_url"
            )
        return await _apply(connection, retention_days)
    finally:
        await connection.close()


async def pending(dsn: str) -> list[str]:
    """Names of migrations that `migrate` would apply."""
    connection = await connect(dsn)
    try:
        if await connection.fetchval(statement("migrations/table_exists")) is None:
            return [name for name, _ in _migrations()]
        applied = {row["name"] for row in await connection.fetch(statement("migrations/applied"))}
        return [name for name, _ in _migrations() if name not in applied]
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, retention_days: int) -> list[str]:
    async with connection.transaction():
        await connection.execute(statement("migrations/lock"))
        await connection.execute(statement("migrations/create_table"))
        applied = {row["name"]: row["checksum"] for row in await connection.fetch(statement("migrations/applied"))}
    known = _migrations()
    if unknown := applied.keys() - {name for name, _ in known}:
        raise ConfigurationError(
            f"this database was made by a newer Broadaxe (it has {max(unknown)}); "
            "upgrade this one, or use another database or data directory",
            field="database_url",
        )
    done: list[str] = []
    for name, text in known:
        checksum = hashlib.sha256(text.encode()).hexdigest()
        if name in applied:
            if applied[name] != checksum:
                raise ConfigurationError(
                    f"migration {name} was applied in another form than this version has; "
                    "use the version of Broadaxe that made this database, or a new database",
                    field="database_url",
                )
            continue
        async with connection.transaction():
            await connection.execute(statement("migrations/lock"))
            if await connection.fetchval(statement("migrations/is_applied"), name):
                # Somebody else was faster.
                continue
            await connection.execute(text)
            await connection.execute(statement("migrations/record"), name, checksum)
        done.append(name)
    await merge_old_days(connection)
    await ensure_partitions(connection, retention_days=retention_days)
    return done


def _migrations() -> list[tuple[str, str]]:
    folder = files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(name.removesuffix(".sql"), folder.joinpath(name).read_text(encoding="utf-8")) for name in names]
