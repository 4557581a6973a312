"""The shapes of workflows and their versions, made from stored records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, cast

import msgspec
from pydantic import Field

from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.definition import ConcurrencyRule, LimitStrategy, Sticky, WorkflowDefinition
from broadaxe.core.durations import format_duration
from broadaxe.core.lifecycle import RunStatus
from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, SnakeWire, Wire, json_object, metadata_of
from broadaxe.storage.catalogue import VersionRecord, WorkflowRecord, tasks_of

Definitions = Mapping[str, WorkflowDefinition]


class WorkflowVersionMeta(Wire):
    metadata: Metadata
    version: str
    order: int
    workflow_id: str


class Workflow(Wire):
    metadata: Metadata
    name: str
    tenant_id: str
    description: str | None = None
    is_paused: bool = False
    paused_workflow_cron_run_queue_behavior: WhilePaused | None = None
    paused_workflow_scheduled_run_queue_behavior: WhilePaused | None = None
    paused_at: Instant | None = None
    paused_by: str | None = None
    """Who paused it: an address, or an API token."""
    versions: list[WorkflowVersionMeta] | None = None


class WorkflowList(Wire):
    pagination: Pagination
    rows: list[Workflow]


class LastRun(Wire):
    """The newest run of a workflow."""

    workflow_id: str
    run_external_id: str
    status: RunStatus
    created_at: Instant
    finished_at: Instant | None = None


class LastRunList(Wire):
    rows: list[LastRun]


class EventTrigger(SnakeWire):
    parent_id: str
    event_key: str


class WorkflowTriggers(SnakeWire):
    workflow_version_id: str
    tenant_id: str
    events: list[EventTrigger]
    crons: list[JsonObject]


class ConcurrencySetting(Wire):
    """A concurrency rule of a workflow, or of the task in `stepReadableId`."""

    max_runs: int
    limit_strategy: Literal["CANCEL_IN_PROGRESS", "DROP_NEWEST", "QUEUE_NEWEST", "GROUP_ROUND_ROBIN"]
    expression: str
    scope: Literal["WORKFLOW", "TASK"]
    step_readable_id: str | None = None


class WorkflowVersion(Wire):
    metadata: Metadata
    version: str
    order: int
    workflow_id: str
    workflow: Workflow
    triggers: WorkflowTriggers
    default_priority: int
    schedule_timeout: str
    sticky: Literal["soft", "hard"] | None = None
    v1_concurrency: list[ConcurrencySetting] = Field(serialization_alias="v1Concurrency")
    workflow_config: JsonObject
    input_json_schema: JsonObject | None = None


_STICKY: Final[Mapping[Sticky, Literal["soft", "hard"]]] = {Sticky.SOFT: "soft", Sticky.HARD: "hard"}
#: Clients know no other spellings, so each strategy is shown as the nearest of them.
_STRATEGIES: Final[
    Mapping[LimitStrategy, Literal["CANCEL_IN_PROGRESS", "DROP_NEWEST", "QUEUE_NEWEST", "GROUP_ROUND_ROBIN"]]
] = {
    LimitStrategy.CANCEL_IN_PROGRESS: "CANCEL_IN_PROGRESS",
    LimitStrategy.GROUP_ROUND_ROBIN: "GROUP_ROUND_ROBIN",
    LimitStrategy.CANCEL_NEWEST: "DROP_NEWEST",
    LimitStrategy.CANCEL_QUEUED_EXCEPT_NEWEST: "QUEUE_NEWEST",
    LimitStrategy.CANCEL_QUEUED_EXCEPT_OLDEST: "DROP_NEWEST",
}


def workflow(record: WorkflowRecord, latest: VersionRecord | None = None) -> Workflow:
    versions = None
    if latest is not None:
        versions = [
            WorkflowVersionMeta(
                metadata=metadata_of(latest.id, latest.created_at, latest.created_at),
                version=latest.label,
                order=latest.ordinal,
                workflow_id=latest.workflow_id,
            )
        ]
    return Workflow(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        name=record.name,
        tenant_id=record.tenant_id,
        description=record.description or None,
        is_paused=record.is_paused,
        paused_workflow_cron_run_queue_behavior=record.paused_crons,
        paused_workflow_scheduled_run_queue_behavior=record.paused_schedules,
        paused_at=record.paused_at,
        paused_by=record.paused_by or None,
        versions=versions,
    )


def workflow_version(record: WorkflowRecord, version: VersionRecord) -> WorkflowVersion:
    definition = version.definition
    return WorkflowVersion(
        metadata=metadata_of(version.id, version.created_at, version.created_at),
        version=version.label,
        order=version.ordinal,
        workflow_id=record.id,
        workflow=workflow(record),
        triggers=WorkflowTriggers(
            workflow_version_id=version.id,
            tenant_id=record.tenant_id,
            events=[EventTrigger(parent_id=version.id, event_key=key) for key in definition.event_triggers],
            crons=[],
        ),
        default_priority=definition.default_priority,
        schedule_timeout=format_duration(max(task.schedule_timeout_us for task in definition.tasks)),
        sticky=None if definition.sticky is None else _STICKY[definition.sticky],
        v1_concurrency=concurrency_settings(definition),
        workflow_config=workflow_config(definition),
        input_json_schema=json_object(definition.input_json_schema) if definition.input_json_schema else None,
    )


def workflow_config(definition: WorkflowDefinition | None) -> JsonObject:
    return {} if definition is None else cast(JsonObject, msgspec.to_builtins(definition))


def concurrency_settings(definition: WorkflowDefinition) -> list[ConcurrencySetting]:
    """The workflow's rules, then those of its tasks."""
    settings = [_concurrency_setting(rule, None) for rule in definition.concurrency]
    for task in tasks_of(definition):
        settings += [_concurrency_setting(rule, task.name) for rule in task.concurrency]
    return settings


def _concurrency_setting(rule: ConcurrencyRule, task_name: str | None) -> ConcurrencySetting:
    return ConcurrencySetting(
        max_runs=rule.max_runs,
        limit_strategy=_STRATEGIES[rule.strategy],
        expression=rule.expression,
        scope="WORKFLOW" if task_name is None else "TASK",
        step_readable_id=task_name,
    )
