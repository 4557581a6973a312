"""Measures what callers notice when a tenant goes to another node: planned, and after a kill -9.

    make bench-moves                               about a minute
    make bench-moves BENCH_ARGS="--rounds 3"       quicker
    make bench-moves BENCH_ARGS="--waiting 50000"  a tenant with so many runs that wait for a worker

Two nodes on one PostgreSQL, one tenant. Callers trigger no-op runs one after the other through the node that stays, and
a worker there runs them, so the tenant is never at rest. `drain` of the owner makes it hand the tenant over; then the
longest call of those under way is what the move cost, and none may fail. After that owners are killed: what counts is
the time until a call is answered again.

Latencies are honest on a quiet machine only; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import grpc.aio
from cluster import TOKEN_LIFE_S, start
from lean_client import LeanClient, Task
from run import ACTION, WORKFLOW, Figure, percentile

from broadaxe.storage import accounts, tokens
from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import migrate
from broadaxe.storage.nodes import NodeRow, drain_node, nodes

LOOK_EVERY_S: Final = 0.02
UNSERVED: Final = "bench-unserved"
BULK: Final = 500


@dataclass(slots=True)
class Node:
    process: subprocess.Popen[str]
    url: str
    address: str


@dataclass(slots=True)
class Load:
    """Callers that trigger one run after the other, and when each call began and ended."""

    client: LeanClient
    calls: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answered: asyncio.Queue[float] = field(default_factory=asyncio.Queue)
    """When the calls began that were answered."""

    async def call(self) -> None:
        while True:
            begun = time.perf_counter()
            try:
                await self.client.trigger(WORKFLOW, {})
                self.calls.append((begun, time.perf_counter()))
                self.answered.put_nowait(begun)
            except grpc.aio.AioRpcError as error:
                self.failures.append(f"{error.code().name}: {error.details()}")
                await asyncio.sleep(LOOK_EVERY_S)

    def longest_ms(self, since: float, until: float) -> float:
        return max((end - begun) * 1e3 for begun, end in self.calls if end >= since and begun <= until)


async def begin(dsn: str) -> Node:
    process = await asyncio.to_thread(start, dsn, 0)
    assert process.stdout is not None
    line = await asyncio.to_thread(process.stdout.readline)
    if "ready" not in line:
        raise SystemExit("the node did not start; run `broadaxe serve` by hand to see why")
    url, address = line.split(": ", 1)[1].strip().split(", gRPC ")
    return Node(process, url, address)


async def owner(connection: asyncpg.Connection) -> NodeRow:
    """The node that has the tenant now; waits for one."""
    while True:
        for row in await nodes(connection):
            if row.tenants and not row.is_lost:
                return row
        await asyncio.sleep(LOOK_EVERY_S)


async def is_elsewhere(connection: asyncpg.Connection, row: NodeRow) -> None:
    while True:
        if (await owner(connection)).id != row.id:
            return
        await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def load(address: str, token: str, callers: int, waiting: int) -> AsyncIterator[Load]:
    async with LeanClient(address, token) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        await client.put_workflow(UNSERVED, [Task("nobody")])
        for _ in range(waiting // BULK):
            await client.bulk_trigger(UNSERVED, [{}] * BULK)
        found = Load(client)
        tasks = [asyncio.create_task(client.run_noop_worker([ACTION], 200))]
        tasks += [asyncio.create_task(found.call()) for _ in range(callers)]
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def run(rounds: int, callers: int, waiting: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-moves-") as directory:
        server = await EmbeddedPostgres.start(Path(directory) / "postgres")
        running: list[Node] = []
        try:
            await migrate(server.dsn, 0, is_alone=True)
            connection = await asyncpg.connect(server.dsn)
            stays, other = await begin(server.dsn), await begin(server.dsn)
            running += [stays, other]
            tenant = await accounts.ensure_tenant(connection, "Bench", "bench")
            issued = await tokens.create_token(connection, tenant.id, "bench", TOKEN_LIFE_S, stays.url, stays.address)
            moved_ms: list[float] = []
            back_ms: list[float] = []
            async with load(stays.address, issued.token, callers, waiting) as found:
                await asyncio.sleep(5)
                usual = [(end - begun) * 1e3 for begun, end in found.calls]
                for _ in range(rounds):
                    row = await owner(connection)
                    since = time.perf_counter()
                    await drain_node(connection, row.id)
                    await is_elsewhere(connection, row)
                    await asyncio.sleep(1)
                    moved_ms.append(found.longest_ms(since, time.perf_counter()))
                    await drain_node(connection, row.id, is_undone=True)
                    await asyncio.sleep(4)
                failed_moving = list(found.failures)
                for _ in range(rounds):
                    row = await owner(connection)
                    if row.address.endswith(stays.address.rpartition(":")[2]):
                        await drain_node(connection, row.id)
                        await is_elsewhere(connection, row)
                        await asyncio.sleep(2)
                        await drain_node(connection, row.id, is_undone=True)
                    killed = time.perf_counter()
                    other.process.send_signal(signal.SIGKILL)
                    while await found.answered.get() < killed:
                        pass
                    back_ms.append((time.perf_counter() - killed) * 1e3)
                    await asyncio.to_thread(other.process.wait, 30)
                    running.remove(other)
                    other = await begin(server.dsn)
                    running.append(other)
                    await asyncio.sleep(4)
            await connection.close()
        finally:
            for node in running:
                node.process.terminate()
            for node in running:
                await asyncio.to_thread(node.process.wait, 30)
            await server.stop()
    print(f"longest call of each move, ms: {', '.join(f'{each:.0f}' for each in moved_ms)}")
    print(f"until an answer after each kill, ms: {', '.join(f'{each:.0f}' for each in back_ms)}")
    return [
        Figure("a trigger, before anything moves", "ms", usual),
        Figure("calls that failed over moves", "", [float(len(failed_moving))]),
        Figure("calls that failed over kills", "", [float(len(found.failures) - len(failed_moving))]),
        Figure("longest call around a planned move, p50", "ms", [percentile(moved_ms, 0.5)]),
        Figure("answered again after kill -9 of the owner, p50", "ms", [percentile(back_ms, 0.5)]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="moves, and then kills")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--waiting", type=int, default=0, help="runs that wait for a worker meanwhile")
    arguments = parser.parse_args()
    figures = asyncio.run(run(arguments.rounds, arguments.callers, arguments.waiting))
    print("| what | p50 | p95 | p99 |\n|---|---|---|---|")
    for figure in figures:
        print(figure.row())


if __name__ == "__main__":
    main()
