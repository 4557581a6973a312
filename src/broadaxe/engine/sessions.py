"""Worker streams: what has been committed and waits to be written to a worker.

A session is one open assignment stream. It is bounded by the worker's slots, since nothing is assigned beyond them.
What is still in it when it closes was never sent and goes back to the tenant.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import msgspec

from broadaxe.core.commands.workers import Arrivals, OpenStream
from broadaxe.core.decision import CancelAttempt, StartAttempt, StartBatch

#: How many of its latest attempts a session remembers.
ARRIVALS_MAX: Final = 1_000


class Assignment(msgspec.Struct, frozen=True):
    """An attempt with what its worker needs for it: JSON texts, as they were received."""

    attempt: StartAttempt
    run_input: str
    outputs: dict[str, str]
    """Outputs of its parents by task id; a parent without one is absent."""


class BatchAssignment(msgspec.Struct, frozen=True):
    """Attempts that go to their worker as one batch."""

    batch: StartBatch
    items: tuple[Assignment, ...]


Outgoing = Assignment | BatchAssignment | CancelAttempt


def attempts_of(item: Outgoing) -> tuple[StartAttempt, ...]:
    """The attempts that its worker would start."""
    if isinstance(item, Assignment):
        return (item.attempt,)
    return item.batch.items if isinstance(item, BatchAssignment) else ()


class WorkerSession:
    __slots__ = ("_arrived", "_closed", "_items", "_wake", "number", "worker_id")

    def __init__(self, worker_id: str, number: int) -> None:
        self.worker_id = worker_id
        self.number = number
        self._items: deque[Outgoing] = deque()
        self._arrived: deque[tuple[str, int]] = deque(maxlen=ARRIVALS_MAX)
        self._wake = asyncio.Event()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    def put(self, item: Outgoing) -> bool:
        """False when the session is closed and the item was not taken."""
        if self._closed:
            return False
        self._items.append(item)
        self._arrived.extend((attempt.task_id, attempt.assigned_at_us) for attempt in attempts_of(item))
        self._wake.set()
        return True

    def announcement(self) -> OpenStream:
        """What a tenant that was loaded anew has to be told of it. Who decided before cannot put anything in any more.

        What was assigned at the instant of the earliest attempt that is remembered, or before it, may have come on an
        older stream, or be forgotten."""
        known = tuple(arrived for arrived in self._arrived if arrived[1])
        arrived = Arrivals(known, min(at_us for _, at_us in known)) if known else None
        return OpenStream(self.worker_id, self.number, arrived)

    async def next(self) -> Outgoing | None:
        """The next item; None once the session is closed."""
        while not self._items and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        return None if self._closed else self._items.popleft()

    async def some(self) -> list[Outgoing]:
        """Everything that waits, at least one item; nothing once the session is closed."""
        while not self._items and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        if self._closed:
            return []
        taken = list(self._items)
        self._items.clear()
        return taken

    def move_to(self, other: WorkerSession) -> None:
        """What is in this session is sent on another one of the same worker instead."""
        while self._items:
            other.put(self._items.popleft())

    def close(self) -> list[StartAttempt]:
        """Ends the session; returns the attempts that were not taken from it."""
        self._closed = True
        self._wake.set()
        unsent = [attempt for item in self._items for attempt in attempts_of(item)]
        self._items.clear()
        return unsent
