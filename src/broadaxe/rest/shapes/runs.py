"""The shapes of runs, made from stored records.

Owns what a row of a run list shows, and which output and error are the run's.
Source: REST specification 7.1, 7.2, 7.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

from pydantic import Field

from broadaxe.core.definition import KEY_TASK_NAME, TaskDefinition, WorkflowDefinition
from broadaxe.core.lifecycle import TERMINAL, RunCause, RunStatus, TaskStatus
from broadaxe.rest.shapes.tasks import TaskEvent, TaskSummary, task_events, task_rows
from broadaxe.rest.shapes.workflows import Definitions, workflow_config
from broadaxe.rest.wire import (
    NIL_UUID,
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
from broadaxe.storage.payload_search import Searched
from broadaxe.storage.reads import RunRecord, TaskEventRecord


class LookedAt(Wire):
    """How far a search in payloads went: through the newest runs that pass everything else that is asked for."""

    runs: int
    is_cut: bool
    """Whether there may be older ones: ask again with `until` at `oldest`."""
    oldest: Instant | None = None
    """When the oldest one was made."""


class TaskSummaryList(Wire):
    pagination: Pagination
    rows: list[TaskSummary]
    looked_at: LookedAt | None = None
    """Only where values in payloads are asked for."""


class WorkflowRun(Wire):
    metadata: Metadata
    status: RunStatus
    tenant_id: str
    display_name: str
    workflow_id: str
    workflow_version_id: str
    input: JsonObject
    output: JsonObject
    additional_metadata: JsonObject
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration: int | None = Field(default=None, description="Milliseconds.")
    error_message: str | None = None
    parent_task_external_id: str | None = None
    priority: int = Field(description="1 (low), 2 (medium) or 3 (high).")
    triggered_by: RunCause | None = Field(
        default=None, description="What made the run; null for one from before this was remembered."
    )


class ShapeItem(Wire):
    """A task of the workflow's definition. Without a task run yet, `taskExternalId` is the nil UUID."""

    task_external_id: str
    step_id: str
    children_step_ids: list[str]
    task_name: str


class WorkflowRunDetails(Wire):
    run: WorkflowRun
    task_events: list[TaskEvent]
    shape: list[ShapeItem]
    tasks: list[TaskSummary]
    workflow_config: JsonObject


class DisplayName(Wire):
    metadata: Metadata
    display_name: str


class DisplayNameList(Wire):
    pagination: Pagination
    rows: list[DisplayName]


class RunCount(Wire):
    count: int


class DagChildren(Wire):
    dag_id: str
    children: list[TaskSummary]


class AffectedIds(Wire):
    ids: list[str]


def run_row(run: RunRecord, definitions: Definitions) -> TaskSummary:
    """A run as a row of the run list, with its tasks as children if it is a DAG."""
    only = None if run.is_dag or not run.tasks else run.tasks[0]
    return TaskSummary(
        metadata=metadata_of(run.id, run.created_at, run.finished_at or run.started_at),
        created_at=run.created_at,
        display_name=run.display_name,
        status=run.status,
        type="DAG",
        input=json_object(run.input),
        output=run_output(run),
        num_spawned_children=sum(task.spawned_children for task in run.tasks),
        task_external_id=run.id,
        task_id=0 if only is None else number_of(only.id),
        task_inserted_at=run.created_at,
        tenant_id=run.tenant_id,
        workflow_id=run.workflow_id,
        workflow_run_external_id=run.id,
        workflow_name=run.workflow_name,
        workflow_version_id=run.version_id,
        action_id=None if only is None else only.action_id,
        step_id=NIL_UUID if only is None else only.definition_id,
        retry_count=0 if only is None else only.retry_count,
        attempt=1 if only is None else only.retry_count + 1,
        additional_metadata=json_object(run.additional_metadata),
        children=task_rows(run, run.tasks, definitions) if run.is_dag else None,
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration=duration_ms(run.started_at, run.finished_at),
        error_message=run_error(run),
        is_evicted=True if _is_evicted(run) else None,
        parent_task_external_id=run.parent_task_id,
        idempotency_key=run.idempotency_key,
        priority=run.priority,
    )


def run_details(
    run: RunRecord, entries: Sequence[TaskEventRecord], definition: WorkflowDefinition | None
) -> WorkflowRunDetails:
    definitions = {} if definition is None else {run.version_id: definition}
    return WorkflowRunDetails(
        run=WorkflowRun(
            metadata=metadata_of(run.id, run.created_at, run.finished_at or run.started_at),
            status=run.status,
            tenant_id=run.tenant_id,
            display_name=run.display_name,
            workflow_id=run.workflow_id,
            workflow_version_id=run.version_id,
            input=json_object(run.input),
            output=run_output(run),
            additional_metadata=json_object(run.additional_metadata),
            created_at=run.created_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            duration=duration_ms(run.started_at, run.finished_at),
            error_message=run_error(run),
            parent_task_external_id=run.parent_task_id,
            priority=run.priority,
            triggered_by=run.cause,
        ),
        task_events=task_events(entries),
        shape=[] if definition is None else _shape(run, definition),
        tasks=task_rows(run, run.tasks, definitions),
        workflow_config=workflow_config(definition),
    )


def run_output(run: RunRecord) -> JsonObject:
    """The output of the task that completed last; for a single-task run that is its task's."""
    completed = [task for task in run.tasks if task.status is TaskStatus.COMPLETED and task.finished_at is not None]
    last = max(completed, key=lambda task: cast(datetime, task.finished_at), default=None)
    return {} if last is None else json_object(last.output)


def run_error(run: RunRecord) -> str | None:
    """The error of the first task that failed, else of the first that was cancelled with one."""
    for status in (TaskStatus.FAILED, TaskStatus.CANCELLED):
        for task in run.tasks:
            if task.status is status and task.error:
                return task.error
    return None


def _is_evicted(run: RunRecord) -> bool:
    """Whether everything that is not over is evicted (section 7.1)."""
    live = [task.status for task in run.tasks if task.status not in TERMINAL]
    return bool(live) and all(status is TaskStatus.EVICTED for status in live)


def _shape(run: RunRecord, definition: WorkflowDefinition) -> list[ShapeItem]:
    task_ids = {task.definition_id: task.id for task in run.tasks}
    declared = tasks_of(definition)
    children = _children(declared)
    if definition.key_task is not None:
        children[KEY_TASK_NAME] = [task.id for task in definition.tasks if not task.parents]
    return [
        ShapeItem(
            task_external_id=task_ids.get(task.id, NIL_UUID),
            step_id=task.id,
            children_step_ids=children.get(task.name, []),
            task_name=task.name,
        )
        for task in declared
    ]


def _children(declared: Iterable[TaskDefinition]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for task in declared:
        for parent in task.parents:
            children.setdefault(parent, []).append(task.id)
    return children


def looked_at(searched: Searched | None) -> LookedAt | None:
    return (
        None if searched is None else LookedAt(runs=searched.looked_at, is_cut=searched.is_cut, oldest=searched.oldest)
    )
