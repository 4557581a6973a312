"""Open durable streams: what has been committed and waits to be written to a worker's durable tasks.

One stream per worker process. What is lost with a stream is asked for again: clients list what they wait for when they
come back. A stream that is not read is closed when `ITEMS_MAX` answers wait in it.

Signals are the older protocol's way: whoever listens for (task, key) is told once, from the table if it happened
before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from broadaxe.core.commands import Command, OpenDurableStream
from broadaxe.core.decision import DurableAnswer

ITEMS_MAX: Final = 100_000


class Answer(msgspec.Struct, frozen=True):
    """An answer with what had to be read for it. `error` is set for a failed child."""

    effect: DurableAnswer
    payload: str | None = None
    is_failure: bool = False
    error: str | None = None


class DurableStream:
    __slots__ = ("_is_closed", "_items", "_wake", "number", "worker_id")

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker_id: str | None = None
        """The worker it was registered for."""
        self._items: deque[Answer] = deque()
        self._wake = asyncio.Event()
        self._is_closed = False

    def announcement(self) -> Sequence[Command]:
        """What a tenant that was loaded anew has to be told of the stream, in this order."""
        return () if self.worker_id is None else (OpenDurableStream(self.worker_id, self.number),)

    def put(self, answer: Answer) -> None:
        if self._is_closed:
            return
        if len(self._items) >= ITEMS_MAX:
            self.close()
            return
        self._items.append(answer)
        self._wake.set()

    async def next(self) -> Answer | None:
        """The next answer; None once the stream is closed."""
        while not self._items and not self._is_closed:
            self._wake.clear()
            await self._wake.wait()
        return None if self._is_closed else self._items.popleft()

    def close(self) -> None:
        self._is_closed = True
        self._items.clear()
        self._wake.set()


class SignalSubscription:
    """(task id, key, data) of signals that fired, for one listener."""

    __slots__ = ("_fired", "_wake", "wanted")

    def __init__(self) -> None:
        self.wanted: set[tuple[str, str]] = set()
        self._fired: deque[tuple[str, str, str]] = deque()
        self._wake = asyncio.Event()

    def fire(self, task_id: str, key: str, data: str) -> None:
        if (task_id, key) in self.wanted:
            self.wanted.discard((task_id, key))
            self._fired.append((task_id, key, data))
            self._wake.set()

    async def next(self) -> tuple[str, str, str]:
        while not self._fired:
            self._wake.clear()
            await self._wake.wait()
        return self._fired.popleft()
