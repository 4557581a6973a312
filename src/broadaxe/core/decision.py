"""What a tenant decided: rows to write, effects to release once they are committed.

Rows describe the state a row shall have after the commit, one row per changed object and round, whatever happened to
it inside the round. `storage/journal.py` writes them, `storage/loader.py` reads them back as the same types, so a
tenant loaded from its rows equals the one that wrote them. Effects are released by `engine/` after the commit only.
Instants (`*_at_us`) are microseconds since the Unix epoch.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from broadaxe.core.commands import Reply
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.outbox import RefusedRequest
from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.definition import WorkflowDefinition
from broadaxe.core.lifecycle import EntryKind, RunCause, RunStatus, TaskEventType, TaskStatus
from broadaxe.errors import BroadaxeError

# Rows ---------------------------------------------------------------------------------------------------------------


class WorkflowRow(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str
    description: str
    created_at_us: int
    updated_at_us: int
    deleted_at_us: int | None
    paused_at_us: int | None = None
    """Since when it is paused; the three that follow are set exactly while it is."""
    paused_queue_ttl_us: int | None = None
    paused_crons: WhilePaused | None = None
    paused_schedules: WhilePaused | None = None
    unpaused_at_us: int | None = None
    """When it was last unpaused."""
    paused_by: str = ""
    """Who paused it; empty if nobody knows, and while it is not paused."""


class VersionRow(msgspec.Struct, frozen=True):
    id: str
    workflow_id: str
    ordinal: int
    label: str
    checksum: str
    definition: WorkflowDefinition
    created_at_us: int


class WorkerRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    actions: tuple[str, ...]
    slots: dict[str, int]
    labels: dict[str, LabelValue]
    runtime: dict[str, str]
    is_paused: bool
    is_listening: bool
    created_at_us: int
    updated_at_us: int
    last_heartbeat_at_us: int | None
    listening_since_us: int | None
    speaks_durably: bool = False
    """It has a stream for its durable tasks, or will have one again soon."""
    paused_by: str = ""
    """Who paused it; empty if nobody knows, and while it is not paused."""


class RunRow(msgspec.Struct, frozen=True, gc=False):
    """Everything about a run that never changes."""

    id: str
    workflow_id: str
    version_id: str
    is_dag: bool
    display_name: str
    priority: int
    additional_metadata: str | None
    parent_run_id: str | None
    parent_task_id: str | None
    child_index: int | None
    child_key: str | None
    desired_worker_id: str | None
    triggering_event_id: str | None
    triggering_event_key: str | None
    created_at_us: int
    desired_labels: str | None = None
    """JSON of the label requirements given with the trigger."""
    keys: str | None = None
    """JSON of what its expressions said (`keys.RunKeys`)."""
    idempotency_key: str | None = None
    filter_id: str | None = None
    """The event filter that let its event through."""
    filter_payload: str | None = None
    """What that filter's payload was then: JSON of an object."""
    cause: RunCause = RunCause.MANUAL


class RateLimitRow(msgspec.Struct, frozen=True, gc=False):
    """A rate limit's bucket."""

    key: str
    limit: int
    value: int
    window_us: int
    last_refill_us: int
    paused_until_us: int | None
    is_dynamic: bool = False
    """Whether an expression of a task made it, and nobody has put it."""


class QuotaUsageRow(msgspec.Struct, frozen=True, gc=False):
    """What a tenant has used of a resource since its window began."""

    resource: str
    value: int
    since_us: int


class CronRow(msgspec.Struct, frozen=True, gc=False):
    """A cron. A declared one comes from its workflow's definition and has no name. Without a priority its runs have
    their workflow's."""

    id: str
    workflow_id: str
    expression: str
    name: str | None
    is_declared: bool
    input: str
    additional_metadata: str | None
    priority: int | None
    is_enabled: bool
    last_tick_us: int | None
    created_at_us: int
    updated_at_us: int


class CronTick(msgspec.Struct, frozen=True, gc=False):
    """A tick that came, or was dropped. Written with its run, so that it never comes again."""

    cron_id: str
    at_us: int


class ScheduleRow(msgspec.Struct, frozen=True, gc=False):
    """A run that is to be made at one instant. The parent is the task that scheduled it."""

    id: str
    workflow_id: str
    trigger_at_us: int
    input: str
    additional_metadata: str | None
    priority: int | None
    parent_run_id: str | None
    parent_task_id: str | None
    child_index: int | None
    child_key: str | None
    created_at_us: int
    updated_at_us: int


class RunState(msgspec.Struct, frozen=True, gc=False):
    """Everything about a run that changes."""

    id: str
    status: RunStatus
    started_at_us: int | None
    finished_at_us: int | None
    concurrency_held: int


class NewRun(msgspec.Struct, frozen=True, gc=False):
    row: RunRow
    state: RunState
    input: str


class TaskRow(msgspec.Struct, frozen=True, gc=False):
    """Everything about a task that never changes."""

    id: str
    run_id: str
    workflow_id: str
    definition_id: str
    name: str
    action_id: str
    display_name: str
    created_at_us: int


class TaskState(msgspec.Struct, frozen=True, gc=False):
    """Everything about a task that changes. `output` and `error` belong to terminal states."""

    id: str
    status: TaskStatus
    retry_count: int
    app_retry_count: int
    internal_retry_count: int
    queue_priority: int
    worker_id: str | None
    slot_released: bool
    event_count: int
    queued_at_us: int | None
    assigned_at_us: int | None
    started_at_us: int | None
    finished_at_us: int | None
    due_at_us: int | None
    output: str | None
    error: str | None
    concurrency_held: int
    batch_id: str | None


class NewTask(msgspec.Struct, frozen=True, gc=False):
    row: TaskRow
    state: TaskState


class TaskEventRow(msgspec.Struct, frozen=True, gc=False):
    task_id: str
    seq: int
    type: TaskEventType
    at_us: int
    retry_count: int
    worker_id: str | None
    message: str
    error: str | None


class EventRow(msgspec.Struct, frozen=True, gc=False):
    id: str
    key: str
    payload: str
    additional_metadata: str | None
    scope: str | None
    priority: int | None
    seen_at_us: int
    triggering_webhook_name: str | None = None


class TopicRow(msgspec.Struct, frozen=True, gc=False):
    """A topic. Readers without a cursor begin behind the message `start_number`, at the oldest one that is kept."""

    id: str
    namespace: str
    name: str
    last_number: int
    last_message_id: str
    created_at_us: int
    last_published_at_us: int
    start_number: int
    start_message_id: str


class ProducerRow(msgspec.Struct, frozen=True, gc=False):
    """The highest number under which a producer has published to a topic."""

    topic_id: str
    name: str
    seq: int


class MessageRow(msgspec.Struct, frozen=True, gc=False):
    """A message of a topic: its payload, or a reference to it."""

    id: str
    topic_id: str
    number: int
    created_at_us: int
    payload: bytes
    payload_ref: str


class FilterRow(msgspec.Struct, frozen=True, gc=False):
    """An event filter. `payload` is a JSON object text."""

    id: str
    workflow_id: str
    scope: str
    expression: str
    payload: str
    is_declared: bool
    created_at_us: int
    updated_at_us: int


class ClaimRow(msgspec.Struct, frozen=True, gc=False):
    """A run's hold on an idempotency key, which is known by its digest (`claims.digest_of`)."""

    digest: bytes
    run_id: str
    expires_at_us: int


class FailureSource(StrEnum):
    """Whose expression it was that gave no usable answer where nobody waits to be told; or what else kept a run from
    being made."""

    FILTER = "FILTER"
    IDEMPOTENCY_KEY = "IDEMPOTENCY_KEY"
    TENANT_LIMIT = "TENANT_LIMIT"


class ExpressionFailureRow(msgspec.Struct, frozen=True, gc=False):
    """An expression that failed, for people to find. `workflow_id` and `event_id` say where, when known."""

    id: str
    source: FailureSource
    message: str
    workflow_id: str | None
    event_id: str | None
    at_us: int


class RunKeysRow(msgspec.Struct, frozen=True, gc=False):
    """The keys of a run that became known, or unknown again, after it was made: JSON of `keys.RunKeys`."""

    run_id: str
    keys: str


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """An entry of the audit log: what somebody did, to what, and what that was before and after (JSON objects; None
    for what was not, or is not any more). `refusal` says why it was not done;
    empty for what was."""

    id: str
    at_us: int
    by_kind: str
    by_id: str
    by_name: str
    by_address: str
    action: str
    object_id: str
    object_name: str
    before: str | None
    after: str | None
    refusal: str = ""


class AlertRuleRow(msgspec.Struct, frozen=True, gc=False):
    """An alert rule. `kind` is an `AlertKind`; `workflow` is a name, empty for every workflow."""

    id: str
    name: str
    kind: str
    workflow: str
    threshold: int
    window_us: int
    quiet_us: int
    channel_ids: tuple[str, ...]
    is_enabled: bool
    template: str
    created_at_us: int
    updated_at_us: int


class AlertRow(msgspec.Struct, frozen=True, gc=False):
    """What a rule watches, or an alert that is over. `status` is an `AlertStatus`; `state` is JSON of what the core
    remembers of one that is not over."""

    id: str
    rule_id: str
    rule_name: str
    kind: str
    subject: str
    status: str
    opened_at_us: int
    last_at_us: int
    resolved_at_us: int | None
    count: int
    run_id: str | None
    error: str | None
    state: str | None


class AlertDeliveryRow(msgspec.Struct, frozen=True, gc=False):
    """A message that a channel is to be given. `occasion` is an `AlertOccasion`, `message` JSON of an
    `AlertMessage`."""

    id: str
    alert_id: str
    channel_id: str
    occasion: str
    message: str
    at_us: int


class ReplacedOutput(msgspec.Struct, frozen=True, gc=False):
    """An output that a replay cleared in the round that brought it: it only ever lives in the history."""

    task_id: str
    retry_count: int
    output: str


class DurableTaskRow(msgspec.Struct, frozen=True, gc=False):
    """Where a durable task is. `order_at_eviction` is None unless it is evicted."""

    task_id: str
    branch_id: int
    branch_count: int
    invocation_count: int
    order_at_eviction: int | None


class DurableBranchRow(msgspec.Struct, frozen=True, gc=False):
    """A branch shares its parent's entries before `fork_node_id`."""

    task_id: str
    branch_id: int
    parent_branch_id: int
    fork_node_id: int


class DurableEntryRow(msgspec.Struct, frozen=True):
    """An entry of a durable task's log. `result` is None when the row is to keep what it has."""

    task_id: str
    branch_id: int
    node_id: int
    kind: EntryKind
    identity: str
    label: str
    created_at_us: int
    child_run_id: str | None
    child_key: str | None
    workflow_name: str | None
    wait: str | None
    due_at_us: int | None
    event_keys: tuple[str, ...]
    is_awaited: bool
    is_on_path: bool
    satisfied_at_us: int | None
    order: int | None
    result: str | None


class GateRow(msgspec.Struct, frozen=True, gc=False):
    """Conditions a DAG's task waits for (`conditions.py`). `waits` and `fired` are JSON."""

    task_id: str
    is_open: bool
    waits: str
    fired: str | None


class MemoRow(msgspec.Struct, frozen=True, gc=False):
    """The value of a memo whose task is not in memory; one that has a value keeps it."""

    task_id: str
    branch_id: int
    node_id: int
    satisfied_at_us: int
    result: str


class Writes(msgspec.Struct):
    """One round for the journal: a list per kind of row. `archived_outputs` are ids of tasks whose stored output moves
    to their history before the row is cleared (a replay); `cleared_workflows` are ids of workflows that lose all their
    schedules; `taken` are ids of outbox rows that were dealt with, the `refused` ones among them. `finished_children`
    are (durable task, run) whose outcome is copied into the log, `reopened_children` those whose outcome is no longer
    one."""

    workflows: list[WorkflowRow] = []
    versions: list[VersionRow] = []
    workers: list[WorkerRow] = []
    new_runs: list[NewRun] = []
    runs: list[RunState] = []
    new_tasks: list[NewTask] = []
    tasks: list[TaskState] = []
    task_events: list[TaskEventRow] = []
    events: list[EventRow] = []
    archived_outputs: list[str] = []
    replaced_outputs: list[ReplacedOutput] = []
    rate_limits: list[RateLimitRow] = []
    deleted_rate_limits: list[str] = []
    quota_usage: list[QuotaUsageRow] = []
    filters: list[FilterRow] = []
    deleted_filters: list[str] = []
    claims: list[ClaimRow] = []
    released_claims: list[bytes] = []
    expression_failures: list[ExpressionFailureRow] = []
    crons: list[CronRow] = []
    cron_ticks: list[CronTick] = []
    deleted_crons: list[str] = []
    schedules: list[ScheduleRow] = []
    deleted_schedules: list[str] = []
    cleared_workflows: list[str] = []
    taken: list[str] = []
    refused: list[RefusedRequest] = []
    run_keys: list[RunKeysRow] = []
    durable_tasks: list[DurableTaskRow] = []
    durable_branches: list[DurableBranchRow] = []
    durable_entries: list[DurableEntryRow] = []
    finished_children: list[tuple[str, str]] = []
    reopened_children: list[tuple[str, str]] = []
    gates: list[GateRow] = []
    memos: list[MemoRow] = []
    news: list[tuple[str, str]] = []
    """Durable tasks that are not in memory, each with an event that one of its waits is for."""
    alert_rules: list[AlertRuleRow] = []
    deleted_alert_rules: list[str] = []
    alerts: list[AlertRow] = []
    deleted_alerts: list[str] = []
    alert_deliveries: list[AlertDeliveryRow] = []
    audit: list[AuditRow] = []
    topics: list[TopicRow] = []
    producers: list[ProducerRow] = []
    messages: list[MessageRow] = []

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


# Effects ------------------------------------------------------------------------------------------------------------


class StartAttempt(msgspec.Struct, frozen=True, gc=False):
    """Send this attempt to its worker. The engine adds the payload: the run's input, and outputs of `parents`."""

    worker_id: str
    session: int
    task_id: str
    run_id: str
    definition_id: str
    task_name: str
    action_id: str
    workflow_name: str
    workflow_id: str
    version_id: str
    retry_count: int
    priority: int
    additional_metadata: str | None
    parent_run_id: str | None
    child_index: int | None
    child_key: str | None
    triggering_event_id: str | None
    triggering_event_key: str | None
    created_at_us: int
    parents: tuple[tuple[str, str], ...]
    """(task name, task id) of every task of the run that has an output so far."""
    errors: tuple[tuple[str, str], ...]
    """(task name, error text) of failed tasks; only for the on-failure task."""
    filter_payload: str | None = None
    """JSON of the payload of the event filter that started the run."""
    asks_for_key: bool = False
    """The worker is asked for the run's group key; all it gets is the run's input."""
    invocation_count: int | None = None
    """Which invocation this is; durable tasks only."""
    fired: str | None = None
    """JSON object of what the conditions brought that the task waited for."""
    takes_any_output: bool = False
    """Outputs of parents go as they are, also those that are no objects."""
    cause: RunCause = RunCause.MANUAL
    """What made the run."""
    assigned_at_us: int = 0
    """With the task's id it names this assignment. 0 from a node of a version that did not say."""


class StartBatch(msgspec.Struct, frozen=True):
    """Send these attempts to their worker as one batch."""

    worker_id: str
    session: int
    batch_id: str
    key: str
    reason: str
    action_id: str
    at_us: int
    items: tuple[StartAttempt, ...]


class CancelAttempt(msgspec.Struct, frozen=True, gc=False):
    """Tell the worker to stop this attempt."""

    worker_id: str
    session: int
    task_id: str
    run_id: str
    definition_id: str
    task_name: str
    action_id: str
    retry_count: int
    asks_for_key: bool = False
    invocation_count: int | None = None


class Progress(StrEnum):
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


class TaskProgressed(msgspec.Struct, frozen=True, gc=False):
    """An attempt started or ended; for people who follow a run live. `payload` is its output or error text."""

    run_id: str
    task_id: str
    progress: Progress
    retry_count: int
    retries: int
    payload: str
    at_us: int
    additional_metadata: str | None


class TaskResult(msgspec.Struct, frozen=True, gc=False):
    task_id: str
    name: str
    status: TaskStatus
    error: str | None


class RunFinished(msgspec.Struct, frozen=True):
    """Every task of the run is terminal. Outputs are fetched by whoever has a waiter."""

    run_id: str
    status: RunStatus
    is_dag: bool
    additional_metadata: str | None
    results: tuple[TaskResult, ...]
    at_us: int
    workflow_name: str
    started_at_us: int | None


class RunStarted(msgspec.Struct, frozen=True, gc=False):
    """A run was created; for those who follow runs by metadata."""

    run_id: str
    additional_metadata: str | None


class DurableEffect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """To be written to the durable stream numbered `stream`, in the order decided."""

    stream: int
    ref: EntryRef


class MemoAck(DurableEffect, frozen=True, gc=False):
    """`is_kept`: the memo has a value. `payload` is it, or None when its row has to be read."""

    is_kept: bool
    payload: str | None
    number: int = 0
    """That of the request, here and below."""


class ChildrenAck(DurableEffect, frozen=True):
    """`ref` names the invocation; `children` are (branch, node, run id) in the order of the request."""

    children: tuple[tuple[int, int, str], ...]
    number: int = 0


class WaitAck(DurableEffect, frozen=True, gc=False):
    number: int = 0


class EntryCompleted(DurableEffect, frozen=True, gc=False):
    """`payload` is the result, or None when the row has to be read, for failure and error too."""

    order: int | None
    payload: str | None


class NonDeterminism(DurableEffect, frozen=True, gc=False):
    """The operation is not the one that was recorded at this node."""

    message: str
    number: int = 0


class DurableRefusal(DurableEffect, frozen=True, gc=False):
    """The request cannot be done. Its number is 0 if it is no operation."""

    message: str
    number: int = 0


class EvictionAck(DurableEffect, frozen=True, gc=False):
    pass


class DropInvocation(DurableEffect, frozen=True, gc=False):
    """The worker is to abandon this invocation silently."""

    reason: str


class InvocationOver(DurableEffect, frozen=True, gc=False):
    """Nothing more is asked or told of this invocation; its worker is not told."""


class SignalFired(msgspec.Struct, frozen=True, gc=False):
    """A wait of the older protocol is over."""

    task_id: str
    key: str
    payload: str


class WorkerHeard(msgspec.Struct, frozen=True, gc=False):
    """A worker is alive; its row is not written for that each time. For people who watch it."""

    worker_id: str
    at_us: int


class TopicGrew(msgspec.Struct, frozen=True):
    """Messages of a topic, in their order; for those who read it."""

    topic_id: str
    messages: tuple[MessageRow, ...]


class OutboxHasRoom(msgspec.Struct, frozen=True, gc=False):
    """Rows that had to stay in the outbox may find room by now; it shall be read again."""


DurableAnswer = (
    MemoAck | ChildrenAck | WaitAck | EntryCompleted | NonDeterminism | DurableRefusal | EvictionAck | DropInvocation
)

Effect = (
    StartAttempt
    | StartBatch
    | CancelAttempt
    | TaskProgressed
    | RunFinished
    | RunStarted
    | DurableAnswer
    | InvocationOver
    | SignalFired
    | WorkerHeard
    | OutboxHasRoom
    | TopicGrew
)


class Decision(msgspec.Struct, frozen=True):
    """What a round came to: what is to be committed, what leaves after that, and what each of its commands is answered,
    in their order. A command that was refused has its error for an answer and changed nothing; `IdempotencyCollision`
    alone also answers what was done in part."""

    writes: Writes
    effects: list[Effect]
    replies: tuple[Reply | BroadaxeError, ...] = ()
