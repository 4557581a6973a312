"""What can be asked of a tenant: frozen commands, and the replies they get.

Edges translate a wire message into one of these; `tenant.py` decides. A command carries everything the decision needs
except the time and fresh ids, which are arguments of `Tenant.apply`. All ids are canonical lower-case UUID text, all
payloads JSON text that the edge has already checked.

Every command states what is true of it, none by default:

- `is_repeatable`: deciding it again, should nobody know whether it was committed, comes to the same as once;
- `chars`: characters of the payloads it brings;
- `needs`: what it names and has to be in memory before it is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from broadaxe.core.definition import LabelRequirement, WorkflowSpec
from broadaxe.core.waits import Condition, past_events_max
from broadaxe.errors import IdempotencyCollision

LabelValue = str | int


class EventQuery(msgspec.Struct, frozen=True):
    """Stored events with this key and scope, since then, the newest first and at most so many."""

    key: str
    scope: str
    since_us: int
    count_max: int


class Needs(msgspec.Struct, frozen=True):
    """What a command names. Whatever of it is not in memory is read first, if there is such a thing."""

    tasks: frozenset[str] = frozenset()
    """Run ids and task ids alike."""
    live_tasks: frozenset[str] = frozenset()
    """The same, of no account once they have ended."""
    children: frozenset[tuple[str, str]] = frozenset()
    """(task id, child key): the run that the key stands for."""
    workers: frozenset[str] = frozenset()
    schedules: frozenset[str] = frozenset()
    events: frozenset[EventQuery] = frozenset()


NOTHING: Final = Needs()


def _looked_back_at(conditions: tuple[Condition, ...]) -> frozenset[EventQuery]:
    return frozenset(
        EventQuery(condition.event_key, condition.scope, condition.since_us, past_events_max(condition))
        for condition in conditions
        if condition.since_us is not None and condition.scope is not None
    )


class PutWorkflow(msgspec.Struct, frozen=True):
    """Registers a definition; a new version only if its checksum changed. Reply: `PutWorkflowReply`."""

    spec: WorkflowSpec

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class PutWorkflowReply(msgspec.Struct, frozen=True):
    workflow_id: str
    version_id: str
    ordinal: int
    created_at_us: int


class WhilePaused(StrEnum):
    """What becomes of a run that comes due by itself (cron, schedule) while its workflow is paused."""

    DROP = "DROP"
    """It is not made, then or later."""
    QUEUE = "QUEUE"
    """It is made and waits like every other."""


class PauseWorkflow(msgspec.Struct, frozen=True):
    """Nothing of the workflow is given to workers until it is unpaused (semantics 5.11). Pausing a paused workflow
    replaces what was said before. A task older than `queue_ttl_us` is cancelled. Reply: None. NotFound if absent."""

    workflow_id: str
    queue_ttl_us: int
    crons: WhilePaused
    schedules: WhilePaused

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class UnpauseWorkflow(msgspec.Struct, frozen=True):
    """What waited goes on, with fresh schedule timeouts. One that is not paused stays as it is. Reply: None.
    NotFound if absent."""

    workflow_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class DeleteWorkflow(msgspec.Struct, frozen=True):
    """Forgets the name; history and live runs stay. Reply: None. NotFound if absent."""

    workflow_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RegisterWorker(msgspec.Struct, frozen=True):
    """Always a new worker, whatever its name. Reply: the worker id."""

    name: str
    actions: tuple[str, ...]
    slots: dict[str, int]
    labels: dict[str, LabelValue] = {}
    runtime: dict[str, str] = {}

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class OpenStream(msgspec.Struct, frozen=True):
    """A worker opened an assignment stream. `session` numbers streams of this process, newest highest. Reply: None."""

    worker_id: str
    session: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class CloseStream(msgspec.Struct, frozen=True):
    """That stream ended. Ignored when a newer one has replaced it. Reply: None."""

    worker_id: str
    session: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class OpenDurableStream(msgspec.Struct, frozen=True):
    """A worker's durable tasks speak on this stream from now on, and it gets such tasks only while there is one
    (section 13.10). Numbers are those of `OpenStream`. Reply: None. NotFound if absent."""

    worker_id: str
    stream: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class CloseDurableStream(msgspec.Struct, frozen=True):
    """That stream ended. Ignored when a newer one has replaced it. Reply: None."""

    worker_id: str
    stream: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Heartbeat(msgspec.Struct, frozen=True):
    worker_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class UnregisterWorker(msgspec.Struct, frozen=True):
    """The worker says goodbye; its running attempts stay until they report or the heartbeat rule takes them."""

    worker_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class PutWorkerLabels(msgspec.Struct, frozen=True):
    worker_id: str
    labels: dict[str, LabelValue]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class PauseWorker(msgspec.Struct, frozen=True):
    worker_id: str
    is_paused: bool

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class Promise(msgspec.Struct, frozen=True, gc=False):
    """What was told to whoever asked, before the tenant heard of it: the id, and when that was."""

    id: str
    at_us: int


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One run to be created. `input` is a JSON object text; `additional_metadata` one too, or None for none."""

    workflow_name: str
    input: str
    additional_metadata: str | None = None
    priority: int | None = None
    parent_task_id: str | None = None
    child_index: int | None = None
    child_key: str | None = None
    desired_worker_id: str | None = None
    desired_labels: tuple[LabelRequirement, ...] | None = None
    """When given, they replace the labels of every task of the run."""
    promise: Promise | None = None

    @property
    def chars(self) -> int:
        return len(self.input) + len(self.additional_metadata or "")


class TriggerRuns(msgspec.Struct, frozen=True):
    """Creates runs; all or none. Reply: tuple of run ids in request order.

    Idempotency keys that other runs hold are the exception: the rest are created, and the reply is the error that says
    so, `IdempotencyCollision`.
    """

    requests: tuple[RunRequest, ...]

    is_repeatable: ClassVar = False

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)

    @property
    def needs(self) -> Needs:
        parents = frozenset(request.parent_task_id for request in self.requests if request.parent_task_id)
        return Needs(tasks=parents) if parents else NOTHING


class EventRequest(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    payload: str
    additional_metadata: str | None = None
    priority: int | None = None
    scope: str | None = None
    triggering_webhook_name: str | None = None
    """The webhook it came in by."""
    promise: Promise | None = None

    @property
    def chars(self) -> int:
        return len(self.payload) + len(self.additional_metadata or "")


class PushEvents(msgspec.Struct, frozen=True):
    """Stores events and starts the runs they trigger. Reply: tuple of `PushedEvent` in request order."""

    events: tuple[EventRequest, ...]

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return sum(event.chars for event in self.events)


class PushedEvent(msgspec.Struct, frozen=True):
    event_id: str
    seen_at_us: int
    run_ids: tuple[str, ...]


class CreateFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Makes an event filter. `payload` is a JSON object text. Reply: its id. NotFound for an unknown workflow."""

    workflow_id: str
    scope: str
    expression: str
    payload: str = "{}"

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.payload)


class ChangeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Changes what is not None. Reply: None. NotFound if absent."""

    filter_id: str
    scope: str | None = None
    expression: str | None = None
    payload: str | None = None

    is_repeatable: ClassVar = True
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.payload or "")


class DeleteFilter(msgspec.Struct, frozen=True):
    """Forgets an event filter, declared or not. Reply: None. NotFound if absent."""

    filter_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class TakeOutbox(msgspec.Struct, frozen=True):
    """Does what committed transactions of applications left in the outbox; every request has its promise.

    Each is decided for itself, and its row goes in the commit that does it. Reply: a tuple of `RefusedRequest`, one for
    each request that cannot be done; those are put aside with the reason. `hopeless` are put aside without a try.
    """

    requests: tuple[RunRequest | EventRequest, ...]
    hopeless: tuple[RefusedRequest, ...] = ()

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)


class RefusedRequest(msgspec.Struct, frozen=True, gc=False):
    """A row of the outbox that nothing can be made of, and why."""

    id: str
    reason: str


class Outcome(StrEnum):
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ReportAttempt(msgspec.Struct, frozen=True):
    """A worker's word on an attempt. `retry_count` None means the current attempt. Reply: `Accepted`.

    An attempt that runs in a batch is named by `batch_id` instead: clients know a batch's items, not their attempts.
    `payload` is the output (JSON text, already normalised) for COMPLETED, the error text for FAILED. `worker` is what
    the worker calls itself: its id, or its name, or nothing. Invocations of a durable task may share an attempt, and
    reports do not number them; those of a worker that is not the present one are told apart by it. `at_us` is when it
    happened by the worker's clock; None if it does not say.
    """

    task_id: str
    retry_count: int | None
    outcome: Outcome
    payload: str = ""
    is_retryable: bool = True
    retry_after_us: int | None = None
    batch_id: str | None = None
    worker: str = ""
    at_us: int | None = None

    needs: ClassVar = NOTHING

    @property
    def is_repeatable(self) -> bool:
        # One that names no attempt is about the present one, which may be the next one by then.
        return self.retry_count is not None or self.batch_id is not None

    @property
    def chars(self) -> int:
        return len(self.payload)


class Accepted(msgspec.Struct, frozen=True):
    """`is_current` is False when the report was stale and changed nothing; the worker is answered OK all the same."""

    is_current: bool


class RefreshTimeout(msgspec.Struct, frozen=True):
    """Moves the execution deadline by `by_us` from where it stands. Reply: the new deadline in microseconds."""

    task_id: str
    by_us: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ReleaseSlot(msgspec.Struct, frozen=True):
    """Frees the worker's units while the attempt runs on. Idempotent. Reply: None."""

    task_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class CancelTasks(msgspec.Struct, frozen=True):
    """Run ids (all their tasks) or task ids; unknown ones are skipped. Reply: tuple of ids of tasks it ended."""

    ids: tuple[str, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(live_tasks=frozenset(self.ids))


class ReplayTasks(msgspec.Struct, frozen=True):
    """Run ids or task ids; those still active are skipped. Reply: tuple of ids of tasks queued again."""

    ids: tuple[str, ...]

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(tasks=frozenset(self.ids))


#: How many runs a filter may choose to be cancelled, or to be replayed (section 7.5).
CANCELLED_BY_FILTER_MAX: Final = 20_000
REPLAYED_BY_FILTER_MAX: Final = 1_000
#: Whoever cancels or replays more submits them in parts, so that other commands get their turn in between.
IDS_AT_ONCE_MAX: Final = 500


def in_parts(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The ids without repetitions, in parts for one command each."""
    distinct = tuple(dict.fromkeys(ids))
    return (distinct[start : start + IDS_AT_ONCE_MAX] for start in range(0, len(distinct), IDS_AT_ONCE_MAX))


class FailDelivery(msgspec.Struct, frozen=True):
    """An assignment could not be written to its worker's stream. Reply: None."""

    task_id: str
    retry_count: int
    reason: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RefuseDelivery(msgspec.Struct, frozen=True):
    """An assignment is larger than its worker takes. `size_bytes` is what this attempt comes to by itself: more than
    `size_bytes_max`, or less if only the batch it is in was too large. Reply: None."""

    task_id: str
    retry_count: int
    size_bytes: int
    size_bytes_max: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class PutRateLimit(msgspec.Struct, frozen=True):
    """Creates or changes a static rate limit. Reply: None."""

    key: str
    limit: int
    window_us: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class DeleteRateLimit(msgspec.Struct, frozen=True):
    """Forgets a rate limit; tasks under it wait until it is put again. Reply: None. NotFound if absent."""

    key: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ForgetRateLimits(msgspec.Struct, frozen=True):
    """Forgets dynamic rate limits that nobody used since then. Reply: how many, at most
    `ratelimits.FORGOTTEN_AT_ONCE_MAX`."""

    unused_since_us: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class PauseRateLimit(msgspec.Struct, frozen=True):
    """No units until then; an earlier instant never shortens a pause. Reply: the instant in force, in microseconds."""

    key: str
    until_us: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Resource(StrEnum):
    """What can be limited, by the names of the protocol."""

    TASK_RUN = "TASK_RUN"
    EVENT = "EVENT"
    WORKER = "WORKER"
    WORKER_SLOT = "WORKER_SLOT"
    INCOMING_WEBHOOK = "INCOMING_WEBHOOK"


class QuotaState(msgspec.Struct, frozen=True, gc=False):
    """How a resource stands now. `value` of INCOMING_WEBHOOK is 0: storage knows it. The window and when it began are
    None for what is counted as it is, the beginning also before the first use."""

    resource: Resource
    limit: int
    value: int
    window_us: int | None = None
    since_us: int | None = None


class SetQuotas(msgspec.Struct, frozen=True):
    """The tenant's own limits by resource, None for no limit; all others are the defaults. They are kept by whoever
    sets them. Reply: None."""

    limits: dict[Resource, int | None]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ShowQuotas(msgspec.Struct, frozen=True):
    """Reply: tuple of `QuotaState`, empty while limits are not enforced."""

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class CreateCron(msgspec.Struct, frozen=True, kw_only=True):
    """A cron made by a person or program. Reply: its id. NotFound for an unknown workflow, AlreadyExists for the same
    workflow, name and expression."""

    workflow_name: str
    name: str
    expression: str
    input: str
    additional_metadata: str | None = None
    priority: int | None = None
    is_enabled: bool = True

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.input) + len(self.additional_metadata or "")


class ChangeCron(msgspec.Struct, frozen=True):
    """Changes what is given; None for `priority` and `additional_metadata` takes them away. Reply: None.

    NotFound if absent, FailedPrecondition when a declared one is to become another, AlreadyExists when the workflow has
    one of that name and expression.
    """

    cron_id: str
    is_enabled: bool | None = None
    name: str | None = None
    expression: str | None = None
    input: str | None = None
    additional_metadata: str | msgspec.UnsetType | None = msgspec.UNSET
    priority: int | msgspec.UnsetType | None = msgspec.UNSET

    is_repeatable: ClassVar = True
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.input or "") + len(self.additional_metadata or "")


class DeleteCron(msgspec.Struct, frozen=True):
    """A declared one comes back when its workflow is registered again. Reply: None. NotFound if absent."""

    cron_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RunCron(msgspec.Struct, frozen=True):
    """A run of the cron now, beside its ticks. Reply: the run id. NotFound if absent."""

    cron_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ScheduleRuns(msgspec.Struct, frozen=True, kw_only=True):
    """One run at each instant; past ones at once. Reply: `Scheduled`. NotFound for an unknown workflow."""

    workflow_name: str
    at_us: tuple[int, ...]
    input: str
    additional_metadata: str | None = None
    priority: int | None = None
    parent_run_id: str | None = None
    parent_task_id: str | None = None
    child_index: int | None = None
    child_key: str | None = None

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.at_us) * (len(self.input) + len(self.additional_metadata or ""))


class Scheduled(msgspec.Struct, frozen=True):
    """Ids of the schedules made, in request order, the version they belong to for now, and the priority they have."""

    version_id: str
    ordinal: int
    label: str
    workflow_id: str
    created_at_us: int
    updated_at_us: int
    made_at_us: int
    priority: int
    schedule_ids: tuple[str, ...]


class MoveSchedules(msgspec.Struct, frozen=True):
    """Other instants for schedules that have not been triggered. Reply: tuple of the ids it moved."""

    moves: tuple[tuple[str, int], ...]
    """(schedule id, instant in microseconds)"""

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(schedules=frozenset(schedule_id for schedule_id, _ in self.moves))


class DeleteSchedules(msgspec.Struct, frozen=True):
    """Reply: tuple of the ids it deleted; unknown and triggered ones are not among them."""

    ids: tuple[str, ...]

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(schedules=frozenset(self.ids))


class RunSchedule(msgspec.Struct, frozen=True):
    """Triggers a schedule now instead of at its instant. Reply: the run id. NotFound if absent or triggered."""

    schedule_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(schedules=frozenset((self.schedule_id,)))


class EntryRef(msgspec.Struct, frozen=True, gc=False):
    """The address of an entry of a durable task's log."""

    task_id: str
    invocation_count: int
    branch_id: int
    node_id: int


class DurableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an invocation of a durable task asks for, on the stream numbered `stream`. Reply: None; the answer is an
    effect, so that answers and results of one task leave in the order they were decided. One of a stale invocation
    is answered by telling its worker to drop it, and changes nothing."""

    stream: int
    task_id: str
    invocation_count: int


class DurableOperation(DurableRequest, frozen=True, kw_only=True):
    """A request that takes the next node. `after` is the node its invocation had come to when it was asked, None if
    that is not known: then the tenant's own count stands. The answer carries the `number` by which the stream knows the
    request; one that has a number may be decided again, and is answered with what was recorded the first time."""

    number: int = 0
    after: int | None = None


class Place(msgspec.Struct, frozen=True, gc=False):
    """How far an invocation has come: the node of its latest operation, and the last place in the order of results it
    was sent, None if that is not known."""

    node: int
    order: int | None


class FindPlace(msgspec.Struct, frozen=True):
    """Asks how far an invocation has come. Reply: `Place`; None when it is over or nobody knows."""

    task_id: str
    invocation_count: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Told(msgspec.Struct, frozen=True, gc=False):
    """What a stream knows of an invocation that speaks on it. `waiting` are (branch, node) of entries it waits for
    whose results were not put on the stream; `order_at_us` is when the last one was."""

    task_id: str
    invocation_count: int
    node: int | None
    order: int | None
    order_at_us: int
    waiting: tuple[tuple[int, int], ...]


class ResumeInvocations(msgspec.Struct, frozen=True):
    """The stream has outlived the tenant's memory: invocations go on from what was told on it. Reply: None."""

    stream: int
    invocations: tuple[Told, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class BeginMemo(DurableOperation, frozen=True):
    """Asks for the memo at the next node."""

    @property
    def is_repeatable(self) -> bool:
        return self.number > 0

    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class CompleteMemo(DurableRequest, frozen=True):
    """Keeps the value of a memo (JSON text). Not answered."""

    branch_id: int
    node_id: int
    payload: str

    is_repeatable: ClassVar = True
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.payload)


class SpawnChildren(DurableOperation, frozen=True):
    """Creates a run per request, each at a node of its own; all or none. InvalidArgument as for `TriggerRuns`."""

    requests: tuple[RunRequest, ...]

    @property
    def is_repeatable(self) -> bool:
        return self.number > 0

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)

    @property
    def needs(self) -> Needs:
        keys = frozenset(request.child_key for request in self.requests if request.child_key)
        return Needs(children=frozenset((self.task_id, key) for key in keys)) if keys else NOTHING


class BeginWait(DurableOperation, frozen=True):
    """Waits for the conditions, at the next node."""

    conditions: tuple[Condition, ...]
    label: str = ""

    @property
    def is_repeatable(self) -> bool:
        return self.number > 0

    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(events=_looked_back_at(self.conditions))


Operation = BeginMemo | SpawnChildren | BeginWait


class EvictInvocation(DurableRequest, frozen=True):
    """The worker gives a waiting invocation back. `arrived_order` is the last place in the order of results that had
    surely arrived there when it said so; None if nobody knows."""

    reason: str = ""
    arrived_order: int | None = None

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ReportWaiting(msgspec.Struct, frozen=True):
    """A worker lists the entries its durable tasks wait for. `received` are (task id, invocation, place in the order
    up to which it has results). Reply: None."""

    stream: int
    entries: tuple[EntryRef, ...]
    received: tuple[tuple[str, int, int], ...] = ()

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RegisterSignal(msgspec.Struct, frozen=True):
    """A wait of the older protocol, known by (task, key); repeating it changes nothing. Reply: None. NotFound for a
    task that is not running."""

    task_id: str
    key: str
    conditions: tuple[Condition, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(live_tasks=frozenset((self.task_id,)), events=_looked_back_at(self.conditions))


class RestoreTask(msgspec.Struct, frozen=True):
    """Queues an evicted task again. Reply: whether it was evicted."""

    task_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(tasks=frozenset((self.task_id,)))


class BranchTask(msgspec.Struct, frozen=True):
    """Takes a new branch off `branch_id` (0 for the present one) at `node_id` and replays the task on it. Reply:
    `EntryRef` of the fork, with the new branch. NotFound for an unknown task, branch or node."""

    task_id: str
    node_id: int
    branch_id: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(tasks=frozenset((self.task_id,)))


Command = (
    PutWorkflow
    | DeleteWorkflow
    | PauseWorkflow
    | UnpauseWorkflow
    | RegisterWorker
    | OpenStream
    | CloseStream
    | OpenDurableStream
    | CloseDurableStream
    | Heartbeat
    | UnregisterWorker
    | PutWorkerLabels
    | PauseWorker
    | TriggerRuns
    | PushEvents
    | CreateFilter
    | ChangeFilter
    | DeleteFilter
    | TakeOutbox
    | ReportAttempt
    | RefreshTimeout
    | ReleaseSlot
    | CancelTasks
    | ReplayTasks
    | FailDelivery
    | RefuseDelivery
    | PutRateLimit
    | DeleteRateLimit
    | ForgetRateLimits
    | PauseRateLimit
    | SetQuotas
    | ShowQuotas
    | CreateCron
    | ChangeCron
    | DeleteCron
    | RunCron
    | ScheduleRuns
    | MoveSchedules
    | DeleteSchedules
    | RunSchedule
    | BeginMemo
    | CompleteMemo
    | SpawnChildren
    | BeginWait
    | EvictInvocation
    | ReportWaiting
    | FindPlace
    | ResumeInvocations
    | RegisterSignal
    | RestoreTask
    | BranchTask
)

Reply = (
    None
    | bool
    | str
    | int
    | tuple[str, ...]
    | tuple[PushedEvent, ...]
    | tuple[RefusedRequest, ...]
    | tuple[QuotaState, ...]
    | PutWorkflowReply
    | Accepted
    | IdempotencyCollision
    | Scheduled
    | EntryRef
    | Place
)
