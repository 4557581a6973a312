"""One queue per action id: who waits, and which worker may take the next one.

Order inside a queue is priority descending, then arrival (section 2.2). Queues are independent of each other. A task
that leaves a queue other than by assignment (a cancel, a timeout) stays in its deque as a dead entry and is dropped
when it surfaces: cancelling costs O(1) whatever the backlog.

Picking the next task is O(1) amortised, picking its worker O(workers of the action); neither grows with the backlog.
"""

from __future__ import annotations

from collections import deque

from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import RETRY_PRIORITY, Task, Worker

#: A worker takes new tasks while its last heartbeat is at most this old. Clients send one every 4 s; the margin keeps a
#: single late one from stopping assignment (grpc specification 4.4).
HEARTBEAT_FRESH_US = 10_000_000


class ActionQueue:
    __slots__ = ("_levels", "_next_worker", "action_id", "workers")

    def __init__(self, action_id: str) -> None:
        self.action_id = action_id
        self.workers: list[Worker] = []
        self._levels: tuple[deque[Task], ...] = tuple(deque() for _ in range(RETRY_PRIORITY + 1))
        self._next_worker = 0

    def push(self, task: Task) -> None:
        self._levels[task.queue_priority].append(task)

    def head(self) -> Task | None:
        """The task to assign next, None when nobody waits. Dead entries above it are dropped."""
        for priority in range(RETRY_PRIORITY, 0, -1):
            level = self._levels[priority]
            while level:
                task = level[0]
                if task.status is TaskStatus.QUEUED and task.queue_priority == priority:
                    return task
                level.popleft()
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
