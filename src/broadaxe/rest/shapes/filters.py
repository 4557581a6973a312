"""The shapes of event filters and of expressions that failed, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import JsonObject, Metadata, Pagination, Wire, json_object, metadata_of
from broadaxe.storage.event_reads import ExpressionFailureRecord, FilterRecord


class Filter(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_id: str
    scope: str
    expression: str
    payload: JsonObject
    is_declarative: bool


class FilterList(Wire):
    pagination: Pagination
    rows: list[Filter]


class ExpressionDebug(Wire):
    """What an expression says, or why it says nothing."""

    status: Literal["SUCCESS", "ERROR"]
    output: bool | None = None
    error: str | None = None


class ExpressionFailure(Wire):
    """An expression that failed where nobody waited to be told, or a limit that kept a run from being made."""

    metadata: Metadata
    source: Literal["FILTER", "IDEMPOTENCY_KEY", "TENANT_LIMIT"]
    message: str
    workflow_id: str | None = None
    event_id: str | None = None


class ExpressionFailures(Wire):
    rows: list[ExpressionFailure]
    pagination: Pagination | None = None


def event_filter(record: FilterRecord, tenant_id: str) -> Filter:
    return Filter(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        tenant_id=tenant_id,
        workflow_id=record.workflow_id,
        scope=record.scope,
        expression=record.expression,
        payload=json_object(record.payload),
        is_declarative=record.is_declared,
    )


def expression_failure(record: ExpressionFailureRecord) -> ExpressionFailure:
    return ExpressionFailure(
        metadata=metadata_of(record.id, record.at, record.at),
        source=record.source.value,
        message=record.message,
        workflow_id=record.workflow_id,
        event_id=record.event_id,
    )
