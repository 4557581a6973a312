"""Reads of log lines for people: of some tasks, of a whole tenant, and how many over time.

Decides nothing. Invariants as in `reads.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from broadaxe.storage.ids import CLOCK_SLACK, id_floor, id_floor_of
from broadaxe.storage.pages import ByTime, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import like_escaped, statement

__all__ = ["LogBucket", "LogFilter", "LogReads", "LogRecord"]

#: Lines of a tenant that a page looks at to find those that pass a filter. An index on the text of lines was measured:
#: with trigrams it made writing them three to four times as expensive.
LINES_LOOKED_AT_MAX: Final = 200_000
#: The same when the task of each line has to be looked at too.
LINES_AND_TASKS_LOOKED_AT_MAX: Final = 50_000


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    task_id: str
    task_display_name: str
    retry_count: int
    level: str
    message: str
    metadata: str | None
    created_at: datetime


class LogBucket(msgspec.Struct, frozen=True, gc=False):
    starts_at: datetime
    debug: int
    info: int
    warn: int
    error: int


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which log lines are meant. Both times are exclusive; `search` is found in any case; `retry_count` from 0."""

    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    levels: tuple[str, ...] | None = None
    retry_count: int | None = None
    workflow_ids: tuple[str, ...] | None = None
    definition_ids: tuple[str, ...] | None = None


class LogReads:
    """Every question about log lines. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def task_logs(
        self,
        tenant_id: str,
        task_ids: Sequence[str],
        wanted: LogFilter,
        *,
        newest_first: bool,
        limit: int,
        offset: int = 0,
        after: ByTime | None = None,
    ) -> Page[LogRecord, ByTime]:
        since, until, place = _bounds(wanted, newest_first, after)
        rows = await self._pool.fetch(
            statement("reads/task_logs"),
            tenant_id,
            task_ids,
            id_floor_of(task_ids),
            since,
            until,
            like_escaped(wanted.search) if wanted.search else None,
            wanted.levels,
            wanted.retry_count,
            newest_first,
            limit,
            offset,
            *place,
        )
        return page_of_rows(rows, [_log_line(row) for row in rows], limit, _by_time)

    async def tenant_logs(
        self,
        tenant_id: str,
        floor: datetime,
        wanted: LogFilter,
        *,
        newest_first: bool,
        limit: int,
        offset: int = 0,
        after: ByTime | None = None,
    ) -> Page[LogRecord, ByTime]:
        """Lines of all tasks that were stored since `floor`.

        What passes a filter may be rare, so a page looks at a bounded number of lines for it. It may then have fewer
        rows than `limit`, even none, and still an end behind which to go on.
        """
        since, until, place = _bounds(wanted, newest_first, after)
        rows = await self._pool.fetch(
            statement("reads/tenant_logs"),
            tenant_id,
            id_floor(floor - CLOCK_SLACK),
            since,
            until,
            like_escaped(wanted.search) if wanted.search else None,
            wanted.levels,
            wanted.retry_count,
            wanted.workflow_ids,
            wanted.definition_ids,
            newest_first,
            limit,
            offset,
            *place,
            _lines_looked_at_max(wanted),
        )
        if rows and rows[-1]["task_id"] is None:
            *rows, last_looked_at = rows
            return Page([_log_line(row) for row in rows], _by_time(last_looked_at))
        return page_of_rows(rows, [_log_line(row) for row in rows], limit, _by_time)

    async def log_buckets(
        self,
        tenant_id: str,
        since: datetime,
        until: datetime,
        width: timedelta,
        wanted: LogFilter,
        task_ids: Sequence[str] | None,
    ) -> tuple[list[LogBucket], datetime | None]:
        """Log lines per bucket and level; `since` is aligned by the caller. The times of `wanted` are not used.

        A bounded number of lines is looked at, the latest; of more, since when they are counted is told too.
        """
        rows = await self._pool.fetch(
            statement("reads/log_buckets"),
            tenant_id,
            id_floor(since - CLOCK_SLACK),
            since,
            until,
            width,
            task_ids,
            like_escaped(wanted.search) if wanted.search else None,
            wanted.levels,
            wanted.workflow_ids,
            wanted.definition_ids,
            _lines_looked_at_max(wanted) or LINES_LOOKED_AT_MAX,
        )
        buckets = [LogBucket(row["starts_at"], row["debug"], row["info"], row["warn"], row["error"]) for row in rows]
        return buckets, rows[0]["counted_since"]


def _lines_looked_at_max(wanted: LogFilter) -> int | None:
    """None when every line in the window passes."""
    if wanted.workflow_ids is not None or wanted.definition_ids is not None:
        return LINES_AND_TASKS_LOOKED_AT_MAX
    if wanted.search or wanted.levels is not None or wanted.retry_count is not None:
        return LINES_LOOKED_AT_MAX
    return None


def _bounds(
    wanted: LogFilter, newest_first: bool, after: ByTime | None
) -> tuple[datetime | None, datetime | None, tuple[datetime | None, str | None]]:
    """Since, until and the place to begin behind; of the two on the side where the page begins only the nearer one."""
    since, until = wanted.since, wanted.until
    if after is None:
        return since, until, (None, None)
    place = (after.at, after.id)
    if newest_first:
        return (since, until, (None, None)) if until is not None and until <= after.at else (since, None, place)
    return (since, until, (None, None)) if since is not None and since >= after.at else (None, until, place)


def _by_time(row: asyncpg.Record) -> ByTime:
    return ByTime(row["created_at"], str(row["id"]))


def _log_line(row: asyncpg.Record) -> LogRecord:
    return LogRecord(
        task_id=str(row["task_id"]),
        task_display_name=row["display_name"],
        retry_count=row["retry_count"],
        level=row["level"],
        message=row["message"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )
