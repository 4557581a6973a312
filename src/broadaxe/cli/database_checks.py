"""What `broadaxe doctor` finds out about a database.

Owns what a server, a database, a role and whatever stands in front of them have to be like for an engine. Refuses to
change anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    import asyncpg

__all__ = ["Finding", "findings_of"]

POSTGRES_MIN: Final = 15
#: Of an engine: its two pools, and one that listens.
CONNECTIONS_MAX: Final = 19
CLOCK_DIFFERENCE_S_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw. `remedy` is set exactly when it failed."""

    subject: str
    detail: str
    remedy: str | None = None


async def findings_of(
    dsn: str, direct_dsn: str | None = None, read_dsn: str | None = None, *, embedded: bool = False
) -> AsyncIterator[Finding]:
    """Everything about the database, as far as it answers. `embedded`: it is our own server."""
    from broadaxe.cli.migrate import summary
    from broadaxe.storage.connections import connect, pooling_of
    from broadaxe.storage.migrate import schema_of
    from broadaxe.storage.outage import UNANSWERED
    from broadaxe.storage.statements import statement

    try:
        connection = await connect(dsn)
    except (*UNANSWERED, ValueError) as error:
        yield Finding(
            "database", _reason(error), "check host, port, user, password and database name of --database-url"
        )
        return
    try:
        before = datetime.now(UTC)
        health = await connection.fetchrow(statement("connections/health"))
        after = datetime.now(UTC)
        assert health is not None
        name = f"PostgreSQL {health['version'].partition(' ')[0]}"
        if health["version_major"] < POSTGRES_MIN:
            yield Finding("database", name, f"upgrade the server to PostgreSQL {POSTGRES_MIN} or newer")
            return
        yield Finding("database", f"{name} answers")
        if not embedded:
            try:
                pooling = await pooling_of(dsn)
            except ConfigurationError as error:
                problem, _, remedy = error.message.partition("; ")
                yield Finding("connection pooler", problem, remedy)
                return
            yield await _pooling(pooling, dsn, direct_dsn)
            for finding in _health(health, has_pooler=pooling is not pooling.NONE):
                yield finding
            yield _clock(before, health["now"], after)
            if read_dsn is not None:
                yield await _replica(read_dsn, dsn)
        elif not health["has_fsync"]:
            yield _NO_FSYNC
        if not (health["may_use_schema"] and (health["may_fill_schema"] or health["has_tables"])):
            return
        schema = await schema_of(dsn)
        try:
            schema.check_not_too_new()
        except ConfigurationError as error:
            yield Finding("schema", error.message, "run the Broadaxe that made it, or a newer one")
            return
        if missing := schema.lacks_pre:
            detail = "1 migration is missing" if len(missing) == 1 else f"{len(missing)} migrations are missing"
            # `broadaxe dev` migrates the database that is its own, so an update of Broadaxe leaves nothing to fix.
            if embedded:
                yield Finding("schema", f"{detail}; `broadaxe dev` applies them")
            else:
                yield Finding("schema", detail, "run: broadaxe migrate, with the same --database-url")
        else:
            yield Finding("schema", summary(schema))
            yield await _outbox(connection)
    except UNANSWERED as error:
        yield Finding("database", _reason(error), "mend what the server complains of, then ask again")
    finally:
        await connection.close()


_NO_FSYNC: Final = Finding("durability", "fsync is off", "turn fsync on, or a power cut loses acknowledged work")


async def _pooling(pooling: Any, dsn: str, direct_dsn: str | None) -> Finding:
    from broadaxe.storage.connections import is_same_database, pooling_of
    from broadaxe.storage.outage import UNANSWERED

    subject = "connection pooler"
    said = {
        "NONE": "none; connections lead to the server",
        "SESSION": "pools sessions, which works; it needs room for every connection of the engine "
        f"(default_pool_size of at least {CONNECTIONS_MAX})",
        "TRANSACTION": "pools transactions, which works: no statement is prepared, settings go with each transaction",
    }[pooling]
    if direct_dsn is None:
        if not pooling.has_sessions:
            said += (
                "; enqueued work is looked for every second, unless --direct-database-url names the server past "
                "the pooler"
            )
        return Finding(subject, said)
    try:
        if not (await pooling_of(direct_dsn)).has_sessions:
            return Finding(
                subject,
                "--direct-database-url leads to a pooler that pools transactions as well",
                "name the PostgreSQL server itself, or leave it out",
            )
        if not await is_same_database(dsn, direct_dsn):
            return Finding(
                subject,
                "--direct-database-url leads to another database than --database-url",
                "name the same server and database, past the pooler",
            )
    except (*UNANSWERED, ValueError, ConfigurationError) as error:
        return Finding(subject, f"--direct-database-url: {_reason(error)}", "check --direct-database-url")
    return Finding(subject, f"{said}; --direct-database-url leads past it")


async def _replica(read_dsn: str, dsn: str) -> Finding:
    from broadaxe.storage.outage import UNANSWERED
    from broadaxe.storage.read_replica import is_replica_of

    subject = "read replica"
    try:
        is_replica = await is_replica_of(read_dsn, dsn)
    except (*UNANSWERED, ValueError) as error:
        remedy = "check --read-database-url; until it answers, the primary answers people"
        return Finding(subject, f"--read-database-url: {_reason(error)}", remedy)
    if is_replica is None:
        return Finding(
            subject,
            "follows another primary, or is another database",
            "name a replica of --database-url with --read-database-url",
        )
    if not is_replica:
        return Finding(
            subject,
            "not a replica but a primary, so nothing is read there",
            "name a streaming replica with --read-database-url, or leave it out",
        )
    return Finding(subject, "answers, and follows the primary")


def _health(health: asyncpg.Record, *, has_pooler: bool) -> Iterator[Finding]:
    role, database = health["role"], health["database"]
    if health["is_standby"]:
        yield Finding(
            "server",
            "a hot standby, on which nothing can be written",
            "name the primary; with several hosts in the URL, add ?target_session_attrs=read-write",
        )
    elif health["is_read_only"]:
        yield Finding(
            "server",
            "transactions are read-only by default",
            f'alter role "{role}" set default_transaction_read_only = off',
        )
    if health["encoding"] != "UTF8":
        yield Finding(
            "encoding",
            f"{health['encoding']}, which cannot hold every text",
            "create the database with: create database ... encoding 'UTF8' template template0",
        )
    if not health["has_fsync"]:
        yield _NO_FSYNC
    elif not health["has_full_page_writes"]:
        yield Finding(
            "durability",
            "full_page_writes is off",
            "turn full_page_writes on, unless the file system never writes half a page",
        )
    elif health["synchronous_commit"] == "off":
        yield Finding(
            "durability",
            "synchronous_commit is off",
            "turn synchronous_commit on, or a crash of the server loses acknowledged work",
        )
    else:
        yield Finding("durability", "commits wait for the disk")
    yield _rights(health)
    if not has_pooler:
        yield _connections(health, database)


def _rights(health: asyncpg.Record) -> Finding:
    from broadaxe.storage.statements import schema_in_use

    role, database, owner = health["role"], health["database"], health["foreign_owner"]
    if not health["has_schema"] and not health["may_create_schema"]:
        return Finding(
            "rights",
            f'role "{role}" may not create a schema',
            f'grant create on database "{database}" to "{role}", or make one for it and name that with '
            f'--database-schema: create schema broadaxe authorization "{role}"',
        )
    schema = schema_in_use()
    if not health["has_tables"] and not (health["may_use_schema"] and health["may_fill_schema"]):
        return Finding(
            "rights",
            f'role "{role}" may make no tables in the schema "{schema}"',
            f'grant usage, create on schema "{schema}" to "{role}"',
        )
    if not health["may_use_schema"] or owner is not None:
        return Finding(
            "rights",
            f'role "{role}" does not own the tables' + (f'; "{owner}" does' if owner else ""),
            f'grant "{owner}" to "{role}", or connect as the role that ran `broadaxe migrate`'
            if owner
            else "connect as the role that ran `broadaxe migrate`",
        )
    return Finding("rights", f'role "{role}" has what it needs')


def _connections(health: asyncpg.Record, database: str) -> Finding:
    bounds = {
        f'connection limit of role "{health["role"]}"': health["connections_max_of_role"],
        f'connection limit of database "{database}"': health["connections_max_of_database"],
        "max_connections": health["connections_max"],
    }
    name, bound = min(((name, bound) for name, bound in bounds.items() if bound is not None), key=lambda pair: pair[1])
    detail = f"{health['connections']} in use of {health['connections_max']}; an engine uses up to {CONNECTIONS_MAX}"
    if bound < CONNECTIONS_MAX:
        return Finding("connections", f"{detail}, and the {name} is {bound}", f"raise the {name}")
    return Finding("connections", detail)


def _clock(before: datetime, there: datetime, after: datetime) -> Finding:
    off_s = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    if off_s > CLOCK_DIFFERENCE_S_MAX:
        return Finding(
            "clock",
            f"the server's is {off_s:.0f} s {'ahead of' if there > after else 'behind'} this machine's",
            "let NTP keep both clocks",
        )
    return Finding("clock", "the server's agrees with this machine's")


async def _outbox(connection: asyncpg.Connection) -> Finding:
    """What applications have enqueued: how much waits for an engine, and how much was refused."""
    from broadaxe.storage.outbox import outbox_counts

    waiting, refused = await outbox_counts(connection)
    detail = f"{waiting} waiting, {refused} refused"
    return Finding("outbox", f"{detail}; see broadaxe.outbox_refused" if refused else detail)


def _reason(error: Exception) -> str:
    return str(error) or "no answer in time"
