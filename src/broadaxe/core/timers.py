"""One heap for every deadline of a tenant.

An alarm is (instant, kind, subject). Alarms are never moved: a subject whose deadline changes arms a new alarm and the
old one turns stale, which is noticed when it surfaces. So that stale alarms do not keep finished tasks in memory, the
heap is rebuilt once more than half of it is stale: arm and disarm cost O(log n) amortised.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, TypeAlias

from broadaxe.core.batching import BatchGroup
from broadaxe.core.calendar import Cron, Schedule
from broadaxe.core.claims import Claims
from broadaxe.core.model import Task, Worker
from broadaxe.core.queues import Chunk, Lane

_STALE_MIN: Final = 1024


class AlarmKind(IntEnum):
    TASK_DUE = 0
    """The deadline of the task's status: schedule timeout or pause, end of backoff, execution timeout."""
    DELIVERY_UNCONFIRMED = 1
    """The stream an attempt was sent on is gone and the worker never said it started."""
    WORKER_SILENT = 2
    """The worker's last heartbeat is too old."""
    LIMIT_REFILLED = 3
    """The rate limit that parked a lane has units again."""
    BATCH_INTERVAL = 4
    """A batch group has waited long enough for more items."""
    CHUNK_DUE = 5
    """The first deadline among tasks that are not in memory."""
    CLAIMS_EXPIRE = 6
    """The time of some idempotency keys is over."""
    CRON_DUE = 7
    """The cron's next tick."""
    SCHEDULE_DUE = 8
    """The instant of a schedule."""


Subject: TypeAlias = Task | Worker | Lane | BatchGroup | Chunk | Claims | Cron | Schedule
Alarm: TypeAlias = tuple[int, int, AlarmKind, Subject]


class Timers:
    __slots__ = ("_armed", "_heap", "_stale")

    def __init__(self) -> None:
        self._heap: list[Alarm] = []
        self._armed = 0
        self._stale = 0

    def arm(self, at_us: int, kind: AlarmKind, subject: Subject) -> None:
        """`subject` must already carry `at_us` as its deadline of that kind."""
        self._armed += 1
        heapq.heappush(self._heap, (at_us, self._armed, kind, subject))

    def disarm(self) -> None:
        """Notes that one armed alarm has turned stale: its subject no longer carries that deadline."""
        self._stale += 1
        if self._stale > _STALE_MIN and self._stale * 2 > len(self._heap):
            self._heap = [alarm for alarm in self._heap if is_valid(alarm)]
            heapq.heapify(self._heap)
            self._stale = 0

    def next_due_us(self) -> int | None:
        """The earliest valid alarm's instant. Stale ones met on the way are dropped."""
        heap = self._heap
        while heap and not is_valid(heap[0]):
            heapq.heappop(heap)
            self._stale = max(0, self._stale - 1)
        return heap[0][0] if heap else None

    def pop_due(self, now_us: int) -> Iterator[tuple[AlarmKind, Subject]]:
        """Every valid alarm due by `now_us`, in order; alarms armed meanwhile for now or earlier included."""
        heap = self._heap
        while heap and heap[0][0] <= now_us:
            alarm = heapq.heappop(heap)
            if is_valid(alarm):
                yield alarm[2], alarm[3]
            else:
                self._stale = max(0, self._stale - 1)
            heap = self._heap

    def __len__(self) -> int:
        return len(self._heap)


def _task_due(subject: Subject) -> int | None:
    return subject.deadline_us if isinstance(subject, Task) else None


def _unconfirmed(subject: Subject) -> int | None:
    return subject.confirm_by_us if isinstance(subject, Task) else None


def _silent(subject: Subject) -> int | None:
    return subject.silent_at_us if isinstance(subject, Worker) else None


def _parked(subject: Subject) -> int | None:
    return subject.parked_until_us if isinstance(subject, Lane) else None


def _chunk(subject: Subject) -> int | None:
    return subject.deadline_us if isinstance(subject, Chunk) else None


def _flush(subject: Subject) -> int | None:
    return subject.flush_at_us if isinstance(subject, BatchGroup) else None


def _sweep(subject: Subject) -> int | None:
    return subject.sweep_at_us if isinstance(subject, Claims) else None


def _tick(subject: Subject) -> int | None:
    return subject.next_tick_us if isinstance(subject, Cron) else None


def _instant(subject: Subject) -> int | None:
    return subject.due_at_us if isinstance(subject, Schedule) else None


_DEADLINE: Final[dict[AlarmKind, Callable[[Subject], int | None]]] = {
    AlarmKind.TASK_DUE: _task_due,
    AlarmKind.DELIVERY_UNCONFIRMED: _unconfirmed,
    AlarmKind.WORKER_SILENT: _silent,
    AlarmKind.LIMIT_REFILLED: _parked,
    AlarmKind.BATCH_INTERVAL: _flush,
    AlarmKind.CHUNK_DUE: _chunk,
    AlarmKind.CLAIMS_EXPIRE: _sweep,
    AlarmKind.CRON_DUE: _tick,
    AlarmKind.SCHEDULE_DUE: _instant,
}


def is_valid(alarm: Alarm) -> bool:
    """Whether the subject still carries this deadline."""
    return _DEADLINE[alarm[2]](alarm[3]) == alarm[0]
