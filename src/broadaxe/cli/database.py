"""A database for commands that need one for a moment: the given one, or the embedded one of the data directory.

Owns what such a command says when the database cannot be used: not there, not answering, without the schema; and which
tenant a person means.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    import asyncpg

    from broadaxe.core.commands.asked import Initiator

__all__ = ["UUID_SHAPE", "initiator", "reachable_dsn", "tenant_id_of", "with_connection"]

SLUGS_NAMED_MAX = 5
UUID_SHAPE = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@contextlib.asynccontextmanager
async def reachable_dsn(settings: Settings) -> AsyncIterator[str]:
    """A DSN that accepts connections inside the block. Attaches to a running engine's PostgreSQL or starts it."""
    from broadaxe.storage.statements import use_schema

    use_schema(settings.database_schema)
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

    from broadaxe.database import not_answered
    from broadaxe.storage.connections import connect
    from broadaxe.storage.outage import UNANSWERED

    async with reachable_dsn(settings) as dsn:
        try:
            connection = await connect(dsn)
        except UNANSWERED as error:
            raise not_answered(dsn, error) from None
        try:
            await work(connection)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            raise ConfigurationError("this database has no Broadaxe schema yet; run `broadaxe migrate`") from None
        finally:
            await connection.close()


def initiator() -> Initiator:
    """Who runs the command, to the audit log: the machine's user."""
    import getpass

    from broadaxe.storage.audit import command_line

    try:
        return command_line(getpass.getuser())
    except (KeyError, OSError):
        # A container may run as a number that has no name.
        return command_line("somebody on the engine's machine")


async def tenant_id_of(connection: asyncpg.Connection, tenant: str) -> str:
    """The id of the tenant with this id or slug. NotFound names some there are."""
    from broadaxe.storage.accounts import list_tenants
    from broadaxe.storage.statements import statement

    name = "tenant_by_id" if UUID_SHAPE.fullmatch(tenant) else "tenant_by_slug"
    row = await connection.fetchrow(statement(f"accounts/{name}"), tenant)
    if row is None:
        known = [found.slug for found, _ in await list_tenants(connection)]
        if not known:
            raise NotFound(
                "this database has no tenant yet; make one with: "
                "broadaxe tenant create NAME --owner-email YOU@EXAMPLE.COM"
            )
        few = ", ".join(known[:SLUGS_NAMED_MAX]) + (", ..." if len(known) > SLUGS_NAMED_MAX else "")
        raise NotFound(
            f"there is no tenant {tenant!r}; name one by id or slug: {few}; "
            "or make it with: broadaxe tenant create NAME"
        )
    return str(row["id"])
