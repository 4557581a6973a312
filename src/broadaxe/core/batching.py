"""Batch tasks: items gather in groups, and a group that is ripe goes to one worker as one unit (section 2.10).

A group is (task definition, key). It ripens when it holds `max_size` items, when `interval` has passed since its last
flush (or since it was made), or when its inputs weigh more than `PAYLOAD_BYTES_MAX`. A ripe group waits in its action's
queue until a worker has a free `default` unit; which items go is decided then: the most urgent, first come first. At
most `group_max_runs` batches of a group run at once.

A batch is cut before its inputs weigh more than that; what is too heavy by itself goes alone.

Items keep their own status, attempts, retries and deadlines; the batch only shares the worker's unit, which is given
back when its last item has ended. Concurrency slots and rate-limit units are taken per item before it gathers.
"""

from __future__ import annotations

import heapq
from typing import Final, TypeAlias

from broadaxe.core.definition import BatchRule
from broadaxe.core.model import Task, Worker
from broadaxe.core.queues import Shape

PAYLOAD_BYTES_MAX: Final = 4_000_000
#: What an item takes of a message beside its input.
ITEM_BYTES: Final = 256
#: What a batch takes of a worker, whatever its size.
UNITS: Final = {"default": 1}

#: (task definition id, group key)
GroupId: TypeAlias = tuple[str, str]


class Gathering:
    """One item's stay in a group. `task` is None once it has left."""

    __slots__ = ("group", "task")

    def __init__(self, task: Task, group: BatchGroup) -> None:
        self.task: Task | None = task
        self.group = group


class BatchGroup:
    __slots__ = (
        "_items",
        "arrivals",
        "count",
        "flush_at_us",
        "id",
        "is_over",
        "rule",
        "running",
        "shape",
        "size_bytes",
    )

    def __init__(self, group_id: GroupId, shape: Shape, rule: BatchRule) -> None:
        self.id = group_id
        self.shape = shape
        """What a batch needs of a worker."""
        self.rule = rule
        self.flush_at_us: int | None = None
        """When the interval is over; None while no item has come since the last one was."""
        self.is_over = False
        """The interval has passed since the last flush."""
        self.count = 0
        self.size_bytes = 0
        self.arrivals = 0
        self.running: set[str] = set()
        """Ids of its batches that run."""
        self._items: list[tuple[int, int, Gathering]] = []

    def add(self, task: Task) -> None:
        gathering = task.gathering = Gathering(task, self)
        self.arrivals += 1
        heapq.heappush(self._items, (-task.queue_priority, self.arrivals, gathering))
        self.count += 1
        self.size_bytes += task.run.input_bytes

    def remove(self, task: Task) -> None:
        if task.gathering is not None:
            task.gathering.task = None
            task.gathering = None
            self.count -= 1
            self.size_bytes -= task.run.input_bytes

    def take(self) -> list[Task]:
        """The items of the next batch, the most urgent first."""
        items: list[Task] = []
        size_bytes = 0
        while len(items) < self.rule.max_size and (task := self.head()) is not None:
            size_bytes += task.run.input_bytes + ITEM_BYTES
            if items and size_bytes > PAYLOAD_BYTES_MAX:
                break
            self.remove(task)
            items.append(task)
        return items

    def head(self) -> Task | None:
        while self._items:
            task = self._items[0][2].task
            if task is not None:
                return task
            heapq.heappop(self._items)
        return None

    def reason_to_flush(self) -> str | None:
        """Why the group is ripe, None while it is not."""
        if not self.count or len(self.running) >= self.rule.group_max_runs:
            return None
        if self.count >= self.rule.max_size:
            return "batch is full"
        if self.size_bytes > PAYLOAD_BYTES_MAX:
            return "payload size"
        return "interval elapsed" if self.is_over else None


class Batch:
    """Items that were sent to a worker together, until the last of them has ended."""

    __slots__ = ("group", "id", "live", "worker")

    def __init__(self, batch_id: str, group: BatchGroup, worker: Worker) -> None:
        self.id = batch_id
        self.group = group
        self.worker = worker
        self.live: set[str] = set()
