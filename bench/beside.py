"""The same load for any engine that speaks the protocol: point it at one with `HATCHET_CLIENT_*`; it prints a table.

    HATCHET_CLIENT_TOKEN=... HATCHET_CLIENT_HOST_PORT=127.0.0.1:7077 python bench/beside.py
    ... python bench/beside.py --engine-pid 4711 --database postgres://...    with CPU, WAL and statements per task

Worker and caller are one lean client on the bare wire (`lean_client.py`), so both engines are asked in the same words.
CPU is counted of the processes named with `--engine-pid` (several may be, with all their children) and, with
`--database`, of that server, if it runs on this machine; statements need its extension pg_stat_statements. Run it
against one engine at a time, each on an empty database, in the order A B B A, and compare ratios within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import psutil
from lean_client import LeanClient, Task

WORKFLOW: Final = "beside-noop"
ACTION: Final = f"{WORKFLOW}:noop"
WARM_UP: Final = 20


@dataclass(frozen=True, slots=True)
class Used:
    """What had been used at one moment; None for what cannot be seen."""

    engine_s: float | None
    database_s: float | None
    wal_bytes: int | None
    statements: int | None


class Meter:
    """Counts what engine and database use."""

    def __init__(
        self, engine_pids: Sequence[int], connection: asyncpg.Connection | None, postmaster: int | None
    ) -> None:
        self._engine = [psutil.Process(pid) for pid in engine_pids]
        self._connection = connection
        self._postmaster = None if postmaster is None else psutil.Process(postmaster)
        self._counts_statements = False

    async def open(self) -> None:
        if self._connection is not None:
            try:
                await self._connection.execute("create extension if not exists pg_stat_statements")
                await self._connection.fetchval("select sum(calls) from pg_stat_statements")
                self._counts_statements = True
            except asyncpg.PostgresError:
                print("statements are not counted: pg_stat_statements is not loaded", file=sys.stderr)

    async def read(self) -> Used:
        wal = statements = None
        if self._connection is not None:
            wal = await self._connection.fetchval("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
            if self._counts_statements:
                statements = await self._connection.fetchval("select sum(calls)::bigint from pg_stat_statements")
        return Used(
            sum(map(_cpu_s, self._engine)) if self._engine else None,
            None if self._postmaster is None else _cpu_s(self._postmaster),
            wal,
            statements,
        )


def _cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process, its children, and those of them that have ended."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    ended = process.cpu_times()
    return total + ended.children_user + ended.children_system


@dataclass(frozen=True, slots=True)
class Row:
    figure: str
    unit: str
    value: float


class Load:
    def __init__(self, client: LeanClient, meter: Meter) -> None:
        self._client = client
        self._meter = meter
        self.rows: list[Row] = []

    async def latency(self, count: int) -> None:
        """One run at a time on an idle engine."""
        received: dict[str, float] = {}
        started: list[float] = []
        finished: list[float] = []
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(
                self._client.run_noop_worker(
                    [ACTION], 100, on_received=lambda a: received.setdefault(a.workflow_run_id, time.perf_counter())
                )
            )
            runs = await self._client.subscribe_runs()

            async def play() -> None:
                for _ in range(count):
                    before = time.perf_counter()
                    run_id = await self._client.trigger(WORKFLOW, {})
                    await runs.add(run_id)
                    await anext(runs)
                    finished.append((time.perf_counter() - before) * 1e3)
                    started.append((received[run_id] - before) * 1e3)

            for _ in range(WARM_UP):
                await runs.add(await self._client.trigger(WORKFLOW, {}))
                await anext(runs)
            await self._metered("latency", count, play)
            worker.cancel()
        for name, values in (("trigger sent to worker received", started), ("trigger sent to result", finished)):
            for share in (50, 95, 99):
                self.rows.append(Row(f"{name}, p{share}", "ms", sorted(values)[(len(values) - 1) * share // 100]))

    async def throughput(self, name: str, count: int, bulk: int) -> None:
        """`count` runs, triggered `bulk` at a time; 64 single triggers, or four of many, are under way."""
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._client.run_noop_worker([ACTION], 200))
            runs = await self._client.subscribe_runs()
            await runs.add(await self._client.trigger(WORKFLOW, {}))
            await anext(runs)
            slots = asyncio.Semaphore(64 if bulk == 1 else 4)

            async def trigger() -> None:
                async with slots:
                    if bulk == 1:
                        ids = [await self._client.trigger(WORKFLOW, {})]
                    else:
                        ids = await self._client.bulk_trigger(WORKFLOW, [{}] * bulk)
                for run_id in ids:
                    await runs.add(run_id)

            async def play() -> None:
                async with asyncio.TaskGroup() as triggers:
                    for _ in range(count // bulk):
                        triggers.create_task(trigger())
                    for _ in range(count // bulk * bulk):
                        await anext(runs)

            elapsed_s = await self._metered(name, count // bulk * bulk, play)
            worker.cancel()
        self.rows.append(Row(f"{name}: results", "/s", count // bulk * bulk / elapsed_s))

    async def idle(self, seconds: float) -> None:
        """One worker is connected, and nothing happens."""
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._client.run_noop_worker([ACTION], 100))
            await asyncio.sleep(2)
            await self._metered("idle", 60 / seconds, lambda: asyncio.sleep(seconds), per="minute")
            worker.cancel()

    async def _metered(
        self, name: str, count: float, play: Callable[[], Awaitable[object]], per: str = "task"
    ) -> float:
        """Plays, and notes what was used by each of `count`, or in a minute; returns the seconds it took."""
        before, began_s = await self._meter.read(), time.perf_counter()
        await play()
        elapsed_s, after = time.perf_counter() - began_s, await self._meter.read()
        each = 1 / count if per == "task" else count
        for what, unit, then, now in (
            ("engine CPU", "us", before.engine_s, after.engine_s),
            ("database CPU", "us", before.database_s, after.database_s),
            ("WAL", "B", before.wal_bytes, after.wal_bytes),
            ("statements", "", before.statements, after.statements),
        ):
            if then is not None and now is not None:
                self.rows.append(
                    Row(f"{name}: {what} per {per}", unit, (now - then) * (1e6 if unit == "us" else 1) * each)
                )
        return elapsed_s


async def measure(given: argparse.Namespace) -> list[Row]:
    connection = None if given.database is None else await asyncpg.connect(given.database)
    meter = Meter(given.engine_pid, connection, given.database_pid)
    try:
        await meter.open()
        async with LeanClient(os.environ["HATCHET_CLIENT_HOST_PORT"], os.environ["HATCHET_CLIENT_TOKEN"]) as client:
            await client.put_workflow(WORKFLOW, [Task("noop")])
            load = Load(client, meter)
            if given.idle:
                await load.idle(given.idle)
            await load.latency(given.rounds)
            await load.throughput("single", given.tasks, 1)
            await load.throughput("bulk", given.tasks, 100)
            return load.rows
    finally:
        if connection is not None:
            await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The same load for any engine that HATCHET_CLIENT_* name.")
    parser.add_argument("--tasks", type=int, default=2_000, help="runs per throughput figure [2000]")
    parser.add_argument("--rounds", type=int, default=200, help="runs per latency figure [200]")
    parser.add_argument("--idle", type=float, default=0.0, metavar="S", help="also watch an idle engine so long [0]")
    parser.add_argument(
        "--engine-pid", type=int, action="append", default=[], help="a process of the engine; repeat it"
    )
    parser.add_argument("--database", metavar="URL", help="the engine's database, as one who may read its statistics")
    parser.add_argument("--database-pid", type=int, help="the server's first process, when it runs here")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    missing = [name for name in ("HATCHET_CLIENT_HOST_PORT", "HATCHET_CLIENT_TOKEN") if name not in os.environ]
    if missing:
        parser.error(f"set {' and '.join(missing)}; `broadaxe dev --env-file` writes them into a file")
    if given.tasks < 100 or given.rounds < 1:
        parser.error("--tasks must be at least 100, --rounds at least 1")
    rows = asyncio.run(measure(given))
    if given.json:
        print(json.dumps([{"figure": row.figure, "unit": row.unit, "value": row.value} for row in rows], indent=2))
        return
    print("| figure | |\n|---|--:|")
    for row in rows:
        print(f"| {row.figure} | {row.value:,.2f} {row.unit} |")


if __name__ == "__main__":
    main()
