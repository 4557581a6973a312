"""Measures what many tenants cost, and how long a caller waits after a kill -9 of the engine that had them all.

    make bench-tenants                               a thousand tenants with a cron each, some minutes
    make bench-tenants BENCH_ARGS="--tenants 200"    quicker

Every tenant has a workflow with a cron. The engine is killed with -9 and started again; as soon as its port answers,
one tenant after the other is asked to trigger a run, and then fifty others at once. Each of them has to be loaded
first, and none may wait behind those that nobody asks for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import asyncpg
from cluster import TOKEN_LIFE_S
from lean_client import LeanClient
from run import WORKFLOW, Engine, Figure, engine, machine

from broadaxe.rpc._gen import admin_pb2
from broadaxe.storage import accounts, tokens

ASKED_ALONE: Final = 20
ASKED_AT_ONCE: Final = 50
AT_A_TIME: Final = 16
IDLE_S: Final = 20.0


async def settle(server: Engine, count: int) -> list[str]:
    """So many tenants with a cron each; their tokens."""
    database = await asyncpg.create_pool(server.env["BROADAXE_ENGINE_DATABASE_URL"], min_size=1, max_size=2)
    address, url = server.env["HATCHET_CLIENT_HOST_PORT"], server.env["HATCHET_CLIENT_SERVER_URL"]
    request = admin_pb2.CreateWorkflowVersionRequest(
        name=WORKFLOW,
        cron_triggers=["0 0 1 1 *"],
        tasks=[admin_pb2.CreateTaskOpts(readable_id="noop", action=f"{WORKFLOW}:noop", timeout="60s")],
    )
    found: list[str] = []
    slots = asyncio.Semaphore(AT_A_TIME)

    async def add(number: int) -> None:
        async with slots:
            tenant = await accounts.ensure_tenant(database, f"Tenant {number}", f"tenant-{number}")
            issued = await tokens.create_token(database, tenant.id, "bench", TOKEN_LIFE_S, url, address)
            async with LeanClient(address, issued.token) as client:
                await client.put_definition(request)
            found.append(issued.token)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(add(number))
    await database.close()
    return found


async def ask(address: str, token: str) -> float:
    """Milliseconds until a run was triggered."""
    begun = time.perf_counter()
    async with LeanClient(address, token) as client:
        await client.trigger(WORKFLOW, {})
    return (time.perf_counter() - begun) * 1e3


async def after_the_kill(server: Engine, asked: list[str]) -> list[Figure]:
    address = server.env["HATCHET_CLIENT_HOST_PORT"]
    alone = [await ask(address, token) for token in asked[:ASKED_ALONE]]
    at_once = await asyncio.gather(*(ask(address, token) for token in asked[ASKED_ALONE:]))
    return [
        Figure("the first call after the start", "ms", alone[:1]),
        Figure(f"{ASKED_ALONE - 1} other tenants, one after the other", "ms", alone[1:]),
        Figure(f"{ASKED_AT_ONCE} other tenants at once", "ms", at_once),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what many tenants cost, and a kill -9 of their engine.")
    parser.add_argument("--tenants", type=int, default=1_000, help="with a cron each [1000]")
    given = parser.parse_args()
    if given.tenants < ASKED_ALONE + ASKED_AT_ONCE:
        parser.error(f"--tenants: {ASKED_ALONE + ASKED_AT_ONCE} at least, so many are asked")
    with tempfile.TemporaryDirectory(prefix="broadaxe-tenants-") as folder:
        with suppress(SystemExit), engine(Path(folder)) as server:
            before = server.process.memory_info().rss
            found = asyncio.run(settle(server, given.tenants))
            grown = (server.process.memory_info().rss - before) / given.tenants
            cpu_s = server.cpu_s()[0]
            # What is measured: an engine that nobody asks for anything.
            time.sleep(IDLE_S)
            idle = (server.cpu_s()[0] - cpu_s) / IDLE_S
            os.kill(server.process.pid, signal.SIGKILL)
        with engine(Path(folder)) as server:
            asked = random.Random(7).sample(found, ASKED_ALONE + ASKED_AT_ONCE)
            figures = asyncio.run(after_the_kill(server, asked))
            figures.append(Figure("from starting the process to ready", "s", [server.ready_after_s]))
    figures.append(Figure("memory of the engine per tenant", "kB", [grown / 1e3]))
    figures.append(Figure("CPU of the idle engine, of a core", "%", [idle * 100]))
    print(f"\n{machine()}; {given.tenants:,} tenants\n\n| what | p50 | p95 | p99 |\n|---|---|---|---|")
    for figure in figures:
        print(figure.row())


if __name__ == "__main__":
    main()
