"""The chat's own Postgres: creating it, migrating it, connecting to it.

Owns the connection pool's bounds and the migrations. A missing database is created on its server; migrations are
applied once, in order of their names, by whichever process comes first. Those named `.vector.sql` are applied only
where the server offers pgvector, and again looked at on each start, so that a server may gain it later.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg

from rag_chat.errors import DatabaseError

MIGRATION_LOCK = 7_305_118_294
CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 30.0
POOL_SIZE_MAX = 8

# The type parameters exist only in the type stubs, so the names stay text.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Database:
    """A ready pool, and whether the server compares embeddings by itself (pgvector)."""

    pool: Pool
    has_vectors: bool

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self.pool.close(), timeout=5)
        except TimeoutError:
            self.pool.terminate()


async def open_database(url: str) -> Database:
    """Connect, creating and migrating as needed; raises DatabaseError with what to do."""
    try:
        await _ensure_exists(url)
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=POOL_SIZE_MAX,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            init=_prepare_connection,
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise DatabaseError(
            f"The chat's database at {_without_password(url)} cannot be used: {reason}. Is Postgres running, and is "
            "RAG_CHAT_DATABASE_URL right?"
        ) from None
    try:
        async with pool.acquire() as connection:
            has_vectors = await _migrate(connection)
    except BaseException:
        pool.terminate()
        raise
    return Database(pool, has_vectors)


async def _ensure_exists(url: str) -> None:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except asyncpg.InvalidCatalogNameError:
        pass
    else:
        await connection.close()
        return
    name = urlsplit(url).path.lstrip("/")
    admin = await asyncpg.connect(url, database="postgres", timeout=CONNECT_TIMEOUT_S)
    try:
        quoted = await admin.fetchval("select quote_ident($1)", name)
        await admin.execute(f"create database {quoted}")
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return  # The worker and the edge start together; the other one was first.
    finally:
        await admin.close()


async def _prepare_connection(connection: Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _migrate(connection: Connection) -> bool:
    """Apply what is missing, one process at a time; returns whether pgvector is there."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        await connection.execute(
            "create table if not exists migration"
            " (name text primary key, applied_at timestamptz not null default now())"
        )
        applied = {row["name"] for row in await connection.fetch("select name from migration")}
        offers_vectors = await connection.fetchval(
            "select exists (select from pg_available_extensions where name = 'vector')"
        )
        for resource in sorted(files("rag_chat").joinpath("migrations").iterdir(), key=lambda entry: entry.name):
            needs_vectors = resource.name.endswith(".vector.sql")
            if not resource.name.endswith(".sql") or resource.name in applied or (needs_vectors and not offers_vectors):
                continue
            try:
                async with connection.transaction():
                    await connection.execute(resource.read_text(encoding="utf-8"))
            except asyncpg.InsufficientPrivilegeError:
                if needs_vectors:
                    continue  # The owner may not create extensions here; plain SQL compares slower.
                raise
            await connection.execute("insert into migration (name) values ($1)", resource.name)
            applied.add(resource.name)
        return any(name.endswith(".vector.sql") for name in applied)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)
