"""Reads of traces for people: those that clients sent spans of, and the spans of one.

Decides nothing. Invariants as in `reads.py`. The engine's own spans are put together by `rest/traces.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from broadaxe.storage.ids import id_floor, id_time
from broadaxe.storage.pages import ById, BySpan, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import like_escaped, statement

__all__ = ["SpanRecord", "TraceFilter", "TraceReads", "TraceRecord"]

#: Spans that a page looks at to find those that pass.
SPANS_LOOKED_AT_MAX: Final = 20_000
#: Spans of one trace that say what it is.
SPANS_PER_TRACE_MAX: Final = 1_000
RUNS_OF_TRACE_MAX: Final = 20
#: Spans of a trace that were sent before the run was made are still found when they are younger than this.
TRACE_BEFORE_RUN: Final = timedelta(days=1)

ID_MIN: Final = "00000000-0000-0000-0000-000000000000"

_texts: Final = msgspec.json.Decoder(dict[str, str])


class SpanRecord(msgspec.Struct, frozen=True):
    """A span a client sent; `trace_id` with 32 hex digits, span ids with 16, kinds and codes by their OTLP numbers."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    retry_count: int
    name: str
    kind: int
    service_name: str
    status_code: int
    status_message: str
    started_at: datetime
    duration_ns: int
    attributes: dict[str, str]
    resource_attributes: dict[str, str]
    scope_name: str
    scope_version: str


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
        return list({row["span_id"]: _span(row) for row in rows}.values())

    async def runs_of(self, tenant_id: str, trace_id: str) -> list[str]:
        """The runs that spans of the trace name, those of the earliest spans first; they need not exist."""
        rows = await self._pool.fetch(statement("reads/trace_runs"), tenant_id, trace_id, RUNS_OF_TRACE_MAX)
        return [str(row["run_id"]) for row in rows]

    async def spans(
        self, tenant_id: str, trace_id: str, run_id: str, *, limit: int, after: BySpan | None = None
    ) -> Page[SpanRecord, BySpan]:
        """Spans that clients sent of the trace (32 hex digits) or about the run, by their start, each told once."""
        floor = id_floor(id_time(run_id) - TRACE_BEFORE_RUN)
        place = (None, None) if after is None else (after.at, bytes.fromhex(after.span_id))
        rows = await self._pool.fetch(statement("reads/spans"), tenant_id, trace_id, run_id, floor, limit, *place)
        spans = list({(row["trace_id"], row["span_id"]): _span(row) for row in rows}.values())
        return page_of_rows(rows, spans, limit, lambda row: BySpan(row["started_at"], row["span_id"].hex()))


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


def _span(row: asyncpg.Record) -> SpanRecord:
    parent: bytes | None = row["parent_span_id"]
    return SpanRecord(
        trace_id=row["trace_id"].hex,
        span_id=row["span_id"].hex(),
        parent_span_id=None if parent is None else parent.hex(),
        retry_count=row["retry_count"],
        name=row["name"],
        kind=row["kind"],
        service_name=row["service_name"],
        status_code=row["status_code"],
        status_message=row["status_message"],
        started_at=row["started_at"],
        duration_ns=row["duration_ns"],
        attributes=_texts.decode(row["attributes"]),
        resource_attributes=_texts.decode(row["resource_attributes"]),
        scope_name=row["scope_name"],
        scope_version=row["scope_version"],
    )
