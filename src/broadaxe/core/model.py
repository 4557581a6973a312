"""The live objects of a tenant: what scheduling needs to know, and nothing else.

Mutable and slotted; only the modules of `core` touch them. Payloads are not here: a task's `output` and `error` pass
through on the way to the ledger (the error of a failed task stays while its run lives, for the on-failure task).
Instants are microseconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.decision import FilterRow, RunRow, RunState, TaskRow, TaskState, VersionRow, WorkerRow, WorkflowRow
from broadaxe.core.definition import ConcurrencyRule, LabelRequirement, TaskDefinition, WorkflowDefinition
from broadaxe.core.lifecycle import TERMINAL, RunStatus, TaskStatus

if TYPE_CHECKING:
    from broadaxe.core.batching import Batch, Gathering
    from broadaxe.core.concurrency import Ticket
    from broadaxe.core.conditions import Gate
    from broadaxe.core.crews import Room
    from broadaxe.core.debounce import Burst
    from broadaxe.core.durable_log import DurableLog
    from broadaxe.core.keys import RunKeys
    from broadaxe.core.queues import Waiting

#: Level of the worker queue above every priority a user can give: retries, reassignments, replays.
RETRY_PRIORITY = 4

#: Shared by the many runs without workflow-level concurrency; never written to.
NOTHING_HELD_BACK: Final[dict[str, Task]] = {}

_ENDED_BADLY: Final = (TaskStatus.FAILED, TaskStatus.CANCELLED)


class Version:
    """A workflow version with its DAG compiled to positions: `definitions[i]` is the task at position i, the on-failure
    task and the key task (if any) last. The key task is a parent of every task that has no other."""

    __slots__ = (
        "checksum",
        "children",
        "definition",
        "definitions",
        "has_expressions",
        "id",
        "key_position",
        "on_failure_position",
        "ordinal",
        "parents",
        "spellings",
        "watchers",
        "workflow",
    )

    def __init__(self, row: VersionRow, workflow: Workflow) -> None:
        self.id = row.id
        self.workflow = workflow
        self.ordinal = row.ordinal
        self.checksum = row.checksum
        self.definition: WorkflowDefinition = row.definition
        tasks = row.definition.tasks
        on_failure, key_task = row.definition.on_failure, row.definition.key_task
        extra = [task for task in (on_failure, key_task) if task is not None]
        self.definitions: tuple[TaskDefinition, ...] = (*tasks, *extra)
        self.on_failure_position: int | None = None if on_failure is None else len(tasks)
        self.key_position: int | None = None if key_task is None else len(self.definitions) - 1
        position = {task.name: index for index, task in enumerate(tasks)}
        root: tuple[int, ...] = () if self.key_position is None else (self.key_position,)
        self.parents: tuple[tuple[int, ...], ...] = (
            *(tuple(position[name] for name in task.parents) or root for task in tasks),
            *(() for _ in extra),
        )
        children: list[list[int]] = [[] for _ in self.definitions]
        for index, parents in enumerate(self.parents):
            for parent in parents:
                children[parent].append(index)
        self.children: tuple[tuple[int, ...], ...] = tuple(tuple(indexes) for indexes in children)
        self.spellings: tuple[tuple[str, int], ...] = tuple(
            (spelling, index) for index, task in enumerate(tasks) for spelling in task.spellings
        )
        """Further names of tasks, under which other tasks look for their outputs."""

        self.has_expressions = bool(row.definition.concurrency) or any(
            definition.concurrency
            or definition.rate_limits
            or (definition.batch is not None and definition.batch.group_key_expression)
            or definition.conditions
            for definition in self.definitions
        )
        watchers: dict[int, list[tuple[int, int]]] = {}
        for index, definition in enumerate(self.definitions):
            for number, rule in enumerate(definition.conditions):
                if rule.parent:
                    watchers.setdefault(position[rule.parent], []).append((index, number))
        self.watchers = watchers
        """By position: the conditions on that task, as (position, number) of those who declare them."""

    @property
    def is_dag(self) -> bool:
        return len(self.definitions) > 1

    def rules_of(self, position: int) -> tuple[ConcurrencyRule, ...]:
        """The concurrency rules a task acquires itself, in order. In a single-task run the workflow's come first."""
        own = self.definitions[position].concurrency
        return own if self.is_dag else self.definition.concurrency + own


class Pause(msgspec.Struct, frozen=True, gc=False):
    """How a workflow is paused (semantics 5.11)."""

    since_us: int
    queue_ttl_us: int
    """The age at which a waiting task is cancelled, counted from the task's creation."""
    crons: WhilePaused
    schedules: WhilePaused
    by: str
    """Who said so last; empty if nobody knows."""


class Workflow:
    __slots__ = (
        "created_at_us", "deleted_at_us", "description", "filters", "id", "latest", "name", "pause", "unpaused_at_us",
        "updated_at_us", "was_paused",
    )  # fmt: skip

    def __init__(self, row: WorkflowRow) -> None:
        self.id = row.id
        self.name = row.name
        self.description = row.description
        self.created_at_us = row.created_at_us
        self.updated_at_us = row.updated_at_us
        self.deleted_at_us = row.deleted_at_us
        self.latest: Version | None = None
        self.filters: dict[str, dict[str, Filter]] = {}
        """Its event filters by scope and id."""
        self.pause: Pause | None = None
        if row.paused_at_us is not None:
            ttl_us, crons, schedules = row.paused_queue_ttl_us, row.paused_crons, row.paused_schedules
            assert ttl_us is not None and crons is not None and schedules is not None
            self.pause = Pause(row.paused_at_us, ttl_us, crons, schedules, row.paused_by)
        self.unpaused_at_us = row.unpaused_at_us
        self.was_paused = self.pause is not None or self.unpaused_at_us is not None
        """It is paused, or was at some time; else no deadline of its tasks is other than the row says."""

    def row(self) -> WorkflowRow:
        pause = self.pause
        return WorkflowRow(
            self.id,
            self.name,
            self.description,
            self.created_at_us,
            self.updated_at_us,
            self.deleted_at_us,
            None if pause is None else pause.since_us,
            None if pause is None else pause.queue_ttl_us,
            None if pause is None else pause.crons,
            None if pause is None else pause.schedules,
            self.unpaused_at_us,
            "" if pause is None else pause.by,
        )

    def queue_deadline_us(self, created_at_us: int, due_at_us: int, schedule_timeout_us: int) -> int:
        """When a queued task is given up whose row says `due_at_us`. While the workflow is paused its age counts; every
        task that waited when it was unpaused has a whole schedule timeout from then on."""
        if self.pause is not None:
            return created_at_us + self.pause.queue_ttl_us
        if self.unpaused_at_us is None:
            return due_at_us
        return max(due_at_us, self.unpaused_at_us + schedule_timeout_us)


class Filter:
    """An event filter of a workflow."""

    __slots__ = (
        "created_at_us", "expression", "id", "is_declared", "is_touched", "payload", "scope", "updated_at_us",
        "workflow",
    )  # fmt: skip

    def __init__(self, row: FilterRow, workflow: Workflow) -> None:
        self.id = row.id
        self.workflow = workflow
        self.scope = row.scope
        self.expression = row.expression
        self.payload = row.payload
        self.is_declared = row.is_declared
        self.created_at_us = row.created_at_us
        self.updated_at_us = row.updated_at_us
        self.is_touched = False

    def row(self) -> FilterRow:
        return FilterRow(
            self.id,
            self.workflow.id,
            self.scope,
            self.expression,
            self.payload,
            self.is_declared,
            self.created_at_us,
            self.updated_at_us,
        )


class Run:
    """A run with its tasks by position; None for a task that does not exist yet."""

    __slots__ = (
        "burst",
        "finished_at_us",
        "held",
        "held_back",
        "input_bytes",
        "is_touched",
        "keys",
        "labels",
        "row",
        "started_at_us",
        "status",
        "tasks",
        "tickets",
        "verdicts",
        "version",
        "waiting_ticket",
    )  # fmt: skip

    def __init__(self, row: RunRow, version: Version) -> None:
        self.row = row
        self.version = version
        self.status = RunStatus.QUEUED
        self.started_at_us: int | None = None
        self.finished_at_us: int | None = None
        self.tasks: list[Task | None] = [None] * len(version.definitions)
        self.is_touched = False
        self.input_bytes = 0
        """Size of its input as it was triggered; unknown (0) after a load."""
        self.keys: RunKeys | None = None
        """What its expressions said, None when it has none."""
        self.labels: tuple[LabelRequirement, ...] | None = None
        """Desired worker labels given with the trigger; they replace those of every task."""
        self.held = 0
        """How many of the workflow's concurrency rules it holds a slot of, as a DAG run."""
        self.tickets: tuple[Ticket, ...] = ()
        self.waiting_ticket: Ticket | None = None
        self.verdicts: set[tuple[int, int]] | None = None
        """Conditions on tasks that are true, as (position, number) of those who declare them."""
        self.held_back: dict[str, Task] = NOTHING_HELD_BACK
        """Queued tasks that wait for the run's own slots."""
        self.burst: Burst | None = None
        """The burst it is the waiting run of."""

    @property
    def id(self) -> str:
        return self.row.id

    def existing(self) -> Iterator[Task]:
        return (task for task in self.tasks if task is not None)

    @property
    def is_postponed(self) -> bool:
        """A root task of it waits for a burst to end."""
        return any(task.status is TaskStatus.BACKOFF and task.retry_count == 0 for task in self.existing())

    def told(self) -> Iterator[Task]:
        """Existing tasks that callers are told about: a key task only when it is to blame for the run's end."""
        key = self.version.key_position
        if key is None:
            return self.existing()
        return (task for task in self.existing() if task.position != key or task.status in _ENDED_BADLY)

    def statuses(self) -> list[TaskStatus | None]:
        """What the run's own status follows from, None for a task that does not exist yet. Asking for a group key is
        no progress; failing to get one is a failure."""
        statuses = [None if task is None else task.status for task in self.tasks]
        key = self.version.key_position
        if key is not None and statuses[key] not in _ENDED_BADLY:
            del statuses[key]
        return statuses

    def state(self) -> RunState:
        return RunState(self.row.id, self.status, self.started_at_us, self.finished_at_us, self.held)


class Task:
    __slots__ = (
        "app_retry_count",
        "assigned_at_us",
        "batch",
        "batch_id",
        "children",
        "confirm_by_us",
        "created_at_us",
        "cut_off_at_us",
        "definition",
        "due_at_us",
        "error",
        "event_count",
        "fairness_key",
        "finished_at_us",
        "gate",
        "gathering",
        "held",
        "id",
        "internal_retry_count",
        "is_new",
        "is_touched",
        "log",
        "output",
        "position",
        "queue_priority",
        "queued_at_us",
        "resting",
        "retry_count",
        "run",
        "slot_released",
        "started_at_us",
        "status",
        "tickets",
        "waiting",
        "waiting_ticket",
        "was_limited",
        "was_requeued",
        "worker",
        "worker_behind_us",
        "worker_id",
    )  # fmt: skip

    def __init__(self, task_id: str, run: Run, position: int, status: TaskStatus, created_at_us: int) -> None:
        self.id = task_id
        self.run = run
        self.position = position
        self.definition: TaskDefinition = run.version.definitions[position]
        self.status = status
        self.created_at_us = created_at_us
        self.retry_count = 0
        self.app_retry_count = 0
        self.internal_retry_count = 0
        self.queue_priority: int = run.row.priority
        self.worker: Worker | None = None
        self.worker_id: str | None = None
        """The worker of the latest attempt, also when it is not in memory any more."""
        self.slot_released = False
        self.event_count = 0
        self.queued_at_us: int | None = None
        self.assigned_at_us: int | None = None
        self.started_at_us: int | None = None
        self.finished_at_us: int | None = None
        self.worker_behind_us = 0
        """By how much the clock of the present attempt's worker is behind ours, as far as that is known."""
        self.due_at_us: int | None = None
        self.confirm_by_us: int | None = None
        self.cut_off_at_us: int | None = None
        """When the present attempt was last cut off from the engine, by the engine's own absence or by the end of the
        stream its durable operations go by; None if it never was."""
        self.output: str | None = None
        self.error: str | None = None
        self.children: dict[str, str] | None = None
        """Child runs spawned by this task: dedupe key (child key, else child index as text) -> run id."""
        self.is_new = True
        self.is_touched = False
        self.waiting: Waiting | None = None
        """Its place in its action's queue."""
        self.fairness_key: str | None = None
        self.gathering: Gathering | None = None
        """Its place in its batch group, for an item of a batch task."""
        self.batch: Batch | None = None
        """The batch whose unit it shares on its worker."""
        self.batch_id: str | None = None
        """The batch that its present attempt was sent in. It names the attempt for as long as that runs, also when its
        share of the unit was given back."""
        self.held = 0
        """How many of its concurrency rules it holds a slot of."""
        self.tickets: tuple[Ticket, ...] = ()
        self.waiting_ticket: Ticket | None = None
        self.resting: dict[int, Ticket] | None = None
        """Its rules, by place, whose slots it has yet to acquire for its next attempt (`concurrency.rest`)."""
        self.log: DurableLog | None = None
        """Of a durable task, from its first assignment."""
        self.gate: Gate | None = None
        """The conditions it waits for before it is decided."""
        self.was_limited = False
        """REQUEUED_RATE_LIMIT was recorded for the present wait."""
        self.was_requeued = False
        """REQUEUED_NO_WORKER was recorded for the present wait."""

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_tried_again(self) -> bool:
        """An attempt of it has ended, and another followed or will (a replay begins from the start)."""
        return self.app_retry_count + self.internal_retry_count > 0

    @property
    def deadline_us(self) -> int | None:
        """When its present wait or run ends by itself: `due_at_us`, as the row has it, unless a pause says otherwise.
        So pausing and unpausing write nothing per task."""
        due_at_us = self.due_at_us
        workflow = self.run.version.workflow
        if due_at_us is None or not workflow.was_paused or self.status is not TaskStatus.QUEUED:
            return due_at_us
        return workflow.queue_deadline_us(self.created_at_us, due_at_us, self.definition.schedule_timeout_us)

    def row(self) -> TaskRow:
        version = self.run.version
        return TaskRow(
            self.id,
            self.run.row.id,
            version.workflow.id,
            self.definition.id,
            self.definition.name,
            self.definition.action_id,
            display_name(self.definition.name, self.created_at_us),
            self.created_at_us,
        )

    def state(self) -> TaskState:
        return TaskState(
            self.id,
            self.status,
            self.retry_count,
            self.app_retry_count,
            self.internal_retry_count,
            self.queue_priority,
            self.worker_id,
            self.slot_released,
            self.event_count,
            self.queued_at_us,
            self.assigned_at_us,
            self.started_at_us,
            self.finished_at_us,
            self.due_at_us,
            self.output,
            self.error,
            self.held,
            self._batch_id(),
        )

    def _batch_id(self) -> str | None:
        """The batch it runs in. An item that still gathers is marked with its own id: its rate-limit units are taken,
        so after a load it goes back to its group and not to the queue before it."""
        return self.batch_id if self.gathering is None else self.id


class Worker:
    __slots__ = (
        "actions", "created_at_us", "durable_stream", "free", "heartbeat_kept_at_us", "id", "is_paused", "is_touched",
        "labels", "last_heartbeat_at_us", "listening_since_us", "name", "paused_by", "resting", "running", "runtime",
        "session", "silent_at_us", "slots", "speaks_durably", "speech_due_at_us", "turn_count", "turns",
        "updated_at_us", "waited_for_since_us",
    )  # fmt: skip

    def __init__(self, row: WorkerRow) -> None:
        self.id = row.id
        self.name = row.name
        self.actions = row.actions
        self.turns: dict[str, int] = {action_id: turn for turn, action_id in enumerate(row.actions)}
        """When each of its actions had its turn, that of the task it was given last at the end: whose turn is next when
        something is free."""
        self.turn_count = len(self.turns)
        self.resting: list[tuple[Room, int]] = []
        """Where nobody looks at it until it is woken (`crews.py`)."""
        self.slots = row.slots
        self.free = dict(row.slots)
        self.labels: dict[str, LabelValue] = dict(row.labels)
        self.runtime = row.runtime
        self.is_paused = row.is_paused
        self.paused_by = row.paused_by
        self.created_at_us = row.created_at_us
        self.updated_at_us = row.updated_at_us
        self.last_heartbeat_at_us = row.last_heartbeat_at_us
        self.heartbeat_kept_at_us = row.last_heartbeat_at_us
        """The heartbeat that its row tells of, or will after this round."""
        self.listening_since_us = row.listening_since_us
        self.session: int | None = None
        """The newest open assignment stream, None while there is none."""
        self.speaks_durably = row.speaks_durably
        """It has had a stream for its durable tasks, and is taken to have one again soon if it has none now."""
        self.durable_stream: int | None = None
        """The newest open one, None while there is none."""
        self.speech_due_at_us: int | None = None
        """When it is taken to do without one, should none come."""
        self.running: dict[str, Task] = {}
        """Attempts assigned here whose units are held, by task id."""
        self.silent_at_us: int | None = None
        self.waited_for_since_us = 0
        """Its silence does not count before that: nobody could have heard it."""
        self.is_touched = False

    def row(self) -> WorkerRow:
        return WorkerRow(
            self.id,
            self.name,
            self.actions,
            self.slots,
            dict(self.labels),
            self.runtime,
            self.is_paused,
            self.session is not None,
            self.created_at_us,
            self.updated_at_us,
            self.last_heartbeat_at_us,
            self.listening_since_us,
            self.speaks_durably,
            self.paused_by,
        )

    @property
    def takes_durable_tasks(self) -> bool:
        return self.durable_stream is not None or not self.speaks_durably

    def has_room_for(self, slots: dict[str, int]) -> bool:
        free = self.free
        return all(free.get(slot_type, 0) >= units for slot_type, units in slots.items())

    def take(self, slots: dict[str, int]) -> None:
        for slot_type, units in slots.items():
            self.free[slot_type] = self.free.get(slot_type, 0) - units

    def give_back(self, slots: dict[str, int]) -> None:
        for slot_type, units in slots.items():
            self.free[slot_type] = self.free.get(slot_type, 0) + units


def display_name(name: str, created_at_us: int) -> str:
    """Label of a task or run: ``<name>-<unix ms>``."""
    return f"{name}-{created_at_us // 1000}"
