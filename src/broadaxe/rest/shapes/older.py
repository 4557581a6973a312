"""The shapes in which the SDKs of 2025 read runs, log lines and events, made from stored records.

They knew runs of jobs of steps: a run is shown with one job run per task, and that with its one step run. Pure;
it owns only what differs from today's shapes. Source: REST specification 4.14.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from broadaxe.core.definition import WorkflowDefinition
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from broadaxe.rest.shapes.events import Event
from broadaxe.rest.shapes.runs import run_error
from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, Wire, duration_ms, json_object, metadata_of
from broadaxe.storage.log_reads import LogRecord
from broadaxe.storage.reads import RunRecord, TaskEventRecord, TaskRecord

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
    TaskStatus.EVICTED: "RUNNING",
    TaskStatus.COMPLETED: "SUCCEEDED",
    TaskStatus.SKIPPED: "SUCCEEDED",
    TaskStatus.FAILED: "FAILED",
    TaskStatus.CANCELLED: "CANCELLED",
}
_JOB_STATUS: Final[Mapping[TaskStatus, str]] = {
    status: "PENDING" if word == "PENDING_ASSIGNMENT" else word for status, word in _STEP_STATUS.items()
}
#: What the clients of that time have words for, and how bad it is.
_REASONS: Final[Mapping[TaskEventType, str]] = {
    TaskEventType.REQUEUED_NO_WORKER: "WARNING",
    TaskEventType.REQUEUED_RATE_LIMIT: "WARNING",
    TaskEventType.SCHEDULING_TIMED_OUT: "CRITICAL",
    TaskEventType.ASSIGNED: "INFO",
    TaskEventType.STARTED: "INFO",
    TaskEventType.ACKNOWLEDGED: "INFO",
    TaskEventType.FINISHED: "INFO",
    TaskEventType.FAILED: "CRITICAL",
    TaskEventType.RETRYING: "INFO",
    TaskEventType.CANCELLED: "WARNING",
    TaskEventType.TIMEOUT_REFRESHED: "INFO",
    TaskEventType.REASSIGNED: "CRITICAL",
    TaskEventType.TIMED_OUT: "CRITICAL",
    TaskEventType.SLOT_RELEASED: "INFO",
    TaskEventType.RETRIED_BY_USER: "INFO",
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


class ShapeStep(Step):
    """A step with its place in the graph, by ids."""

    parents: list[str]
    children: list[str]


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


class StepRunAlone(StepRun):
    input: str | None = None


class JobRun(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_run_id: str
    job_id: str
    step_runs: list[StepRun]
    status: str
    started_at: Instant | None = None
    finished_at: Instant | None = None


class OlderWorkflowRun(Wire):
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


class Job(Wire):
    metadata: Metadata
    tenant_id: str
    version_id: str
    name: str
    steps: list[ShapeStep]


class ShapeJobRun(JobRun):
    job: Job


class WorkflowRunShape(OlderWorkflowRun):
    workflow_id: str
    job_runs: list[ShapeJobRun]  # type: ignore[assignment]  # a list that is only read


class WorkflowRunList(Wire):
    rows: list[OlderWorkflowRun]
    pagination: Pagination


class ReplayedRuns(Wire):
    workflow_runs: list[OlderWorkflowRun]


class CancelledRuns(Wire):
    workflow_run_ids: list[str]


class OlderLogLine(Wire):
    created_at: Instant
    message: str
    metadata: JsonObject


class OlderLogLineList(Wire):
    pagination: Pagination
    rows: list[OlderLogLine]


class ReplayedEvents(Wire):
    rows: list[Event]


class StepRunEvent(Wire):
    id: int
    time_first_seen: Instant
    time_last_seen: Instant
    step_run_id: str
    workflow_run_id: str
    reason: str
    severity: str
    message: str
    count: int
    data: JsonObject


class StepRunEventList(Wire):
    rows: list[StepRunEvent]


class StepRunArchive(Wire):
    step_run_id: str
    order: int
    input: str | None = None
    output: str | None = None
    error: str | None = None
    retry_count: int
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None
    cancelled_reason: str | None = None


class StepRunArchiveList(Wire):
    rows: list[StepRunArchive]


class WorkflowRunsMetrics(Wire):
    counts: dict[str, int]


class WorkflowWorkersCount(Wire):
    free_slot_count: int
    max_slot_count: int
    workflow_run_id: str
    """Of the workflow, whatever it is called."""


class EventKeyList(Wire):
    rows: list[str]


def workflow_run(run: RunRecord) -> OlderWorkflowRun:
    metadata = json_object(run.additional_metadata)
    return OlderWorkflowRun(
        metadata=metadata_of(run.id, run.created_at, run.finished_at or run.started_at),
        tenant_id=run.tenant_id,
        workflow_version_id=run.version_id,
        status=_RUN_STATUS[run.status],
        display_name=run.display_name,
        job_runs=[_job_run(run, task) for task in run.tasks],
        triggered_by=Cause(
            metadata=metadata_of(run.id, run.created_at, None),
            parent_workflow_run_id=_text(metadata.get("hatchet__parent_workflow_run_id")),
            event_id=_text(metadata.get("hatchet__event_id")),
            cron_schedule=_text(metadata.get("hatchet__cron_expression")),
        ),
        input=json_object(run.input),
        error=run_error(run),
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration=duration_ms(run.started_at, run.finished_at),
        parent_step_run_id=run.parent_task_id,
        additional_metadata=metadata,
    )


def log_line(record: LogRecord) -> OlderLogLine:
    return OlderLogLine(created_at=record.created_at, message=record.message, metadata=json_object(record.metadata))


def step_run_alone(run: RunRecord, task: TaskRecord) -> StepRunAlone:
    return StepRunAlone(**dict(_step_run(run, task, task.id)), input=run.input)


def archive(run: RunRecord, attempt: TaskRecord) -> StepRunArchive:
    return StepRunArchive(
        step_run_id=attempt.id,
        order=attempt.retry_count,
        input=run.input,
        output=attempt.output,
        error=attempt.error if attempt.status is not TaskStatus.CANCELLED else None,
        cancelled_reason=attempt.error if attempt.status is TaskStatus.CANCELLED else None,
        retry_count=attempt.retry_count,
        created_at=attempt.queued_at or attempt.created_at,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
    )


def step_run_events(run_id: str, entries: Iterable[tuple[int, TaskEventRecord]]) -> StepRunEventList:
    """Entries with the numbers they are shown under; those without a word in that time are left out."""
    return StepRunEventList(
        rows=[
            StepRunEvent(
                id=number,
                time_first_seen=entry.at,
                time_last_seen=entry.at,
                step_run_id=entry.task_id,
                workflow_run_id=run_id,
                reason=entry.type.value,
                severity=_REASONS[entry.type],
                message=entry.message or entry.error or "",
                count=1,
                data={} if entry.worker_id is None else {"worker_id": entry.worker_id},
            )
            for number, entry in entries
            if entry.type in _REASONS
        ]
    )


def run_shape(run: RunRecord, definition: WorkflowDefinition | None) -> WorkflowRunShape:
    """`definition` is None when its version is gone; then only what has begun is there."""
    stamps = metadata_of(run.id, run.created_at, run.finished_at or run.started_at)
    whole = workflow_run(run)
    declared = () if definition is None else definition.tasks
    ids = {task.name: task.id for task in declared}
    steps = [
        ShapeStep(
            metadata=metadata_of(task.id, run.created_at, None),
            readable_id=task.name,
            tenant_id=run.tenant_id,
            job_id=run.version_id,
            action=task.action_id,
            parents=[ids[name] for name in task.parents if name in ids],
            children=[child.id for child in declared if task.name in child.parents],
        )
        for task in declared
    ]
    job_run = ShapeJobRun(
        metadata=stamps,
        tenant_id=run.tenant_id,
        workflow_run_id=run.id,
        job_id=run.version_id,
        step_runs=[_step_run(run, task, run.id) for task in run.tasks],
        status="PENDING" if whole.status == "QUEUED" else whole.status,
        started_at=run.started_at,
        finished_at=run.finished_at,
        job=Job(
            metadata=metadata_of(run.version_id, run.created_at, None),
            tenant_id=run.tenant_id,
            version_id=run.version_id,
            name=run.workflow_name,
            steps=steps,
        ),
    )
    return WorkflowRunShape(**(dict(whole) | {"job_runs": [job_run]}), workflow_id=run.workflow_id)


def run_metrics(counts: Iterable[Mapping[RunStatus, int]]) -> WorkflowRunsMetrics:
    """The sum of the counts under the words of that time."""
    summed = dict.fromkeys(("PENDING", *_RUN_STATUS.values()), 0)
    for part in counts:
        for status, count in part.items():
            summed[_RUN_STATUS[status]] += count
    return WorkflowRunsMetrics(counts=summed)


def schema_of(given: JsonObject) -> JsonObject:
    """A JSON schema that says of each field of what type it is."""
    return {"type": "object", "properties": {name: {"type": _json_type(field)} for name, field in given.items()}}


def _json_type(field: object) -> str:
    match field:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _job_run(run: RunRecord, task: TaskRecord) -> JobRun:
    return JobRun(
        metadata=metadata_of(task.id, task.created_at, task.finished_at or task.started_at),
        tenant_id=run.tenant_id,
        workflow_run_id=run.id,
        job_id=task.definition_id,
        step_runs=[_step_run(run, task, task.id)],
        status=_JOB_STATUS[task.status],
        started_at=task.started_at,
        finished_at=task.finished_at,
    )


def _step_run(run: RunRecord, task: TaskRecord, job_run_id: str) -> StepRun:
    return StepRun(
        metadata=metadata_of(task.id, task.created_at, task.finished_at or task.started_at),
        tenant_id=run.tenant_id,
        job_run_id=job_run_id,
        step_id=task.definition_id,
        step=Step(
            metadata=metadata_of(task.definition_id, task.created_at, None),
            readable_id=task.name,
            tenant_id=run.tenant_id,
            job_id=task.definition_id,
            action=task.action_id,
        ),
        child_workflows_count=task.spawned_children,
        worker_id=task.worker_id,
        output=task.output,
        status=_STEP_STATUS[task.status],
        error=task.error if task.status is TaskStatus.FAILED else None,
        cancelled_reason=task.error if task.status is TaskStatus.CANCELLED else None,
        started_at=task.started_at,
        finished_at=task.finished_at,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
