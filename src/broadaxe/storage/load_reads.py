"""How busy a tenant and its workers were, over time: computed from the tasks when somebody looks at a chart.

Decides nothing. Invariants as in `reads.py`; every question has a bound that does not grow with the number of tasks,
but for counting what ended, which reads an index only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from broadaxe.storage.ids import id_floor
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import statement

__all__ = ["LoadBucket", "LoadReads", "WorkerBucket"]

#: Each bucket is looked at in this many places, so that its sample is not of its first moments only.
SLICES: Final = 5
TASKS_PER_SLICE: Final = 40
#: How long before the window a task may have been made whose times are still looked at.
MADE_BEFORE: Final = timedelta(days=7)
LIVE_LOOKED_AT_MAX: Final = 100_000
TASKS_OF_WORKER_MAX: Final = 20_000


class LoadBucket(msgspec.Struct, frozen=True, gc=False):
    """What ended in the bucket, how long it had waited and run (None: nothing did), how many did so on average."""

    starts_at: datetime
    succeeded: int
    failed: int
    cancelled: int
    waited_p50: timedelta | None
    waited_p95: timedelta | None
    ran_p50: timedelta | None
    ran_p95: timedelta | None
    waiting: float
    running: float


class WorkerBucket(msgspec.Struct, frozen=True, gc=False):
    """What ended on a worker in the bucket, and how many tasks it ran at once at the most."""

    starts_at: datetime
    succeeded: int
    failed: int
    running: int


class LoadReads:
    """Every question about load over time. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def of_tenant(self, tenant_id: str, since: datetime, now: datetime, width: timedelta) -> list[LoadBucket]:
        """Buckets from `since`, which is aligned by the caller, until `now`."""
        rows = await self._pool.fetch(statement("reads/load_buckets"), *load_arguments(tenant_id, since, now, width))
        return [LoadBucket(*row.values()) for row in rows]

    async def of_worker(
        self, tenant_id: str, worker_id: str, since: datetime, now: datetime, width: timedelta
    ) -> list[WorkerBucket]:
        """Buckets from `since`, which is aligned by the caller, until `now`."""
        rows = await self._pool.fetch(
            statement("reads/worker_load"), *worker_arguments(tenant_id, worker_id, since, now, width)
        )
        return [WorkerBucket(row["starts_at"], row["succeeded"], row["failed"], row["running"]) for row in rows]


def load_arguments(tenant_id: str, since: datetime, now: datetime, width: timedelta) -> tuple[object, ...]:
    made_since = id_floor(since - MADE_BEFORE)
    return tenant_id, since, now, width, made_since, SLICES, TASKS_PER_SLICE, LIVE_LOOKED_AT_MAX


def worker_arguments(
    tenant_id: str, worker_id: str, since: datetime, now: datetime, width: timedelta
) -> tuple[object, ...]:
    return tenant_id, worker_id, since, now, id_floor(since - MADE_BEFORE), TASKS_OF_WORKER_MAX, width
