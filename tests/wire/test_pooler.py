"""An engine whose database is behind a real PgBouncer: everything it does over one, from trigger to result."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest
from lean_client import LeanClient, Task

from broadaxe.app import App
from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError
from tests.pooler import pooler

PATIENCE_S: Final = 60.0
#: More at once than the pooler has sessions.
RUNS: Final = 60


@pytest.mark.parametrize(
    ("mode", "is_direct"),
    [("session", False), ("transaction", False), ("transaction", True)],
    ids=["sessions", "transactions", "transactions-and-a-direct-url"],
)
async def test_an_engine_works_behind_a_pooler(mode: str, is_direct: bool, database: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(
            pooler(database, mode, tmp_path / "pooler", size=5 if mode == "transaction" else 30)
        )
        settings = Settings(
            database_url=dsn,
            direct_database_url=database if is_direct else None,
            grpc_port=0,
            http_port=0,
            data_dir=tmp_path / "data",
        )
        app = await App.start(settings)
        stack.push_async_callback(app.stop)
        credentials = await app.bootstrap_dev()
        client = await stack.enter_async_context(LeanClient(app.grpc_address, credentials.token))
        await client.put_workflow("noop", [Task("only")])
        worker = asyncio.create_task(client.run_noop_worker(["noop:only"], slots=20))
        stack.callback(worker.cancel)
        async with asyncio.timeout(PATIENCE_S):
            finished = await client.subscribe_runs()
            wanted = {await client.trigger("noop", {"n": n}) for n in range(5)}
            wanted |= set(await asyncio.gather(*(client.trigger("noop", {"n": n}) for n in range(RUNS))))
            # What an application enqueues in a transaction of its own, the pooler between.
            shop = await asyncpg.connect(dsn, statement_cache_size=0)
            async with shop.transaction():
                wanted.add(str(await shop.fetchval("select broadaxe.enqueue('noop', '{}', tenant => 'dev')")))
            await shop.close()
            for run_id in wanted:
                await finished.add(run_id)
            ended = set()
            async for event in finished:
                ended.add(event.workflow_run_id)
                if ended == wanted:
                    break
        headers = {"Authorization": f"Bearer {credentials.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_S) as http:
            listed = await http.get(
                f"{app.http_url}/api/v1/stable/tenants/{credentials.tenant_id}/workflow-runs",
                params={"since": "2020-01-01T00:00:00Z", "only_tasks": False, "limit": 100},
            )
            assert {row["metadata"]["id"] for row in listed.json()["rows"]} == wanted
            assert {row["status"] for row in listed.json()["rows"]} == {"COMPLETED"}


async def test_a_direct_url_that_leads_elsewhere_stops_the_start(database: str, postgres: str, tmp_path: Path) -> None:
    async with pooler(database, "transaction", tmp_path / "pooler") as dsn:
        settings = Settings(database_url=dsn, direct_database_url=postgres, grpc_port=0, data_dir=tmp_path / "data")
        with pytest.raises(ConfigurationError, match="another database"):
            await App.start(settings)
