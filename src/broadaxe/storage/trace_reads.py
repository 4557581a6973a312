"""Reads of traces for people: those that clients sent spans of, and the spans of one.

Decides nothing. Invariants as in `reads.py`. The engine's own spans are put together by `rest/traces.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from broadaxe.storage.ids import id_floor
from broadaxe.storage.pages import ById, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.reads import SpanRecord, span_of_row
from broadaxe.storage.statements import like_escaped, statement

__all__ = ["TraceFilter", "TraceReads", "TraceRecord"]

#: Spans that a page looks at to find those that pass.
SPANS_LOOKED_AT_MAX: Final = 20_000
#: Spans of one trace that say what it is.
SPANS_PER_TRACE_MAX: Final = 1_000
RUNS_OF_TRACE_MAX: Final = 20

ID_MIN: Final = "00000000-0000-0000-0000-000000000000"


class TraceRecord(msgspec.Struct, frozen=True, gc=False):
    trace_id: str
    """A UUID's text made of the 16 bytes."""
    spans: int
    errors: int
    services: tuple[str, ...]
    name: str
    """Of the first span without a parent, else of the first one."""
    run_id: str | None
    """What a span says; it may name nothing we know."""
    started_at: datetime
    ended_at: datetime


class TraceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces are meant: those with a span that passes all of it. `name` is found in any case."""

    since: datetime
    name: str | None = None
    service: str | None = None
    status_code: int | None = None
    """As OpenTelemetry numbers them: 2 is an error."""
    least_duration: timedelta | None = None


class TraceReads:
    """Every question about traces. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def traces_page(
        self, tenant_id: str, wanted: TraceFilter, *, limit: int, after: ById | None = None
    ) -> Page[TraceRecord, ById]:
        """The latest first. A page looks at a bounded number of spans: it may have fewer rows than `limit`, even none,
        and still an end behind which to go on."""
        rows = await self._pool.fetch(statement("reads/trace_list"), *trace_arguments(tenant_id, wanted, limit, after))
        if rows and rows[-1]["trace_id"] is None:
            *rows, last_looked_at = rows
            return Page([_trace(row) for row in rows], ById(str(last_looked_at["place"])))
        return page_of_rows(rows, [_trace(row) for row in rows], limit, lambda row: ById(str(row["place"])))

    async def spans_of(self, tenant_id: str, trace_id: str, *, limit: int) -> list[SpanRecord]:
        """The spans that clients sent of the trace, by their start, each told once."""
        rows = await self._pool.fetch(statement("reads/spans"), tenant_id, trace_id, None, ID_MIN, limit, None, None)
        return list({row["span_id"]: span_of_row(row) for row in rows}.values())

    async def runs_of(self, tenant_id: str, trace_id: str) -> list[str]:
        """The runs that spans of the trace name, those of the earliest spans first; they need not exist."""
        rows = await self._pool.fetch(statement("reads/trace_runs"), tenant_id, trace_id, RUNS_OF_TRACE_MAX)
        return [str(row["run_id"]) for row in rows]


def trace_arguments(tenant_id: str, wanted: TraceFilter, limit: int, after: ById | None = None) -> tuple[object, ...]:
    least = wanted.least_duration
    return (
        tenant_id,
        id_floor(wanted.since),
        None if after is None else after.id,
        like_escaped(wanted.name) if wanted.name else None,
        wanted.service,
        wanted.status_code,
        None if least is None else least // timedelta(microseconds=1) * 1_000,
        limit,
        SPANS_LOOKED_AT_MAX,
        SPANS_PER_TRACE_MAX,
    )


def _trace(row: asyncpg.Record) -> TraceRecord:
    return TraceRecord(
        trace_id=str(row["trace_id"]),
        spans=row["spans"],
        errors=row["errors"],
        services=tuple(row["services"]),
        name=row["name"],
        run_id=None if row["run_id"] is None else str(row["run_id"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )
