"""Log lines of tasks: batched straight into their table, past the core.

Owns what a line may be. The buffer in front of the table, its bounds and what happens when it is full or PostgreSQL
stays away are those of `batches.py`: the newest line is then refused with ResourceExhausted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.errors import InvalidArgument, ResourceExhausted
from broadaxe.storage.batches import BatchWriter
from broadaxe.storage.ids import new_id
from broadaxe.storage.statements import statement

__all__ = ["LEVELS", "LogStore"]

LEVELS: Final = ("DEBUG", "INFO", "WARN", "ERROR")
DEFAULT_LEVEL: Final = "INFO"
MESSAGE_LENGTH_MAX: Final = 10_000
METADATA_LENGTH_MAX: Final = 64 * 1024


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

    def __init__(self, pool: asyncpg.Pool, on_stored: Callable[[str, Iterable[str]], None] = lambda *_: None) -> None:
        """`on_stored` hears of tenants and their tasks whose new lines can be read."""
        self._pool = pool
        self._hear = on_stored
        self._writer = BatchWriter("log lines", self._insert, self._stored)
        self.start = self._writer.start
        self.flush = self._writer.flush
        self.stop = self._writer.stop

    @property
    def dropped(self) -> int:
        """Lines given up on since the start."""
        return self._writer.dropped

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
        if not self._writer.add(line):
            raise ResourceExhausted("too many log lines at once; the database cannot keep up")

    def _stored(self, batch: Sequence[_Line]) -> None:
        tasks: defaultdict[str, set[str]] = defaultdict(set)
        for line in batch:
            tasks[line.tenant_id].add(line.task_id)
        for tenant_id, task_ids in tasks.items():
            self._hear(tenant_id, task_ids)

    async def _insert(self, batch: Sequence[_Line]) -> None:
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
