"""What can be asked of a tenant's live memory, and the answers: frozen records, so that another node may ask as well.

Questions change nothing and are answered between two rounds, from memory as the last round left it; what that round
decided may still be on its way to the tables. Everything here has a bound, and no answer holds a payload.

Instants are microseconds since the Unix epoch. A *place in line* counts from 1, is `IN_LINE_MAX` + 1 for everybody
behind the first `IN_LINE_MAX`, and None where there is no order to tell.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from broadaxe.core.definition import LabelRequirement, LimitStrategy
from broadaxe.core.lifecycle import TaskStatus

#: Places in a line that are told apart.
IN_LINE_MAX: Final = 1_000
#: Ids in one question, and tasks in its answer.
ASKED_MAX: Final = 100
WAITING_MAX: Final = 1_000
#: Rows of a page.
PAGE_MAX: Final = 500
#: Workers, holders, runs and parents that an answer names beside their number.
NAMED_MAX: Final = 5
#: Open waits of a task that an answer tells, and conditions of each.
WAITS_MAX: Final = 20

AnswerT = TypeVar("AnswerT")


class Question(msgspec.Struct, Generic[AnswerT], frozen=True):
    """Something to ask; the parameter is what is answered."""


# Why a task does not run ---------------------------------------------------------------------------------------------


class WorkerName(msgspec.Struct, frozen=True):
    id: str
    name: str


class Absence(StrEnum):
    """Why a worker takes nothing."""

    PAUSED = "PAUSED"
    DISCONNECTED = "DISCONNECTED"
    SILENT = "SILENT"
    NO_DURABLE_STREAM = "NO_DURABLE_STREAM"
    OTHER_LABELS = "OTHER_LABELS"
    """Only of the worker that a task belongs to: of others, `Labels` tells."""


class AbsentWorker(msgspec.Struct, frozen=True):
    worker: WorkerName
    why: Absence
    seen_at_us: int | None


class Holder(msgspec.Struct, frozen=True):
    """Who holds a slot of a key, or waits for one: a task, or a whole DAG run (then without a task)."""

    run_id: str
    run_name: str
    task_id: str | None
    task_name: str | None
    since_us: int
    """Since when it holds the slot, as far as that is known, or waits."""
    is_running: bool


class ConditionSeen(msgspec.Struct, frozen=True):
    """One thing that is waited for. Those of one group are alternatives."""

    group: int
    is_met: bool
    until_us: int | None = None
    """When the sleep is over; None for an event."""
    event_key: str = ""
    scope: str | None = None
    expression: str = ""


class WaitSeen(msgspec.Struct, frozen=True):
    """All groups of a wait are required. `action` is what becomes of a task of a DAG then: QUEUE, SKIP or CANCEL; empty
    for a durable task."""

    conditions: tuple[ConditionSeen, ...]
    action: str = ""


class ChildSeen(msgspec.Struct, frozen=True):
    run_id: str
    workflow_name: str


class ParentSeen(msgspec.Struct, frozen=True):
    """`task_id` and `status` are None while the parent waits for parents itself."""

    name: str
    task_id: str | None
    status: TaskStatus | None


class Slot(msgspec.Struct, frozen=True, tag="SLOT"):
    """Workers are there and have no room. `units` of `slot_type` are needed; `used` of `total` are taken."""

    action_id: str
    slot_type: str
    units: int
    used: int
    total: int
    workers: tuple[WorkerName, ...]
    worker_count: int
    place: int | None


class NoWorker(msgspec.Struct, frozen=True, tag="NO_WORKER"):
    """No worker offers the action. Who offered it last is not in memory: whoever has the tables may add it."""

    action_id: str
    worker: WorkerName | None = None
    seen_at_us: int | None = None


class WorkersAway(msgspec.Struct, frozen=True, tag="WORKERS_AWAY"):
    """Workers offer the action, and none of them takes anything at present."""

    action_id: str
    absent: tuple[AbsentWorker, ...]
    worker_count: int


class Labels(msgspec.Struct, frozen=True, tag="LABELS"):
    """No worker that takes tasks has the labels that are required."""

    action_id: str
    labels: tuple[LabelRequirement, ...]
    worker_count: int


class TooLarge(msgspec.Struct, frozen=True, tag="TOO_LARGE"):
    """No worker has as many slots as the task needs, however free it is."""

    action_id: str
    slot_type: str
    units: int
    units_max: int
    """What the largest worker has."""
    worker_count: int


class StickyWorker(msgspec.Struct, frozen=True, tag="STICKY_WORKER"):
    """The task belongs to one worker, which is gone, away, without room or without the labels."""

    action_id: str
    worker: WorkerName | None
    worker_id: str
    absence: Absence | None
    used: int
    total: int
    place: int | None


class Key(msgspec.Struct, frozen=True, tag="KEY"):
    """All slots of its concurrency key are held."""

    key: str
    expression: str
    strategy: LimitStrategy
    held: int
    max_runs: int
    holders: tuple[Holder, ...]
    place: int | None
    is_of_run: bool
    """The whole run waits for the slot, not the task alone."""


class RateLimit(msgspec.Struct, frozen=True, tag="RATE_LIMIT"):
    """`limit` is None for a key that nobody has put. `until_us` is None when time alone changes nothing."""

    key: str
    units: int
    left: int
    limit: int | None
    until_us: int | None
    is_paused: bool
    place: int | None


class Paused(msgspec.Struct, frozen=True, tag="PAUSED"):
    workflow_id: str
    workflow_name: str
    since_us: int
    by: str
    """Who paused it; empty if nobody knows."""


class Batch(msgspec.Struct, frozen=True, tag="BATCH"):
    """Its group gathers items, or as many batches of the group run as may."""

    key: str
    count: int
    max_size: int
    until_us: int | None
    running: int
    running_max: int


class Debounce(msgspec.Struct, frozen=True, tag="DEBOUNCE"):
    key: str
    until_us: int


class Backoff(msgspec.Struct, frozen=True, tag="BACKOFF"):
    """`attempt` is the one that comes, from 1."""

    attempt: int
    until_us: int


class Parents(msgspec.Struct, frozen=True, tag="PARENTS"):
    parents: tuple[ParentSeen, ...]
    """Those that are not over."""
    parent_count: int


class Conditions(msgspec.Struct, frozen=True, tag="CONDITION"):
    waits: tuple[WaitSeen, ...]
    wait_count: int
    is_evicted: bool


class Children(msgspec.Struct, frozen=True, tag="CHILDREN"):
    children: tuple[ChildSeen, ...]
    child_count: int
    is_evicted: bool


class Evicted(msgspec.Struct, frozen=True, tag="EVICTED"):
    """It left its worker; what it waits for is in its log only."""


class Unconfirmed(msgspec.Struct, frozen=True, tag="UNCONFIRMED"):
    """It was given to a worker whose stream broke before it said that it had begun."""

    worker: WorkerName | None
    until_us: int


class InTurn(msgspec.Struct, frozen=True, tag="IN_TURN"):
    """Nothing holds it: the next round takes it, or reads it back first."""


Reason: TypeAlias = (
    Slot
    | NoWorker
    | WorkersAway
    | Labels
    | TooLarge
    | StickyWorker
    | Key
    | RateLimit
    | Paused
    | Batch
    | Debounce
    | Backoff
    | Parents
    | Conditions
    | Children
    | Evicted
    | Unconfirmed
    | InTurn
)


class Waiting(msgspec.Struct, frozen=True):
    """A task that does not run, or runs and waits for something itself (a durable one). One that waits for parents may
    not exist yet: then it has no id and no status."""

    run_id: str
    task_id: str | None
    task_name: str
    """Empty for a task that is not in memory."""
    status: TaskStatus | None
    reason: Reason
    since_us: int | None = None
    expires_at_us: int | None = None
    """When it is given up if it still waits in a queue then."""


class WhyWaiting(Question["WaitingTasks"], frozen=True):
    """At most `ASKED_MAX` ids of runs or tasks. O(tasks of the runs + lanes and workers of their queues), and for a
    task of a long backlog a search through its ids, 16 bytes a task."""

    ids: tuple[str, ...]


class WaitingTasks(msgspec.Struct, frozen=True):
    tasks: tuple[Waiting, ...]
    """At most `WAITING_MAX`, those of each id together and in the order of the definition."""
    live: frozenset[str]
    """Those of the ids that are neither finished nor unknown."""
    is_cut: bool = False


# Time to come --------------------------------------------------------------------------------------------------------


class ComingKind(StrEnum):
    """What an alarm is for. Alarms of the engine's own upkeep are not told."""

    CRON = "CRON"
    SCHEDULE = "SCHEDULE"
    SLEEP = "SLEEP"
    RETRY = "RETRY"
    SCHEDULE_TIMEOUT = "SCHEDULE_TIMEOUT"
    EXECUTION_TIMEOUT = "EXECUTION_TIMEOUT"
    DEBOUNCE = "DEBOUNCE"
    BATCH = "BATCH"
    RATE_LIMIT = "RATE_LIMIT"


class Coming(msgspec.Struct, frozen=True):
    at_us: int
    number: int
    """Tells alarms of one instant apart, and orders them."""
    kind: ComingKind
    run_id: str | None = None
    task_id: str | None = None
    task_name: str | None = None
    workflow_id: str | None = None
    workflow_name: str | None = None
    cron_id: str | None = None
    schedule_id: str | None = None
    key: str | None = None
    """Of a rate limit, a batch or a debounce; the expression of a cron."""
    count: int = 1
    """Tasks that are concerned: those that wait for a limit, gather, or are not in memory and due from then on."""


class TimeToCome(Question["ComingPage"], frozen=True):
    """At most `PAGE_MAX` rows behind the place `after`. O(rows log rows) near the front of the heap, one pass over it
    further back or for rare kinds."""

    after: tuple[int, int] | None = None
    """(instant, number)"""
    kinds: frozenset[ComingKind] = frozenset()
    """None: all."""
    limit: int = 50


class ComingPage(msgspec.Struct, frozen=True):
    rows: tuple[Coming, ...]
    has_more: bool
    schedules_until_us: int | None
    """Schedules behind this instant are in the tables only; None when all are known here."""


# Who holds what ------------------------------------------------------------------------------------------------------


class KeySeen(msgspec.Struct, frozen=True):
    """A concurrency key that somebody holds or waits for."""

    id: tuple[str, str, str]
    key: str
    expression: str
    strategy: LimitStrategy
    max_runs: int
    is_tenant_scoped: bool
    rule_name: str
    workflow_id: str
    workflow_name: str
    task_name: str | None
    """None for a rule of the workflow."""
    held: int
    waiting: int
    holders: tuple[Holder, ...]
    waiters: tuple[Holder, ...]


class KeysInUse(Question["KeyPage"], frozen=True):
    """At most `PAGE_MAX` keys, those with the most waiting first. One pass over the keys in use."""

    search: str = ""
    """Part of the key, whatever its case."""
    workflow_id: str | None = None
    after: tuple[int, int, tuple[str, str, str]] | None = None
    """(minus waiting, minus held, id) of the last key of the page before."""
    limit: int = 50


class KeyPage(msgspec.Struct, frozen=True):
    rows: tuple[KeySeen, ...]
    has_more: bool


class QueueSeen(msgspec.Struct, frozen=True):
    """Tasks of one action that wait for a worker (or for units of a rate limit on the way there)."""

    action_id: str
    waiting: int
    oldest_us: int | None
    """When the one that waits longest was queued, as far as it is in memory."""
    workers: int
    workers_ready: int
    """Those that are connected, not paused and heard of lately."""


class QueuesInUse(Question[tuple[QueueSeen, ...]], frozen=True):
    """At most `PAGE_MAX` queues, the longest first. O(lanes and workers of queues that somebody waits in)."""


class LimitUser(msgspec.Struct, frozen=True):
    """A task that asks for units of a rate limit. Of one that works its key out for each run it is not known whether it
    ever asks for this one."""

    workflow_id: str
    workflow_name: str
    task_name: str
    units: int | None
    """None where an expression says how many."""
    key_expression: str


class LimitUsers(Question[tuple[LimitUser, ...]], frozen=True):
    """Tasks of the latest versions that ask for units of the limit, those that name it first; at most `PAGE_MAX`. One
    pass over the definitions."""

    key: str
