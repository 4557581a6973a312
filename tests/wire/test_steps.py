"""Steps in an application's transaction, in tasks of the official SDK."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import asyncpg
import pytest
from gallery.cue import Cue
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "durable_cart" / "cart.py"


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


async def test_a_run_answers_what_it_is_asked_each_once(
    engine: EngineProcess, rest: Rest, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example of the page: many ask at once, one after them, and a replay answers nobody again."""
    for name, value in engine.worker_environment("").items():
        monkeypatch.setenv(name, value)
    dsn = engine.env["BROADAXE_ENGINE_DATABASE_URL"]
    example = runpy.run_path(str(EXAMPLE))
    environment = engine.worker_environment("") | {"SHOP_DATABASE_URL": dsn}
    await start_worker("carts", program="programs.cart", environment=environment)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=8) as pool:
        await pool.execute(example["REQUESTS"])
        run = await engine.client().stubs.workflow(name="cart").aio_run(wait_for_result=False)

        async def ask(item: str) -> list[str]:
            async with pool.acquire() as connection:
                there: list[str] = await asyncio.wait_for(example["ask"](connection, run.workflow_run_id, item), 90)
                return there

        many = await asyncio.gather(*(ask(f"bulb {number}") for number in range(8)))
        assert sorted(len(there) for there in many) == list(range(1, 9)), "one after the other"
        assert (await ask("shade"))[-1] == "shade"
        bill = await ask("the bill")
        items = (await asyncio.wait_for(run.aio_result(), 60))["cart"]["items"]
        assert items == bill
        assert sorted(items) == sorted([*(f"bulb {number}" for number in range(8)), "shade", "the bill"])
        answers = "select array_agg(answer order by id) from public.cart_request"
        before = await pool.fetchval(answers)
        await engine.client().runs.aio_replay(run.workflow_run_id)
        await eventually(lambda: rest.status(run.workflow_run_id), until="COMPLETED".__eq__, what="the replay ends")
        assert (await asyncio.wait_for(run.aio_result(), 60))["cart"]["items"] == items
        assert await pool.fetchval(answers) == before
        await pool.execute("drop table public.cart_request")
