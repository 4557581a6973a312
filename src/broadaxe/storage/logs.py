"""Log lines of tasks: batched straight into their table, past the core.

Owns the buffer between workers and `broadaxe.log_line`. Lines are wanted, but not at any price: when the buffer is full
the newest line is refused with ResourceExhausted, and when Postgres stays away a batch is tried a few times and then
dropped and counted. A line is readable after the flush that follows it, at most `FLUSH_AFTER_S` later; `flush` waits
for that. Invariants: lines of one task are stored in the order they were added; the buffer holds at most
`BUFFERED_LINES_MAX` lines and `BUFFERED_BYTES_MAX` bytes; nothing is added after `stop`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.errors import InvalidArgument, ResourceExhausted, Unavailable
from broadaxe.storage.ids import new_id
from broadaxe.storage.statements import statement

__all__ = ["LEVELS", "LogStore"]

LEVELS: Final = ("DEBUG", "INFO", "WARN", "ERROR")
DEFAULT_LEVEL: Final = "INFO"
MESSAGE_LENGTH_MAX: Final = 10_000
METADATA_LENGTH_MAX: Final = 64 * 1024
BATCH_LINES_MAX: Final = 1_000
BUFFERED_LINES_MAX: Final = 50_000
BUFFERED_BYTES_MAX: Final = 64 * 1024 * 1024
FLUSH_AFTER_S: Final = 0.05
TRIES_MAX: Final = 5
RETRY_AFTER_S: Final = 0.2

_log = logging.getLogger(__name__)


class _Line(msgspec.Struct, frozen=True, gc=False):
    id: str
    tenant_id: str
    task_id: str
    retry_count: int
    level: str
    message: str
    metadata: str | None
    created_at: datetime

    @property
    def size_bytes(self) -> int:
        return len(self.message) + len(self.metadata or "") + 200


class LogStore:
    """Takes lines from the gRPC edge and writes them in batches. `start` it before use, `stop` it to drain."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._lines: list[_Line] = []
        self._size_bytes = 0
        self._wake = asyncio.Event()
        self._written = asyncio.Condition()
        self._added = 0
        self._done = 0
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        """Lines given up on since the start, for metrics."""

    def start(self) -> None:
        """Starts the writer; a second call does nothing."""
        if self._task is None and not self._is_stopping:
            self._task = asyncio.get_running_loop().create_task(self._write_forever(), name="log-store")

    def add(
        self,
        tenant_id: str,
        task_id: str,
        retry_count: int,
        level: str | None,
        message: str,
        metadata: str | None,
        created_at: datetime,
    ) -> None:
        """Buffers one line. `metadata` is a JSON object text or None; `level` None or empty means INFO."""
        if self._is_stopping:
            raise Unavailable("the engine is shutting down")
        level = level or DEFAULT_LEVEL
        if level not in LEVELS:
            raise InvalidArgument(f"{level[:40]!r} is not a level; use one of {', '.join(LEVELS)}", field="level")
        if not 1 <= len(message) <= MESSAGE_LENGTH_MAX:
            raise InvalidArgument(f"a log message has 1 to {MESSAGE_LENGTH_MAX} characters", field="message")
        if metadata is not None and len(metadata) > METADATA_LENGTH_MAX:
            raise InvalidArgument(f"log metadata has at most {METADATA_LENGTH_MAX} characters", field="metadata")
        # Postgres stores no NUL in text; for a log line a visible mark is better than a refusal.
        line = _Line(
            id=new_id(),
            tenant_id=tenant_id,
            task_id=task_id,
            retry_count=retry_count,
            level=level,
            message=message.replace("\0", "\N{REPLACEMENT CHARACTER}"),
            metadata=_checked_metadata(metadata),
            created_at=created_at,
        )
        if len(self._lines) >= BUFFERED_LINES_MAX or self._size_bytes + line.size_bytes > BUFFERED_BYTES_MAX:
            raise ResourceExhausted("too many log lines at once; the database cannot keep up")
        self._lines.append(line)
        self._size_bytes += line.size_bytes
        self._added += 1
        self._wake.set()

    async def flush(self) -> None:
        """Returns when every line added so far is stored or given up on."""
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
            if len(self._lines) < BATCH_LINES_MAX and not self._is_stopping:
                # A worker logs in bursts: a short wait turns a burst into one statement.
                await asyncio.sleep(FLUSH_AFTER_S)
            self._wake.clear()
            while self._lines:
                batch = self._lines[:BATCH_LINES_MAX]
                await self._write(batch)
                del self._lines[: len(batch)]
                self._size_bytes -= sum(line.size_bytes for line in batch)
                async with self._written:
                    self._done += len(batch)
                    self._written.notify_all()
            if self._is_stopping:
                return

    async def _write(self, batch: list[_Line]) -> None:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                await self._pool.execute(
                    statement("logs/insert"),
                    [line.tenant_id for line in batch],
                    [line.id for line in batch],
                    [line.task_id for line in batch],
                    [line.retry_count for line in batch],
                    [line.level for line in batch],
                    [line.message for line in batch],
                    [line.metadata for line in batch],
                    [line.created_at for line in batch],
                )
            except asyncpg.DataError as error:
                # One line that Postgres cannot hold must not take its neighbours along: halve until it stands alone.
                if len(batch) > 1:
                    middle = len(batch) // 2
                    await self._write(batch[:middle])
                    await self._write(batch[middle:])
                    return
                _log.warning("a log line of task %s cannot be stored: %s", batch[0].task_id, error)
                break
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                _log.warning("could not store %d log lines (try %d of %d): %s", len(batch), attempt, TRIES_MAX, error)
                if attempt < TRIES_MAX:
                    await asyncio.sleep(RETRY_AFTER_S * attempt)
            else:
                return
        self.dropped += len(batch)
        _log.error("gave up on %d log lines", len(batch))


def _checked_metadata(metadata: str | None) -> str | None:
    if not metadata:
        return None
    try:
        decoded = msgspec.json.decode(metadata)
    except msgspec.DecodeError:
        raise InvalidArgument("log metadata must be a JSON object", field="metadata") from None
    if not isinstance(decoded, dict):
        raise InvalidArgument("log metadata must be a JSON object", field="metadata")
    # jsonb has no NUL either.
    return metadata.replace("\\u0000", "\\ufffd")
