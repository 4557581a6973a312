"""Reads of pushed events for people: the events with the runs they started, event filters, and expressions that failed.

Decides nothing. Invariants as in `reads.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.decision import FailureSource
from broadaxe.core.lifecycle import RunStatus
from broadaxe.storage.ids import ID_MAX, id_floor, id_floor_of, id_range
from broadaxe.storage.metadata import metadata_candidates
from broadaxe.storage.pages import ById, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.reads import COUNT_MAX
from broadaxe.storage.statements import statement

__all__ = ["EventFilter", "EventReads", "EventRecord", "EventRun", "ExpressionFailureRecord", "FilterRecord"]

EVENT_KEYS_MAX: Final = 1_000
RUNS_PER_EVENT_MAX: Final = 500


class EventRun(msgspec.Struct, frozen=True, gc=False):
    """A run that an event started, and the filter that let the event through."""

    run_id: str
    filter_id: str | None


class EventRecord(msgspec.Struct, frozen=True):
    tenant_id: str
    id: str
    key: str
    payload: str
    additional_metadata: str | None
    scope: str | None
    webhook_name: str | None
    seen_at: datetime
    runs: tuple[EventRun, ...]
    """The first `RUNS_PER_EVENT_MAX` of them."""
    run_counts: dict[RunStatus, int]


class FilterRecord(msgspec.Struct, frozen=True, gc=False):
    """An event filter."""

    id: str
    workflow_id: str
    scope: str
    expression: str
    payload: str
    is_declared: bool
    created_at: datetime
    updated_at: datetime


class ExpressionFailureRecord(msgspec.Struct, frozen=True, gc=False):
    """An expression that failed where nobody waited to be told."""

    id: str
    source: FailureSource
    message: str
    workflow_id: str | None
    event_id: str | None
    at: datetime


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which pushed events are meant; both times are inclusive, and all metadata pairs must match as text."""

    tenant_id: str
    since: datetime
    until: datetime
    keys: tuple[str, ...] | None = None
    event_ids: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    workflow_ids: tuple[str, ...] | None = None
    run_statuses: frozenset[RunStatus] | None = None


class EventReads:
    """Every question about pushed events. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def events_page(
        self, wanted: EventFilter, *, limit: int, offset: int = 0, after: ById | None = None
    ) -> Page[EventRecord, ById]:
        """Events newest first, each with the runs it started."""
        name, arguments = _list_question(wanted, after)
        rows = await self._pool.fetch(statement(name), *arguments, limit, offset)
        return page_of_rows(rows, await self._events(wanted.tenant_id, rows), limit, _by_id)

    async def count_events(self, wanted: EventFilter) -> int:
        """How many events pass, counting no further than `COUNT_MAX`."""
        name, arguments = _count_question(wanted)
        count: int = await self._pool.fetchval(statement(name), *arguments, COUNT_MAX)
        return count

    async def event(self, tenant_ids: Sequence[str], event_id: str) -> EventRecord | None:
        row = await self._pool.fetchrow(statement("reads/events_by_id"), tenant_ids, [event_id])
        if row is None:
            return None
        (record,) = await self._events(str(row["tenant_id"]), [row])
        return record

    async def events_by_id(self, tenant_id: str, event_ids: Sequence[str]) -> list[EventRecord]:
        """Events with the runs they started, in the order asked for; unknown ids are left out."""
        rows = await self._pool.fetch(statement("reads/events_by_id"), [tenant_id], event_ids)
        found = {record.id: record for record in await self._events(tenant_id, rows)}
        return [found[event_id] for event_id in event_ids if event_id in found]

    async def event_keys(self, tenant_id: str, since: datetime) -> list[str]:
        """The distinct keys of events since then, sorted."""
        rows = await self._pool.fetch(statement("reads/event_keys"), tenant_id, id_floor(since), EVENT_KEYS_MAX)
        return [row["key"] for row in rows]

    # Event filters, and expressions that failed ------------------------------------------------------------------

    async def filters_page(
        self,
        tenant_id: str,
        workflow_ids: Sequence[str] | None,
        scopes: Sequence[str] | None,
        *,
        limit: int,
        offset: int = 0,
        after: ById | None = None,
    ) -> Page[FilterRecord, ById]:
        """Event filters, newest first; None means all workflows, all scopes."""
        rows = await self._pool.fetch(
            statement("reads/filter_list"),
            tenant_id,
            workflow_ids,
            scopes,
            limit,
            offset,
            None if after is None else after.id,
        )
        return page_of_rows(rows, [_filter(row) for row in rows], limit, _by_id)

    async def count_filters(
        self, tenant_id: str, workflow_ids: Sequence[str] | None, scopes: Sequence[str] | None
    ) -> int:
        """How many event filters pass, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(
            statement("reads/filter_count"), tenant_id, workflow_ids, scopes, COUNT_MAX
        )
        return count

    async def filter(self, tenant_id: str, filter_id: str) -> FilterRecord | None:
        row = await self._pool.fetchrow(statement("reads/filter_by_id"), tenant_id, filter_id)
        return None if row is None else _filter(row)

    async def expression_failures(
        self,
        tenant_id: str,
        sources: Sequence[str] | None,
        *,
        limit: int,
        offset: int = 0,
        after: ById | None = None,
    ) -> Page[ExpressionFailureRecord, ById]:
        """The newest first; None means all sources."""
        rows = await self._pool.fetch(
            statement("reads/expression_failures"),
            tenant_id,
            sources,
            limit,
            offset,
            None if after is None else after.id,
        )
        records = [
            ExpressionFailureRecord(
                str(row["id"]),
                FailureSource(row["source"]),
                row["message"],
                _optional(row["workflow_id"]),
                _optional(row["event_id"]),
                row["at"],
            )
            for row in rows
        ]
        return page_of_rows(rows, records, limit, _by_id)

    async def _events(self, tenant_id: str, rows: Sequence[asyncpg.Record]) -> list[EventRecord]:
        """The events with the runs they started."""
        event_ids = [str(row["id"]) for row in rows]
        if not event_ids:
            return []
        floor = id_floor_of(event_ids)
        runs: dict[str, list[EventRun]] = {}
        started = await self._pool.fetch(statement("reads/event_runs"), tenant_id, event_ids, floor, RUNS_PER_EVENT_MAX)
        for row in started:
            run = EventRun(str(row["id"]), None if row["filter_id"] is None else str(row["filter_id"]))
            runs.setdefault(str(row["event_id"]), []).append(run)
        counts: dict[str, dict[RunStatus, int]] = {}
        if runs:
            for row in await self._pool.fetch(statement("reads/event_run_counts"), tenant_id, list(runs), floor):
                counts.setdefault(str(row["event_id"]), {})[RunStatus(row["status"])] = row["runs"]
        return [_event(row, tenant_id, runs.get(str(row["id"]), []), counts.get(str(row["id"]), {})) for row in rows]


def _list_question(wanted: EventFilter, after: ById | None = None) -> tuple[str, tuple[object, ...]]:
    """The statement for a page of events, and its arguments: it only looks at runs if something is asked of them."""
    of_event = (*_time_arguments(wanted, after), *_event_arguments(wanted))
    if wanted.workflow_ids is None and wanted.run_statuses is None:
        return "reads/event_list", of_event
    return "reads/event_list_of_runs", (*of_event, *_run_arguments(wanted))


def _count_question(wanted: EventFilter) -> tuple[str, tuple[object, ...]]:
    """The statement that counts events, and its arguments: it only looks at what something is asked of."""
    of_event = _event_arguments(wanted)
    if wanted.workflow_ids is None and wanted.run_statuses is None:
        return "reads/event_count", (*_time_arguments(wanted), *of_event)
    if any(of_event):
        return "reads/event_count_of_both", (*_time_arguments(wanted), *of_event, *_run_arguments(wanted))
    return "reads/event_count_of_runs", (*_time_arguments(wanted), *_run_arguments(wanted))


def _time_arguments(wanted: EventFilter, after: ById | None = None) -> tuple[object, ...]:
    ids = id_range(wanted.since, wanted.until, ID_MAX if after is None else after.id)
    return wanted.tenant_id, *ids, wanted.since, wanted.until


def _event_arguments(wanted: EventFilter) -> tuple[object, ...]:
    return (
        wanted.keys,
        wanted.event_ids,
        wanted.scopes,
        metadata_candidates(wanted.metadata, match_all=True) if wanted.metadata else None,
        [key for key, _ in wanted.metadata] or None,
        [value for _, value in wanted.metadata],
    )


def _run_arguments(wanted: EventFilter) -> tuple[object, ...]:
    """One place to look at for each workflow, even if it was named twice."""
    return (
        None if wanted.workflow_ids is None else list(dict.fromkeys(wanted.workflow_ids)),
        None if wanted.run_statuses is None else [status.value for status in wanted.run_statuses],
    )


def _by_id(row: asyncpg.Record) -> ById:
    return ById(str(row["id"]))


def _event(row: asyncpg.Record, tenant_id: str, runs: list[EventRun], run_counts: dict[RunStatus, int]) -> EventRecord:
    return EventRecord(
        tenant_id=tenant_id,
        id=str(row["id"]),
        key=row["key"],
        payload=row["payload"],
        additional_metadata=row["additional_metadata"],
        scope=row["scope"],
        webhook_name=row["triggering_webhook_name"],
        seen_at=row["seen_at"],
        runs=tuple(runs),
        run_counts=run_counts,
    )


def _filter(row: asyncpg.Record) -> FilterRecord:
    return FilterRecord(
        str(row["id"]),
        str(row["workflow_id"]),
        row["scope"],
        row["expression"],
        row["payload"],
        row["is_declared"],
        row["created_at"],
        row["updated_at"],
    )


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
