"""One queue per action id: who waits, and which worker may take the next one.

Order inside a queue is priority descending, then arrival (section 2.2). Queues are independent of each other. A task
that leaves a queue other than by assignment (a cancel, a timeout) stays in its deque as a dead entry and is dropped
when it surfaces, or when the dead outnumber the living: cancelling costs O(1) amortised whatever the backlog, and
finished tasks do not stay in memory because nothing happens in their queue.

Picking the next task is O(1) amortised, picking its worker O(workers of the action); neither grows with the backlog.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from broadaxe.core.model import RETRY_PRIORITY, Task, Worker

#: A worker takes new tasks while its last heartbeat is at most this old. Clients send one every 4 s; the margin keeps a
#: single late one from stopping assignment (grpc specification 4.4).
HEARTBEAT_FRESH_US = 10_000_000

_DEAD_MIN: Final = 1024


class ActionQueue:
    __slots__ = ("_dead", "_levels", "_next_worker", "action_id", "workers")

    def __init__(self, action_id: str) -> None:
        self.action_id = action_id
        self.workers: list[Worker] = []
        self._levels: tuple[deque[Task], ...] = tuple(deque() for _ in range(RETRY_PRIORITY + 1))
        self._dead = 0
        self._next_worker = 0

    def push(self, task: Task) -> None:
        if task.is_buried:
            # Back before its dead entry surfaced: that one must not come to life again ahead of its turn.
            for level in self._levels:
                if task in level:
                    level.remove(task)
                    self._dead -= 1
                    break
            task.is_buried = False
        self._levels[task.queue_priority].append(task)

    def bury(self, task: Task) -> None:
        """The waiting `task` ended where it stands: its entry is dead from now on."""
        task.is_buried = True
        self._dead += 1
        if self._dead > _DEAD_MIN and self._dead * 2 > len(self):
            for level in self._levels:
                living = [entry for entry in level if not entry.is_buried]
                level.clear()
                level.extend(living)
            self._dead = 0

    def __len__(self) -> int:
        """Entries, dead ones included."""
        return sum(map(len, self._levels))

    def head(self) -> Task | None:
        """The task to assign next, None when nobody waits. Dead entries above it are dropped."""
        for priority in range(RETRY_PRIORITY, 0, -1):
            level = self._levels[priority]
            while level:
                task = level[0]
                if not task.is_buried:
                    return task
                level.popleft()
                task.is_buried = False
                self._dead -= 1
        return None

    def pop_head(self) -> None:
        """Removes what `head` has just returned."""
        for priority in range(RETRY_PRIORITY, 0, -1):
            if self._levels[priority]:
                self._levels[priority].popleft()
                return

    def is_waiting(self) -> bool:
        """Whether there may be somebody in the queue (dead entries count)."""
        return any(self._levels)

    def pick_worker(self, task: Task, now_us: int) -> Worker | None:
        """The next worker in turn that may take `task`, None when there is none."""
        workers = self.workers
        count = len(workers)
        for offset in range(count):
            index = (self._next_worker + offset) % count
            worker = workers[index]
            if is_schedulable(worker, now_us) and worker.has_room_for(task.definition.slots):
                self._next_worker = (index + 1) % count
                return worker
        return None


def is_schedulable(worker: Worker, now_us: int) -> bool:
    """Connected, not paused, and heard of lately (section 2.5)."""
    heartbeat = worker.last_heartbeat_at_us
    return (
        worker.session is not None
        and not worker.is_paused
        and heartbeat is not None
        and now_us - heartbeat <= HEARTBEAT_FRESH_US
    )
