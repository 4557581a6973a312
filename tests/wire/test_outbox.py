"""Transactional enqueue from end to end: an application's commit, the engine's process, the SDK's worker."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually


@pytest.fixture
async def engine_here(database: str, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    """An engine of its own on the database that the test's `pool` leads to."""
    engine = EngineProcess(tmp_path, database_url=database)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.dispose()


async def enqueue(db: asyncpg.Pool | asyncpg.Connection, workflow: str, **cue: object) -> str:
    run_id: str = await db.fetchval("select broadaxe.enqueue($1, $2)::text", workflow, json.dumps(cue))
    return run_id


async def outbox_is_empty(pool: asyncpg.Pool) -> bool:
    return not await pool.fetchval("select exists (select from broadaxe.outbox)")


async def test_a_commit_starts_the_task_and_its_id_is_good_for_every_call(
    engine_here: EngineProcess, start_worker: StartWorker, stage: Stage, pool: asyncpg.Pool, key: str
) -> None:
    await start_worker(engine=engine_here)
    client = engine_here.client()
    async with pool.acquire() as connection:
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                lost = await enqueue(connection, "hold", key=f"{key}-lost")
                raise ZeroDivisionError
        async with connection.transaction():
            run_id = await enqueue(connection, "hold", key=key, n=7)
            # Who waits for a result may be early.
            awaited = asyncio.create_task(client.runs.get_run_ref(run_id).aio_result())
    await stage.heard(key, "started")
    stage.open(key)
    assert await awaited == {"hold": {"n": 7, "retry_count": 0}}
    event_id = await pool.fetchval(
        "select broadaxe.push_event('wire:order.made', $1)::text", json.dumps({"key": f"{key}-event"})
    )
    async with Rest(engine_here.url, engine_here.token, client.tenant_id) as rest:
        assert await rest.finished(run_id) == "COMPLETED"
        types = await rest.event_types(run_id)
        assert types == ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]
        assert event_id in [row["metadata"]["id"] for row in await rest.user_events()]
        assert lost not in [
            row["metadata"]["id"] for row in await rest.runs(since="2020-01-01T00:00:00Z", only_tasks="false")
        ]
    assert stage.told(f"{key}-lost") == []
    # The id of a run that exists can be cancelled and replayed like any other.
    second = await enqueue(pool, "hold", key=f"{key}-cancelled")
    await stage.heard(f"{key}-cancelled", "started")
    await client.runs.aio_cancel(second)
    async with Rest(engine_here.url, engine_here.token, client.tenant_id) as rest:
        assert await rest.finished(second) == "CANCELLED"


async def test_an_engine_killed_between_the_commit_and_the_run_makes_it_once(
    engine_here: EngineProcess, start_worker: StartWorker, stage: Stage, pool: asyncpg.Pool, key: str
) -> None:
    await start_worker(engine=engine_here)
    # The engine's own transaction is held up, so that it dies with the row read and the run not committed.
    async with pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("select 1 from broadaxe.lease for update")
        run_id = await enqueue(pool, "hold", key=key)

        async def held_up() -> bool:
            return bool(
                await pool.fetchval(
                    "select count(*) from pg_stat_activity where datname = current_database() "
                    "and application_name = 'broadaxe journal' and wait_event_type = 'Lock'"
                )
            )

        await eventually(held_up, what="the engine waits for its commit")
        await engine_here.kill()
        await transaction.rollback()
    while_down = await enqueue(pool, "hold", key=key)
    stage.open(key)
    await engine_here.start()
    client = engine_here.client()
    await eventually(lambda: outbox_is_empty(pool), what="the outbox is empty", within_s=40)
    async with Rest(engine_here.url, engine_here.token, client.tenant_id) as rest:
        for each in (run_id, while_down):
            assert await rest.finished(each, within_s=40) == "COMPLETED"
            assert (await rest.event_types(each)).count("QUEUED") == 1
    assert len(stage.told(key, "started")) == 2
    assert await outbox_is_empty(pool)


async def test_every_committed_transaction_runs_once_however_often_the_engine_is_killed(
    engine_here: EngineProcess, pool: asyncpg.Pool, key: str
) -> None:
    async with LeanClient(engine_here.address, engine_here.token) as client:
        await client.put_workflow(key, [Task("only")])
    committed: list[str] = []
    rolled_back: list[str] = []

    async def pour(until: asyncio.Event) -> None:
        async with pool.acquire() as connection:
            while not until.is_set():
                transaction = connection.transaction()
                await transaction.start()
                ids = [await enqueue(connection, key, n=n) for n in range(5)]
                if len(committed) % 3:
                    await transaction.commit()
                    committed.extend(ids)
                else:
                    await transaction.rollback()
                    rolled_back.extend(ids)
                    committed.append(await enqueue(connection, key))

    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(pour(enough))
        for goal in (100, 200, 300):
            made = f"select count(*) >= {goal} from broadaxe.run"
            await eventually(lambda made=made: pool.fetchval(made), what=f"{goal} runs are made")  # type: ignore[misc]
            await engine_here.kill()
            await engine_here.start()
        enough.set()
    await eventually(lambda: outbox_is_empty(pool), what="the outbox is empty")
    made_ids = {str(row["id"]) for row in await pool.fetch("select id from broadaxe.run")}
    assert made_ids == set(committed)
    assert made_ids.isdisjoint(rolled_back)
    received: Counter[str] = Counter()
    async with LeanClient(engine_here.address, engine_here.token) as client:
        worker = asyncio.create_task(
            client.run_noop_worker(
                [f"{key}:only"], slots=200, on_received=lambda action: received.update([action.workflow_run_id])
            )
        )
        runs = await client.subscribe_runs()
        for run_id in committed:
            await runs.add(run_id)
        for _ in committed:
            await asyncio.wait_for(anext(runs), 60)
        worker.cancel()
    assert received == Counter(committed)
