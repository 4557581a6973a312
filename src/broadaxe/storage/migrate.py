"""Applies `migrations/*.sql` in order, each in its own transaction, and sees to the partitions.

Forward only. A migration that was applied is remembered with its checksum; an edited one is refused, because a schema
that differs between installations cannot be reasoned about. Two processes that migrate at once take turns, migration by
migration: the lock belongs to a transaction, since a connection pooler may leave no other.

Upgrades without a stop. A migration has a phase, which its file's name tells. `0042_what.sql` is `pre`: it adds, and
the code of the version before goes on working on it, so it is applied while that code still runs.
`0043_what.post.sql` is `post`: it takes away what only older code needs, so it is applied once that code is gone. A
`pre` migration rests on no `post` migration that was not released two versions ago, so that either order of the two
phases leads to the same schema. From this follows where an engine may run: on every schema that has all `pre`
migrations it knows and no `post` migration that it does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import asyncpg

from broadaxe.config import DEFAULT_RETENTION_DAYS
from broadaxe.errors import ConfigurationError
from broadaxe.storage.connections import connect
from broadaxe.storage.partitions import ensure_partitions, merge_old_days
from broadaxe.storage.statements import in_schema, schema_in_use, statement

__all__ = ["Applied", "Phase", "Schema", "known_schema", "migrate", "schema_of"]

POSTGRES_VERSION_MIN = 15
POST_SUFFIX: Final = ".post"
#: What the first migration begins with. Who may make no schema is refused this even if it is there, as it is by then.
MAKES_SCHEMA: Final = "create schema if not exists broadaxe;\n"
#: From here on leases last as long as their node.
NODES: Final = "0043_nodes.sql"


class Phase(StrEnum):
    """When a migration is applied: before code of this version starts, or after older code has gone."""

    PRE = "pre"
    POST = "post"


@dataclass(frozen=True, slots=True)
class _Migration:
    name: str
    phase: Phase
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that a database has. `is_known` is False when only a newer Broadaxe has its text."""

    name: str
    phase: Phase
    checksum: str
    applied_at: datetime
    is_known: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database has and what it lacks, as this version sees it. Names are in the order of application."""

    applied: list[Applied]
    lacks_pre: list[str]
    lacks_post: list[str]
    older_engines: list[str]
    """Addresses of engines that hold a tenant at this moment and do not know this version's schema."""

    @property
    def lacks(self) -> list[str]:
        """Names of all that `migrate` would apply."""
        return sorted((*self.lacks_pre, *self.lacks_post))

    def missing(self, phase: Phase | None) -> list[str]:
        """Names of what `migrate` would apply in that phase; None is both."""
        return self.lacks if phase is None else self.lacks_pre if phase is Phase.PRE else self.lacks_post

    @property
    def newer(self) -> list[str]:
        """Names of the migrations of a newer version, if this version's code may run on them. Nearly always empty."""
        return [one.name for one in self.applied if not one.is_known]

    def check_not_too_new(self) -> None:
        """ConfigurationError if a newer version has taken away what this one needs."""
        taken = [one.name for one in self.applied if not one.is_known and one.phase is Phase.POST]
        if taken:
            raise ConfigurationError(
                f"this database belongs to a newer Broadaxe, which has finished its upgrade (it has {max(taken)}); "
                "upgrade this one, or use another database or data directory",
                field="database_url",
            )


async def migrate(
    dsn: str,
    retention_days: int = DEFAULT_RETENTION_DAYS,
    phase: Phase | None = None,
    *,
    is_alone: bool = False,
) -> list[str]:
    """Brings the database at `dsn` to this version's schema, or through one phase of it, with partitions as history of
    `retention_days` needs them; returns the names of the migrations it applied.

    A database without our schema gets all of it, whatever the phase: no older code runs on it. `is_alone` says that the
    caller keeps other engines away. ConfigurationError, with nothing changed, when the server is too old, when the
    schema is a newer or another one, or when a `post` migration is due while an older engine holds a tenant.
    """
    connection = await connect(dsn)
    try:
        version = connection.get_server_version().major
        if version < POSTGRES_VERSION_MIN:
            raise ConfigurationError(
                f"PostgreSQL {version} is too old; Broadaxe needs {POSTGRES_VERSION_MIN} or newer", field="database_url"
            )
        return await _apply(connection, retention_days, phase, is_alone=is_alone)
    finally:
        await connection.close()


async def schema_of(dsn: str) -> Schema:
    """What the database at `dsn` has of the schema. Changes nothing."""
    connection = await connect(dsn)
    try:
        return await _look(connection)
    finally:
        await connection.close()


@cache
def known_schema() -> str:
    """The name of the newest migration that this version has."""
    return _migrations()[-1].name


async def _look(connection: asyncpg.Connection) -> Schema:
    known = _migrations()
    names = {one.name for one in known}
    has_tables = await connection.fetchval(statement("migrations/table_exists")) is not None
    rows = await connection.fetch(statement("migrations/applied")) if has_tables else []
    applied = [
        Applied(row["name"], Phase(row["phase"]), row["checksum"], row["applied_at"], row["name"] in names)
        for row in rows
    ]
    missing = [one for one in known if one.name not in {done.name for done in applied}]
    has_nodes = NODES in {done.name for done in applied}
    asked = statement("migrations/older_engines" if has_nodes else "migrations/older_engines_before_nodes")
    engines = await connection.fetch(asked, known_schema()) if applied else []
    return Schema(
        applied=applied,
        lacks_pre=_names(missing, Phase.PRE),
        lacks_post=_names(missing, Phase.POST),
        older_engines=[row["address"] for row in engines],
    )


async def _apply(
    connection: asyncpg.Connection, retention_days: int, phase: Phase | None, *, is_alone: bool
) -> list[str]:
    async with connection.transaction():
        await connection.execute(statement("migrations/lock"))
        await _make_room(connection)
        schema = await _look(connection)
    known = _migrations()
    _check_unedited(schema, known)
    schema.check_not_too_new()
    if schema.newer and schema.lacks_pre:
        raise ConfigurationError(
            f"this database belongs to another line of versions: it has {schema.newer[-1]}, which this Broadaxe "
            f"does not know, and lacks {schema.lacks_pre[0]}; use the version of Broadaxe that made it",
            field="database_url",
        )
    wanted = known if phase is None or not schema.applied else [one for one in known if one.phase is phase]
    due = [one for one in wanted if one.name in schema.lacks]
    if schema.applied and not is_alone and any(one.phase is Phase.POST for one in due):
        _check_nobody_is_behind(schema, phase)
    done: list[str] = []
    for one in due:
        async with connection.transaction():
            await connection.execute(statement("migrations/lock"))
            if await connection.fetchval(statement("migrations/is_applied"), one.name):
                # Somebody else was faster.
                continue
            await connection.execute(in_schema(one.text.replace(MAKES_SCHEMA, "")))
            await connection.execute(statement("migrations/record"), one.name, one.checksum, one.phase)
        done.append(one.name)
    await merge_old_days(connection)
    await ensure_partitions(connection, retention_days=retention_days)
    return done


async def _make_room(connection: asyncpg.Connection) -> None:
    """Sees that there is our schema, and in it the table of what was applied."""
    name = schema_in_use()
    # Who may make things in a schema may not always make one, and would be refused even if it is there.
    has_schema = await connection.fetchval(statement("migrations/schema_exists"))
    try:
        if not has_schema:
            await connection.execute(statement("migrations/create_schema"))
        await connection.execute(statement("migrations/create_table"))
    except asyncpg.InsufficientPrivilegeError as refused:
        what = f'may make no tables in the schema "{name}"' if has_schema else f'may not make the schema "{name}"'
        raise ConfigurationError(
            f"the role of the database's URL {what} ({refused}); `broadaxe doctor` says which grant it needs, and "
            "--database-schema names another schema",
            field="database_url",
        ) from None


def _check_unedited(schema: Schema, known: Iterable[_Migration]) -> None:
    checksums = {one.name: one.checksum for one in known}
    for done in schema.applied:
        if done.is_known and checksums[done.name] != done.checksum:
            raise ConfigurationError(
                f"migration {done.name} was applied in another form than this version has; "
                "use the version of Broadaxe that made this database, or a new database",
                field="database_url",
            )


def _check_nobody_is_behind(schema: Schema, phase: Phase | None) -> None:
    if phase is Phase.POST and schema.lacks_pre:
        raise ConfigurationError(
            f"the phase post comes last, and {schema.lacks_pre[0]} of the phase pre is missing; "
            "run `broadaxe migrate --phase pre`, replace the engines, then run this again",
            field="--phase",
        )
    if schema.older_engines:
        first = "" if phase is Phase.POST else "; `broadaxe migrate --phase pre` is safe meanwhile"
        raise ConfigurationError(
            f"an engine of an earlier version still works on this database ({', '.join(schema.older_engines)}), and "
            f"the migrations of the phase post would take away what it needs; stop it, then run this again{first}",
            field="--phase",
        )


def _names(migrations: Iterable[_Migration], phase: Phase) -> list[str]:
    return [one.name for one in migrations if one.phase is phase]


def _migrations() -> list[_Migration]:
    folder = files(__package__).joinpath("migrations")
    stems = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        _Migration(
            name=stem.removesuffix(POST_SUFFIX),
            phase=Phase.POST if stem.endswith(POST_SUFFIX) else Phase.PRE,
            text=folder.joinpath(f"{stem}.sql").read_text(encoding="utf-8"),
        )
        for stem in stems
    ]
