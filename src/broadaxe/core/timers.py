"""One heap for every deadline of a tenant.

An alarm is (instant, kind, subject). Alarms are never moved: a subject whose deadline changes arms a new alarm and the
old one turns stale, which is noticed when it surfaces. So that stale alarms do not keep finished and sleeping tasks in
memory (some 2 KB each), the heap is rebuilt once an eighth of it is stale: arm and disarm cost O(log n) amortised.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from broadaxe.core.alerts import Rule, Watch
    from broadaxe.core.batching import BatchGroup
    from broadaxe.core.calendar import Cron, Schedule
    from broadaxe.core.claims import Claims
    from broadaxe.core.dormant import Dormant
    from broadaxe.core.durable_log import DurableLog
    from broadaxe.core.model import Task, Worker
    from broadaxe.core.queues import Lane, Segment
    from broadaxe.core.quotas import Quotas
    from broadaxe.core.waits import Wait

_STALE_MIN: Final = 1024
#: One stale alarm in so many is too many.
_STALE_SHARE: Final = 8


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
    SEGMENT_DUE = 5
    """The first deadline among tasks that are not in memory."""
    CLAIMS_EXPIRE = 6
    """The time of some idempotency keys is over."""
    CRON_DUE = 7
    """The cron's next tick."""
    SCHEDULE_DUE = 8
    """The instant of a schedule."""
    WAIT_DUE = 9
    """The earliest sleep of a wait is over."""
    ORDER_STALLED = 10
    """A durable task has held a result back long enough for one that should come before it."""
    DORMANT_DUE = 11
    """The earliest sleep of a task that is not in memory is over."""
    DURABLE_STREAM_MISSED = 13
    """A worker that had a durable stream has been without one for too long."""
    OUTBOX_WAITS = 12
    """Rows that had to stay in the outbox for want of room may find some."""
    ALERT_DUE = 14
    """An alert rule, or one of the things it watches, is to be looked at."""


Subject: TypeAlias = (
    "Task | Worker | Lane | BatchGroup | Segment | Claims | Cron | Schedule | Wait | DurableLog | Dormant | Quotas"
    "| Rule | Watch"
)
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
        if self._stale > _STALE_MIN and self._stale * _STALE_SHARE > len(self._heap):
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

    def alarms(self) -> Sequence[Alarm]:
        """All alarms as a heap (`heaps.in_order`), stale ones among them. To be read only."""
        return self._heap

    def __len__(self) -> int:
        return len(self._heap)


#: Where a subject carries its deadline of each kind.
_DEADLINE: Final[dict[AlarmKind, Callable[[Any], int | None]]] = {
    AlarmKind.TASK_DUE: attrgetter("deadline_us"),
    AlarmKind.DELIVERY_UNCONFIRMED: attrgetter("confirm_by_us"),
    AlarmKind.WORKER_SILENT: attrgetter("silent_at_us"),
    AlarmKind.LIMIT_REFILLED: attrgetter("parked_until_us"),
    AlarmKind.BATCH_INTERVAL: attrgetter("flush_at_us"),
    AlarmKind.SEGMENT_DUE: attrgetter("deadline_us"),
    AlarmKind.CLAIMS_EXPIRE: attrgetter("sweep_at_us"),
    AlarmKind.CRON_DUE: attrgetter("next_tick_us"),
    AlarmKind.SCHEDULE_DUE: attrgetter("due_at_us"),
    AlarmKind.WAIT_DUE: attrgetter("due_at_us"),
    AlarmKind.ORDER_STALLED: attrgetter("stalled_at_us"),
    AlarmKind.DORMANT_DUE: attrgetter("due_at_us"),
    AlarmKind.DURABLE_STREAM_MISSED: attrgetter("speech_due_at_us"),
    AlarmKind.OUTBOX_WAITS: attrgetter("outbox_waits_until_us"),
    AlarmKind.ALERT_DUE: attrgetter("due_at_us"),
}


def is_valid(alarm: Alarm) -> bool:
    """Whether the subject still carries this deadline."""
    return _DEADLINE[alarm[2]](alarm[3]) == alarm[0]
