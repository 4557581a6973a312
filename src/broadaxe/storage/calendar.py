"""Reads for people about what is planned: crons, and schedules that have not been triggered.

Refuses to decide: a row that is there is shown. Invariants as in `reads.py`; a page of schedules costs its own rows
whatever their number, in either order. The version shown is the workflow's latest, which is the one that will run, and
the priority the one that its runs will have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from broadaxe.storage.metadata import metadata_arguments
from broadaxe.storage.pages import ById, ByName, ByTime, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.reads import COUNT_MAX
from broadaxe.storage.statements import statement

__all__ = ["CalendarReads", "CronFilter", "CronRecord", "ScheduleFilter", "ScheduleRecord"]

CronOrder = Literal["name ASC", "name DESC", "createdAt ASC", "createdAt DESC"]
ScheduleOrder = Literal["triggerAt ASC", "triggerAt DESC", "createdAt ASC", "createdAt DESC"]


class CronRecord(msgspec.Struct, frozen=True, gc=False):
    tenant_id: str
    id: str
    workflow_id: str
    workflow_name: str
    version_id: str
    expression: str
    name: str | None
    is_declared: bool
    input: str
    additional_metadata: str | None
    priority: int
    is_enabled: bool
    created_at: datetime
    updated_at: datetime


class ScheduleRecord(msgspec.Struct, frozen=True, gc=False):
    tenant_id: str
    id: str
    workflow_id: str
    workflow_name: str
    version_id: str
    trigger_at: datetime
    input: str
    additional_metadata: str | None
    priority: int
    created_at: datetime
    updated_at: datetime


class CronFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None and the empty metadata mean no filter; all metadata pairs must match."""

    tenant_id: str
    workflow_id: str | None = None
    workflow_name: str | None = None
    cron_name: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()


class ScheduleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None and the empty metadata mean no filter; all metadata pairs must match."""

    tenant_id: str
    workflow_id: str | None = None
    parent_run_id: str | None = None
    parent_task_id: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()


class CalendarReads:
    """Every question about crons and schedules. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def workflow_name(self, tenant_id: str, name: str) -> str | None:
        """The registered name that is meant: the same one, else the oldest that differs in case only."""
        found: str | None = await self._pool.fetchval(statement("reads/workflow_name"), tenant_id, name)
        return found

    async def crons_page(
        self, wanted: CronFilter, order: CronOrder, *, limit: int, offset: int, after: ById | ByName | None = None
    ) -> tuple[Page[CronRecord, ById | ByName], int]:
        """Crons, and how many there are (behind `after`, which is a `ByName` in the orders by name)."""
        rows = await self._pool.fetch(
            statement("reads/cron_list"),
            wanted.tenant_id,
            None,
            wanted.workflow_id,
            wanted.workflow_name,
            wanted.cron_name,
            *metadata_arguments(wanted.metadata, match_all=True)[1:3],
            order,
            limit,
            offset,
            None if after is None else after.id,
            after.name if isinstance(after, ByName) else None,
        )
        place = _by_name if order.startswith("name") else _by_id
        return page_of_rows(rows, [_cron(row) for row in rows], limit, place), rows[0]["total"] if rows else 0

    async def cron(self, tenant_id: str, cron_id: str) -> CronRecord | None:
        row = await self._pool.fetchrow(
            statement("reads/cron_list"),
            tenant_id,
            cron_id,
            *(None, None, None, None, None),
            "createdAt DESC",
            1,
            0,
            *(None, None),
        )
        return None if row is None else _cron(row)

    async def schedules_page(
        self,
        wanted: ScheduleFilter,
        order: ScheduleOrder,
        *,
        limit: int,
        offset: int,
        after: ById | ByTime | None = None,
    ) -> Page[ScheduleRecord, ById | ByTime]:
        """Schedules; `after` is a `ByTime` in the orders by instant."""
        rows = await self._pool.fetch(
            statement("reads/schedule_list"),
            *_schedule_arguments(wanted),
            order,
            limit,
            offset,
            None if after is None else after.id,
            after.at if isinstance(after, ByTime) else None,
        )
        is_descending = order.endswith("DESC")
        place: Callable[[asyncpg.Record], ById | ByTime] = _by_id
        if order.startswith("triggerAt"):
            place = _by_instant
            rows.sort(key=lambda row: (row["trigger_at"], row["id"]), reverse=is_descending)
        else:
            rows.sort(key=lambda row: row["id"], reverse=is_descending)
        return page_of_rows(rows, [_schedule(row) for row in rows], limit, place)

    async def count_schedules(self, wanted: ScheduleFilter) -> int:
        """How many there are, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(
            statement("reads/schedule_count"), *_schedule_arguments(wanted), COUNT_MAX
        )
        return count

    async def schedule_ids(self, wanted: ScheduleFilter, *, limit: int) -> list[str]:
        rows = await self._pool.fetch(statement("reads/schedule_ids"), *_schedule_arguments(wanted), limit)
        return [str(row["id"]) for row in rows]

    async def schedules(self, tenant_id: str, ids: Sequence[str]) -> list[ScheduleRecord]:
        rows = await self._pool.fetch(statement("reads/schedules_by_id"), tenant_id, ids)
        return [_schedule(row) for row in rows]


def _schedule_arguments(wanted: ScheduleFilter) -> tuple[object, ...]:
    return (
        wanted.tenant_id,
        wanted.workflow_id,
        wanted.parent_run_id,
        wanted.parent_task_id,
        *metadata_arguments(wanted.metadata, match_all=True)[:3],
    )


def _by_id(row: asyncpg.Record) -> ById:
    return ById(str(row["id"]))


def _by_name(row: asyncpg.Record) -> ByName:
    return ByName(row["name"], str(row["id"]))


def _by_instant(row: asyncpg.Record) -> ByTime:
    return ByTime(row["trigger_at"], str(row["id"]))


def _cron(row: asyncpg.Record) -> CronRecord:
    return CronRecord(
        str(row["tenant_id"]),
        str(row["id"]),
        str(row["workflow_id"]),
        row["workflow_name"],
        str(row["version_id"]),
        row["expression"],
        row["name"],
        row["is_declared"],
        row["input"],
        row["additional_metadata"],
        row["priority"],
        row["is_enabled"],
        row["created_at"],
        row["updated_at"],
    )


def _schedule(row: asyncpg.Record) -> ScheduleRecord:
    return ScheduleRecord(
        str(row["tenant_id"]),
        str(row["id"]),
        str(row["workflow_id"]),
        row["workflow_name"],
        str(row["version_id"]),
        row["trigger_at"],
        row["input"],
        row["additional_metadata"],
        row["priority"],
        row["created_at"],
        row["updated_at"],
    )
