"""Measures an engine with many durable tasks asleep: what they cost, and whether they wake on time beside normal work.

    make bench-sleepers                                     100,000 sleepers, several minutes
    make bench-sleepers BENCH_ARGS="--sleepers 10000"       quicker

A worker on the bare wire runs every durable task until it waits, and evicts it, as SDKs do when slots run short. Then:

- memory: of the engine, before and with the sleepers, and after `kill -9` and a new start;
- normal work: start latency and throughput of no-op tasks, without sleepers and beside them;
- sleeps: a thousand of them end at a hundred a second, while normal work runs. The lateness is from the instant the
  sleep ends, as the table keeps it, to the receipt of the woken task by the worker. Once on the engine that put them to
  sleep, once on an engine that was killed and started in between;
- events: every waiter has the same key and an expression of its own; an event meant for one is pushed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
from backlog import connect
from lean_client import BULK_SIZE_MAX, DurableStream, LeanClient, Task
from run import ACTION, WORKFLOW, Engine, Figure, engine, machine, measure_latency, measure_throughput

from broadaxe.rpc._gen import conditions_pb2, dispatcher_pb2, durable_pb2
from broadaxe.storage.embedded import EmbeddedPostgres

SLEEPER: Final = "bench-sleeper"
EVENT_KEY: Final = "bench:wake"
SLOTS: Final = 1_000
WOKEN: Final = 1_000
WOKEN_PER_S: Final = 100


@dataclass(slots=True)
class Sleepers:
    """A worker whose tasks wait for what their input says, are evicted at once, and complete when they come back."""

    client: LeanClient
    asleep: int = 0
    woken_at: dict[str, float] = field(default_factory=dict)
    """Seconds since the epoch, by task."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, listening: asyncio.Event) -> None:
        worker_id = await self.client.register([f"{SLEEPER}:sleep"], SLOTS, slot_type="durable")
        stream = await self.client.durable_stream(worker_id)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.client.heartbeats(worker_id))
            group.create_task(self._answer(stream))
            listening.set()
            async for action in self.client.listen(worker_id):
                if action.durable_task_invocation_count > 1:
                    self.woken_at[action.task_run_external_id] = time.time()
                    self._tell()
                    group.create_task(
                        self.client.report(
                            action.task_run_external_id,
                            action.retry_count,
                            dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
                            "{}",
                            action_id=action.action_id,
                            worker_id=worker_id,
                        )
                    )
                else:
                    wanted = json.loads(action.action_payload)["input"]
                    await stream.send(
                        durable_pb2.DurableTaskRequest(
                            wait_for=durable_pb2.DurableWaitForRequest(
                                invocation_count=action.durable_task_invocation_count,
                                durable_task_external_id=action.task_run_external_id,
                                wait_for_conditions=_conditions(wanted),
                            )
                        )
                    )

    async def _answer(self, stream: DurableStream) -> None:
        async for answer in stream:
            if answer.HasField("wait_for_ack"):
                ref = answer.wait_for_ack.ref
                await stream.send(
                    durable_pb2.DurableTaskRequest(
                        evict_invocation=durable_pb2.DurableEvictInvocationRequest(
                            invocation_count=ref.invocation_count,
                            durable_task_external_id=ref.durable_task_external_id,
                            reason="bench",
                        )
                    )
                )
            elif answer.HasField("eviction_ack"):
                self.asleep += 1
                self._tell()
            elif answer.HasField("error"):
                raise SystemExit(f"the engine refused: {answer.error.error_message}")

    async def put_to_sleep(self, inputs: list[Mapping[str, object]]) -> list[str]:
        """Returns the ids of the tasks once all are asleep."""
        before = self.asleep
        ids: list[str] = []
        for first in range(0, len(inputs), BULK_SIZE_MAX):
            # No backlog: what waits for a slot would be counted among the memory of what sleeps.
            while before + len(ids) - self.asleep > SLOTS:
                await self._next()
            ids += await self.client.bulk_trigger(SLEEPER, inputs[first : first + BULK_SIZE_MAX])
        while self.asleep < before + len(ids):
            await self._next()
        return ids

    async def awake(self, ids: Sequence[str]) -> None:
        """Returns once all of them have come back."""
        while not all(task_id in self.woken_at for task_id in ids):
            await self._next()

    async def _next(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def _tell(self) -> None:
        self.changed.set()


def _conditions(wanted: Mapping[str, object]) -> conditions_pb2.DurableEventListenerConditions:
    base = conditions_pb2.BaseMatchCondition(readable_data_key="wake", or_group_id="")
    if "event" in wanted:
        base.expression = f"input.id == '{wanted['event']}'"
        return conditions_pb2.DurableEventListenerConditions(
            user_event_conditions=[conditions_pb2.UserEventMatchCondition(base=base, user_event_key=EVENT_KEY)]
        )
    return conditions_pb2.DurableEventListenerConditions(
        sleep_conditions=[conditions_pb2.SleepMatchCondition(base=base, sleep_for=f"{wanted['sleep_ms']}ms")]
    )


async def starting(client: LeanClient) -> tuple[Sleepers, asyncio.Task[None]]:
    await client.put_workflow(
        SLEEPER, [Task("sleep", is_durable=True, slot_requests={"durable": 1}, schedule_timeout="24h")]
    )
    sleepers = Sleepers(client)
    listening = asyncio.Event()
    working = asyncio.create_task(sleepers.work(listening))
    await listening.wait()
    return sleepers, working


async def stop(working: asyncio.Task[None]) -> None:
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


def ending_from(first_ms: int) -> list[Mapping[str, object]]:
    """Inputs of the sleeps that will be measured."""
    return [{"sleep_ms": first_ms + each * 1000 // WOKEN_PER_S} for each in range(WOKEN)]


async def lateness(server: Engine, sleepers: Sleepers, ids: list[str]) -> list[float]:
    """Milliseconds, once all of `ids` have come back. No-op tasks run all the while, 16 in flight."""
    busy = asyncio.create_task(normal_work(server))
    await sleepers.awake(ids)
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    postgres = await EmbeddedPostgres.start(server.data_dir / "postgres")  # the engine's, which runs already
    connection = await asyncpg.connect(postgres.dsn)
    due = await connection.fetch(
        "select task_id::text, (wait::jsonb -> 0 ->> 1)::bigint from broadaxe.durable_entry "
        "where task_id = any($1::uuid[])",
        ids,
    )
    await connection.close()
    await postgres.stop()
    return [sleepers.woken_at[task_id] * 1e3 - due_at_us / 1e3 for task_id, due_at_us in due]


async def normal_work(server: Engine) -> None:
    async with connect(server) as client:
        worker = asyncio.create_task(client.run_noop_worker([ACTION], 100))
        runs = await client.subscribe_runs()

        async def one_after_another() -> None:
            while True:
                await runs.add(await client.trigger(WORKFLOW, {}))
                await anext(runs)

        try:
            await asyncio.gather(*(one_after_another() for _ in range(16)))
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)


async def to_events(sleepers: Sleepers, client: LeanClient, waiters: Sequence[str], rounds: int) -> list[float]:
    """Milliseconds from pushing the event one waiter waits for to the receipt of that task."""
    latencies = []
    for position in range(rounds):
        task_id = waiters[position * len(waiters) // rounds]
        before = time.time()
        await client.push_event(EVENT_KEY, {"id": f"w{waiters.index(task_id)}"})
        await sleepers.awake([task_id])
        latencies.append((sleepers.woken_at[task_id] - before) * 1e3)
    return latencies


def memory_mb(server: Engine) -> float:
    return float(server.process.memory_info().rss) / 1e6


async def before_the_kill(server: Engine, given: argparse.Namespace) -> tuple[list[Figure], list[str]]:
    """The figures, and the tasks whose sleeps end after the next start."""
    figures: list[Figure] = []

    async def work(how: str) -> None:
        for figure in [
            *(await measure_latency(client, given.rounds))[:1],
            *(await measure_throughput(client, server, given.tasks, 1))[:1],
        ]:
            figures.append(Figure(f"{figure.name}, {how}", figure.unit, figure.values))

    async with connect(server) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        await work("no sleepers")
        sleepers, working = await starting(client)
        await sleepers.awake(await sleepers.put_to_sleep(ending_from(0)))  # warms everything up
        figures.append(Figure("engine memory, no sleepers", "MB", [memory_mb(server)]))
        started = time.perf_counter()
        await sleepers.put_to_sleep([{"sleep_ms": 86_400_000}] * given.sleepers)
        rate = given.sleepers / (time.perf_counter() - started)
        figures.append(Figure("tasks put to sleep per second: trigger, assign, wait, evict", "/s", [rate]))
        figures.append(Figure(f"engine memory with {given.sleepers:,} asleep", "MB", [memory_mb(server)]))
        await work(f"{given.sleepers:,} asleep")
        ids = await sleepers.put_to_sleep(ending_from(10_000))
        late = await lateness(server, sleepers, ids)
        figures.append(Figure("wake-up lateness, 100 a second beside work", "ms", late))
        waiters = await sleepers.put_to_sleep([{"event": f"w{each}"} for each in range(given.waiters)])
        woken = await to_events(sleepers, client, waiters, given.rounds)
        figures.append(Figure(f"event to the one of {given.waiters:,} waiters it is for", "ms", woken))
        ids = await sleepers.put_to_sleep(ending_from(40_000))
        await stop(working)
    return figures, ids


async def after_the_start(server: Engine, given: argparse.Namespace, ids: list[str]) -> list[Figure]:
    async with connect(server) as client:
        started = time.perf_counter()
        await client.put_workflow(WORKFLOW, [Task("noop")])  # answered once the tenant is loaded
        loaded_s = server.ready_after_s + time.perf_counter() - started
        sleepers, working = await starting(client)
        late = await lateness(server, sleepers, ids)
        await stop(working)
    return [
        Figure(f"from start to serving with {given.sleepers:,} asleep, after kill -9", "s", [loaded_s]),
        Figure("engine memory after that", "MB", [memory_mb(server)]),
        Figure("wake-up lateness, 100 a second beside work, after that", "ms", late),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a Broadaxe engine with durable tasks asleep.")
    parser.add_argument("--sleepers", type=int, default=100_000, help="tasks that sleep for a day [100000]")
    parser.add_argument("--waiters", type=int, default=10_000, help="tasks that wait for an event [10000]")
    parser.add_argument("--tasks", type=int, default=4_000, help="no-op tasks per throughput figure [4000]")
    parser.add_argument("--rounds", type=int, default=100, help="triggers and events per latency figure [100]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="broadaxe-bench-") as folder:
        with engine(Path(folder)) as server:
            figures, ids = asyncio.run(before_the_kill(server, given))
            os.kill(server.process.pid, signal.SIGKILL)
        with engine(Path(folder)) as server:
            figures += asyncio.run(after_the_start(server, given, ids))
    print(f"\n{machine()}\n\n| figure | p50 | p95 | p99 |\n| --- | --- | --- | --- |")
    for figure in figures:
        print(figure.row())


if __name__ == "__main__":
    main()
