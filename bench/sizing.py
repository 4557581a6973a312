"""Measures what is needed to choose a machine, and prints the tables of docs/sizing.md.

    make bench-sizing                                              20,000 finished and 100,000 waiting runs; minutes
    make bench-sizing BENCH_ARGS="--tasks 2000 --waiting 10000"    quicker, and rougher

Counts, bytes and CPU seconds are the same on a busy machine, near enough; tasks per second are not, and mean something
only when nothing else runs. What is said of a million is scaled up from what was run, and the table says how many that
were.

- a finished task: CPU of the engine and of PostgreSQL, WAL, bytes on disk with their indexes, commits and WAL syncs;
  triggered one by one and a hundred at a time, with an input and an output of `--payload` bytes;
- a waiting run: memory of the engine, of runs that only wait, and of runs that wait for a concurrency key, and memory
  and time of a start after `kill -9`;
- connections: what the engine opened, at most;
- `synchronous_commit = off`: the same finished tasks once more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import grpc
from backlog import connect, fill
from lean_client import BULK_SIZE_MAX, LeanClient, Task
from run import WORKFLOW, Engine, engine, machine

from broadaxe.rpc._gen import admin_pb2

ACTION: Final = f"{WORKFLOW}:noop"
KEYED: Final = "sizing-keyed"
BULK: Final = 100
TASKS_HEAD: Final = """\
| finished tasks | run | CPU, engine | CPU, PostgreSQL | WAL | disk | commits | WAL syncs | tasks per second |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""
WAITING_HEAD: Final = """\
| waiting runs | run | before | half of them | all | one more | a million, scaled | after a start | ready after |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""
MILLION: Final = 1_000_000

# Indexes and TOAST are in it.
_DISK: Final = """
select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'broadaxe' and c.relkind = 'r'
"""
_COUNTS: Final = """
select
    (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as wal,
    (select xact_commit from pg_stat_database where datname = current_database()) as commits,
    (select coalesce(sum(fsyncs), 0) from pg_stat_io where object = 'wal')::bigint as syncs
"""
_CONNECTIONS: Final = """
select coalesce(nullif(application_name, ''), 'others') as name, count(*)::int as count
from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and application_name like 'broadaxe%'
group by 1
"""


@dataclass(frozen=True, slots=True)
class PerTask:
    """What `tasks` finished tasks took, for one of them."""

    how: str
    tasks: int
    per_s: float
    engine_cpu_us: float
    postgres_cpu_us: float
    wal_bytes: float
    disk_bytes: float
    commits: float
    syncs: float

    def row(self) -> str:
        return (
            f"| {self.how} | {self.tasks:,} | {self.engine_cpu_us:,.0f} µs | {self.postgres_cpu_us:,.0f} µs "
            f"| {self.wal_bytes / 1e3:,.1f} kB | {self.disk_bytes / 1e3:,.1f} kB "
            f"| {self.commits:,.2f} | {self.syncs:,.3f} | {self.per_s:,.0f} |"
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """What `count` waiting runs take: memory of the engine before, with half of them, with all, and after a start.

    The front of a line is in memory as objects, what is behind it is not: so what one more takes is seen in the second
    half, once that front is full.
    """

    what: str
    count: int
    before_bytes: int
    half_bytes: int
    with_bytes: int
    restarted_bytes: int
    ready_after_s: float

    def row(self) -> str:
        each = max(0.0, (self.with_bytes - self.half_bytes) / (self.count / 2))
        million = self.with_bytes + each * (MILLION - self.count)
        return (
            f"| {self.what} | {self.count:,} | {self.before_bytes / 1e6:,.0f} MB | {self.half_bytes / 1e6:,.0f} MB "
            f"| {self.with_bytes / 1e6:,.0f} MB | {each:,.0f} B | {million / 1e6:,.0f} MB "
            f"| {self.restarted_bytes / 1e6:,.0f} MB | {self.ready_after_s:,.1f} s |"
        )


async def finish(client: LeanClient, count: int, bulk: int, payload: str) -> float:
    """Runs `count` tasks to their end; returns how many were finished in a second."""
    worker = asyncio.create_task(client.run_noop_worker([ACTION], 200, output=payload))
    runs = await client.subscribe_runs()
    slots = asyncio.Semaphore(64 if bulk == 1 else 4)
    started = time.perf_counter()

    async def trigger() -> None:
        async with slots:
            if bulk == 1:
                ids = [await client.trigger(WORKFLOW, payload)]
            else:
                ids = await client.bulk_trigger(WORKFLOW, [payload] * bulk)
        for run_id in ids:
            await runs.add(run_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(count // bulk):
            group.create_task(trigger())
        for _ in range(count // bulk * bulk):
            await anext(runs)
    elapsed_s = time.perf_counter() - started
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return count / elapsed_s


async def per_task(
    server: Engine, database: asyncpg.Connection, how: str, count: int, bulk: int, payload: str
) -> PerTask:
    async with connect(server) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        await finish(client, bulk, bulk, payload)
        # The first write to a page after a checkpoint puts the whole page into the WAL. Beginning with one, every
        # measurement has its share of those, and none has that of another.
        await database.execute("checkpoint")
        disk, counts, cpu_s = await database.fetchval(_DISK), await database.fetchrow(_COUNTS), server.cpu_s()
        rate = await finish(client, count, bulk, payload)
        engine_s, postgres_s = (after - before for after, before in zip(server.cpu_s(), cpu_s, strict=True))
        after = await database.fetchrow(_COUNTS)
        assert counts is not None and after is not None
        grown = await database.fetchval(_DISK) - disk
        wal, commits, syncs = ((after[name] - counts[name]) / count for name in ("wal", "commits", "syncs"))
    return PerTask(
        how, count, rate, engine_s / count * 1e6, postgres_s / count * 1e6, wal, grown / count, commits, syncs
    )


async def fill_keyed(client: LeanClient, count: int) -> None:
    """Runs that wait for one of a thousand keys, which another run holds."""
    request = admin_pb2.CreateWorkflowVersionRequest(
        name=KEYED,
        tasks=[
            admin_pb2.CreateTaskOpts(readable_id="one", action=f"{KEYED}:one", timeout="60s", schedule_timeout="24h")
        ],
        concurrency_arr=[
            admin_pb2.Concurrency(expression="input.key", max_runs=1, limit_strategy=admin_pb2.GROUP_ROUND_ROBIN)
        ],
    )
    await client.put_definition(request)
    for first in range(0, count, BULK_SIZE_MAX):
        inputs = [{"key": f"k{number % 1_000}"} for number in range(first, min(count, first + BULK_SIZE_MAX))]
        await client.bulk_trigger(KEYED, inputs)


async def fill_plain(client: LeanClient, count: int) -> None:
    await fill(client, count)


def waiting(what: str, count: int, fill_with: Callable[[LeanClient, int], Awaitable[None]]) -> Waiting:
    async def filled(server: Engine) -> list[int]:
        seen = []
        async with connect(server) as client:
            await fill_with(client, 1_000)  # what code and caches take is there before
            for more in (0, count // 2, count - count // 2):
                await fill_with(client, more)
                seen.append(int(server.process.memory_info().rss))
        return seen

    with tempfile.TemporaryDirectory(prefix="broadaxe-sizing-") as folder:
        with suppress(SystemExit), engine(Path(folder)) as server:
            before, half, with_them = asyncio.run(filled(server))
            os.kill(server.process.pid, signal.SIGKILL)
        with engine(Path(folder)) as server:

            async def touched() -> int:
                async with connect(server) as client:
                    while True:
                        try:
                            await client.put_workflow("touch", [Task("noop")])
                            break
                        except grpc.aio.AioRpcError as error:
                            # A long line takes its time to load, and nobody is kept waiting for it for ever.
                            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                                raise
                return int(server.process.memory_info().rss)

            started = time.perf_counter()
            restarted = asyncio.run(touched())
            ready_after_s = server.ready_after_s + time.perf_counter() - started
    return Waiting(what, count, before, half, with_them, restarted, ready_after_s)


@asynccontextmanager
async def watched(database: asyncpg.Connection, most: dict[str, int]) -> AsyncIterator[None]:
    """Keeps the most connections of each name that were open at a time."""

    async def watch() -> None:
        while True:
            for row in await database.fetch(_CONNECTIONS):
                most[row["name"]] = max(most.get(row["name"], 0), row["count"])
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def finished(server: Engine, count: int, payload: str) -> tuple[list[PerTask], dict[str, int]]:
    dsn = server.env["BROADAXE_ENGINE_DATABASE_URL"]
    # Beside the measurement, so that neither waits for the other.
    database, beside = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    most: dict[str, int] = {}
    rows = []
    async with watched(beside, most):
        for setting in ("on", "off"):
            await database.execute(f"alter system set synchronous_commit = {setting}")
            await database.execute("select pg_reload_conf()")
            for how, bulk in (("one by one, 64 at a time", 1), (f"{BULK} at a time", BULK)):
                name = how if setting == "on" else f"{how}; `synchronous_commit = off`"
                rows.append(await per_task(server, database, name, count, bulk, payload))
        await database.execute("alter system reset synchronous_commit")
    await database.close()
    await beside.close()
    return rows, most


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what is needed to choose a machine.")
    parser.add_argument("--tasks", type=int, default=20_000, help="finished tasks per figure [20000]")
    parser.add_argument("--waiting", type=int, default=100_000, help="waiting runs per figure [100000]")
    parser.add_argument("--payload", type=int, default=200, help="bytes of an input and of an output [200]")
    given = parser.parse_args()
    payload = json.dumps({"text": os.urandom(max(0, given.payload - 12) // 2).hex()})
    with tempfile.TemporaryDirectory(prefix="broadaxe-sizing-") as folder, engine(Path(folder)) as server:
        tasks, connections = asyncio.run(finished(server, given.tasks, payload))
        print(f"\n{machine()}; inputs and outputs of {len(payload)} bytes\n")
        print(TASKS_HEAD)
        for task in tasks:
            print(task.row())
        print("\n| connections of the engine | at most |\n|---|--:|")
        for name, count in sorted(connections.items()):
            print(f"| {name} | {count} |")
    print(f"\n{WAITING_HEAD}")
    for what, count, fill_with in (
        ("only waiting", given.waiting, fill_plain),
        ("for a concurrency key", given.waiting // 5, fill_keyed),
    ):
        print(waiting(what, count, fill_with).row(), flush=True)


if __name__ == "__main__":
    main()
