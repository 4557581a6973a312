"""Waiting tasks, wherever they wait: they can be cancelled and replayed, and they survive the engine."""

from __future__ import annotations

import asyncio

import pytest
from hatchet_sdk import Hatchet
from programs.flow_cue import Flow
from programs.flow_places import PLACES, Scene, start, start_many, until_event
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

FLOW = "programs.flow_worker"


@pytest.mark.parametrize("name", PLACES)
async def test_a_cancelled_waiting_task_never_starts_until_it_is_replayed(
    flow: Hatchet, rest: Rest, stage: Stage, key: str, name: str
) -> None:
    scene, place = Scene(flow, rest, stage, key), PLACES[name]()
    run_id = await place.fill(scene)
    assert await rest.status(run_id) == "QUEUED"
    await rest.cancel(run_id)
    assert await rest.status(run_id) == "CANCELLED"
    await place.free(scene)
    await place.follow(scene)
    assert not place.has_started(scene)
    types = await rest.event_types(run_id)
    assert types[-1] == "CANCELLED"

    assert await rest.replay(run_id) == [run_id]
    await place.help_replay(scene)
    assert await rest.finished(run_id) == "COMPLETED"
    assert place.has_started(scene)
    after = (await rest.event_types(run_id))[len(types) :]
    assert after[:2] == ["RETRIED_BY_USER", "QUEUED"] and after[-1] == "FINISHED"


async def test_waiting_tasks_survive_the_engine_and_limits_are_kept(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    await start_worker(engine=own_engine, program=FLOW)
    client = own_engine.client()
    scenes = {name: f"{key}-{position}" for position, name in enumerate(PLACES)}
    places = {name: make() for name, make in PLACES.items()}
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        run_ids: dict[str, str] = {}
        for name, own_key in scenes.items():
            run_ids[name] = await places[name].fill(Scene(client, rest, stage, own_key))
        # Two items of a limited batch have taken two of their user's three units of the minute.
        limited = [Flow(key=key, n=n, user=f"limited-{key}") for n in range(4)]
        for cue in limited[:2]:
            reference = await start(client, "flow-batch-limited", cue)
            await until_event(rest, reference.workflow_run_id, "WAITING_FOR_BATCH")
        await own_engine.kill()
    await own_engine.start()

    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        at = {name: Scene(client, rest, stage, own_key) for name, own_key in scenes.items()}
        # What was taken of the minute is still taken, no more and no less.
        own_key = scenes["rate limit"]
        late = await start(client, "flow-per-user", Flow(key=own_key, n=9, user=f"rate-{own_key}"))
        third, fourth = await start_many(client, "flow-batch-limited", limited[2:])
        await until_event(rest, fourth.workflow_run_id, "REQUEUED_RATE_LIMIT")
        assert await rest.finished(third.workflow_run_id, within_s=40) == "COMPLETED"
        assert [signal.data["ns"] for signal in stage.told(key, "invoked")] == [[0, 1, 2]]
        assert await rest.status(late.workflow_run_id) == "QUEUED"
        for name in ("worker queue", "rate limit", "concurrency queue", "batch buffer"):
            assert await rest.status(run_ids[name]) == "QUEUED", name
            assert not places[name].has_started(at[name]), name

        for name, place in places.items():
            await place.free(at[name])
            await place.help_replay(at[name])
        for name, run_id in run_ids.items():
            assert await rest.finished(run_id, within_s=40) == "COMPLETED", name
        assert await rest.finished(late.workflow_run_id) == "COMPLETED"
        for name in ("worker queue", "rate limit", "concurrency queue"):
            started = [s for s in stage.told(at[name].key, "started") if s.data["n"] == 7]
            assert len(started) == 1, name

        async def busy() -> int:
            return sum(row["maxRuns"] - row["availableRuns"] for row in await rest.workers())

        await eventually(busy, until=lambda units: units == 0, what="every slot is free again")


async def test_a_held_slot_is_still_held_after_the_engine_was_killed(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Two runs hold their user's slots and are at work; two more wait, one of them a DAG run."""
    await start_worker(engine=own_engine, program=FLOW)
    client = own_engine.client()
    first = await start(client, "flow-turns", Flow(key=key, n=1, user=key, way="1"))
    chain = await start(client, "flow-chain", Flow(key=key, n=3, user=key, way="3"))
    await stage.heard(key, "started", count=2)
    second = await start(client, "flow-turns", Flow(key=key, n=2, user=key, way="2"))
    chained = await start(client, "flow-chain", Flow(key=key, n=4, user=key, way="4"))
    await own_engine.kill()
    await own_engine.start()
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        stage.open(key, "3")
        await stage.heard(key, "started", count=3)
        # The chain is at its second task by now and keeps its slot.
        assert [(s.data["n"], s.data["task"]) for s in stage.told(key, "started")][2] == (3, "second")
        stage.open(key, "1")
        await stage.heard(key, "started", count=4)
        assert stage.told(key, "started")[3].data["n"] == 2
        assert await rest.status(chained.workflow_run_id) == "QUEUED"
        for way in ("2", "4", "second-3", "second-4"):
            stage.open(key, way)
        for reference in (first, second, chain, chained):
            assert await rest.finished(reference.workflow_run_id, within_s=40) == "COMPLETED"
        await asyncio.gather(*(reference.aio_result() for reference in (first, second, chain, chained)))
