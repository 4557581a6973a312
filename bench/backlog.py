"""Measures the engine under a backlog, and the shapes of work that stress deciding rather than carrying.

    make bench-backlog                                     100,000 tasks
    make bench-backlog BENCH_ARGS="--backlog 1000000"      a million, some minutes

- backlog: memory and start-up time of an engine whose queue holds that many tasks, after `kill -9`; and the start
  latency of a fresh task of high priority in another queue and in the same one, with and without the backlog;
- fan-out: 400 light tasks over 10 workers;
- chain: a DAG of 40 steps, one after the other;
- keys: runs over 10,000 concurrency keys of one strategy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path

from lean_client import LeanClient, Task
from run import Engine, Figure, engine, machine

from broadaxe.rpc._gen import admin_pb2

BULK = 1000


async def fill(client: LeanClient, count: int) -> float:
    """Triggers `count` runs of a workflow nobody works for; returns how many per second were taken."""
    await client.put_workflow("backlog", [Task("wait", schedule_timeout="24h")])
    started = time.perf_counter()
    slots = asyncio.Semaphore(4)

    async def trigger() -> None:
        async with slots:
            await client.bulk_trigger("backlog", ["{}"] * BULK)

    async with asyncio.TaskGroup() as group:
        for _ in range(count // BULK):
            group.create_task(trigger())
    return count / (time.perf_counter() - started)


async def start_latency(client: LeanClient, workflow: str, action: str, rounds: int) -> list[float]:
    """Milliseconds from the trigger of a high-priority run to its receipt by a worker with one free slot more."""
    received: dict[str, float] = {}
    latencies: list[float] = []
    arrived = asyncio.Event()
    worker_id = await client.register([action], 1)

    async def work() -> None:
        async for assigned in client.listen(worker_id):
            received[assigned.workflow_run_id] = time.perf_counter()
            arrived.set()
            await client.report(assigned.task_run_external_id, assigned.retry_count, 2, "{}")

    listening = asyncio.create_task(work())
    beating = asyncio.create_task(client.heartbeats(worker_id))
    for round_ in range(rounds + 5):
        before = time.perf_counter()
        run_id = await client.trigger(workflow, "{}", priority=3)
        while run_id not in received:
            arrived.clear()
            await arrived.wait()
        if round_ >= 5:
            latencies.append((received[run_id] - before) * 1e3)
    listening.cancel()
    beating.cancel()
    await asyncio.gather(listening, beating, return_exceptions=True)
    return latencies


async def fan_out(client: LeanClient, tasks: int, workers: int) -> float:
    """Seconds from one bulk trigger of `tasks` runs to the last result, over `workers` workers of 10 slots."""
    await client.put_workflow("fan", [Task("light")])
    working = [asyncio.create_task(client.run_noop_worker(["fan:light"], 10)) for _ in range(workers)]
    runs = await client.subscribe_runs()
    await runs.add(await client.trigger("fan", {}))
    await anext(runs)
    started = time.perf_counter()
    for run_id in await client.bulk_trigger("fan", [{}] * tasks):
        await runs.add(run_id)
    for _ in range(tasks):
        await anext(runs)
    elapsed_s = time.perf_counter() - started
    for worker in working:
        worker.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    return elapsed_s


async def chain(client: LeanClient, steps: int) -> float:
    """Seconds for one run of `steps` tasks, each the parent of the next."""
    tasks = [Task(f"s{step:03}", parents=[f"s{step - 1:03}"] if step else []) for step in range(steps)]
    await client.put_workflow("chain", tasks)
    worker = asyncio.create_task(client.run_noop_worker([f"chain:s{step:03}" for step in range(steps)], 10))
    runs = await client.subscribe_runs()
    elapsed_s = 0.0
    for _ in range(2):  # the first one warms up
        started = time.perf_counter()
        await runs.add(await client.trigger("chain", {}))
        await anext(runs)
        elapsed_s = time.perf_counter() - started
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return elapsed_s


async def many_keys(client: LeanClient, keys: int) -> float:
    """Runs per second over `keys` keys of one GROUP_ROUND_ROBIN rule, two runs per key, one at a time each."""
    request = admin_pb2.CreateWorkflowVersionRequest(
        name="keys",
        tasks=[admin_pb2.CreateTaskOpts(readable_id="one", action="keys:one", timeout="60s")],
        concurrency_arr=[
            admin_pb2.Concurrency(expression="input.key", max_runs=1, limit_strategy=admin_pb2.GROUP_ROUND_ROBIN)
        ],
    )
    await client.put_definition(request)
    worker = asyncio.create_task(client.run_noop_worker(["keys:one"], 200))
    runs = await client.subscribe_runs()
    started = time.perf_counter()
    inputs = [{"key": f"k{key}"} for key in range(keys) for _ in range(2)]
    for first in range(0, len(inputs), BULK):
        for run_id in await client.bulk_trigger("keys", inputs[first : first + BULK]):
            await runs.add(run_id)
    for _ in inputs:
        await anext(runs)
    elapsed_s = time.perf_counter() - started
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return len(inputs) / elapsed_s


async def shapes(server: Engine, keys: int) -> list[Figure]:
    async with connect(server) as client:
        return [
            Figure("fan-out of 400 light tasks over 10 workers", "ms", [await fan_out(client, 400, 10) * 1e3]),
            Figure("chain of 40 steps", "ms", [await chain(client, 40) * 1e3]),
            Figure(f"runs per second over {keys:,} concurrency keys", "/s", [await many_keys(client, keys)]),
        ]


async def before(server: Engine, backlog: int, rounds: int) -> list[Figure]:
    async with connect(server) as client:
        await client.put_workflow("fresh", [Task("go")])
        idle = await start_latency(client, "fresh", "fresh:go", rounds)
        rate = await fill(client, backlog)
        behind = await start_latency(client, "fresh", "fresh:go", rounds)
    return [
        Figure("start latency, no backlog", "ms", idle),
        Figure("runs taken per second, 1,000 at a time, nobody working", "/s", [rate]),
        Figure(f"start latency beside a backlog of {backlog:,}", "ms", behind),
        Figure(f"engine memory with a backlog of {backlog:,}", "MB", [server.process.memory_info().rss / 1e6]),
    ]


async def after(server: Engine, backlog: int, rounds: int) -> list[Figure]:
    async with connect(server) as client:
        started = time.perf_counter()
        await client.put_workflow("fresh", [Task("go")])  # answered once the tenant is loaded
        loaded_s = server.ready_after_s + time.perf_counter() - started
        same = await start_latency(client, "backlog", "backlog:wait", rounds)
    return [
        Figure(f"from start to serving, with a backlog of {backlog:,}, after kill -9", "s", [loaded_s]),
        Figure("engine memory after that", "MB", [server.process.memory_info().rss / 1e6]),
        Figure("start latency of a high-priority run in the queue of the backlog", "ms", same),
    ]


def connect(server: Engine) -> LeanClient:
    return LeanClient(server.env["HATCHET_CLIENT_HOST_PORT"], server.env["HATCHET_CLIENT_TOKEN"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a Broadaxe engine under a backlog.")
    parser.add_argument("--backlog", type=int, default=100_000, help="tasks that wait [100000]")
    parser.add_argument("--rounds", type=int, default=100, help="triggers per latency figure [100]")
    parser.add_argument("--keys", type=int, default=10_000, help="concurrency keys [10000]")
    given = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="broadaxe-bench-") as folder:
        with engine(Path(folder)) as server:
            figures += asyncio.run(shapes(server, given.keys))
        with engine(Path(folder)) as server:
            figures += asyncio.run(before(server, given.backlog, given.rounds))
            os.kill(server.process.pid, signal.SIGKILL)
        with engine(Path(folder)) as server:
            figures += asyncio.run(after(server, given.backlog, given.rounds))
    print(f"\n{machine()}\n\n| figure | p50 | p95 | p99 |\n| --- | --- | --- | --- |")
    for figure in figures:
        print(figure.row())


if __name__ == "__main__":
    main()
