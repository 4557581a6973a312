"""The shapes in which live memory is shown: why tasks do not run, what is to come, who holds what.

Made from the records of `core/questions.py`; pure. A reason is flat: `reason` names its kind, `message` says it to
people, and the other keys are there where the kind has them. The kinds and their keys are stable; new kinds may come.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, assert_never

from broadaxe.core.fulfilment import fulfilment_of
from broadaxe.core.questions import (
    IN_LINE_MAX,
    Backoff,
    Batch,
    Children,
    Coming,
    ComingKind,
    Conditions,
    ConditionSeen,
    Debounce,
    Evicted,
    Holder,
    InTurn,
    Key,
    KeySeen,
    Labels,
    LimitUser,
    NoWorker,
    Parents,
    Paused,
    QueueSeen,
    RateLimit,
    Reason,
    Slot,
    StickyWorker,
    TooLarge,
    Unconfirmed,
    Waiting,
    WaitSeen,
    WorkerName,
    WorkersAway,
)
from broadaxe.core.sentences import sentence
from broadaxe.rest.wire import Instant, Pagination, Wire

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Each costs up to a few milliseconds.
PAYLOADS_MAX: Final = 20

_Details: TypeAlias = dict[str, object]


class WaitingWorker(Wire):
    id: str
    name: str | None = None
    absence: str | None = None
    """PAUSED, DISCONNECTED, SILENT, NO_DURABLE_STREAM or OTHER_LABELS: why it takes nothing."""
    last_seen: Instant | None = None


class WaitingLabel(Wire):
    key: str
    comparator: str
    value: str | int


class KeyHolder(Wire):
    """Who holds a slot of a concurrency key, or waits for one; without a task it is a whole run."""

    run_id: str
    run_name: str
    task_id: str | None = None
    task_name: str | None = None
    since: Instant
    is_running: bool


class WaitingParent(Wire):
    name: str
    task_id: str | None = None
    status: str | None = None


class WaitingCondition(Wire):
    """A sleep (`until`) or an event (`eventKey`). Conditions of one `group` are alternatives, all groups are needed.
    Of a single task `payload` is told: the JSON of an event's payload that makes the expression true, as far as that
    can be derived from it."""

    group: int
    is_met: bool
    until: Instant | None = None
    event_key: str | None = None
    scope: str | None = None
    expression: str | None = None
    payload: str | None = None
    is_payload_true: bool | None = None


class WaitingWait(Wire):
    """What is waited for. `action` is what becomes of a task of a DAG then: QUEUE, SKIP or CANCEL."""

    action: str | None = None
    conditions: list[WaitingCondition]


class WaitingChild(Wire):
    run_id: str
    workflow_name: str


class WaitReason(Wire):
    """Why a task does not run. `placeInLine` counts from 1; 1,001 stands for every place behind the 1,000th."""

    run_id: str
    task_id: str | None = None
    """Missing for a task that does not exist yet, because it waits for its parents."""
    task_name: str | None = None
    status: str | None = None
    reason: str
    """SLOT, NO_WORKER, WORKERS_AWAY, LABELS, TOO_LARGE, STICKY_WORKER, KEY, RATE_LIMIT, PAUSED, BATCH, DEBOUNCE,
    BACKOFF, PARENTS, CONDITION, CHILDREN, EVICTED, UNCONFIRMED or IN_TURN."""
    message: str
    """One sentence for people, without a full stop."""
    since: Instant | None = None
    until: Instant | None = None
    """When time alone changes something."""
    expires_at: Instant | None = None
    """When the task is given up if it still waits in its queue."""
    place_in_line: int | None = None
    action_id: str | None = None
    slot_type: str | None = None
    slots_needed: int | None = None
    slots_used: int | None = None
    slots_total: int | None = None
    workers: list[WaitingWorker] | None = None
    """The first few of `workerCount`."""
    worker_count: int | None = None
    labels: list[WaitingLabel] | None = None
    key: str | None = None
    """Of concurrency, a rate limit, a batch or a debounce."""
    expression: str | None = None
    strategy: str | None = None
    held: int | None = None
    max_runs: int | None = None
    holders: list[KeyHolder] | None = None
    is_of_run: bool | None = None
    units_needed: int | None = None
    units_left: int | None = None
    units_limit: int | None = None
    is_limit_paused: bool | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    paused_by: str | None = None
    batch_items: int | None = None
    batch_size: int | None = None
    batches_running: int | None = None
    batches_running_max: int | None = None
    attempt: int | None = None
    parents: list[WaitingParent] | None = None
    parent_count: int | None = None
    waits: list[WaitingWait] | None = None
    wait_count: int | None = None
    children: list[WaitingChild] | None = None
    child_count: int | None = None
    is_evicted: bool | None = None


class WaitReasonList(Wire):
    rows: list[WaitReason]
    is_cut: bool | None = None
    """Present if more tasks wait than are told."""


class ComingInstant(Wire):
    at: Instant
    kind: ComingKind
    run_id: str | None = None
    run_name: str | None = None
    task_id: str | None = None
    task_name: str | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    cron_id: str | None = None
    schedule_id: str | None = None
    key: str | None = None
    """Of a rate limit, a batch or a debounce; the expression of a cron."""
    count: int
    """How many tasks it concerns."""


class ComingList(Wire):
    pagination: Pagination
    rows: list[ComingInstant]
    schedules_until: Instant | None = None
    """Schedules behind this instant are not told here; all of them are in the list of schedules."""


class ConcurrencyKey(Wire):
    key: str
    expression: str
    strategy: str
    max_runs: int
    is_tenant_scoped: bool
    rule_name: str | None = None
    workflow_id: str
    workflow_name: str
    task_name: str | None = None
    """Missing for a rule of the workflow."""
    held: int
    waiting: int
    holders: list[KeyHolder]
    """The first few."""
    waiters: list[KeyHolder]
    """The first few in line."""


class ConcurrencyKeyList(Wire):
    pagination: Pagination
    rows: list[ConcurrencyKey]


class TaskQueue(Wire):
    """Tasks of one action that wait for a worker."""

    action_id: str
    waiting: int
    oldest: Instant | None = None
    workers: int
    workers_ready: int


class TaskQueueList(Wire):
    rows: list[TaskQueue]


class RateLimitUser(Wire):
    """A task that asks for units of a rate limit. With `key_expression` the key is worked out for each run, and it is
    not known whether it ever is this one; `units` is absent where an expression says how many."""

    workflow_id: str
    workflow_name: str
    task_name: str
    units: int | None = None
    key_expression: str | None = None


class RateLimitUserList(Wire):
    rows: list[RateLimitUser]


def instant(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def wait_reason(row: Waiting, now_us: int) -> WaitReason:
    """Without payloads for the events that are waited for; `with_payloads` adds them."""
    details = {name: value for name, value in _details(row.reason).items() if value is not None}
    return WaitReason.model_validate(
        {
            "run_id": row.run_id,
            "task_id": row.task_id,
            "task_name": row.task_name or None,
            "status": None if row.status is None else row.status.value,
            "reason": row.reason.__struct_config__.tag,
            "message": sentence(row.reason, now_us),
            "since": None if row.since_us is None else instant(row.since_us),
            "expires_at": None if row.expires_at_us is None else instant(row.expires_at_us),
            **details,
        }
    )


def coming_instant(row: Coming, run_name: str | None, workflow_id: str | None, workflow: str | None) -> ComingInstant:
    return ComingInstant(
        at=instant(row.at_us),
        kind=row.kind,
        run_id=row.run_id,
        run_name=run_name,
        task_id=row.task_id,
        task_name=row.task_name,
        workflow_id=row.workflow_id or workflow_id,
        workflow_name=row.workflow_name or workflow,
        cron_id=row.cron_id,
        schedule_id=row.schedule_id,
        key=row.key,
        count=row.count,
    )


def concurrency_key(row: KeySeen) -> ConcurrencyKey:
    return ConcurrencyKey(
        key=row.key,
        expression=row.expression,
        strategy=row.strategy.value,
        max_runs=row.max_runs,
        is_tenant_scoped=row.is_tenant_scoped,
        rule_name=row.rule_name or None,
        workflow_id=row.workflow_id,
        workflow_name=row.workflow_name,
        task_name=row.task_name,
        held=row.held,
        waiting=row.waiting,
        holders=[_holder(holder) for holder in row.holders],
        waiters=[_holder(waiter) for waiter in row.waiters],
    )


def task_queue(row: QueueSeen) -> TaskQueue:
    return TaskQueue(
        action_id=row.action_id,
        waiting=row.waiting,
        oldest=None if row.oldest_us is None else instant(row.oldest_us),
        workers=row.workers,
        workers_ready=row.workers_ready,
    )


def rate_limit_user(row: LimitUser) -> RateLimitUser:
    return RateLimitUser(
        workflow_id=row.workflow_id,
        workflow_name=row.workflow_name,
        task_name=row.task_name,
        units=row.units,
        key_expression=row.key_expression or None,
    )


def _details(reason: Reason) -> _Details:
    match reason:
        case Slot():
            return {
                "action_id": reason.action_id,
                "slot_type": reason.slot_type,
                "slots_needed": reason.units,
                "slots_used": reason.used,
                "slots_total": reason.total,
                "workers": [_worker(worker) for worker in reason.workers],
                "worker_count": reason.worker_count,
                "place_in_line": _place(reason.place),
            }
        case NoWorker(action_id, worker, seen_at_us):
            workers = [] if worker is None else [_worker(worker, seen_at_us=seen_at_us)]
            return {"action_id": action_id, "workers": workers, "worker_count": 0}
        case WorkersAway(action_id, absent, worker_count):
            workers = [_worker(seen.worker, seen.why, seen.seen_at_us) for seen in absent]
            return {"action_id": action_id, "workers": workers, "worker_count": worker_count}
        case Labels(action_id, labels, worker_count):
            wanted = [WaitingLabel(key=label.key, comparator=label.comparator, value=label.value) for label in labels]
            return {"action_id": action_id, "labels": wanted, "worker_count": worker_count}
        case TooLarge(action_id, slot_type, units, units_max, worker_count):
            return {
                "action_id": action_id,
                "slot_type": slot_type,
                "slots_needed": units,
                "slots_total": units_max,
                "worker_count": worker_count,
            }
        case StickyWorker():
            name = None if reason.worker is None else reason.worker.name
            its_worker = WaitingWorker(id=reason.worker_id, name=name, absence=reason.absence)
            is_known = reason.total > 0
            return {
                "action_id": reason.action_id,
                "workers": [its_worker],
                "worker_count": 1,
                "slots_used": reason.used if is_known else None,
                "slots_total": reason.total if is_known else None,
                "place_in_line": _place(reason.place),
            }
        case Key():
            return {
                "key": reason.key,
                "expression": reason.expression,
                "strategy": reason.strategy.value,
                "held": reason.held,
                "max_runs": reason.max_runs,
                "holders": [_holder(holder) for holder in reason.holders],
                "place_in_line": _place(reason.place),
                "is_of_run": reason.is_of_run,
            }
        case RateLimit():
            return {
                "key": reason.key,
                "units_needed": reason.units,
                "units_left": reason.left,
                "units_limit": reason.limit,
                "until": _until(reason.until_us),
                "is_limit_paused": reason.is_paused,
                "place_in_line": _place(reason.place),
            }
        case Paused(workflow_id, workflow_name, since_us, by):
            return {
                "workflow_id": workflow_id,
                "workflow_name": workflow_name,
                "since": instant(since_us),
                "paused_by": by or None,
            }
        case Batch():
            return {
                "key": reason.key,
                "batch_items": reason.count,
                "batch_size": reason.max_size,
                "batches_running": reason.running,
                "batches_running_max": reason.running_max,
                "until": _until(reason.until_us),
            }
        case Debounce(key, until_us):
            return {"key": key, "until": _until(until_us)}
        case Backoff(attempt, until_us):
            return {"attempt": attempt, "until": _until(until_us)}
        case Parents(parents, parent_count):
            names = [WaitingParent(name=p.name, task_id=p.task_id, status=p.status) for p in parents]
            return {"parents": names, "parent_count": parent_count}
        case Conditions(waits, wait_count, is_evicted):
            return {
                "waits": [_wait(wait) for wait in waits],
                "wait_count": wait_count,
                "is_evicted": is_evicted,
                "until": _until(_earliest_us(waits)),
            }
        case Children(children, child_count, is_evicted):
            runs = [WaitingChild(run_id=child.run_id, workflow_name=child.workflow_name) for child in children]
            return {"children": runs, "child_count": child_count, "is_evicted": is_evicted}
        case Unconfirmed(worker, until_us):
            return {"workers": [] if worker is None else [_worker(worker)], "until": _until(until_us)}
        case Evicted():
            return {"is_evicted": True}
        case InTurn():
            return {}
        case _:
            assert_never(reason)


def _wait(wait: WaitSeen) -> WaitingWait:
    return WaitingWait(action=wait.action or None, conditions=[_condition(condition) for condition in wait.conditions])


def _condition(condition: ConditionSeen) -> WaitingCondition:
    if condition.until_us is not None:
        return WaitingCondition(group=condition.group, is_met=condition.is_met, until=instant(condition.until_us))
    return WaitingCondition(
        group=condition.group,
        is_met=condition.is_met,
        event_key=condition.event_key,
        scope=condition.scope,
        expression=condition.expression or None,
    )


def with_payloads(reason: WaitReason) -> WaitReason:
    """With a payload for each event that is still waited for, of the first `PAYLOADS_MAX` conditions."""
    left = PAYLOADS_MAX
    waits = []
    for wait in reason.waits or ():
        conditions = []
        for condition in wait.conditions:
            if condition.event_key is not None and not condition.is_met and left:
                left -= 1
                found = fulfilment_of(condition.expression or "")
                update = {"payload": found.payload, "is_payload_true": found.is_true}
                condition = condition.model_copy(update=update)
            conditions.append(condition)
        waits.append(wait.model_copy(update={"conditions": conditions}))
    return reason if reason.waits is None else reason.model_copy(update={"waits": waits})


def _earliest_us(waits: tuple[WaitSeen, ...]) -> int | None:
    conditions = (condition for wait in waits for condition in wait.conditions if not condition.is_met)
    return min((found.until_us for found in conditions if found.until_us is not None), default=None)


def _holder(holder: Holder) -> KeyHolder:
    return KeyHolder(
        run_id=holder.run_id,
        run_name=holder.run_name,
        task_id=holder.task_id,
        task_name=holder.task_name,
        since=instant(holder.since_us),
        is_running=holder.is_running,
    )


def _worker(worker: WorkerName, absence: str | None = None, seen_at_us: int | None = None) -> WaitingWorker:
    return WaitingWorker(id=worker.id, name=worker.name, absence=absence, last_seen=_until(seen_at_us))


def _until(at_us: int | None) -> datetime | None:
    return None if at_us is None else instant(at_us)


def _place(place: int | None) -> int | None:
    return None if place is None else min(place, IN_LINE_MAX + 1)
