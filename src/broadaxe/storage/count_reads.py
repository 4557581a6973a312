"""Reads of counts for people and autoscalers: how many tasks finished, wait and run.

Decides nothing. Invariants as in `reads.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import statement

__all__ = ["CountReads", "FinishedBucket", "LiveGroupCount", "LiveTaskCount", "MetadataQueueSize", "QueueSize"]

QUEUES_MAX: Final = 1_000
LIVE_DEFINITIONS_MAX: Final = 10_000
LIVE_GROUPS_MAX: Final = 10_000
WAITING_LOOKED_AT_MAX: Final = 100_000


class FinishedBucket(msgspec.Struct, frozen=True, gc=False):
    starts_at: datetime
    succeeded: int
    failed: int


class LiveTaskCount(msgspec.Struct, frozen=True, gc=False):
    """Tasks of one definition that wait for a worker, or run, with `held` slots of concurrency rules each."""

    definition_id: str
    name: str
    action_id: str
    is_running: bool
    held: int
    tasks: int
    oldest_at: datetime | None
    oldest_first_attempt_at: datetime | None
    """Of those in their first attempt."""
    some_run_id: str


class LiveGroupCount(msgspec.Struct, frozen=True, gc=False):
    """Tasks of one definition under the same concurrency keys, in the order of the rules."""

    definition_id: str
    is_running: bool
    run_held: int
    held: int
    run_keys: tuple[str, ...]
    keys: tuple[str, ...]
    tasks: int


class QueueSize(msgspec.Struct, frozen=True, gc=False):
    action_id: str
    workflow_name: str
    tasks: int


class MetadataQueueSize(msgspec.Struct, frozen=True, gc=False):
    action_id: str
    key: str
    value: str
    tasks: int


class CountReads:
    """Every question about counts of tasks. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def finished_buckets(
        self, tenant_id: str, since: datetime, until: datetime, width: timedelta
    ) -> list[FinishedBucket]:
        """Finished tasks per bucket; `since` is aligned by the caller."""
        rows = await self._pool.fetch(statement("reads/finished_buckets"), tenant_id, since, until, width)
        return [FinishedBucket(row["starts_at"], row["succeeded"], row["failed"]) for row in rows]

    async def queue_counts(self, tenant_id: str) -> dict[str, int]:
        """Waiting tasks per action."""
        rows = await self._pool.fetch(statement("reads/queue_counts"), tenant_id, QUEUES_MAX)
        return {row["action_id"]: row["tasks"] for row in rows}

    async def live_task_counts(self, tenant_id: str) -> list[LiveTaskCount]:
        """Tasks that wait for a worker, or run, by definition. Tasks of paused workflows do not wait for a worker."""
        rows = await self._pool.fetch(statement("reads/live_task_counts"), tenant_id, LIVE_DEFINITIONS_MAX)
        return [
            LiveTaskCount(
                definition_id=str(row["definition_id"]),
                name=row["name"],
                action_id=row["action_id"],
                is_running=row["is_running"],
                held=row["held"],
                tasks=row["tasks"],
                oldest_at=row["oldest_at"],
                oldest_first_attempt_at=row["oldest_first_attempt_at"],
                some_run_id=str(row["some_run"]),
            )
            for row in rows
        ]

    async def live_group_counts(self, tenant_id: str, places: Mapping[str, int]) -> list[LiveGroupCount]:
        """Under which keys live tasks wait or run, for definitions with concurrency rules, by their place in their
        workflow; the most frequent keys if there are more than `LIVE_GROUPS_MAX`."""
        rows = await self._pool.fetch(
            statement("reads/live_group_counts"), tenant_id, list(places), list(places.values()), LIVE_GROUPS_MAX
        )
        return [
            LiveGroupCount(
                definition_id=str(row["definition_id"]),
                is_running=row["is_running"],
                run_held=row["run_held"],
                held=row["held"],
                run_keys=_keys(row["run_groups"]),
                keys=_keys(row["groups"]),
                tasks=row["tasks"],
            )
            for row in rows
        ]

    async def queue_sizes(self, tenant_id: str) -> list[QueueSize]:
        """Waiting tasks per action and workflow."""
        rows = await self._pool.fetch(statement("reads/queue_sizes"), tenant_id, QUEUES_MAX)
        return [QueueSize(row["action_id"], row["workflow_name"], row["tasks"]) for row in rows]

    async def queue_sizes_by_metadata(self, tenant_id: str) -> list[MetadataQueueSize]:
        """Waiting tasks by the value of metadata keys that begin with `prom_`, among the oldest waiting ones."""
        rows = await self._pool.fetch(
            statement("reads/queue_sizes_by_metadata"), tenant_id, WAITING_LOOKED_AT_MAX, QUEUES_MAX
        )
        return [MetadataQueueSize(row["action_id"], row["key"], row["value"], row["tasks"]) for row in rows]


def _keys(groups: str | None) -> tuple[str, ...]:
    """The keys of concurrency groups as they are stored; see `core/keys.py`."""
    return () if groups is None else tuple(key for key, _ in msgspec.json.decode(groups, type=list[tuple[str, int]]))
