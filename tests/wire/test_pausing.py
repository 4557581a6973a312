"""Workflows paused and unpaused with the official SDK: what waits, what goes on, what grows too old."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.runnables.workflow import BaseWorkflow
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage, eventually

from broadaxe.rpc._gen import admin_pb2

HOUR = timedelta(hours=1)
BACKLOG = 1_000


@pytest.fixture
async def hold(pair: tuple[Hatchet, str]) -> AsyncIterator[BaseWorkflow[Cue]]:
    """A workflow in a namespace of its own, not paused afterwards."""
    workflow = pair[0].stubs.workflow(name="hold", input_validator=Cue)
    yield workflow
    await workflow.aio_unpause()


@pytest.fixture
async def diamond(pair: tuple[Hatchet, str]) -> AsyncIterator[BaseWorkflow[Cue]]:
    workflow = pair[0].stubs.workflow(name="diamond", input_validator=Cue)
    yield workflow
    await workflow.aio_unpause()


async def test_runs_of_a_paused_workflow_wait_until_it_is_unpaused(
    hold: BaseWorkflow[Cue], rest: Rest, stage: Stage, key: str
) -> None:
    running = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    paused = await hold.aio_pause(HOUR, "DROP", "QUEUE")
    assert paused.is_paused
    shown = await rest.workflow(hold.id)
    assert (shown["pausedWorkflowCronRunQueueBehavior"], shown["pausedWorkflowScheduledRunQueueBehavior"]) == (
        "DROP",
        "QUEUE",
    )
    waiting = await hold.aio_run_many(
        [hold.create_bulk_run_item(Cue(key=key)) for _ in range(3)], wait_for_result=False
    )
    stage.open(key)
    assert await running.aio_result() == {"hold": {"n": 0, "retry_count": 0}}
    assert [await rest.status(reference.workflow_run_id) for reference in waiting] == ["QUEUED"] * 3
    assert not (await hold.aio_unpause()).is_paused
    await asyncio.gather(*(reference.aio_result() for reference in waiting))
    assert len(stage.told(key, "started")) == 4


async def test_what_is_older_than_the_queue_ttl_is_cancelled(hold: BaseWorkflow[Cue], rest: Rest, key: str) -> None:
    await hold.aio_pause(timedelta(seconds=1))
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    (task,) = (await rest.run(reference.workflow_run_id))["tasks"]
    assert "queue TTL of 1s" in task["errorMessage"]
    events = await rest.events(reference.workflow_run_id)
    assert [event["eventType"] for event in events] == ["QUEUED", "CANCELLED"]


async def test_the_next_task_of_a_dag_waits_too(diamond: BaseWorkflow[Cue], rest: Rest, stage: Stage, key: str) -> None:
    reference = await diamond.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "b")
    await stage.heard(key, "c")
    await diamond.aio_pause(HOUR)
    stage.open(key, "b")
    stage.open(key, "c")

    async def of_d() -> str | None:
        task = (await rest.tasks(reference.workflow_run_id)).get("d")
        return None if task is None else str(task["status"])

    await eventually(of_d, until=lambda status: status == "QUEUED", what="d waits")
    await diamond.aio_unpause()
    assert (await reference.aio_result())["d"]["letter"] == "ABAC"


async def test_paused_runs_can_be_cancelled_and_replayed(
    hold: BaseWorkflow[Cue], rest: Rest, stage: Stage, key: str
) -> None:
    await hold.aio_pause(HOUR)
    gone, again = [await hold.aio_run(Cue(key=key, n=n), wait_for_result=False) for n in (1, 2)]
    await rest.cancel(gone.workflow_run_id, again.workflow_run_id)
    assert [await rest.status(r.workflow_run_id) for r in (gone, again)] == ["CANCELLED"] * 2
    assert await rest.replay(again.workflow_run_id) == [again.workflow_run_id]
    assert await rest.status(again.workflow_run_id) == "QUEUED"
    stage.open(key)
    await hold.aio_unpause()
    assert await rest.finished(again.workflow_run_id) == "COMPLETED"
    assert [signal.data["n"] for signal in stage.told(key, "started")] == [2]
    assert await rest.status(gone.workflow_run_id) == "CANCELLED"


async def test_a_paused_backlog_survives_a_killed_engine(own_engine: EngineProcess, key: str) -> None:
    """Killed while runs pour in, and once more when the workflow has just been unpaused."""
    client = own_engine.client()
    async with LeanClient(own_engine.address, own_engine.token) as lean:
        workflow_id = (await lean.put_workflow(key, [Task("only")])).workflow_id
        await client.workflows.aio_pause(workflow_id, HOUR, "DROP", "DROP")
        acknowledged = await lean.bulk_trigger(key, [{"n": n} for n in range(BACKLOG)])
        more = asyncio.create_task(lean.bulk_trigger(key, [{"n": n} for n in range(20 * BACKLOG)]))
        await own_engine.kill()
        await asyncio.gather(more, return_exceptions=True)
    await own_engine.start()

    received: Counter[str] = Counter()
    async with (
        LeanClient(own_engine.address, own_engine.token) as lean,
        Rest(own_engine.url, own_engine.token, client.tenant_id) as rest,
    ):
        worker = asyncio.create_task(
            lean.run_noop_worker(
                [f"{key}:only"], slots=50, on_received=lambda action: received.update([action.workflow_run_id])
            )
        )
        await eventually(rest.workers, what="the worker is there")
        assert (await rest.workflow(workflow_id))["isPaused"]
        assert await rest.status(acknowledged[-1]) == "QUEUED"
        assert not received
        await client.workflows.aio_unpause(workflow_id)
        await own_engine.kill()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    await own_engine.start()

    async with LeanClient(own_engine.address, own_engine.token) as lean:
        worker = asyncio.create_task(lean.run_noop_worker([f"{key}:only"], slots=200))
        runs = await lean.subscribe_runs()
        for run_id in acknowledged:
            await runs.add(run_id)
        finished = {(await asyncio.wait_for(anext(runs), 60)).workflow_run_id for _ in acknowledged}
        worker.cancel()
    assert finished == set(acknowledged)


async def test_crons_of_a_paused_workflow_are_dropped_or_wait(
    engine: EngineProcess, lean: LeanClient, rest: Rest, key: str
) -> None:
    """Beside one that is not paused, whose ticks say that time has passed."""
    client = engine.client()
    ids: dict[str, str] = {}
    for name in ("paused", "witness"):
        request = admin_pb2.CreateWorkflowVersionRequest(name=f"{key}-{name}", cron_triggers=["* * * * * *"])
        request.tasks.add(readable_id="only", action=f"{key}:only")
        ids[name] = (await lean.put_definition(request)).workflow_id
        if name == "paused":
            await client.workflows.aio_pause(ids[name], HOUR, "DROP")

    async def runs(name: str) -> list[dict[str, Any]]:
        return await rest.runs(since="2020-01-01T00:00:00Z", only_tasks="false", workflow_ids=ids[name])

    try:
        before = len(await runs("paused"))
        await eventually(lambda: runs("witness"), until=lambda rows: len(rows) >= 3, what="the witness ticks")
        assert len(await runs("paused")) == before
        await client.workflows.aio_pause(ids["paused"], HOUR, "QUEUE")
        rows = await eventually(
            lambda: runs("paused"), until=lambda rows: len(rows) >= before + 2, what="ticks make runs"
        )
        assert {row["status"] for row in rows} == {"QUEUED"}
    finally:
        for workflow_id in ids.values():
            await client.workflows.aio_delete(workflow_id)
