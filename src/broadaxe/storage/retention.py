"""The end of history: partitions older than the retention are dropped, each when its last day is.

A run that still lives, or ended within the retention, is kept whatever its age, with its tasks and their history; a
live one with the children it may ask for again. `broadaxe.drop_partition` moves them aside first. Log lines, events and
spans go with their partition, and messages of topics when no tenant keeps them any more. Refuses to delete rows one by
one, except those few that were moved aside and are over by now, and workers that were not heard of since. Tasks keep
the ids of workers that are gone; a worker that is still in a tenant's memory gets its whole row again when it comes.
Safe to run in several processes at once, and to be interrupted: each partition is a transaction of its own, and what
was not done is found again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import asyncpg
import structlog

from broadaxe.storage.statements import statement

__all__ = ["enforce", "enforce_messages"]

#: Workers that go in one transaction.
WORKERS_AT_ONCE_MAX: Final = 10_000
#: Topics, or producers, that go in one transaction.
NAMES_AT_ONCE_MAX: Final = 10_000
#: For how long topics and producers are known by name after their last message is not kept any more.
NAMES_KEPT_FOR: Final = timedelta(days=30)

_log = structlog.get_logger(__name__)


async def enforce(pool: asyncpg.Pool, now: datetime, retention_days: int) -> list[str]:
    """Drops every partition whose last day ended `retention_days` ago or earlier, and workers silent since; returns the
    partitions that are gone.

    A partition that somebody reads for long is left for the next time, and what would follow it too: order matters.
    """
    first_kept = now.date() - timedelta(days=retention_days)
    kept_since = datetime.combine(first_kept, time(), tzinfo=now.tzinfo)
    await _delete_workers(pool, first_kept)
    gone: list[str] = []
    if await _drop(pool, await pool.fetch(statement("retention/expired"), first_kept), kept_since, gone):
        await pool.execute(statement("retention/delete_leftovers"), kept_since)
    return gone


async def enforce_messages(pool: asyncpg.Pool, now: datetime) -> list[str]:
    """Drops every partition of messages, and of their payloads, that no tenant shows any more, and forgets topics and
    producers that were not used for long; returns the partitions that are gone. Until then readers are not shown what
    their tenant does not keep (`topics/page.sql`)."""
    kept_since = now - timedelta(hours=await pool.fetchval(statement("retention/message_hours")))
    payloads_since = kept_since - timedelta(days=1)
    gone: list[str] = []
    # Yesterday's partition is made again as often as it is dropped.
    first_days = [min(since.date(), now.date() - timedelta(days=1)) for since in (kept_since, payloads_since)]
    rows = await pool.fetch(statement("retention/expired_messages"), *first_days)
    if await _drop(pool, rows, kept_since, gone):
        await pool.execute(statement("retention/delete_old_messages"), kept_since)
        await pool.execute(statement("retention/delete_old_payloads"), payloads_since)
    for name in ("delete_topics", "delete_producers"):
        deleted = NAMES_AT_ONCE_MAX
        while deleted == NAMES_AT_ONCE_MAX:
            used_since = kept_since - NAMES_KEPT_FOR
            deleted = await pool.fetchval(statement(f"retention/{name}"), used_since, NAMES_AT_ONCE_MAX)
    return gone


async def _drop(pool: asyncpg.Pool, rows: Sequence[Any], kept_since: datetime, gone: list[str]) -> bool:
    """Adds the names of those that are gone. False when one is in use; it is left, with what would follow it."""
    for row in rows:
        try:
            await pool.execute(statement("retention/drop_partition"), row["parent"], row["name"], kept_since)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            _log.info("old history is in use; it is dropped later", partition=row["name"])
            return False
        gone.append(row["name"])
    return True


async def _delete_workers(pool: asyncpg.Pool, before: date) -> None:
    deleted = WORKERS_AT_ONCE_MAX
    while deleted == WORKERS_AT_ONCE_MAX:
        deleted = await pool.fetchval(statement("retention/delete_workers"), before, WORKERS_AT_ONCE_MAX)
        if deleted:
            _log.info("workers that were silent for long are gone", count=deleted)
