"""The audit log as it is stored: entries in chains that hashes link, so that one that was changed or taken out shows.

Owns the text of an entry that is hashed, appending, reading, checking the chains, and their end of history. What goes
into the log is decided by `core/audit.py` for what a tenant decides, which `storage/journal.py` writes with the round,
and by whoever changes something past the core, in the transaction that does it (`write`). Refuses to change entries.

Invariants: each chain counts from 1 without gaps; the hash of an entry is `sha256(hash before, seq, sha256(text))`, and
a chain begins with the hash of its own name. Whoever can write the database can still make a whole new chain: keep the
end of a chain (`Head`) elsewhere and have `verify` look for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject, Value, entry
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.core.decision import AuditRow
from broadaxe.storage.ids import ID_MAX, id_floor, id_range, new_id
from broadaxe.storage.pages import ById, Page, page_of_rows
from broadaxe.storage.statements import statement

__all__ = [
    "INSTALLATION",
    "AuditEntry",
    "AuditFilter",
    "Chain",
    "Fault",
    "Head",
    "Queryable",
    "append_arguments",
    "command_line",
    "entries",
    "page",
    "transaction",
    "trim",
    "verify",
    "write",
    "write_of_account",
]

Queryable = asyncpg.Pool | asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

#: Whose log has what belongs to no tenant: operators, accounts without one, names that nobody has.
INSTALLATION: Final = "00000000-0000-0000-0000-000000000000"
#: Entries read at a time when a chain is checked or written out.
READ_AT_ONCE: Final = 1_000
#: Entries of a chain that go in one statement.
TRIMMED_AT_ONCE_MAX: Final = 1_000
FAULTS_MAX: Final = 100
#: Tenants whose logs say that somebody logged in.
TENANTS_TOLD_MAX: Final = 100

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Chain(StrEnum):
    TENANT = "TENANT"
    """What the tenant decided; written by its owner alone."""
    EDGE = "EDGE"
    """What edges and the command line change past it."""


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry as it is read."""

    row: AuditRow
    chain: Chain
    seq: int
    hash: bytes

    @property
    def at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.row.at_us)


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None means all."""

    action: Action | None = None
    by_id: str | None = None
    by_kind: InitiatorKind | None = None
    object_id: str | None = None
    is_refused: bool = False
    since: datetime | None = None
    until: datetime | None = None


class Head(msgspec.Struct, frozen=True):
    """Where a chain ends."""

    tenant_id: str
    chain: Chain
    seq: int
    hash: str
    """64 hexadecimal digits."""
    first_seq: int
    """The oldest entry that is still kept."""


class Fault(msgspec.Struct, frozen=True):
    """Where a chain does not hold."""

    tenant_id: str
    chain: Chain
    seq: int
    problem: str


# Writing ------------------------------------------------------------------------------------------------------------


async def write(
    connection: Queryable,
    tenant_id: str,
    by: Initiator,
    action: Action,
    subject: Subject,
    *,
    before: Value | None = None,
    refusal: str = "",
) -> None:
    """Adds an entry in the transaction that `connection` is in, which does what it tells. Last in it: the chain is
    locked from here to the commit. `subject` is as it is afterwards, its value None when it is gone."""
    row = entry(new_id(), _us(datetime.now(UTC)), by, action, subject, before=before)
    if refusal:
        row = msgspec.structs.replace(row, refusal=refusal)
    genesis = _genesis(tenant_id, Chain.EDGE)
    await connection.execute(statement("audit/open_chain"), tenant_id, Chain.EDGE, genesis)
    await connection.execute(
        statement("journal/append_audit"), tenant_id, *append_arguments(tenant_id, Chain.EDGE, [row])
    )


async def write_of_account(
    connection: Queryable, account_id: str, by: Initiator, action: Action, subject: Subject, *, refusal: str = ""
) -> None:
    """What somebody did with their own account: in the log of every tenant it opens (at most `TENANTS_TOLD_MAX`), or in
    the installation's if it opens none."""
    rows = await connection.fetch(statement("audit/tenants_of_account"), account_id, TENANTS_TOLD_MAX)
    for tenant_id in [str(row["tenant_id"]) for row in rows] or [INSTALLATION]:
        await write(connection, tenant_id, by, action, subject, refusal=refusal)


@asynccontextmanager
async def transaction(db: Queryable) -> AsyncIterator[Queryable]:
    """A transaction on `db`, for what is done and what is written of it. A pool lends a connection."""
    if isinstance(db, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        async with db.transaction():
            yield db
    else:
        async with db.acquire() as connection, connection.transaction():
            yield connection


def append_arguments(tenant_id: str, chain: Chain, rows: Sequence[AuditRow]) -> Sequence[object]:
    """What `append_audit` takes after the tenant."""
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return [str(chain), _genesis(tenant_id, chain), [_digest(row) for row in rows], *columns]


def command_line(user: str) -> Initiator:
    """Whoever runs a command on the machine. `user` is the account of the operating system."""
    return Initiator(InitiatorKind.CLI, "", user)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _genesis(tenant_id: str, chain: Chain) -> bytes:
    return hashlib.sha256(f"{tenant_id} {chain}".encode()).digest()


def _digest(row: AuditRow) -> bytes:
    """Of the entry's text: its fields as a JSON array, in their order."""
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.astuple(row))).digest()


# Reading ------------------------------------------------------------------------------------------------------------


async def page(
    db: Any, tenant_id: str, wanted: AuditFilter, *, limit: int, after: ById | None = None
) -> Page[AuditEntry, ById]:
    """Entries, newest first."""
    first, end = id_range(wanted.since or _EPOCH, wanted.until or _LATEST, ID_MAX if after is None else after.id)
    rows = await db.fetch(
        statement("audit/list"),
        tenant_id,
        wanted.action,
        wanted.by_id,
        wanted.object_id,
        wanted.by_kind,
        wanted.is_refused,
        first,
        end,
        limit,
    )
    found = [entry_ for entry_ in map(_entry, rows) if wanted.since is None or entry_.at >= wanted.since]
    return page_of_rows(rows, found, limit, lambda row: ById(str(row["id"])))


async def entries(db: Any, tenant_id: str, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
    """All of them, newest first, read in pages."""
    after: ById | None = None
    while True:
        found = await page(db, tenant_id, wanted, limit=READ_AT_ONCE, after=after)
        for entry_ in found.rows:
            yield entry_
        after = found.end
        if after is None:
            return


_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


def _entry(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(
        AuditRow(
            str(row["id"]),
            _us(row["at"]),
            row["by_kind"],
            row["by_id"],
            row["by_name"],
            row["by_address"],
            row["action"],
            row["object_id"],
            row["object_name"],
            row["before"],
            row["after"],
            row["refusal"],
        ),
        Chain(row["chain"]),
        row["seq"],
        row["hash"],
    )


# Checking -----------------------------------------------------------------------------------------------------------


async def verify(
    db: Queryable, tenant_id: str | None, expected: Sequence[str] = ()
) -> tuple[list[Head], list[Fault], list[str]]:
    """Follows the chains of a tenant, or of all tenants and the installation. Answers where they end, at most
    `FAULTS_MAX` faults (the first of each chain), and those of the `expected` hashes that none of their entries has."""
    heads: list[Head] = []
    faults: list[Fault] = []
    missing = {text.lower() for text in expected}
    for row in await db.fetch(statement("audit/chains"), tenant_id):
        chain = Chain(row["chain"])
        problem = await _follow(db, row, chain, missing)
        if problem is not None and len(faults) < FAULTS_MAX:
            faults.append(Fault(str(row["tenant_id"]), chain, *problem))
        first_seq = row["trimmed_seq"] + 1
        heads.append(Head(str(row["tenant_id"]), chain, row["seq"], row["hash"].hex(), first_seq))
        missing.discard(row["trimmed_hash"].hex())
    return heads, faults, sorted(missing)


async def _follow(db: Queryable, chain_row: asyncpg.Record, chain: Chain, missing: set[str]) -> tuple[int, str] | None:
    """The first place at which it does not hold."""
    tenant_id, seq, reached = str(chain_row["tenant_id"]), chain_row["trimmed_seq"], chain_row["trimmed_hash"]
    if seq == 0 and reached != _genesis(tenant_id, chain):
        return 0, "the chain does not begin with its own name"
    while seq < chain_row["seq"]:
        rows = await db.fetch(statement("audit/of_chain"), tenant_id, chain, seq, chain_row["seq"], READ_AT_ONCE)
        for found in map(_entry, rows):
            if found.seq != seq + 1:
                return seq + 1, f"the entry is missing; the next one is {found.seq}"
            seq += 1
            reached = hashlib.sha256(reached + seq.to_bytes(8, "big") + _digest(found.row)).digest()
            if reached != found.hash:
                return seq, "the entry, or one that was before it, is not the one that was written"
            missing.discard(reached.hex())
        if not rows:
            return seq + 1, f"the entry is missing, and all up to {chain_row['seq']}"
    if reached != chain_row["hash"]:
        return seq, "the chain ends with another entry"
    return None


# The end of history -------------------------------------------------------------------------------------------------


async def trim(pool: asyncpg.Pool, now: datetime, retention_days: int) -> int:
    """Deletes entries older than that, and returns how many."""
    floor = id_floor(now - timedelta(days=retention_days))
    deleted = 0
    while True:
        count: int = await pool.fetchval(statement("audit/trim"), floor, TRIMMED_AT_ONCE_MAX)
        deleted += count
        if count == 0:
            return deleted
