"""Steps in an application's transaction, in tasks of the official SDK."""

from __future__ import annotations

import asyncio

import asyncpg
from gallery.cue import Cue
from wirekit import EngineProcess, Stage, StartWorker


async def test_what_a_step_did_is_done_once_however_often_its_task_is(
    engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """A plain task and a durable one, both failed and replayed after their step."""
    dsn = engine.env["BROADAXE_ENGINE_DATABASE_URL"]
    environment = engine.worker_environment(key) | {"SHOP_DATABASE_URL": dsn}
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table public.charge (who text)")
    await start_worker(program="programs.charging_worker", namespace=key, environment=environment)
    client = engine.client(key)
    for name in ("charge", "charge-durably"):
        cue = Cue(key=f"{key}-{name}", n=2)
        run = await client.stubs.workflow(name=name, input_validator=Cue).aio_run(cue, wait_for_result=False)
        assert await asyncio.wait_for(run.aio_result(), 60) == {name: {"charged_in_attempt": 0}}
        await client.runs.aio_replay(run.workflow_run_id)
        await stage.heard(cue.key, "charged", count=4)
        assert await asyncio.wait_for(run.aio_result(), 60) == {name: {"charged_in_attempt": 0}}
        told = [signal.data["is_done"] for signal in stage.told(cue.key, "charged")]
        assert told[:4] == [False, True, True, True]
        assert await connection.fetchval("select count(*) from public.charge where who = $1", cue.key) == 1
        said = await connection.fetchval("select broadaxe.get_value($1, 'at')", run.workflow_run_id)
        assert said == '{"attempt": 0}'
    await connection.execute("drop table public.charge")
    await connection.close()
