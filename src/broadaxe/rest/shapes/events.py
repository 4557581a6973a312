"""The shapes of events, made from stored records."""

from __future__ import annotations

from broadaxe.core.lifecycle import RunStatus
from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, Wire, json_object, metadata_of
from broadaxe.storage.event_reads import EventRecord


class RunSummary(Wire):
    running: int = 0
    queued: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class TriggeredRun(Wire):
    workflow_run_id: str
    filter_id: str | None = None


class Event(Wire):
    metadata: Metadata
    key: str
    tenant_id: str
    workflow_run_summary: RunSummary
    payload: JsonObject
    additional_metadata: JsonObject
    scope: str | None = None
    seen_at: Instant
    triggered_runs: list[TriggeredRun]
    triggering_webhook_name: str | None = None


class EventList(Wire):
    pagination: Pagination
    rows: list[Event]


class PushedEvents(Wire):
    metadata: Metadata
    events: list[Event]


class EventKeys(Wire):
    rows: list[str]


class EventData(Wire):
    data: str


def event(record: EventRecord) -> Event:
    count = record.run_counts.get
    return Event(
        metadata=metadata_of(record.id, record.seen_at, record.seen_at),
        key=record.key,
        tenant_id=record.tenant_id,
        workflow_run_summary=RunSummary(
            running=count(RunStatus.RUNNING, 0),
            queued=count(RunStatus.QUEUED, 0),
            succeeded=count(RunStatus.COMPLETED, 0),
            failed=count(RunStatus.FAILED, 0),
            cancelled=count(RunStatus.CANCELLED, 0),
        ),
        payload=json_object(record.payload),
        additional_metadata=json_object(record.additional_metadata),
        scope=record.scope,
        seen_at=record.seen_at,
        triggered_runs=[TriggeredRun(workflow_run_id=run.run_id, filter_id=run.filter_id) for run in record.runs],
        triggering_webhook_name=record.webhook_name,
    )
