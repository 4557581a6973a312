"""A database for commands that need one for a moment: the given one, or the embedded one of the data directory.

Owns what such a command says when the database cannot be used: not there, not answering, without the schema.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    import asyncpg

__all__ = ["reachable_dsn", "with_connection"]


@contextlib.asynccontextmanager
async def reachable_dsn(settings: Settings) -> AsyncIterator[str]:
    """A DSN that accepts connections inside the block. Attaches to a running engine's PostgreSQL or starts it."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    if not (settings.postgres_dir / "cluster").exists():
        # Otherwise a typing error in --data-dir would silently create an empty database.
        raise ConfigurationError(
            f"there is no database in {settings.data_dir}; start `broadaxe dev` there once, "
            "or give --database-url or --data-dir",
            field="--data-dir",
        )
    from broadaxe.storage.embedded import EmbeddedPostgres

    async with await EmbeddedPostgres.start(settings.postgres_dir) as server:
        yield server.dsn


async def with_connection(settings: Settings, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    """Do some work on a connection to a database that has our schema."""
    import asyncpg

    async with reachable_dsn(settings) as dsn:
        try:
            connection = await asyncpg.connect(dsn, timeout=15)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"the database does not answer: {error}") from None
        try:
            await work(connection)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            raise ConfigurationError("this database has no Broadaxe schema yet; run `broadaxe migrate`") from None
        finally:
            await connection.close()
