"""The shapes of tasks, their history and timing, made from stored records.

Owns which input belongs to a task. Source: REST specification 7.1, 7.2, 7.12, 7.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from broadaxe.core.definition import WorkflowDefinition
from broadaxe.core.lifecycle import SHOWN_AS, RunStatus, TaskEventType, TaskStatus
from broadaxe.rest.shapes.workflows import Definitions, workflow_config
from broadaxe.rest.wire import (
    Instant,
    JsonObject,
    Metadata,
    Pagination,
    Wire,
    duration_ms,
    json_object,
    metadata_of,
    number_of,
)
from broadaxe.storage.catalogue import tasks_of
from broadaxe.storage.reads import RunRecord, TaskEventRecord, TaskRecord


class TaskSummary(Wire):
    """A row of a run list, a task, or a member of a DAG run."""

    metadata: Metadata
    created_at: Instant
    display_name: str
    status: RunStatus
    type: Literal["DAG", "TASK"]
    input: JsonObject
    output: JsonObject
    num_spawned_children: int
    task_external_id: str
    task_id: int
    task_inserted_at: Instant
    tenant_id: str
    workflow_id: str
    workflow_run_external_id: str
    workflow_name: str
    workflow_version_id: str
    action_id: str | None = None
    step_id: str | None = None
    retry_count: int | None = None
    attempt: int | None = None
    additional_metadata: JsonObject
    children: list[TaskSummary] | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration: int | None = Field(default=None, description="Milliseconds.")
    error_message: str | None = None
    is_durable: bool | None = None
    is_evicted: bool | None = Field(default=None, description="A durable task that waits, off its worker.")
    parent_task_external_id: str | None = None
    idempotency_key: str | None = None
    priority: int | None = Field(default=None, description="Of a run.")
    workflow_config: JsonObject | None = None


class TaskEvent(Wire):
    id: int
    task_id: str
    timestamp: Instant
    event_type: TaskEventType
    message: str
    error_message: str | None = None
    output: str | None = None
    worker_id: str | None = None
    task_display_name: str
    retry_count: int
    attempt: int


class TaskEventList(Wire):
    pagination: Pagination
    rows: list[TaskEvent]


class TaskTiming(Wire):
    metadata: Metadata
    depth: int
    status: RunStatus
    task_display_name: str
    task_external_id: str
    task_id: int
    task_inserted_at: Instant
    tenant_id: str
    parent_task_external_id: str | None = None
    queued_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    workflow_run_id: str
    retry_count: int
    attempt: int


class TaskTimingList(Wire):
    pagination: Pagination
    rows: list[TaskTiming]


def task_rows(run: RunRecord, tasks: Iterable[TaskRecord], definitions: Definitions) -> list[TaskSummary]:
    """Some tasks of a run as rows."""
    inputs = _Inputs(run, definitions.get(run.version_id))
    return [_task_row(run, task, inputs.of(task), None) for task in tasks]


def task_alone(run: RunRecord, task: TaskRecord, definition: WorkflowDefinition | None) -> TaskSummary:
    """A task by itself, with its workflow's configuration."""
    return _task_row(run, task, _Inputs(run, definition).of(task), workflow_config(definition))


def task_events(entries: Sequence[TaskEventRecord]) -> list[TaskEvent]:
    """Entries of several tasks, oldest first, numbered from 1."""
    return [_task_event(number, entry) for number, entry in enumerate(entries, 1)]


def events_of_task(entries: Sequence[TaskEventRecord]) -> list[TaskEvent]:
    """Entries of one task in any order, under their own numbers."""
    return [_task_event(entry.seq, entry) for entry in entries]


def task_timing(run: RunRecord, task: TaskRecord, depth: int) -> TaskTiming:
    return TaskTiming(
        metadata=metadata_of(task.id, task.created_at, task.finished_at or task.started_at),
        depth=depth,
        status=SHOWN_AS[task.status],
        task_display_name=task.display_name,
        task_external_id=task.id,
        task_id=number_of(task.id),
        task_inserted_at=task.created_at,
        tenant_id=run.tenant_id,
        parent_task_external_id=run.parent_task_id,
        queued_at=task.queued_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        workflow_run_id=run.id,
        retry_count=task.retry_count,
        attempt=task.retry_count + 1,
    )


def _task_row(run: RunRecord, task: TaskRecord, given: JsonObject, config: JsonObject | None) -> TaskSummary:
    return TaskSummary(
        metadata=metadata_of(task.id, task.created_at, task.finished_at or task.started_at),
        created_at=task.created_at,
        display_name=task.display_name,
        status=SHOWN_AS[task.status],
        type="TASK",
        input=given,
        output=json_object(task.output),
        num_spawned_children=task.spawned_children,
        task_external_id=task.id,
        task_id=number_of(task.id),
        task_inserted_at=task.created_at,
        tenant_id=run.tenant_id,
        workflow_id=run.workflow_id,
        workflow_run_external_id=run.id,
        workflow_name=run.workflow_name,
        workflow_version_id=run.version_id,
        action_id=task.action_id,
        step_id=task.definition_id,
        retry_count=task.retry_count,
        attempt=task.retry_count + 1,
        additional_metadata=json_object(run.additional_metadata),
        started_at=task.started_at,
        finished_at=task.finished_at,
        duration=duration_ms(task.started_at, task.finished_at),
        error_message=task.error,
        is_evicted=True if task.status is TaskStatus.EVICTED else None,
        parent_task_external_id=run.parent_task_id,
        idempotency_key=run.idempotency_key,
        workflow_config=config,
    )


def _task_event(number: int, entry: TaskEventRecord) -> TaskEvent:
    return TaskEvent(
        id=number,
        task_id=entry.task_id,
        timestamp=entry.at,
        event_type=entry.type,
        message=entry.message,
        error_message=entry.error,
        output=entry.output,
        worker_id=entry.worker_id,
        task_display_name=entry.task_display_name,
        retry_count=entry.retry_count,
        attempt=entry.retry_count + 1,
    )


class _Inputs:
    """What each task of a run was given. Looks names and definitions up once, since a run may have thousands."""

    def __init__(self, run: RunRecord, definition: WorkflowDefinition | None) -> None:
        self._run = run
        self._declared = {} if definition is None else {task.id: task for task in tasks_of(definition)}
        self._outputs = {task.name: task.output for task in run.tasks if task.output is not None}

    def of(self, task: TaskRecord) -> JsonObject:
        if not self._run.is_dag:
            return json_object(self._run.input)
        if self._run.input is None:
            return {}
        declared = self._declared.get(task.definition_id)
        parents = () if declared is None else declared.parents
        outputs: JsonObject = {name: json_object(self._outputs[name]) for name in parents if name in self._outputs}
        return {"input": json_object(self._run.input), "parents": outputs}
