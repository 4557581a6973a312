"""The end of history: partitions older than the retention are dropped, each when its last day is.

A run that still lives, or ended within the retention, is kept whatever its age, with its tasks and their history; a
live one with the children it may ask for again. `broadaxe.drop_partition` moves them aside first. Log lines, events and
spans go with their partition. Refuses to delete rows one by one, except those few that were moved aside and are over by
now, and workers that were not heard of since. Tasks keep the ids of workers that are gone; a worker that is still in a
tenant's memory gets its whole row again when it comes. Safe to run in several processes at once, and to be interrupted:
each partition is a transaction of its own, and what was not done is found again.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final

import asyncpg
import structlog

from broadaxe.storage.statements import statement

__all__ = ["enforce"]

#: Workers that go in one transaction.
WORKERS_AT_ONCE_MAX: Final = 10_000

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
    for row in await pool.fetch(statement("retention/expired"), first_kept):
        try:
            await pool.execute(statement("retention/drop_partition"), row["parent"], row["name"], kept_since)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            _log.info("old history is in use; it is dropped later", partition=row["name"])
            return gone
        gone.append(row["name"])
    await pool.execute(statement("retention/delete_leftovers"), kept_since)
    return gone


async def _delete_workers(pool: asyncpg.Pool, before: date) -> None:
    deleted = WORKERS_AT_ONCE_MAX
    while deleted == WORKERS_AT_ONCE_MAX:
        deleted = await pool.fetchval(statement("retention/delete_workers"), before, WORKERS_AT_ONCE_MAX)
        if deleted:
            _log.info("workers that were silent for long are gone", count=deleted)
