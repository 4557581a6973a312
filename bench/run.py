"""Measures the engine from outside, as a worker and a caller on the bare wire see it, and prints a table.

    make bench                                    everything, about a minute
    make bench BENCH_ARGS="--tasks 2000 --json"   quicker, for scripts

What is measured, each on an engine process of its own data directory:

- cold start: from starting the process to ready, on an empty directory (initdb included) and on a used one;
- start latency: from the trigger's send to the worker's receipt, one at a time on an idle engine;
- the official SDK's synchronous `run()`: from the call to its result, with a worker of that SDK, one at a time on an
  idle engine;
- transactional enqueue: from the return of an application's commit to the worker's receipt, on an idle engine;
- the same workflow code on the SDK's own worker and client, and on `broadaxe-worker` and its `Caller`: tasks a second,
  and the CPU time of worker and caller per task, `async def` and `def`;
- throughput: no-op tasks from trigger to finished run, and the CPU time of the engine and of Postgres per task.

Worker and caller are one process beside the engine, so on a machine of two cores all three share them. Numbers compare
only within one run on one machine; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import greeter
import psutil
from hatchet_sdk import Hatchet
from lean_client import LeanClient, Task

from broadaxe.storage.embedded import EmbeddedPostgres

WORKER: Final = Path(__file__).parents[1] / "worker" / "src"
sys.path.insert(0, str(WORKER))

from broadaxe_worker import Caller  # noqa: E402 the path to it has only now been laid

WORKFLOW: Final = "bench-noop"
ACTION: Final = f"{WORKFLOW}:noop"


@dataclass(frozen=True, slots=True)
class Engine:
    process: psutil.Process
    postgres: tuple[psutil.Process, ...]
    env: dict[str, str]
    data_dir: Path
    ready_after_s: float

    def cpu_s(self) -> tuple[float, float]:
        """CPU seconds used so far by the engine and by Postgres."""
        return _cpu_s(self.process), sum(_cpu_s(process) for process in self.postgres)


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    unit: str
    values: Sequence[float]
    """One number, or a distribution."""

    def row(self) -> str:
        if len(self.values) == 1:
            return f"| {self.name} | {self.values[0]:,.1f} {self.unit} | | |"
        p50, p95, p99 = (percentile(self.values, share) for share in (0.50, 0.95, 0.99))
        return f"| {self.name} | {p50:.2f} {self.unit} | {p95:.2f} | {p99:.2f} |"

    def plain(self) -> dict[str, object]:
        if len(self.values) == 1:
            return {"name": self.name, "unit": self.unit, "value": self.values[0]}
        shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
        return {"name": self.name, "unit": self.unit} | {k: percentile(self.values, s) for k, s in shares.items()}


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def engine(data_dir: Path):  # type: ignore[no-untyped-def]  # a context manager of Engine
    """A `broadaxe dev` process on free ports, stopped at the end."""
    env_file = data_dir / "bench.env"
    env_file.unlink(missing_ok=True)
    command = [
        str(Path(sys.executable).with_name("broadaxe")), "dev", "--data-dir", str(data_dir),
        "--grpc-port", "0", "--http-port", "0", "--env-file", str(env_file), "--log-level", "warning",
    ]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not env_file.exists():
            if process.poll() is not None:
                raise SystemExit(f"the engine ended with code {process.returncode}; run it by hand to see why")
            time.sleep(0.005)
        ready_after_s = time.perf_counter() - started
        env = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line)
        pid = int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()[0])
        postmaster = psutil.Process(pid)
        postgres = (postmaster, *postmaster.children(recursive=True))
        yield Engine(psutil.Process(process.pid), postgres, env, data_dir, ready_after_s)
    finally:
        process.terminate()
        process.wait(30)


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


async def measure_latency(client: LeanClient, count: int) -> list[Figure]:
    """One trigger at a time on an idle engine."""
    received: dict[str, float] = {}
    worker = asyncio.create_task(
        client.run_noop_worker(
            [ACTION], 100, on_received=lambda action: received.setdefault(action.workflow_run_id, time.perf_counter())
        )
    )
    runs = await client.subscribe_runs()
    sent: dict[str, float] = {}
    acknowledged: list[float] = []
    finished: list[float] = []
    for round_ in range(count + 20):
        before = time.perf_counter()
        run_id = await client.trigger(WORKFLOW, {})
        after = time.perf_counter()
        await runs.add(run_id)
        await anext(runs)
        if round_ >= 20:  # the first ones warm everything up
            sent[run_id] = before
            acknowledged.append((after - before) * 1e3)
            finished.append((time.perf_counter() - before) * 1e3)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    started = [(received[run_id] - at) * 1e3 for run_id, at in sent.items()]
    return [
        Figure("start latency, idle: trigger sent to worker received", "ms", started),
        Figure("trigger acknowledged (durable)", "ms", acknowledged),
        Figure("trigger sent to result received", "ms", finished),
    ]


async def measure_enqueue(client: LeanClient, server: Engine, count: int) -> list[Figure]:
    """One transaction at a time on an idle engine. It holds one call of the SQL function and nothing else."""
    received: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    worker = asyncio.create_task(
        client.run_noop_worker(
            [ACTION],
            100,
            on_received=lambda action: received.put_nowait((action.workflow_run_id, time.perf_counter())),
        )
    )
    runs = await client.subscribe_runs()
    postgres = await EmbeddedPostgres.start(server.data_dir / "postgres")  # the engine's, which runs already
    connection = await asyncpg.connect(postgres.dsn)
    started: list[float] = []
    committed: list[float] = []
    for round_ in range(count + 20):
        before = time.perf_counter()
        async with connection.transaction():
            run_id = str(await connection.fetchval("select broadaxe.enqueue($1)", WORKFLOW))
        after = time.perf_counter()
        started_id, at = await received.get()
        assert started_id == run_id
        await runs.add(run_id)
        await anext(runs)
        if round_ >= 20:
            started.append((at - after) * 1e3)
            committed.append((after - before) * 1e3)
    await connection.close()
    await postgres.stop()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return [
        Figure("enqueue commit to start: commit returned to worker received", "ms", started),
        Figure("enqueue: begin, call, commit", "ms", committed),
    ]


async def measure_throughput(client: LeanClient, server: Engine, count: int, bulk: int) -> list[Figure]:
    """`count` no-op tasks, triggered `bulk` at a time (1: single triggers, 64 in flight)."""
    worker = asyncio.create_task(client.run_noop_worker([ACTION], 200))
    runs = await client.subscribe_runs()
    await runs.add(await client.trigger(WORKFLOW, {}))
    await anext(runs)
    engine_before, postgres_before = server.cpu_s()
    started = time.perf_counter()
    slots = asyncio.Semaphore(64 if bulk == 1 else 4)
    pending: set[str] = set()

    async def trigger() -> None:
        async with slots:
            ids = (
                [await client.trigger(WORKFLOW, {})] if bulk == 1 else await client.bulk_trigger(WORKFLOW, [{}] * bulk)
            )
        for run_id in ids:
            pending.add(run_id)
            await runs.add(run_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(count // bulk):
            group.create_task(trigger())
        done = 0
        while done < count // bulk * bulk:
            await anext(runs)
            done += 1
    elapsed_s = time.perf_counter() - started
    engine_after, postgres_after = server.cpu_s()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    how = "single triggers, 64 in flight" if bulk == 1 else f"triggered {bulk} at a time"
    return [
        Figure(f"no-op tasks per second, {how}", "/s", [done / elapsed_s]),
        Figure(f"engine CPU per task, {how}", "µs", [(engine_after - engine_before) / done * 1e6]),
        Figure(f"Postgres CPU per task, {how}", "µs", [(postgres_after - postgres_before) / done * 1e6]),
    ]


async def measure(server: Engine, tasks: int, rounds: int) -> list[Figure]:
    async with LeanClient(server.env["HATCHET_CLIENT_HOST_PORT"], server.env["HATCHET_CLIENT_TOKEN"]) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        figures = await measure_latency(client, rounds)
        figures += await measure_enqueue(client, server, rounds)
        figures += await measure_throughput(client, server, tasks, 1)
        figures += await measure_throughput(client, server, tasks, 100)
        return figures


def measure_sdk(server: Engine, count: int) -> list[Figure]:
    """What a program on the official SDK waits for: it asks for the run's details until the run is over."""
    env = _sdk_env(server)
    worker = _sdk_worker(env, "official")
    logging.disable(logging.INFO)
    try:
        hatchet = greeter.client(
            env["HATCHET_CLIENT_HOST_PORT"], env["HATCHET_CLIENT_SERVER_URL"], env["HATCHET_CLIENT_TOKEN"]
        )
        greet = greeter.greeting(hatchet)
        while not hatchet.workers.list().rows:
            time.sleep(0.05)
        waited: list[float] = []
        for round_ in range(count + 20):  # the first one waits for the worker
            before = time.perf_counter()
            greet.run()
            if round_ >= 20:
                waited.append((time.perf_counter() - before) * 1e3)
    finally:
        worker.terminate()
        worker.wait(30)
    return [Figure("official SDK, synchronous run(): call to result", "ms", waited)]


def measure_workers(server: Engine, tasks: int) -> list[Figure]:
    """Both workers, each with the client that belongs to it. The official one gets a tenth of the tasks."""
    figures: list[Figure] = []
    for runtime, count in (("official", max(500, tasks // 10)), ("session", tasks)):
        env = _sdk_env(server)
        caller = [sys.executable, str(Path(__file__)), "--call", runtime, "--tasks", str(count)]
        worker = _sdk_worker(env, runtime)
        family = psutil.Process(worker.pid)
        try:
            for kind in ("async def", "def"):
                answer = subprocess.run(
                    [*caller, "--kind", kind, "--worker", str(worker.pid)], env=env, check=True, stdout=subprocess.PIPE
                )
                found = json.loads(answer.stdout)
                how = (
                    f"{kind}, {'broadaxe-worker and Caller' if runtime == 'session' else 'official worker and client'}"
                )
                figures += [
                    Figure(f"no-op tasks per second, {how}", "/s", [found["per_s"]]),
                    Figure(f"worker CPU per task, {how}", "µs", [found["worker_us"]]),
                    Figure(f"caller CPU per task, {how}", "µs", [found["caller_us"]]),
                ]
        finally:
            for process in family.children(recursive=True):
                process.terminate()
            worker.terminate()
            worker.wait(30)
    return figures


def call(runtime: str, kind: str, tasks: int, worker_pid: int) -> dict[str, float]:
    """The caller of `measure_workers`, a process of its own: 500 runs at a time, with their results."""
    hatchet = Hatchet()
    greet = greeter.greeting_async(hatchet) if kind == "async def" else greeter.greeting(hatchet)
    worker = psutil.Process(worker_pid)

    async def many(count: int) -> None:
        await greet.aio_run_many([greet.create_bulk_run_item() for _ in range(count)])

    async def main() -> dict[str, float]:
        await many(200)  # waits for the worker, and warms everything up
        family = [worker, *worker.children(recursive=True)]
        before, own, started = sum(map(_cpu_s, family)), time.process_time(), time.perf_counter()
        for _ in range(tasks // 500):
            await many(500)
        done = tasks // 500 * 500
        return {
            "per_s": done / (time.perf_counter() - started),
            "worker_us": (sum(map(_cpu_s, family)) - before) / done * 1e6,
            "caller_us": (time.process_time() - own) / done * 1e6,
        }

    logging.disable(logging.INFO)
    if runtime == "official":
        return asyncio.run(main())
    with Caller(hatchet):
        return asyncio.run(main())


def _sdk_env(server: Engine) -> dict[str, str]:
    path = os.pathsep.join((str(WORKER), os.environ.get("PYTHONPATH", "")))
    env = {name: text for name, text in os.environ.items() if not name.startswith("HATCHET_")}
    return env | server.env | {"PYTHONPATH": path}


def _sdk_worker(env: dict[str, str], runtime: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("greeter.py")), runtime],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measure_starts(count: int) -> list[Figure]:
    """In turn, so that a machine whose speed drifts is fair to both kinds."""
    empty: list[float] = []
    used: list[float] = []
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="broadaxe-bench-") as folder:
            for figures in (empty, used):
                with engine(Path(folder)) as server:
                    figures.append(server.ready_after_s)
    return [Figure("cold start, empty directory", "s", empty), Figure("cold start, used directory", "s", used)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a Broadaxe engine and prints a table.")
    parser.add_argument("--tasks", type=int, default=10_000, help="no-op tasks per throughput figure [10000]")
    parser.add_argument("--rounds", type=int, default=500, help="triggers per latency figure [500]")
    parser.add_argument("--starts", type=int, default=3, help="cold starts of either kind [3]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--workers-only", action="store_true", help="only the two workers side by side")
    for name in ("--call", "--kind", "--worker"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        print(json.dumps(call(given.call, given.kind, given.tasks, int(given.worker))))
        return
    figures = [] if given.workers_only else measure_starts(given.starts)
    if not given.workers_only:
        with tempfile.TemporaryDirectory(prefix="broadaxe-bench-") as folder, engine(Path(folder)) as server:
            figures += measure_sdk(server, given.rounds)
            figures += asyncio.run(measure(server, given.tasks, given.rounds))
    # On an engine of its own: its runs would make everything that is measured after them dearer.
    with tempfile.TemporaryDirectory(prefix="broadaxe-bench-") as folder, engine(Path(folder)) as server:
        figures += measure_workers(server, given.tasks)
    if given.json:
        print(json.dumps({"machine": machine(), "figures": [figure.plain() for figure in figures]}, indent=2))
        return
    print(f"\n{machine()}\n\n| figure | p50 | p95 | p99 |\n| --- | --- | --- | --- |")
    for figure in figures:
        print(figure.row())


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
