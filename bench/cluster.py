"""Measures what edges take off the process that decides, and what asking another process than the owner costs.

    make bench-cluster                                   a few minutes
    make bench-cluster BENCH_ARGS="--tasks 2000 --json"  quicker, for scripts

One PostgreSQL, and after each other: `broadaxe serve` as one process, and with edges. For each the CPU time per no-op
task of every process, start latency on an idle engine, and memory once the tasks have run. Worker and caller are one
process beside them. CPU times are right on a busy machine too; latencies are not. Only the ratios within one run mean
anything; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from lean_client import LeanClient, Task
from run import WORKFLOW, Engine, Figure, measure_latency, measure_throughput

from broadaxe.storage import accounts, tokens
from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import migrate

TOKEN_LIFE_S: Final = 3600
BULK: Final = 100


@dataclass(frozen=True, slots=True)
class Node:
    address: str
    token: str
    engine: psutil.Process
    edges: Sequence[psutil.Process]

    def server(self, postgres: psutil.Process) -> Engine:
        return Engine(self.engine, (postgres, *postgres.children(recursive=True)), {}, Path(), 0.0)

    def edges_cpu_s(self) -> float:
        return sum(sum(edge.cpu_times()[:2]) for edge in self.edges)


def start(dsn: str, edges: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "broadaxe.cli.main", "serve", "--edges", str(edges)]
    return subprocess.Popen(
        [*command, "--grpc-port", "0", "--http-port", "0", "--log-level", "error"],
        env=os.environ | {"BROADAXE_DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        text=True,
    )


@asynccontextmanager
async def serving(dsn: str, edges: int) -> AsyncIterator[Node]:
    process = start(dsn, edges)
    try:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        if "ready" not in line:
            raise SystemExit("the node did not start; run `broadaxe serve` by hand to see why")
        url, address = line.split(": ", 1)[1].strip().split(", gRPC ")
        connection = await asyncpg.connect(dsn)
        try:
            tenant = await accounts.ensure_tenant(connection, "Bench", "bench")
            issued = await tokens.create_token(connection, tenant.id, "bench", TOKEN_LIFE_S, url, address)
        finally:
            await connection.close()
        parts = {part.cmdline()[-1]: part for part in psutil.Process(process.pid).children()} if edges else {}
        engine = parts.pop("engine", psutil.Process(process.pid))
        yield Node(address, issued.token, engine, list(parts.values()))
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


async def measure(node: Node, postgres: psutil.Process, tasks: int, rounds: int, how: str) -> list[Figure]:
    server = node.server(postgres)
    async with LeanClient(node.address, node.token) as client:
        await client.put_workflow(WORKFLOW, [Task("noop")])
        figures = await measure_latency(client, rounds) if rounds else []
        for bulk in (1, BULK):
            before_s = node.edges_cpu_s()
            figures += await measure_throughput(client, server, tasks, bulk)
            if node.edges:
                each_us = (node.edges_cpu_s() - before_s) / tasks * 1e6
                figures.append(Figure(f"CPU of all edges per task, {bulk} at a time", "µs", [each_us]))
    figures.append(Figure("memory of the process that decides", "MB", [node.engine.memory_info().rss / 1e6]))
    if node.edges:
        memory = sum(edge.memory_info().rss for edge in node.edges) / len(node.edges)
        figures.append(Figure("memory of an edge", "MB", [memory / 1e6]))
    return [Figure(f"{how}: {figure.name}", figure.unit, figure.values) for figure in figures]


async def run(tasks: int, rounds: int, edges: int) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-cluster-") as directory:
        server = await EmbeddedPostgres.start(Path(directory) / "postgres")
        try:
            await migrate(server.dsn, 0, is_alone=True)
            pid = int((Path(directory) / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()[0])
            for count in (0, edges):
                how = f"{count} edges" if count else "one process"
                async with serving(server.dsn, count) as node:
                    figures += await measure(node, psutil.Process(pid), tasks, rounds, how)
        finally:
            await server.stop()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000, help="no-op tasks of each throughput measurement")
    parser.add_argument("--rounds", type=int, default=200, help="triggers of each latency measurement; 0 for none")
    parser.add_argument("--edges", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = asyncio.run(run(arguments.tasks, arguments.rounds, arguments.edges))
    if arguments.json:
        print(json.dumps([figure.plain() for figure in figures], indent=2))
        return
    print("| what | p50 | p95 | p99 |\n|---|---|---|---|")
    for figure in figures:
        print(figure.row())


if __name__ == "__main__":
    main()
