"""The database drops the engine's connections, again and again, under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from gallery.cue import Cue
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

CUTS = 4


@pytest.fixture
async def engine_elsewhere(database: str, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    """An engine on the test run's own server, whose connections the test can cut."""
    engine = EngineProcess(tmp_path, database)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.dispose()


async def test_nobody_notices_lost_connections_to_the_database(
    engine_elsewhere: EngineProcess, database: str, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    await start_worker(engine=engine_elsewhere)
    client = engine_elsewhere.client()
    echo = client.stubs.workflow(name="echo", input_validator=Cue)
    server = await asyncpg.connect(database)
    name = urlsplit(database).path.lstrip("/")
    results = []
    try:
        for cut in range(CUTS):
            references = await echo.aio_run_many(
                [echo.create_bulk_run_item(Cue(key=key, n=cut * 100 + n)) for n in range(100)], wait_for_result=False
            )
            waiting = asyncio.gather(*(reference.aio_result() for reference in references))
            # Some are done, some run, some wait, and the engine is committing.
            await stage.heard(key, "echo", count=cut * 100 + 10)
            cut_off = await server.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = $1 and pid <> pg_backend_pid()",
                name,
            )
            assert cut_off > 0
            results += [result["echo"]["n"] for result in await asyncio.wait_for(waiting, 60)]
    finally:
        await server.close()
    assert results == list(range(CUTS * 100))
    async with Rest(engine_elsewhere.url, engine_elsewhere.token, client.tenant_id) as rest:

        async def busy() -> int:
            return sum(row["maxRuns"] - row["availableRuns"] for row in await rest.workers())

        await eventually(busy, until=lambda units: units == 0, what="every slot is free again")
