"""Traces: the spans of a run, its children's and those that clients sent, in one list."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from fastapi import Path, Query
from pydantic import BaseModel, Field

from broadaxe.core.tracing import trace_of
from broadaxe.errors import InvalidArgument
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import ViewerScope, missing
from broadaxe.rest.parameters import Id, InputInstant
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import traces as shapes
from broadaxe.rest.traces import SOURCE_RUN_KEY, engine_spans, sent_span
from broadaxe.storage.event_reads import EventFilter, EventRecord
from broadaxe.storage.pages import ById, BySpan
from broadaxe.storage.reads import RunRecord
from broadaxe.storage.run_filter import RunFilter
from broadaxe.storage.trace_reads import TraceFilter

SPANS_MAX: Final = 10_000
#: Runs whose engine spans one answer shows: the run, its children, their children and so on.
RUNS_MAX: Final = 200
#: Events of these runs that it shows.
EVENTS_MAX: Final = 1_000
_AHEAD: Final = timedelta(days=1)

#: How far back traces are listed unless told otherwise.
DEFAULT_SPAN: Final = timedelta(hours=24)
TEXT_LENGTH_MAX: Final = 1_000
DURATION_MS_MAX: Final = 10**12
#: In the order in which OpenTelemetry numbers them.
STATUS_CODES: Final = ("UNSET", "OK", "ERROR")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")

routes = router("traces")


class TraceQuery(BaseModel):
    since: InputInstant | None = None
    name: str | None = Field(default=None, max_length=TEXT_LENGTH_MAX, description="A part of a span's name.")
    service: str | None = Field(default=None, max_length=TEXT_LENGTH_MAX)
    status: Literal["UNSET", "OK", "ERROR"] | None = None
    min_duration_ms: int | None = Field(default=None, ge=0, le=DURATION_MS_MAX, alias="minDurationMs")
    limit: int = Field(default=50, ge=1, le=1_000)
    cursor: Cursor = None


@routes.get(f"{STABLE}/tenants/{{tenant}}/traces")
async def list_traces(
    scope: ViewerScope,
    context: ContextDep,
    run_external_id: Annotated[Id, Query()],
    limit: Annotated[int, Query(ge=1, le=SPANS_MAX)] = SPANS_MAX,
    cursor: Cursor = None,
) -> shapes.SpanList:
    """The spans of a run's trace, oldest first: the engine's of the run and of the runs it spawned, and the clients'.

    At most 10000 spans at a time, and the engine's of at most 200 runs.
    """
    listing = Listing(BySpan, "spans", run_external_id)
    after = listing.after(cursor)
    reads = context.reads
    run = await reads.run([scope.tenant_id], run_external_id, with_payloads=False)
    if run is None:
        raise missing("run", run_external_id)
    made: list[shapes.Span] = []
    triggered: dict[str, str] = {}
    family = await _family(context, run)
    emitted = await _emitted(context, family)
    for member in family:
        entries = await reads.run_events(scope.tenant_id, [task.id for task in member.tasks])
        made += engine_spans(member, entries, emitted[member.id])
        caller = trace_of(member.id, member.additional_metadata).parent_span_id
        if caller is not None and member is not run:
            triggered[caller] = member.id
    trace_id = trace_of(run.id, run.additional_metadata).trace_id
    sent = await context.trace_reads.spans(scope.tenant_id, trace_id, run.id, limit=limit, after=after)
    # Behind the last span of a full page there may be more of the clients' before the next of ours.
    spans = [
        span
        for span in made
        if (after is None or _place(span) > _place(after)) and (sent.end is None or _place(span) <= _place(sent.end))
    ]
    spans += (sent_span(span, triggered.get(span.span_id)) for span in sent.rows)
    end = sent.end
    if len(spans) >= limit:
        end = BySpan(*sorted(map(_place, spans))[limit - 1])
        spans = [span for span in spans if _place(span) <= _place(end)]
    # Of those that begin together, ours come first: they are the parents.
    spans.sort(key=lambda span: span.created_at)
    return shapes.SpanList(
        pagination=listing.pagination(
            end, None if after else wire.Pagination(current_page=1, next_page=1, num_pages=1)
        ),
        retry_counts=sorted({span.retry_count for span in spans}),
        rows=spans,
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/trace-summaries")
async def summarise_traces(
    scope: ViewerScope, context: ContextDep, query: Annotated[TraceQuery, Query()]
) -> shapes.TraceSummaries:
    """The traces that clients sent spans of, the latest first; by default those of the last 24 hours.

    A trace passes if one of its spans passes every filter. What passes is looked for among a bounded number of spans. A
    page may therefore have fewer rows than `limit`, even none, and a `next_cursor` that goes on behind the last span
    looked at.
    """
    listing = Listing(ById, "traces")
    after = listing.after(query.cursor)
    wanted = TraceFilter(
        since=query.since or datetime.now(UTC) - DEFAULT_SPAN,
        name=query.name,
        service=query.service,
        status_code=None if query.status is None else STATUS_CODES.index(query.status),
        least_duration=None if query.min_duration_ms is None else timedelta(milliseconds=query.min_duration_ms),
    )
    page = await context.trace_reads.traces_page(scope.tenant_id, wanted, limit=query.limit, after=after)
    return shapes.TraceSummaries(
        pagination=listing.pagination(page.end, None),
        rows=[
            shapes.TraceSummary(
                trace_id=trace.trace_id.replace("-", ""),
                name=trace.name,
                service_names=list(trace.services),
                spans=trace.spans,
                errors=trace.errors,
                started_at=trace.started_at,
                duration_ms=(trace.ended_at - trace.started_at) // timedelta(milliseconds=1),
                run_external_id=trace.run_id,
            )
            for trace in page.rows
        ],
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/traces/{{trace}}")
async def get_trace(scope: ViewerScope, context: ContextDep, trace: Annotated[str, Path()]) -> shapes.SpanList:
    """The spans of a trace (32 hex digits), oldest first: the clients', and the engine's if it is a run's."""
    if not _TRACE_ID.fullmatch(trace):
        raise InvalidArgument("a trace id has 32 hex digits", field="trace")
    trace_id = str(UUID(trace))
    # A run that came without a trace has one by its own id, with no span of a client before one is sent.
    for run_id in (*await context.trace_reads.runs_of(scope.tenant_id, trace_id), trace_id):
        run = await context.reads.run([scope.tenant_id], run_id, with_payloads=False)
        if run is not None and trace_of(run.id, run.additional_metadata).trace_id == trace:
            return await list_traces(scope, context, run_id)
    sent = await context.trace_reads.spans_of(scope.tenant_id, trace_id, limit=SPANS_MAX)
    if not sent:
        raise missing("trace", trace)
    rows = [sent_span(span, None) for span in sent]
    return shapes.SpanList(
        pagination=wire.Pagination(), retry_counts=sorted({span.retry_count for span in rows}), rows=rows
    )


def _place(span: shapes.Span | BySpan) -> tuple[datetime, str]:
    at = span.at if isinstance(span, BySpan) else span.created_at
    return at, span.span_id


async def _emitted(context: Context, family: list[RunRecord]) -> dict[str, list[EventRecord]]:
    """Events that the runs' tasks pushed, by run, up to `EVENTS_MAX`, oldest first."""
    wanted = EventFilter(
        tenant_id=family[0].tenant_id,
        since=min(member.created_at for member in family),
        until=datetime.now(UTC) + _AHEAD,
        metadata=tuple((SOURCE_RUN_KEY, member.id) for member in family),
    )
    found: dict[str, list[EventRecord]] = defaultdict(list)
    for event in reversed((await context.event_reads.events_page(wanted, limit=EVENTS_MAX)).rows):
        metadata = msgspec.json.decode(event.additional_metadata or "{}", type=dict[str, object])
        found[str(metadata.get(SOURCE_RUN_KEY))].append(event)
    return found


async def _family(context: Context, run: RunRecord) -> list[RunRecord]:
    """The run and the runs it spawned, level by level, up to `RUNS_MAX`."""
    family = [run]
    for member in family:
        for task in member.tasks:
            if task.spawned_children and len(family) < RUNS_MAX:
                spawned = RunFilter(
                    tenant_id=member.tenant_id,
                    since=task.created_at,
                    until=datetime.now(UTC) + _AHEAD,
                    parent_task_id=task.id,
                )
                limit = RUNS_MAX - len(family)
                family += (await context.reads.runs_page(spawned, limit=limit, with_payloads=False)).rows
    return family
