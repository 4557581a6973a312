"""The shapes of schedules, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, Wire, json_object, metadata_of
from broadaxe.storage.calendar import ScheduleRecord


class Schedule(Wire):
    """A run that has not been triggered yet; so there is nothing of a run in it."""

    metadata: Metadata
    tenant_id: str
    workflow_version_id: str
    workflow_id: str
    workflow_name: str
    trigger_at: Instant
    method: Literal["DEFAULT", "API"]
    input: JsonObject
    additional_metadata: JsonObject
    priority: int


class ScheduleList(Wire):
    pagination: Pagination
    rows: list[Schedule]


class FiredRun(Wire):
    external_id: str


class ScheduleError(Wire):
    id: str | None = None
    error: str


class DeletedSchedules(Wire):
    deleted_ids: list[str]
    errors: list[ScheduleError]


class UpdatedSchedules(Wire):
    updated_ids: list[str]
    errors: list[ScheduleError]


def schedule(record: ScheduleRecord) -> Schedule:
    return Schedule(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        tenant_id=record.tenant_id,
        workflow_version_id=record.version_id,
        workflow_id=record.workflow_id,
        workflow_name=record.workflow_name,
        trigger_at=record.trigger_at,
        method="API",
        input=json_object(record.input),
        additional_metadata=json_object(record.additional_metadata),
        priority=record.priority,
    )
