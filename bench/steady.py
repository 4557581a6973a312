"""Measures whether an engine stays as it is: minutes of steady load, each with its latency, memory, dead rows and WAL.

    make bench-steady                                       about half an hour, on a machine where nothing else runs
    make bench-steady BENCH_ARGS="--minutes 5"              a look
    make bench-steady BENCH_ARGS="--picture steady.svg"     also draws the table

First the most that engine, worker and caller manage together on this machine is found out, then `--share` of it is
asked for: tasks are triggered one by one at random moments, whether or not those before were answered, so a slow second
is paid for by all who come in it. The data directory has 60 days of history of which 30 are kept, so retention drops
partitions meanwhile.

Each minute: tasks finished per second, start latency from the moment a trigger was due to the worker's receipt, memory
of the engine and of PostgreSQL (its shared pages counted once), rows that wait for vacuum, WAL, and CPU per task.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from age import grow_old, postgres_cpu_s
from backlog import connect
from lean_client import LeanClient, Task
from run import ACTION, WORKFLOW, Engine, engine, machine, percentile

HISTORY_DAYS: Final = 60
KEPT_DAYS: Final = 30
FIND_OUT_S: Final = 20.0
IN_FLIGHT_MAX: Final = 5_000
MINUTE_S: Final = 60.0

_TABLES: Final = """
select
    (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as wal,
    (select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables where schemaname = 'broadaxe') as dead,
    pg_database_size(current_database()) as disk
"""


@dataclass(frozen=True, slots=True)
class Minute:
    number: int
    per_s: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    engine_bytes: int
    postgres_bytes: int
    dead_rows: int
    wal_bytes: float
    disk_bytes: int
    engine_cpu_us: float
    postgres_cpu_us: float

    def row(self) -> str:
        return (
            f"| {self.number} | {self.per_s:,.0f} | {self.p50_ms:.1f} | {self.p99_ms:.1f} | {self.longest_ms:.0f} "
            f"| {self.engine_bytes / 1e6:,.0f} | {self.postgres_bytes / 1e6:,.0f} | {self.dead_rows:,} "
            f"| {self.wal_bytes / 1e6:,.0f} | {self.disk_bytes / 1e6:,.0f} "
            f"| {self.engine_cpu_us:,.0f} | {self.postgres_cpu_us:,.0f} |"
        )


HEAD: Final = """\
| minute | tasks/s | start p50, ms | p99, ms | longest, ms | engine, MB | PostgreSQL, MB | dead rows | WAL, MB \
| disk, MB | engine CPU per task, µs | PostgreSQL's, µs |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def _postgres_bytes(server: Engine) -> int:
    total = 0
    for process in (server.postgres[0], *server.postgres[0].children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


def _cpu_s(server: Engine) -> tuple[float, float]:
    """Of the engine, and of all of PostgreSQL's processes that are there now."""
    return server.cpu_s()[0], postgres_cpu_s(server)


async def find_out_most(client: LeanClient, seconds: float) -> float:
    """Tasks per second with 64 triggers in flight."""
    runs = await client.subscribe_runs()
    ends_at, count, started = time.perf_counter() + seconds, 0, time.perf_counter()

    async def trigger_on() -> None:
        nonlocal count
        while time.perf_counter() < ends_at:
            await runs.add(await client.trigger(WORKFLOW, {}))
            count += 1

    triggering = [asyncio.create_task(trigger_on()) for _ in range(64)]
    finished = 0
    while finished < count or not all(task.done() for task in triggering):
        await anext(runs)
        finished += 1
    runs.close()
    return finished / (time.perf_counter() - started)


async def steady(server: Engine, share: float, minutes: int) -> tuple[float, list[Minute]]:
    database = await asyncpg.connect(server.env["BROADAXE_ENGINE_DATABASE_URL"])
    due: dict[str, float] = {}
    early: dict[str, float] = {}
    """Received before the trigger was answered."""
    latencies: list[float] = []

    def received(run_id: str, at: float) -> None:
        if (was_due := due.pop(run_id, None)) is None:
            early[run_id] = at
        else:
            latencies.append((at - was_due) * 1e3)

    async with connect(server) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        is_measured = False
        worker = asyncio.create_task(
            client.run_noop_worker(
                [ACTION],
                200,
                on_received=lambda a: received(a.workflow_run_id, time.perf_counter()) if is_measured else None,
            )
        )
        most = await find_out_most(client, FIND_OUT_S)
        is_measured = True
        slots = asyncio.Semaphore(IN_FLIGHT_MAX)

        async def trigger(at: float) -> None:
            try:
                run_id = await client.trigger(WORKFLOW, {})
            finally:
                slots.release()
            if (came := early.pop(run_id, None)) is None:
                due[run_id] = at
            else:
                latencies.append((came - at) * 1e3)

        seen: list[Minute] = []
        random_moments = random.Random(7)
        begun = next_at = time.perf_counter()
        tables, cpu_s = await database.fetchrow(_TABLES), _cpu_s(server)
        assert tables is not None
        async with asyncio.TaskGroup() as group:
            for number in range(1, minutes + 1):
                minute_began = time.perf_counter()
                while next_at < begun + number * MINUTE_S:
                    next_at += random_moments.expovariate(share * most)
                    if (wait_s := next_at - time.perf_counter()) > 0:
                        await asyncio.sleep(wait_s)
                    await slots.acquire()
                    group.create_task(trigger(next_at))
                taken_s = time.perf_counter() - minute_began
                after, cpu_after_s = await database.fetchrow(_TABLES), _cpu_s(server)
                assert after is not None
                ended, latencies = latencies, []
                engine_us, postgres_us = (
                    (now - then) / max(1, len(ended)) * 1e6 for now, then in zip(cpu_after_s, cpu_s, strict=True)
                )
                seen.append(
                    Minute(
                        number,
                        len(ended) / taken_s,
                        percentile(ended, 0.50),
                        percentile(ended, 0.99),
                        max(ended),
                        int(server.process.memory_info().rss),
                        _postgres_bytes(server),
                        after["dead"],
                        after["wal"] - tables["wal"],
                        after["disk"],
                        engine_us,
                        postgres_us,
                    )
                )
                print(seen[-1].row(), flush=True)
                tables, cpu_s = after, cpu_after_s
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    await database.close()
    return most, seen


def picture(minutes: Sequence[Minute]) -> str:
    """Four curves over time as SVG, each from zero to its own greatest value."""
    curves: tuple[tuple[str, str, list[float]], ...] = (
        ("start latency p99", "ms", [each.p99_ms for each in minutes]),
        ("engine, memory", "MB", [each.engine_bytes / 1e6 for each in minutes]),
        ("rows that wait for vacuum", "", [float(each.dead_rows) for each in minutes]),
        ("WAL per minute", "MB", [each.wal_bytes / 1e6 for each in minutes]),
    )
    width, height, gap = 340, 110, 50
    parts = []
    for number, (name, unit, values) in enumerate(curves):
        left, top = 10 + number % 2 * (width + gap), 30 + number // 2 * (height + gap)
        greatest = max(values) or 1.0
        points = " ".join(
            f"{left + at * width / max(1, len(values) - 1):.1f},{top + height - value / greatest * height:.1f}"
            for at, value in enumerate(values)
        )
        parts += [
            f'<text x="{left}" y="{top - 8}">{name}: at most {greatest:,.0f} {unit}</text>',
            f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#999"/>',
            f'<polyline points="{points}" fill="none" stroke="#2f6fdf" stroke-width="2"/>',
        ]
    size, drawn = f"{2 * width + gap + 20} {2 * (height + gap) + 10}", "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{drawn}\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures whether an engine stays as it is under steady load.")
    parser.add_argument("--minutes", type=int, default=30, help="of steady load [30]")
    parser.add_argument("--share", type=float, default=0.7, help="of the most that this machine manages [0.7]")
    parser.add_argument("--picture", type=Path, help="also draw it, as SVG, into this file")
    given = parser.parse_args()
    os.environ["BROADAXE_RETENTION_DAYS"] = str(KEPT_DAYS)
    with tempfile.TemporaryDirectory(prefix="broadaxe-steady-") as folder:
        asyncio.run(grow_old(Path(folder), HISTORY_DAYS, HISTORY_DAYS))
        with engine(Path(folder)) as server:
            print(f"\n{machine()}\n\n{HEAD}")
            most, minutes = asyncio.run(steady(server, given.share, given.minutes))
    print(f"\n{given.share:.0%} of {most:,.0f} tasks per second")
    if given.picture is not None:
        given.picture.write_text(picture(minutes))


if __name__ == "__main__":
    main()
