"""The shapes of workers, made from stored records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, Wire, metadata_of
from broadaxe.storage.catalogue import WorkerRecord


class RegisteredWorkflow(Wire):
    id: str
    name: str


class SemaphoreSlot(Wire):
    step_run_id: str
    action_id: str
    workflow_run_id: str
    started_at: Instant | None = None
    timeout_at: Instant | None = None
    status: Literal["RUNNING"] = "RUNNING"


class SlotConfig(Wire):
    limit: int
    available: int


class WorkerLabel(Wire):
    metadata: Metadata
    key: str
    value: str


class RuntimeInfo(Wire):
    sdk_version: str | None = None
    language: Literal["GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"] | None = None
    language_version: str | None = None
    os: str | None = None
    runtime_extra: str | None = None


class Worker(Wire):
    metadata: Metadata
    name: str
    type: Literal["SELFHOSTED"] = "SELFHOSTED"
    status: Literal["ACTIVE", "INACTIVE", "PAUSED"]
    paused_by: str | None = None
    """Who paused it: an address, or an API token."""
    last_heartbeat_at: Instant | None = None
    last_listener_established: Instant | None = None
    actions: list[str]
    registered_workflows: list[RegisteredWorkflow] | None = None
    slots: list[SemaphoreSlot]
    recent_step_runs: list[JsonObject] = []
    slot_config: dict[str, SlotConfig]
    labels: list[WorkerLabel]
    max_runs: int | None = None
    available_runs: int | None = None
    runtime_info: RuntimeInfo | None = None


class WorkerList(Wire):
    pagination: Pagination
    rows: list[Worker]


_LANGUAGES: Final = frozenset({"GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"})


def worker(record: WorkerRecord, workflows: Sequence[tuple[str, str]] | None = None) -> Worker:
    slots = {
        slot_type: SlotConfig(limit=limit, available=max(0, limit - record.slots_used(slot_type)))
        for slot_type, limit in sorted(record.slots.items())
    }
    default = slots.get("default")
    runtime = record.runtime
    return Worker(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        name=record.name,
        status=record.status,
        paused_by=record.paused_by or None,
        last_heartbeat_at=record.last_heartbeat_at,
        last_listener_established=record.listening_since,
        actions=list(record.actions),
        registered_workflows=None
        if workflows is None
        else [RegisteredWorkflow(id=id_text, name=name) for id_text, name in workflows],
        slots=[
            SemaphoreSlot(
                step_run_id=task.id,
                action_id=task.action_id,
                workflow_run_id=task.run_id,
                started_at=task.assigned_at,
                timeout_at=task.due_at,
            )
            for task in record.running
        ],
        slot_config=slots,
        labels=[
            WorkerLabel(
                metadata=metadata_of(record.id, record.created_at, record.updated_at), key=key, value=str(value)
            )
            for key, value in sorted(record.labels.items())
        ],
        max_runs=None if default is None else default.limit,
        available_runs=None if default is None else default.available,
        runtime_info=RuntimeInfo.model_validate(
            {key: value for key, value in runtime.items() if key != "language" or value in _LANGUAGES}
        )
        if runtime
        else None,
    )
