"""Measures whether an engine grows slow with age: the same work over history of 1, 60, 400 and 2,000 days.

    make bench-age                                        some minutes
    make bench-age BENCH_ARGS="--tasks 500 --turns 3"     quicker

History is a few finished runs for every day. That of 60 days is partitioned by day, as an engine does that keeps it for
60; longer ones by month. The engines run side by side and are measured in short turns, so that a machine whose speed
drifts is fair to all; of each figure the median is shown:

- partitions of one table; from starting the process to ready;
- start latency: from the trigger's send to the worker's receipt, one at a time on an idle engine, and the CPU time of
  Postgres for each such task;
- throughput: no-op tasks triggered a hundred at a time, and the CPU time of Postgres per task.

The last column compares with the youngest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from lean_client import LeanClient, Task
from run import WORKFLOW, Engine, engine, machine, measure_latency, measure_throughput, percentile

from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import migrate
from broadaxe.storage.partitions import BY_DAY_DAYS_MAX, ensure_partitions

AGES: Final = (1, 60, 400, 2_000)
RUNS_PER_DAY: Final = 20

# $1 the day, $2 how many.
_RUNS: Final = """
with made as (
    select broadaxe.make_id(minute.at) as id, minute.at
    from generate_series(1, $2::integer) n, lateral (select $1::timestamptz + n * interval '1 minute' as at) as minute
),
runs as (
    insert into broadaxe.run (
        tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input, created_at,
        started_at, finished_at
    )
    select t.id, made.id, t.id, t.id, false, 'old', 'COMPLETED', 1, '{}', at, at, at from made, broadaxe.tenant t
)
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, status, queue_priority,
    event_count, created_at, assigned_at, finished_at
)
select t.id, made.id, made.id, t.id, t.id, 'old', 'old:old', 'old', 'COMPLETED', 1, 1, at, at, at
from made, broadaxe.tenant t
"""


async def grow_old(data_dir: Path, days: int, retention_days: int) -> int:
    """A data directory with so many days of history; returns how many partitions a table has."""
    server = await EmbeddedPostgres.start(data_dir / "postgres")
    try:
        await migrate(server.dsn, retention_days)
        connection = await asyncpg.connect(server.dsn)
        now = datetime.now(UTC)
        for back in range(days, 0, -1):
            day = now - timedelta(days=back)
            await ensure_partitions(connection, day, retention_days)
            await connection.execute(_RUNS, day.replace(hour=0, minute=0), RUNS_PER_DAY)
        await connection.execute("analyze")
        count: int = await connection.fetchval("select count(*) from broadaxe.partition where parent = 'run'")
        await connection.close()
        return count
    finally:
        await server.stop()


def postgres_cpu_s(server: Engine) -> float:
    """Of all processes that are there; those that Postgres started since the engine did too."""
    processes = (server.postgres[0], *server.postgres[0].children(recursive=True))
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


async def measure(server: Engine, tasks: int, rounds: int) -> dict[str, float]:
    async with LeanClient(server.env["HATCHET_CLIENT_HOST_PORT"], server.env["HATCHET_CLIENT_TOKEN"]) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        before = postgres_cpu_s(server)
        started = (await measure_latency(client, rounds))[0].values
        idle_s = (postgres_cpu_s(server) - before) / (rounds + 20)
        before = postgres_cpu_s(server)
        per_s, *_ = await measure_throughput(client, server, tasks, 100)
        bulk_s = (postgres_cpu_s(server) - before) / tasks
        return {
            "start latency, idle, p50, ms": percentile(started, 0.5),
            "Postgres CPU per idle task, ms": idle_s * 1e3,
            "no-op tasks per second": per_s.values[0],
            "Postgres CPU per task in bulk, µs": bulk_s * 1e6,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures engines with histories of different length.")
    parser.add_argument("--tasks", type=int, default=2_000, help="no-op tasks per throughput figure [2000]")
    parser.add_argument("--rounds", type=int, default=100, help="triggers per latency figure [100]")
    parser.add_argument("--turns", type=int, default=9, help="how often each is measured; the median counts [9]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    figures: dict[int, dict[str, list[float]]] = {age: {} for age in AGES}
    with tempfile.TemporaryDirectory(prefix="broadaxe-bench-") as folder, ExitStack() as stack:
        for age in AGES:
            partitions = asyncio.run(grow_old(Path(folder, str(age)), age, _retention_days(age)))
            figures[age]["partitions of a table"] = [float(partitions)]
        servers: dict[int, Engine] = {}
        for age in AGES:
            os.environ["BROADAXE_RETENTION_DAYS"] = str(_retention_days(age))
            servers[age] = stack.enter_context(engine(Path(folder, str(age))))
            figures[age]["ready, s"] = [servers[age].ready_after_s]
        for turn in range(given.turns + 1):
            for age, server in servers.items():
                for name, value in asyncio.run(measure(server, given.tasks, given.rounds)).items():
                    if turn > 0:  # the first one warms everything up
                        figures[age].setdefault(name, []).append(value)
    medians = {age: {name: percentile(values, 0.5) for name, values in of.items()} for age, of in figures.items()}
    if given.json:
        print(json.dumps({"machine": machine(), "figures": medians}, indent=2))
        return
    print(f"\n{machine()}\n\n| figure | {' | '.join(f'{age:,} days' for age in AGES)} | oldest / youngest |")
    print("| --- " * (len(AGES) + 2) + "|")
    for name, youngest in medians[AGES[0]].items():
        cells = " | ".join(f"{medians[age][name]:,.2f}" for age in AGES)
        print(f"| {name} | {cells} | {medians[AGES[-1]][name] / youngest:.2f} |")


def _retention_days(age: int) -> int:
    return age if 1 < age <= BY_DAY_DAYS_MAX else 0


if __name__ == "__main__":
    main()
