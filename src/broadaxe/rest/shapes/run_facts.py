"""From what is remembered of a run to the shape in which it is told: its origin, its keys, what holds for it. Pure.

Where a run does not remember something, the key is left out.
"""

from __future__ import annotations

from typing import Literal, assert_never

from broadaxe.core.definition import WorkflowDefinition
from broadaxe.core.firing import SCHEDULE_ID_KEY
from broadaxe.core.keys import RunKeys
from broadaxe.core.lifecycle import RunCause
from broadaxe.rest.wire import Wire
from broadaxe.storage.catalogue import tasks_of
from broadaxe.storage.run_facts import RunFactsRecord

__all__ = ["RunFactsAnswer", "facts_of"]


_Kind = Literal["EVENT", "WEBHOOK", "CRON", "SCHEDULE", "PARENT", "TRIGGER", "UNKNOWN"]


class RunOrigin(Wire):
    """What made the run. `kind` UNKNOWN is for one from before this was remembered."""

    kind: _Kind
    event_id: str | None = None
    event_key: str | None = None
    webhook_name: str | None = None
    cron_name: str | None = None
    cron_expression: str | None = None
    cron_scheduled_at: str | None = None
    schedule_id: str | None = None
    parent_run_id: str | None = None
    parent_task_id: str | None = None
    parent_name: str | None = None
    parent_task_name: str | None = None
    parent_workflow_name: str | None = None
    child_index: int | None = None
    child_key: str | None = None


class HeldKey(Wire):
    """A concurrency group that the run, or one task of it, is counted in."""

    task: str | None = None
    key: str
    max_runs: int
    expression: str | None = None
    strategy: str | None = None


class UsedLimit(Wire):
    task: str
    key: str
    units: int


class WorkerName(Wire):
    id: str
    name: str


class RunFactsAnswer(Wire):
    priority: int
    idempotency_key: str | None = None
    version: str | None = None
    version_order: int
    is_latest_version: bool
    origin: RunOrigin
    concurrency: list[HeldKey]
    rate_limits: list[UsedLimit]
    desired_worker_id: str | None = None
    desired_labels: list[dict[str, object]] | None = None
    workers: list[WorkerName]


def facts_of(record: RunFactsRecord, definition: WorkflowDefinition | None) -> RunFactsAnswer:
    return RunFactsAnswer(
        priority=record.priority,
        idempotency_key=record.idempotency_key,
        version=record.version_label or None,
        version_order=record.version_ordinal,
        is_latest_version=record.version_ordinal >= record.latest_ordinal,
        origin=_origin(record),
        concurrency=[] if record.keys is None or definition is None else _groups(record.keys, definition),
        rate_limits=[] if record.keys is None or definition is None else _limits(record.keys, definition),
        desired_worker_id=record.desired_worker_id,
        desired_labels=record.desired_labels,
        workers=[WorkerName(id=worker_id, name=name) for worker_id, name in record.workers],
    )


def _origin(record: RunFactsRecord) -> RunOrigin:
    def said(key: str) -> str | None:
        value = record.metadata.get(key)
        return value if isinstance(value, str) and value else None

    is_cron = record.cause is RunCause.CRON
    return RunOrigin(
        kind=_kind(record),
        event_id=record.event_id,
        event_key=record.event_key,
        webhook_name=record.webhook_name or None,
        cron_name=said("hatchet__cron_name") if is_cron else None,
        cron_expression=said("hatchet__cron_expression") if is_cron else None,
        cron_scheduled_at=said("hatchet__cron_scheduled_at") if is_cron else None,
        schedule_id=said(SCHEDULE_ID_KEY) if record.cause is RunCause.SCHEDULE else None,
        parent_run_id=record.parent_run_id,
        parent_task_id=record.parent_task_id,
        parent_name=record.parent_name,
        parent_task_name=record.parent_task_name,
        parent_workflow_name=record.parent_workflow_name,
        child_index=record.child_index,
        child_key=record.child_key,
    )


def _kind(record: RunFactsRecord) -> _Kind:
    if record.parent_task_id is not None:
        return "PARENT"
    if record.event_id is not None:
        return "WEBHOOK" if record.webhook_name else "EVENT"
    match record.cause:
        case None:
            return "UNKNOWN"
        case RunCause.MANUAL:
            return "TRIGGER"
        case RunCause.EVENT:
            return "EVENT"
        case RunCause.CRON:
            return "CRON"
        case RunCause.SCHEDULE:
            return "SCHEDULE"
        case _:
            assert_never(record.cause)


def _groups(keys: RunKeys, definition: WorkflowDefinition) -> list[HeldKey]:
    """Groups stand in the order of the rules that made them: the workflow's before a task's own."""
    held = [
        HeldKey(key=group.key, max_runs=group.max_runs, expression=rule.expression, strategy=rule.strategy)
        for group, rule in zip(keys.groups, definition.concurrency, strict=False)
    ]
    for task, own in zip(tasks_of(definition), keys.tasks, strict=False):
        rules = task.concurrency if definition.is_dag else (*definition.concurrency, *task.concurrency)
        for group, rule in zip(own.groups, rules, strict=False):
            held.append(
                HeldKey(
                    task=task.name,
                    key=group.key,
                    max_runs=group.max_runs,
                    expression=rule.expression,
                    strategy=rule.strategy,
                )
            )
    return held


def _limits(keys: RunKeys, definition: WorkflowDefinition) -> list[UsedLimit]:
    return [
        UsedLimit(task=task.name, key=limit.key, units=limit.units)
        for task, own in zip(tasks_of(definition), keys.tasks, strict=False)
        for limit in own.limits
    ]
