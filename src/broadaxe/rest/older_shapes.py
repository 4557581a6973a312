"""The shapes in which the SDKs of 2025 read runs, log lines and events, made from stored records.

They knew runs of jobs of steps: a run is shown with one job run per task, and that with its one step run. Like
`presentation.py` pure; it owns only what differs from today's shapes. Source: REST specification 4.14.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.rest import presentation
from broadaxe.rest.wire import Event, Instant, JsonObject, Metadata, Pagination, Wire
from broadaxe.storage.log_reads import LogRecord
from broadaxe.storage.reads import RunRecord, TaskRecord

_RUN_STATUS: Final[Mapping[RunStatus, str]] = {
    RunStatus.QUEUED: "QUEUED",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.COMPLETED: "SUCCEEDED",
    RunStatus.FAILED: "FAILED",
    RunStatus.CANCELLED: "CANCELLED",
}
#: What the old words for a run's status ask for.
RUN_STATUSES: Final[Mapping[str, RunStatus]] = {
    "PENDING": RunStatus.QUEUED,
    "QUEUED": RunStatus.QUEUED,
    "BACKOFF": RunStatus.QUEUED,
    "RUNNING": RunStatus.RUNNING,
    "SUCCEEDED": RunStatus.COMPLETED,
    "FAILED": RunStatus.FAILED,
    "CANCELLED": RunStatus.CANCELLED,
}
_STEP_STATUS: Final[Mapping[TaskStatus, str]] = {
    TaskStatus.WAITING: "PENDING",
    TaskStatus.QUEUED: "PENDING_ASSIGNMENT",
    TaskStatus.BACKOFF: "BACKOFF",
    TaskStatus.RUNNING: "RUNNING",
    TaskStatus.COMPLETED: "SUCCEEDED",
    TaskStatus.SKIPPED: "SUCCEEDED",
    TaskStatus.FAILED: "FAILED",
    TaskStatus.CANCELLED: "CANCELLED",
}
_JOB_STATUS: Final[Mapping[TaskStatus, str]] = {
    status: "PENDING" if word == "PENDING_ASSIGNMENT" else word for status, word in _STEP_STATUS.items()
}


class Cause(Wire):
    metadata: Metadata
    parent_workflow_run_id: str | None = None
    event_id: str | None = None
    cron_schedule: str | None = None


class Step(Wire):
    metadata: Metadata
    readable_id: str
    tenant_id: str
    job_id: str
    action: str


class StepRun(Wire):
    metadata: Metadata
    tenant_id: str
    job_run_id: str
    step_id: str
    step: Step
    child_workflows_count: int
    worker_id: str | None = None
    output: str | None = None
    status: str
    error: str | None = None
    cancelled_reason: str | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None


class JobRun(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_run_id: str
    job_id: str
    step_runs: list[StepRun]
    status: str
    started_at: Instant | None = None
    finished_at: Instant | None = None


class WorkflowRun(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_version_id: str
    status: str
    display_name: str
    job_runs: list[JobRun]
    triggered_by: Cause
    input: JsonObject
    error: str | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration: int | None = None
    parent_step_run_id: str | None = None
    additional_metadata: JsonObject


class WorkflowRunList(Wire):
    rows: list[WorkflowRun]
    pagination: Pagination


class ReplayedRuns(Wire):
    workflow_runs: list[WorkflowRun]


class CancelledRuns(Wire):
    workflow_run_ids: list[str]


class LogLine(Wire):
    created_at: Instant
    message: str
    metadata: JsonObject


class LogLineList(Wire):
    pagination: Pagination
    rows: list[LogLine]


class ReplayedEvents(Wire):
    rows: list[Event]


def workflow_run(run: RunRecord) -> WorkflowRun:
    metadata = presentation.json_object(run.additional_metadata)
    return WorkflowRun(
        metadata=presentation.metadata(run.id, run.created_at, run.finished_at or run.started_at),
        tenant_id=run.tenant_id,
        workflow_version_id=run.version_id,
        status=_RUN_STATUS[run.status],
        display_name=run.display_name,
        job_runs=[_job_run(run, task) for task in run.tasks],
        triggered_by=Cause(
            metadata=presentation.metadata(run.id, run.created_at, None),
            parent_workflow_run_id=_text(metadata.get("hatchet__parent_workflow_run_id")),
            event_id=_text(metadata.get("hatchet__event_id")),
            cron_schedule=_text(metadata.get("hatchet__cron_expression")),
        ),
        input=presentation.json_object(run.input),
        error=presentation.run_error(run),
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration=presentation.duration_ms(run.started_at, run.finished_at),
        parent_step_run_id=run.parent_task_id,
        additional_metadata=metadata,
    )


def log_line(record: LogRecord) -> LogLine:
    return LogLine(
        created_at=record.created_at, message=record.message, metadata=presentation.json_object(record.metadata)
    )


def _job_run(run: RunRecord, task: TaskRecord) -> JobRun:
    stamps = presentation.metadata(task.id, task.created_at, task.finished_at or task.started_at)
    step = Step(
        metadata=presentation.metadata(task.definition_id, task.created_at, None),
        readable_id=task.name,
        tenant_id=run.tenant_id,
        job_id=task.definition_id,
        action=task.action_id,
    )
    step_run = StepRun(
        metadata=stamps,
        tenant_id=run.tenant_id,
        job_run_id=task.id,
        step_id=task.definition_id,
        step=step,
        child_workflows_count=task.spawned_children,
        worker_id=task.worker_id,
        output=task.output,
        status=_STEP_STATUS[task.status],
        error=task.error if task.status is TaskStatus.FAILED else None,
        cancelled_reason=task.error if task.status is TaskStatus.CANCELLED else None,
        started_at=task.started_at,
        finished_at=task.finished_at,
    )
    return JobRun(
        metadata=stamps,
        tenant_id=run.tenant_id,
        workflow_run_id=run.id,
        job_id=task.definition_id,
        step_runs=[step_run],
        status=_JOB_STATUS[task.status],
        started_at=task.started_at,
        finished_at=task.finished_at,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
