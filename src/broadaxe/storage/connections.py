"""Connections to the database: directly, or through a connection pooler such as PgBouncer.

Owns what a connection may rely on. Directly, a connection is a session: it keeps its settings, its prepared statements
and what it listens for. A pooler that pools sessions gives all that as well, but refuses settings at the start. One
that pools transactions may put every transaction on another session, so here each has its settings of its own
(`set local`), and nothing is prepared under a name.

No code that uses a pool leaves anything behind in the session: locks belong to transactions, settings to the pool. So
nothing is reset when a connection goes back, which would be a round trip for each use.

Which of the three it is shows without any rights. Every PostgreSQL session says its process id when it begins; a pooler
says a number of its own there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Final

import asyncpg

from broadaxe.errors import ConfigurationError
from broadaxe.storage.outage import UNANSWERED
from broadaxe.storage.statements import statement

__all__ = ["KeptConnections", "Pooling", "connect", "connection_pool", "is_same_database", "pooling_of"]

CONNECT_TIMEOUT_S: Final = 15.0
COMMAND_TIMEOUT_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 5.0
#: How long a pooler may take to give a second connection.
ANOTHER_SESSION_S: Final = 5.0
STATEMENTS_PREPARED_MAX: Final = 100
#: Connections that `KeptConnections` keeps.
KEPT_MAX: Final = 2
#: How often a session is looked for whose settings another connection sees. In a busy pooler others come between.
LOOKS: Final = 4
#: What poolers take at the start of a connection, and keep apart for every client.
_TAKEN_AT_START: Final = frozenset({"application_name"})


class Pooling(StrEnum):
    """What stands between us and PostgreSQL, as far as it matters here."""

    NONE = "NONE"
    SESSION = "SESSION"
    TRANSACTION = "TRANSACTION"

    @property
    def has_sessions(self) -> bool:
        """Whether a connection keeps its session, so that it can listen."""
        return self is not Pooling.TRANSACTION


async def connect(dsn: str, **options: Any) -> asyncpg.Connection:
    """A connection for a moment, which works through every pooler: nothing on it is prepared under a name.

    Raises what `outage.UNANSWERED` lists.
    """
    options = {"timeout": CONNECT_TIMEOUT_S, "statement_cache_size": 0} | options
    connection: asyncpg.Connection = await asyncpg.connect(dsn, **options)
    return connection


async def pooling_of(dsn: str) -> Pooling:
    """What is behind the DSN. Raises ConfigurationError for a pooler with which no engine can work, and what
    `outage.UNANSWERED` lists."""
    connection = await connect(dsn)
    try:
        if await connection.fetchval(statement("connections/process_id")) == connection.get_server_pid():
            return Pooling.NONE
        for _ in range(LOOKS):
            if await _is_shared(dsn, connection):
                return Pooling.TRANSACTION
        return Pooling.SESSION
    finally:
        await connection.close()


async def _is_shared(dsn: str, connection: asyncpg.Connection) -> bool:
    """Whether a mark that is left in the session is seen by somebody else, or is not there any more."""
    mark = secrets.token_hex(8)
    process_id = await connection.fetchval(statement("connections/leave_mark"), mark)
    other = await connect(dsn, command_timeout=ANOTHER_SESSION_S)
    try:
        # While its transaction is open it has a session to itself.
        transaction = other.transaction()
        await transaction.start()
        if await other.fetchval(statement("connections/mark")) == mark:
            is_shared = True
        else:
            session = await connection.fetchrow(statement("connections/session"))
            is_shared = session is None or tuple(session) != (mark, process_id)
        await transaction.rollback()
        return is_shared
    except TimeoutError:
        raise ConfigurationError(
            "the connection pooler has no second connection to give; an engine needs more of them, so raise its "
            "pool size (default_pool_size of PgBouncer)",
            field="database_url",
        ) from None
    except (asyncpg.ProtocolViolationError, asyncpg.ConnectionDoesNotExistError) as error:
        refusal = error if isinstance(error, asyncpg.ProtocolViolationError) else error.__cause__
        if not isinstance(refusal, asyncpg.ProtocolViolationError):
            raise
        raise ConfigurationError(
            f"the connection pooler allows no transactions ({refusal}); have it pool transactions or sessions "
            "(pool_mode of PgBouncer)",
            field="database_url",
        ) from None
    finally:
        other.terminate()


async def is_same_database(dsn: str, other_dsn: str) -> bool:
    """Whether two DSNs lead to one database of one server that has run since. Raises what `outage.UNANSWERED` lists."""
    return await _identity(dsn) == await _identity(other_dsn)


async def _identity(dsn: str) -> tuple[object, ...]:
    connection = await connect(dsn)
    try:
        row = await connection.fetchrow(statement("connections/identity"))
        return tuple(row or ())
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def connection_pool(
    dsn: str,
    connections_max: int,
    settings: Mapping[str, str],
    pooling: Pooling = Pooling.NONE,
    *,
    connections_min: int = 1,
) -> AsyncIterator[asyncpg.Pool]:
    """Connections on which PostgreSQL has these settings, which are ours and no input. Raises what
    `outage.UNANSWERED` lists."""
    at_start = {name: value for name, value in settings.items() if name in _TAKEN_AT_START or pooling is Pooling.NONE}
    later = [(name, value) for name, value in settings.items() if name not in at_start]

    async def prepare(connection: Any) -> None:
        # A setting can be no parameter of a statement that has to travel together with `begin`.
        if pooling is Pooling.TRANSACTION:
            connection.settings = "".join(f" set local {name} = '{value}';" for name, value in later)
        elif later:
            await connection.execute("".join(f"set {name} = '{value}';" for name, value in later))

    pool = await asyncpg.create_pool(
        dsn,
        min_size=connections_min,
        max_size=connections_max,
        server_settings=at_start,
        command_timeout=COMMAND_TIMEOUT_S,
        statement_cache_size=0 if pooling is Pooling.TRANSACTION else STATEMENTS_PREPARED_MAX,
        connection_class=_PooledTransactions if pooling is Pooling.TRANSACTION else _Session,
        init=prepare,
    )
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT_S)
        except UNANSWERED:
            pool.terminate()


class KeptConnections:
    """Connections of a pool for those who want one again and again. One that was given back stays taken from the pool,
    which would care for it in a task of its own each time; not one on which something went wrong.

    At most `KEPT_MAX` are kept, and none while somebody waits for the pool. `close` before the pool is closed.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._kept: list[Any] = []
        self._waiting = 0
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        """Raises what `outage.OUTAGE` lists."""
        connection = await self._take()
        is_well = False
        try:
            yield connection
            is_well = True
        finally:
            if is_well and not self._waiting and not self._is_closed and len(self._kept) < KEPT_MAX:
                self._kept.append(connection)
            else:
                await self._pool.release(connection)

    async def close(self) -> None:
        """From here on none is kept: a pool waits for every one before it closes."""
        self._is_closed = True
        while self._kept:
            await self._pool.release(self._kept.pop())

    async def _take(self) -> Any:
        while self._kept:
            connection = self._kept.pop()
            if not connection.is_closed():
                return connection
            await self._pool.release(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire()
        finally:
            self._waiting -= 1


class _Session(asyncpg.Connection):
    """A connection that is not reset between uses."""

    def get_reset_query(self) -> str:
        return ""


class _PooledTransactions(_Session):
    """A connection of which each transaction may be on another session: nothing happens outside of one.

    A statement alone becomes a transaction, which is two round trips more. Nothing is prepared under a name, not even
    for a cursor: the name would stay in a session that is somebody else's next.
    """

    settings = ""
    """What a transaction begins with."""

    async def execute(self, query: str, *args: object, **options: Any) -> str:
        # The driver begins transactions this way.
        if query.startswith("BEGIN"):
            return await super().execute(query + self.settings, **options)
        async with self._in_transaction():
            return await super().execute(query, *args, **options)

    async def executemany(self, command: str, args: Iterable[Any], **options: Any) -> None:
        async with self._in_transaction():
            await super().executemany(command, args, **options)

    async def fetch(self, query: str, *args: object, **options: Any) -> list[Any]:
        async with self._in_transaction():
            rows: list[Any] = await super().fetch(query, *args, **options)
            return rows

    async def fetchrow(self, query: str, *args: object, **options: Any) -> Any:
        async with self._in_transaction():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
        async with self._in_transaction():
            return await super().fetchval(query, *args, **options)

    def _in_transaction(self) -> AbstractAsyncContextManager[object]:
        return contextlib.nullcontext() if self.is_in_transaction() else self.transaction()

    async def _get_statement(self, *args: Any, **options: Any) -> Any:
        # The driver's own: a cursor asks for a statement with a name, although it is done with it when it begins.
        return await super()._get_statement(*args, **{**options, "named": False})  # type: ignore[misc]
