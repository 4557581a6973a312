"""The shapes of crons and their ticks, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, Wire, json_object, metadata_of
from broadaxe.storage.calendar import CronRecord


class Cron(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_version_id: str
    workflow_id: str
    workflow_name: str
    cron: str
    enabled: bool
    method: Literal["DEFAULT", "API"]
    name: str | None = None
    input: JsonObject
    additional_metadata: JsonObject
    priority: int


class CronList(Wire):
    pagination: Pagination
    rows: list[Cron]


class CronTicks(Wire):
    """When an expression comes true next, and in which time zone its fields are read."""

    expression: str
    time_zone: str
    ticks: list[Instant]


class CronTicksList(Wire):
    rows: list[CronTicks]


class BackfillPreview(Wire):
    """What a backfill of a time range would make."""

    count: int
    """Ticks of the range, at most `countMax`."""
    count_max: int
    is_too_many: bool
    """There are more than `countMax`: the range has to be backfilled in parts."""
    first: Instant | None
    last: Instant | None
    """The last one of those that were counted."""


class Backfill(Wire):
    backfill_id: str
    made: int
    skipped: int


def cron(record: CronRecord) -> Cron:
    return Cron(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        tenant_id=record.tenant_id,
        workflow_version_id=record.version_id,
        workflow_id=record.workflow_id,
        workflow_name=record.workflow_name,
        cron=record.expression,
        enabled=record.is_enabled,
        method="DEFAULT" if record.is_declared else "API",
        name=record.name,
        input=json_object(record.input),
        additional_metadata=json_object(record.additional_metadata),
        priority=record.priority,
    )
