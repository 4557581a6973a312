"""PGQueuer on PostgreSQL: its manager over asyncpg, uvloop as its command line uses when it is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import asyncpg
import uvloop
from pgqueuer import AsyncpgPoolDriver, Job, PgQueuer, Queries
from pgqueuer.core.completion import CompletionWatcher

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe

DSN = os.environ["PEERS_POSTGRES"]


class PgqueuerPostgres:
    in_flight = 16
    pause_s = probe.PAUSE_S

    def __init__(self) -> None:
        self._pool: asyncpg.Pool | None = None

    async def _connect(self) -> None:
        self._pool = await asyncpg.create_pool(DSN, min_size=4, max_size=20)
        self._queries = Queries.from_asyncpg_pool(self._pool)
        # Its wait for a job's end gathers notifications for 50 ms unless told otherwise.
        self._watcher = CompletionWatcher(
            AsyncpgPoolDriver(self._pool), queries=self._queries, debounce=timedelta(milliseconds=1)
        )
        await self._watcher.__aenter__()

    async def enqueue(self, index: int) -> None:
        if self._pool is None:
            await self._connect()
        await self._queries.enqueue("noop", str(index).encode())

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        await self._queries.enqueue(
            ["noop"] * len(indices), [str(index).encode() for index in indices], [0] * len(indices)
        )

    async def round_trip(self, index: int) -> None:
        (job_id,) = await self._queries.enqueue("noop", str(index).encode())
        assert job_id is not None
        await self._watcher.wait_for(job_id)

    async def unfinished(self) -> int:
        assert self._pool is not None
        return int(await self._pool.fetchval("select count(*) from pgqueuer"))


def work() -> None:
    async def run() -> None:
        pool = await asyncpg.create_pool(DSN, min_size=4, max_size=20)
        await Queries.from_asyncpg_pool(pool).install()
        queuer = PgQueuer.from_asyncpg_pool(pool)

        @queuer.entrypoint("noop")
        async def noop(job: Job) -> None:
            probe.stamp(int(job.payload or b""))

        probe.say_ready()
        await queuer.run(batch_size=50)

    uvloop.run(run())


if __name__ == "__main__":
    probe.main(work, PgqueuerPostgres)
