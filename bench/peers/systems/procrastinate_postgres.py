"""Procrastinate on PostgreSQL: async worker and client over psycopg, LISTEN/NOTIFY as by default."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import procrastinate

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["PEERS_POSTGRES"], min_size=4, max_size=20)
)


@app.task(name="noop")
async def noop(index: int) -> None:
    probe.stamp(index)


class ProcrastinatePostgres:
    in_flight = 16
    pause_s = probe.PAUSE_S
    _open = False

    async def enqueue(self, index: int) -> None:
        if not self._open:
            await app.open_async()
            self._open = True
        await noop.defer_async(index=index)

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        await noop.batch_defer_async(*({"index": index} for index in indices))

    async def round_trip(self, index: int) -> None:
        raise NotImplementedError  # It keeps no results, and offers no waiting for the end of a job.

    async def unfinished(self) -> int:
        row = await app.connector.execute_query_one_async(
            "select count(*) as count from procrastinate_jobs where status in ('todo', 'doing')"
        )
        return int(row["count"])


def work() -> None:
    async def run() -> None:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            probe.say_ready()
            await app.run_worker_async(concurrency=20)

    asyncio.run(run())


if __name__ == "__main__":
    probe.main(work, ProcrastinatePostgres)
