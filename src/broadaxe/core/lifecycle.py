"""The lifecycle of a task run and of a run: states, signals, one transition table, and the theory above them.

A *task run* (short: task) is one record across all its attempts. An *attempt* is one try, numbered by
``retry_count`` from 0. A task is in exactly one of these states:

    WAITING    exists, and waits for its conditions, or for its parents once more after a replay
    QUEUED     waits in its action's queue for a worker, under a schedule timeout
    BACKOFF    waits for a delay to pass before it is queued again, or for the first time (a debounced run)
    RUNNING    assigned to a worker (or to a worker that has just been lost), under an execution timeout
    EVICTED    a durable task that waits, off its worker and without a deadline of its own
    COMPLETED  the attempt returned an output
    SKIPPED    never ran, and counts as completed; its output is ``{"skipped": true}``
    FAILED     the last attempt failed and no retry is left
    CANCELLED  ended from outside: a person, a failed parent, a schedule timeout

The last four are terminal; only a replay leaves them. A task of a DAG is created when its parents resolve, not
before; WAITING exists because a replay keeps the task and its id, and for tasks with conditions. What moves a task is
a *signal*. A signal that the
table does not list for a state is illegal: it changes nothing. Signals that come from a worker have passed the
fence before they get here (``tenant.py``), so a stale report never reaches the table.

Semantics: sections 1.4 and 1.5 of the behaviour specification.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class TaskStatus(StrEnum):
    """Same members as the SQL type ``broadaxe.task_status``."""

    WAITING = "WAITING"
    QUEUED = "QUEUED"
    BACKOFF = "BACKOFF"
    RUNNING = "RUNNING"
    EVICTED = "EVICTED"
    COMPLETED = "COMPLETED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RunStatus(StrEnum):
    """Same members as the SQL type ``broadaxe.run_status``; also what people are shown for a task."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Signal(StrEnum):
    ENQUEUE = "ENQUEUE"
    SKIP = "SKIP"
    ASSIGN = "ASSIGN"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    RETRY_NOW = "RETRY_NOW"
    RETRY_LATER = "RETRY_LATER"
    HOLD = "HOLD"
    EVICT = "EVICT"
    RESTORE = "RESTORE"
    CANCEL = "CANCEL"
    REPLAY = "REPLAY"


class TaskEventType(StrEnum):
    """History entries people read. Same members as the SQL type ``broadaxe.task_event_type``."""

    REQUEUED_NO_WORKER = "REQUEUED_NO_WORKER"
    REQUEUED_RATE_LIMIT = "REQUEUED_RATE_LIMIT"
    SCHEDULING_TIMED_OUT = "SCHEDULING_TIMED_OUT"
    ASSIGNED = "ASSIGNED"
    STARTED = "STARTED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    RETRYING = "RETRYING"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    REASSIGNED = "REASSIGNED"
    SLOT_RELEASED = "SLOT_RELEASED"
    TIMEOUT_REFRESHED = "TIMEOUT_REFRESHED"
    RETRIED_BY_USER = "RETRIED_BY_USER"
    SENT_TO_WORKER = "SENT_TO_WORKER"
    RATE_LIMIT_ERROR = "RATE_LIMIT_ERROR"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CREATED = "CREATED"
    QUEUED = "QUEUED"
    SKIPPED = "SKIPPED"
    WAITING_FOR_BATCH = "WAITING_FOR_BATCH"
    BATCH_FLUSHED = "BATCH_FLUSHED"
    COULD_NOT_SEND_TO_WORKER = "COULD_NOT_SEND_TO_WORKER"
    DURABLE_EVICTED = "DURABLE_EVICTED"
    DURABLE_RESTORING = "DURABLE_RESTORING"


class RunCause(StrEnum):
    """What made a run. Same members as the SQL type ``broadaxe.run_cause``. A child run is MANUAL: its parent's program
    asked for it."""

    MANUAL = "MANUAL"
    EVENT = "EVENT"
    CRON = "CRON"
    SCHEDULE = "SCHEDULE"


class EntryKind(StrEnum):
    """Operations of a durable task. Same members as the SQL type ``broadaxe.durable_entry_kind``."""

    RUN = "RUN"
    WAIT_FOR = "WAIT_FOR"
    MEMO = "MEMO"
    SIGNAL = "SIGNAL"
    """A wait of the older protocol, known by its key instead of a node."""


TERMINAL: Final = frozenset({TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.FAILED, TaskStatus.CANCELLED})
TERMINAL_RUN: Final = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})

#: How a task may come into being (a DAG task whose parent failed is born CANCELLED).
INITIAL: Final = frozenset(
    {
        TaskStatus.WAITING,
        TaskStatus.QUEUED,
        TaskStatus.BACKOFF,
        TaskStatus.SKIPPED,
        TaskStatus.CANCELLED,
        TaskStatus.FAILED,
    }
)

TRANSITIONS: Final[dict[tuple[TaskStatus, Signal], TaskStatus]] = {
    (TaskStatus.WAITING, Signal.ENQUEUE): TaskStatus.QUEUED,
    (TaskStatus.WAITING, Signal.SKIP): TaskStatus.SKIPPED,
    (TaskStatus.WAITING, Signal.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.WAITING, Signal.FAIL): TaskStatus.FAILED,
    (TaskStatus.QUEUED, Signal.ASSIGN): TaskStatus.RUNNING,
    (TaskStatus.QUEUED, Signal.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.BACKOFF, Signal.ENQUEUE): TaskStatus.QUEUED,
    (TaskStatus.BACKOFF, Signal.HOLD): TaskStatus.WAITING,
    (TaskStatus.BACKOFF, Signal.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.RUNNING, Signal.COMPLETE): TaskStatus.COMPLETED,
    (TaskStatus.RUNNING, Signal.FAIL): TaskStatus.FAILED,
    (TaskStatus.RUNNING, Signal.RETRY_NOW): TaskStatus.QUEUED,
    (TaskStatus.RUNNING, Signal.RETRY_LATER): TaskStatus.BACKOFF,
    (TaskStatus.RUNNING, Signal.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.RUNNING, Signal.EVICT): TaskStatus.EVICTED,
    (TaskStatus.EVICTED, Signal.RESTORE): TaskStatus.QUEUED,
    (TaskStatus.EVICTED, Signal.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.COMPLETED, Signal.REPLAY): TaskStatus.WAITING,
    (TaskStatus.SKIPPED, Signal.REPLAY): TaskStatus.WAITING,
    (TaskStatus.FAILED, Signal.REPLAY): TaskStatus.WAITING,
    (TaskStatus.CANCELLED, Signal.REPLAY): TaskStatus.WAITING,
}

#: What people see for each internal status.
SHOWN_AS: Final[dict[TaskStatus, RunStatus]] = {
    TaskStatus.WAITING: RunStatus.QUEUED,
    TaskStatus.QUEUED: RunStatus.QUEUED,
    TaskStatus.BACKOFF: RunStatus.QUEUED,
    TaskStatus.RUNNING: RunStatus.RUNNING,
    TaskStatus.EVICTED: RunStatus.RUNNING,
    TaskStatus.COMPLETED: RunStatus.COMPLETED,
    TaskStatus.SKIPPED: RunStatus.COMPLETED,
    TaskStatus.FAILED: RunStatus.FAILED,
    TaskStatus.CANCELLED: RunStatus.CANCELLED,
}


def next_status(status: TaskStatus, signal: Signal) -> TaskStatus | None:
    """The status after `signal`, or None when the signal is illegal in `status`."""
    return TRANSITIONS.get((status, signal))


def run_status(statuses: Iterable[TaskStatus | None]) -> RunStatus:
    """Status of a run from its tasks' statuses, None standing for a task that does not exist yet (section 1.5)."""
    shown = [None if status is None else SHOWN_AS[status] for status in statuses]
    existing = {status for status in shown if status is not None}
    if existing <= {RunStatus.QUEUED}:
        return RunStatus.QUEUED
    if None in shown or RunStatus.QUEUED in existing or RunStatus.RUNNING in existing:
        return RunStatus.RUNNING
    if RunStatus.FAILED in existing:
        return RunStatus.FAILED
    if RunStatus.CANCELLED in existing:
        return RunStatus.CANCELLED
    return RunStatus.COMPLETED
