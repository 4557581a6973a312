"""Rows that go straight into their table, past the core, in batches: log lines and spans.

Owns the buffer between an edge and a table. Such rows are wanted, but not at any price: a row that finds the buffer
full is refused, and when PostgreSQL stays away a batch is tried a few times and then dropped and counted. A row is
readable after the flush that follows it, at most `FLUSH_AFTER_S` later; `flush` waits for that. Invariants: rows are
stored in the order they were added; the buffer holds at most `ROWS_MAX` rows and `BYTES_MAX` bytes; nothing is added
after `stop`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import asyncpg

from broadaxe.errors import Unavailable
from broadaxe.storage.outage import OUTAGE

__all__ = ["BatchWriter"]

BATCH_ROWS_MAX: Final = 1_000
ROWS_MAX: Final = 50_000
BYTES_MAX: Final = 64 * 1024 * 1024
FLUSH_AFTER_S: Final = 0.05
TRIES_MAX: Final = 5
RETRY_AFTER_S: Final = 0.2

_log = logging.getLogger(__name__)


class _Sized(Protocol):
    @property
    def size_bytes(self) -> int: ...


RowT = TypeVar("RowT", bound=_Sized)


class BatchWriter(Generic[RowT]):
    """`start` it before use, `stop` it to drain. `insert` stores rows in one statement; `what` names them in logs;
    `on_stored` hears of rows that can be read."""

    def __init__(
        self,
        what: str,
        insert: Callable[[Sequence[RowT]], Awaitable[object]],
        on_stored: Callable[[Sequence[RowT]], None] = lambda _: None,
    ) -> None:
        self._what = what
        self._insert = insert
        self._on_stored = on_stored
        self._rows: list[RowT] = []
        self._size_bytes = 0
        self._wake = asyncio.Event()
        self._written = asyncio.Condition()
        self._added = 0
        self._done = 0
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        """Rows given up on since the start, for metrics."""

    def start(self) -> None:
        """Starts the writer; a second call does nothing."""
        if self._task is None and not self._is_stopping:
            self._task = asyncio.get_running_loop().create_task(self._write_forever(), name=f"writer of {self._what}")

    def add(self, row: RowT) -> bool:
        """Buffers one row; False when there is no room for it. Unavailable once stopped."""
        if self._is_stopping:
            raise Unavailable("the engine is shutting down")
        if len(self._rows) >= ROWS_MAX or self._size_bytes + row.size_bytes > BYTES_MAX:
            return False
        self._rows.append(row)
        self._size_bytes += row.size_bytes
        self._added += 1
        self._wake.set()
        return True

    async def flush(self) -> None:
        """Returns when every row added so far is stored or given up on."""
        goal = self._added
        self._wake.set()
        async with self._written:
            await self._written.wait_for(lambda: self._done >= goal or self._task is None)

    async def stop(self) -> None:
        """Writes what is buffered and ends the writer; a second call does nothing."""
        self._is_stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
            async with self._written:
                self._written.notify_all()

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            if len(self._rows) < BATCH_ROWS_MAX and not self._is_stopping:
                # A worker speaks in bursts: a short wait turns a burst into one statement.
                await asyncio.sleep(FLUSH_AFTER_S)
            self._wake.clear()
            while self._rows:
                batch = self._rows[:BATCH_ROWS_MAX]
                await self._write(batch)
                del self._rows[: len(batch)]
                self._size_bytes -= sum(row.size_bytes for row in batch)
                async with self._written:
                    self._done += len(batch)
                    self._written.notify_all()
            if self._is_stopping:
                return

    async def _write(self, batch: list[RowT]) -> None:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                await self._insert(batch)
            except asyncpg.DataError as error:
                # One row that Postgres cannot hold must not take its neighbours along: halve until it stands alone.
                if len(batch) > 1:
                    middle = len(batch) // 2
                    await self._write(batch[:middle])
                    await self._write(batch[middle:])
                    return
                _log.warning("one of the %s cannot be stored: %s", self._what, error)
                break
            except Exception as error:
                # Whatever it is: a writer that ended would keep every row that comes after this batch.
                level = logging.WARNING if isinstance(error, OUTAGE) else logging.ERROR
                _log.log(
                    level, "could not store %d %s (try %d of %d): %s", len(batch), self._what, attempt, TRIES_MAX, error
                )
                if attempt < TRIES_MAX:
                    await asyncio.sleep(RETRY_AFTER_S * attempt)
            else:
                self._on_stored(batch)
                return
        self.dropped += len(batch)
        _log.error("gave up on %d %s", len(batch), self._what)
