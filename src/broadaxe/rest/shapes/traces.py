"""The shapes of traces and spans; what the engine's own spans are is in `rest/traces.py`."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, Pagination, Wire


class Span(Wire):
    """`trace_id` has 32 hex digits, span ids 16. `created_at` is the span's start."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    span_name: str
    span_kind: Literal["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
    service_name: str
    status_code: Literal["UNSET", "OK", "ERROR"]
    status_message: str | None = None
    duration_ns: int
    created_at: Instant
    retry_count: int
    resource_attributes: dict[str, str] | None = None
    span_attributes: dict[str, str] | None = None
    scope_name: str | None = None
    scope_version: str | None = None


class TraceSummary(Wire):
    """A trace that clients sent spans of: what these say."""

    trace_id: str
    name: str
    """Of the first span without a parent, else of the first one."""
    service_names: list[str]
    spans: int
    errors: int
    started_at: Instant
    duration_ms: int
    run_external_id: str | None = None
    """A run of which a span tells."""


class TraceSummaries(Wire):
    pagination: Pagination
    rows: list[TraceSummary]


class SpanList(Wire):
    pagination: Pagination
    retry_counts: list[int]
    rows: list[Span]
