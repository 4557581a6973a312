"""From stored records to the shapes of the API: the only place that knows both.

Owns what a row of a run list shows, which input and output belong to it, and the numbers that stand in for ids. Pure.
Refuses nothing: a payload that is not a JSON object is shown as `{}`, because clients decode nothing else.
Source: REST specification 7.1, 7.2, 7.12, 7.15.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, cast

import msgspec

from broadaxe.core.definition import (
    KEY_TASK_NAME,
    ConcurrencyRule,
    LimitStrategy,
    Sticky,
    TaskDefinition,
    WorkflowDefinition,
)
from broadaxe.core.durations import US_PER_MS, format_duration
from broadaxe.core.lifecycle import SHOWN_AS, TERMINAL, RunStatus, TaskStatus
from broadaxe.rest import wire
from broadaxe.storage import accounts, tokens
from broadaxe.storage.calendar import CronRecord, ScheduleRecord
from broadaxe.storage.catalogue import VersionRecord, WorkerRecord, WorkflowRecord, tasks_of
from broadaxe.storage.durable_reads import DurableEntryRecord
from broadaxe.storage.event_reads import EventRecord, ExpressionFailureRecord, FilterRecord
from broadaxe.storage.log_reads import LogRecord
from broadaxe.storage.reads import RunRecord, TaskEventRecord, TaskRecord
from broadaxe.storage.webhooks import WebhookRecord

Definitions = Mapping[str, WorkflowDefinition]

_LANGUAGES: Final = frozenset({"GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"})
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
#: JavaScript holds integers exactly up to here, so a number made from an id keeps this many bits.
_NUMBER_BITS: Final = 52
#: Levels of a payload that are shown as such. What writes the answers knows 255, those around the payload included.
DEPTH_MAX: Final = 200


# Runs and tasks -----------------------------------------------------------------------------------------------------


def run_row(run: RunRecord, definitions: Definitions) -> wire.TaskSummary:
    """A run as a row of the run list, with its tasks as children if it is a DAG."""
    only = None if run.is_dag or not run.tasks else run.tasks[0]
    return wire.TaskSummary(
        metadata=metadata(run.id, run.created_at, run.finished_at or run.started_at),
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
        step_id=wire.NIL_UUID if only is None else only.definition_id,
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
    )


def _is_evicted(run: RunRecord) -> bool:
    """Whether everything that is not over is evicted (section 7.1)."""
    live = [task.status for task in run.tasks if task.status not in TERMINAL]
    return bool(live) and all(status is TaskStatus.EVICTED for status in live)


def task_rows(run: RunRecord, tasks: Iterable[TaskRecord], definitions: Definitions) -> list[wire.TaskSummary]:
    """Some tasks of a run as rows."""
    inputs = _Inputs(run, definitions.get(run.version_id))
    return [_task_row(run, task, inputs.of(task), None) for task in tasks]


def task_alone(run: RunRecord, task: TaskRecord, definition: WorkflowDefinition | None) -> wire.TaskSummary:
    """A task by itself, with its workflow's configuration."""
    return _task_row(run, task, _Inputs(run, definition).of(task), _config(definition))


def _task_row(
    run: RunRecord, task: TaskRecord, given: wire.JsonObject, config: wire.JsonObject | None
) -> wire.TaskSummary:
    return wire.TaskSummary(
        metadata=metadata(task.id, task.created_at, task.finished_at or task.started_at),
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


def durable_entry(task_id: str, entry: DurableEntryRecord) -> wire.DurableLogEntry:
    """An entry of a durable log (section 3.15)."""
    return wire.DurableLogEntry(
        node_id=entry.node_id,
        branch_id=entry.branch_id,
        kind=cast(Literal["RUN", "WAIT_FOR", "MEMO"], entry.kind.value),
        is_satisfied=entry.satisfied_at is not None,
        inserted_at=entry.created_at,
        task_external_id=task_id,
        task_display_name=entry.task_display_name,
        satisfied_at=entry.satisfied_at,
        user_message=entry.label or None,
        wait_data=_wait_data(entry),
    )


def _wait_data(entry: DurableEntryRecord) -> list[wire.DurableWaitItem] | None:
    if entry.workflow_name is not None:
        return [wire.DurableWaitItem(kind="CHILD_WORKFLOW", workflow_name=entry.workflow_name)]
    groups: dict[int, list[wire.DurableCondition]] = {}
    for condition in entry.conditions:
        shown = (
            wire.DurableCondition(kind="SLEEP", sleep_duration_ms=condition.sleep_us // US_PER_MS)
            if condition.is_sleep
            else wire.DurableCondition(kind="USER_EVENT", event_key=condition.event_key)
        )
        groups.setdefault(condition.group, []).append(shown)
    items = [
        wire.DurableWaitItem(**alternatives[0].model_dump())
        if len(alternatives) == 1
        else wire.DurableWaitItem.model_validate({"or": alternatives})
        for alternatives in groups.values()
    ]
    return items or None


def run_details(
    run: RunRecord, entries: Sequence[TaskEventRecord], definition: WorkflowDefinition | None
) -> wire.WorkflowRunDetails:
    definitions = {} if definition is None else {run.version_id: definition}
    return wire.WorkflowRunDetails(
        run=wire.WorkflowRun(
            metadata=metadata(run.id, run.created_at, run.finished_at or run.started_at),
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
        workflow_config=_config(definition),
    )


def run_output(run: RunRecord) -> wire.JsonObject:
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


def task_events(entries: Sequence[TaskEventRecord]) -> list[wire.TaskEvent]:
    """Entries of several tasks, oldest first, numbered from 1."""
    return [_task_event(number, entry) for number, entry in enumerate(entries, 1)]


def events_of_task(entries: Sequence[TaskEventRecord]) -> list[wire.TaskEvent]:
    """Entries of one task in any order, under their own numbers."""
    return [_task_event(entry.seq, entry) for entry in entries]


def task_timing(run: RunRecord, task: TaskRecord, depth: int) -> wire.TaskTiming:
    return wire.TaskTiming(
        metadata=metadata(task.id, task.created_at, task.finished_at or task.started_at),
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


def log_line(line: LogRecord) -> wire.LogLine:
    return wire.LogLine.model_validate(
        {
            "created_at": line.created_at,
            "message": line.message,
            "metadata": json_object(line.metadata),
            "task_external_id": line.task_id,
            "task_display_name": line.task_display_name,
            "retry_count": line.retry_count,
            "attempt": line.retry_count + 1,
            "level": line.level,
        }
    )


# Workflows and workers ----------------------------------------------------------------------------------------------


def workflow(record: WorkflowRecord, latest: VersionRecord | None = None) -> wire.Workflow:
    versions = None
    if latest is not None:
        versions = [
            wire.WorkflowVersionMeta(
                metadata=metadata(latest.id, latest.created_at, latest.created_at),
                version=latest.label,
                order=latest.ordinal,
                workflow_id=latest.workflow_id,
            )
        ]
    return wire.Workflow(
        metadata=metadata(record.id, record.created_at, record.updated_at),
        name=record.name,
        tenant_id=record.tenant_id,
        description=record.description or None,
        is_paused=record.is_paused,
        paused_workflow_cron_run_queue_behavior=record.paused_crons,
        paused_workflow_scheduled_run_queue_behavior=record.paused_schedules,
        versions=versions,
    )


def workflow_version(record: WorkflowRecord, version: VersionRecord) -> wire.WorkflowVersion:
    definition = version.definition
    return wire.WorkflowVersion(
        metadata=metadata(version.id, version.created_at, version.created_at),
        version=version.label,
        order=version.ordinal,
        workflow_id=record.id,
        workflow=workflow(record),
        triggers=wire.WorkflowTriggers(
            workflow_version_id=version.id,
            tenant_id=record.tenant_id,
            events=[wire.EventTrigger(parent_id=version.id, event_key=key) for key in definition.event_triggers],
            crons=[],
        ),
        default_priority=definition.default_priority,
        schedule_timeout=format_duration(max(task.schedule_timeout_us for task in definition.tasks)),
        sticky=None if definition.sticky is None else _STICKY[definition.sticky],
        v1_concurrency=concurrency_settings(definition),
        workflow_config=_config(definition),
        input_json_schema=json_object(definition.input_json_schema) if definition.input_json_schema else None,
    )


def concurrency_settings(definition: WorkflowDefinition) -> list[wire.ConcurrencySetting]:
    """The workflow's rules, then those of its tasks."""
    settings = [_concurrency_setting(rule, None) for rule in definition.concurrency]
    for task in tasks_of(definition):
        settings += [_concurrency_setting(rule, task.name) for rule in task.concurrency]
    return settings


def _concurrency_setting(rule: ConcurrencyRule, task_name: str | None) -> wire.ConcurrencySetting:
    return wire.ConcurrencySetting(
        max_runs=rule.max_runs,
        limit_strategy=_STRATEGIES[rule.strategy],
        expression=rule.expression,
        scope="WORKFLOW" if task_name is None else "TASK",
        step_readable_id=task_name,
    )


def worker(record: WorkerRecord, workflows: Sequence[tuple[str, str]] | None = None) -> wire.Worker:
    slots = {
        slot_type: wire.SlotConfig(limit=limit, available=max(0, limit - record.slots_used(slot_type)))
        for slot_type, limit in sorted(record.slots.items())
    }
    default = slots.get("default")
    runtime = record.runtime
    return wire.Worker(
        metadata=metadata(record.id, record.created_at, record.updated_at),
        name=record.name,
        status=record.status,
        last_heartbeat_at=record.last_heartbeat_at,
        last_listener_established=record.listening_since,
        actions=list(record.actions),
        registered_workflows=None
        if workflows is None
        else [wire.RegisteredWorkflow(id=id_text, name=name) for id_text, name in workflows],
        slots=[
            wire.SemaphoreSlot(
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
            wire.WorkerLabel(
                metadata=metadata(record.id, record.created_at, record.updated_at), key=key, value=str(value)
            )
            for key, value in sorted(record.labels.items())
        ],
        max_runs=None if default is None else default.limit,
        available_runs=None if default is None else default.available,
        runtime_info=wire.RuntimeInfo.model_validate(
            {key: value for key, value in runtime.items() if key != "language" or value in _LANGUAGES}
        )
        if runtime
        else None,
    )


# Events, people, tokens ---------------------------------------------------------------------------------------------


def event(record: EventRecord) -> wire.Event:
    count = record.run_counts.get
    return wire.Event(
        metadata=metadata(record.id, record.seen_at, record.seen_at),
        key=record.key,
        tenant_id=record.tenant_id,
        workflow_run_summary=wire.RunSummary(
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
        triggered_runs=[wire.TriggeredRun(workflow_run_id=run.run_id, filter_id=run.filter_id) for run in record.runs],
        triggering_webhook_name=record.webhook_name,
    )


def event_filter(record: FilterRecord, tenant_id: str) -> wire.Filter:
    return wire.Filter(
        metadata=metadata(record.id, record.created_at, record.updated_at),
        tenant_id=tenant_id,
        workflow_id=record.workflow_id,
        scope=record.scope,
        expression=record.expression,
        payload=json_object(record.payload),
        is_declarative=record.is_declared,
    )


def expression_failure(record: ExpressionFailureRecord) -> wire.ExpressionFailure:
    return wire.ExpressionFailure(
        metadata=metadata(record.id, record.at, record.at),
        source=record.source.value,
        message=record.message,
        workflow_id=record.workflow_id,
        event_id=record.event_id,
    )


def webhook(record: WebhookRecord) -> wire.Webhook:
    return wire.Webhook.model_validate(
        {
            "metadata": metadata(record.id, record.created_at, record.updated_at),
            "tenant_id": record.tenant_id,
            "name": record.name,
            "source_name": record.source,
            "event_key_expression": record.event_key_expression,
            "scope_expression": record.scope_expression,
            "static_payload": None if record.static_payload is None else json_object(record.static_payload),
            "auth_type": record.proof,
            "return_event_as_response_payload": record.returns_event,
        }
    )


def cron(record: CronRecord) -> wire.Cron:
    return wire.Cron(
        metadata=metadata(record.id, record.created_at, record.updated_at),
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


def schedule(record: ScheduleRecord) -> wire.Schedule:
    return wire.Schedule(
        metadata=metadata(record.id, record.created_at, record.updated_at),
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


def user(account: accounts.Account) -> wire.User:
    return wire.User(
        metadata=metadata(account.id, account.created_at, account.updated_at),
        email=account.email,
        name=account.name or None,
    )


def tenant(record: accounts.Tenant, server_url: str) -> wire.Tenant:
    return wire.Tenant(
        metadata=metadata(record.id, record.created_at, record.updated_at),
        name=record.name,
        slug=record.slug,
        server_url=server_url,
    )


def member(record: accounts.Membership, server_url: str) -> wire.TenantMember:
    return wire.TenantMember(
        metadata=metadata(record.id, record.created_at, record.updated_at),
        user=wire.MemberUser(email=record.email, name=record.account_name or None),
        role=record.role.value,
        tenant=tenant(record.tenant, server_url),
    )


def api_token(record: tokens.ApiToken) -> wire.ApiToken:
    return wire.ApiToken(
        metadata=metadata(record.id, record.created_at, record.updated_at),
        name=record.name,
        expires_at=record.expires_at,
        last_used_at=record.last_used_at,
    )


def session(record: accounts.Session) -> wire.Session:
    return wire.Session(
        id=record.id,
        device=record.device,
        created_at=record.created_at,
        last_used_at=record.last_used_at,
        expires_at=record.expires_at,
        is_current=record.is_current,
    )


# ----------------------------------------------------------------------------------------------------------------------


def metadata(id_text: str, created_at: datetime, updated_at: datetime | None) -> wire.Metadata:
    return wire.Metadata(id=id_text, created_at=created_at, updated_at=updated_at or created_at)


def json_object(text: str | None) -> wire.JsonObject:
    """The object a text holds; `{}` for none and for anything else. What lies deeper than `DEPTH_MAX` is shown as the
    JSON text it is."""
    if not text:
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    if text.count("{") + text.count("[") > DEPTH_MAX:
        _flatten(value)
    return value


def _flatten(value: wire.JsonObject) -> None:
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX - 1):
        level = [child for parent in level for _, child in _members(parent) if isinstance(child, dict | list)]
    for parent in level:
        for key, child in _members(parent):
            if isinstance(child, dict | list):
                parent[key] = msgspec.json.encode(child).decode()


def _members(parent: Any) -> list[tuple[Any, Any]]:
    return list(parent.items() if isinstance(parent, dict) else enumerate(parent))


def number_of(id_text: str) -> int:
    """A number that stands in for an id where the protocol wants one: its low bits, which are random."""
    return uuid.UUID(id_text).int & ((1 << _NUMBER_BITS) - 1)


def duration_ms(started_at: datetime | None, finished_at: datetime | None) -> int | None:
    if started_at is None or finished_at is None:
        return None
    return max(0, round((finished_at - started_at).total_seconds() * 1000))


class _Inputs:
    """What each task of a run was given. Looks names and definitions up once, since a run may have thousands."""

    def __init__(self, run: RunRecord, definition: WorkflowDefinition | None) -> None:
        self._run = run
        self._declared = {} if definition is None else {task.id: task for task in tasks_of(definition)}
        self._outputs = {task.name: task.output for task in run.tasks if task.output is not None}

    def of(self, task: TaskRecord) -> wire.JsonObject:
        if not self._run.is_dag:
            return json_object(self._run.input)
        if self._run.input is None:
            return {}
        declared = self._declared.get(task.definition_id)
        parents = () if declared is None else declared.parents
        outputs: wire.JsonObject = {name: json_object(self._outputs[name]) for name in parents if name in self._outputs}
        return {"input": json_object(self._run.input), "parents": outputs}


def _shape(run: RunRecord, definition: WorkflowDefinition) -> list[wire.ShapeItem]:
    task_ids = {task.definition_id: task.id for task in run.tasks}
    declared = tasks_of(definition)
    children = _children(declared)
    if definition.key_task is not None:
        children[KEY_TASK_NAME] = [task.id for task in definition.tasks if not task.parents]
    return [
        wire.ShapeItem(
            task_external_id=task_ids.get(task.id, wire.NIL_UUID),
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


def _config(definition: WorkflowDefinition | None) -> wire.JsonObject:
    return {} if definition is None else cast(wire.JsonObject, msgspec.to_builtins(definition))


def _task_event(number: int, entry: TaskEventRecord) -> wire.TaskEvent:
    return wire.TaskEvent(
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
