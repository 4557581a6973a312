"""Durable tasks with the official SDK: lines 45 to 55 of the acceptance checklist."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

PROGRAM = "programs.durable_worker"
LONG_S = 60.0
BEGINNING = "2020-01-01T00:00:00Z"


@pytest.fixture
async def durable(engine: EngineProcess, _durable: str) -> Hatchet:
    return engine.client()


async def start(hatchet: Hatchet, name: str, cue: Cue) -> Any:
    return await hatchet.stubs.workflow(name=name, input_validator=Cue).aio_run(cue, wait_for_result=False)


async def result(reference: Any, name: str) -> Any:
    answer = await asyncio.wait_for(reference.aio_result(), LONG_S)
    return answer[name]


async def until_evicted(rest: Rest, run_id: str) -> None:
    async def is_evicted() -> bool:
        return (await rest.task(run_id)).get("isEvicted") is True

    await eventually(is_evicted, what=f"task {run_id} is evicted", within_s=LONG_S)


# Sleeps ------------------------------------------------------------------------------------------------------------


async def test_a_sleep_survives_worker_and_engine(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Line 45. The deadline is the original one; the slot is free while it sleeps."""
    worker, worker_id = await start_worker(engine=own_engine, program=PROGRAM)
    client = own_engine.client()
    reference = await start(client, "durable-sleeper", Cue(key=key, n=12))
    await stage.heard(key, "invocation")
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        await until_evicted(rest, reference.workflow_run_id)
        assert await rest.status(reference.workflow_run_id) == "RUNNING"
        (row,) = [row for row in await rest.workers() if row["metadata"]["id"] == worker_id]
        assert row["slotConfig"]["durable"]["available"] == 10
    await worker.kill()
    await own_engine.kill()
    await own_engine.start()
    await start_worker("again", engine=own_engine, program=PROGRAM)
    answer = await result(reference, "durable-sleeper")
    assert answer["invocation"] >= 2
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        (entry,) = [e for e in await rest.durable_log(reference.workflow_run_id) if e["kind"] == "WAIT_FOR"]
        slept = datetime.fromisoformat(entry["satisfiedAt"]) - datetime.fromisoformat(entry["insertedAt"])
        assert slept.total_seconds() >= 12
        types = await rest.event_types(reference.workflow_run_id)
        assert "DURABLE_EVICTED" in types and "DURABLE_RESTORING" in types


# Events ------------------------------------------------------------------------------------------------------------


async def test_an_event_wakes_everyone_whose_expression_it_meets(durable: Hatchet, stage: Stage, key: str) -> None:
    """Line 46."""
    both = [await start(durable, "durable-waiter", Cue(key=key, n=n, text="input.n > 1")) for n in range(2)]
    await stage.heard(key, "waiting", count=2)
    await durable_waits(durable, *both)
    await durable.event.aio_push(f"durable:{key}", {"n": 1})
    await durable.event.aio_push(f"durable:{key}", {"n": 2})
    assert [await result(one, "durable-waiter") for one in both] == [{"got": {"n": 2}}] * 2


async def durable_waits(hatchet: Hatchet, *references: Any) -> None:
    """Until the waits of these tasks are in their logs."""
    async with Rest(hatchet.config.server_url, hatchet.config.token, hatchet.tenant_id) as rest:
        for reference in references:

            async def is_waiting(run_id: str = reference.workflow_run_id) -> bool:
                return any(not entry["isSatisfied"] for entry in await rest.durable_log(run_id))

            await eventually(is_waiting, what="the wait is recorded")


async def test_looking_back_finds_the_newest_event_of_the_scope(durable: Hatchet, key: str) -> None:
    """Line 47."""
    for n, scope in ((1, "mine"), (2, "mine"), (3, "other"), (4, None)):
        await durable.event.aio_push(f"durable:{key}", {"n": n}, scope=scope)
    assert await result(await start(durable, "durable-looker", Cue(key=key)), "durable-looker") == {"got": {"n": 2}}


async def test_of_alternatives_only_what_fired_is_told(durable: Hatchet, stage: Stage, key: str) -> None:
    """Line 48."""
    slept = await start(durable, "durable-either", Cue(key=f"{key}-slept", n=1))
    told = await start(durable, "durable-either", Cue(key=f"{key}-told", n=500))
    await stage.heard(f"{key}-told", "waiting")
    await durable_waits(durable, told)
    await durable.event.aio_push(f"durable:{key}-told", {"x": 1})
    assert await result(slept, "durable-either") == {"fired": {"CREATE": {"sleep:1s": [{"sleep_duration": "1s"}]}}}
    assert await result(told, "durable-either") == {"fired": {"CREATE": {f"durable:{key}-told": [{"x": 1}]}}}


# Children ----------------------------------------------------------------------------------------------------------


async def test_children_are_not_run_again_when_the_worker_is_lost(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Lines 49 and 50: ten children, a DAG, a failure that is caught, one that nobody waits for."""
    worker, _ = await start_worker(engine=own_engine, program=PROGRAM)
    client = own_engine.client()
    reference = await start(client, "durable-parent", Cue(key=key))
    await stage.heard(f"{key}-kids", "kid", count=10)
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:

        async def are_done() -> bool:
            rows = await rest.runs(
                since=BEGINNING, only_tasks="false", parent_task_external_id=reference.workflow_run_id, limit="100"
            )
            return sum(row["status"] == "COMPLETED" for row in rows) == 10

        await eventually(are_done, what="nine kids and the forgotten one are done")
    await worker.kill()
    await start_worker("other", engine=own_engine, program=PROGRAM)
    stage.open(f"{key}-kids", "kid-9")
    answer = await asyncio.wait_for(reference.aio_result(), 120)
    answer = answer["durable-parent"]
    assert (answer["sum"], answer["both"], answer["caught"]) == (45, {"left": {"n": 5}, "right": {"n": 6}}, True)
    assert answer["invocation"] >= 2
    ran = [signal.data["n"] for signal in stage.told(f"{key}-kids", "kid")]
    assert sorted(ran)[:9] == list(range(9))
    assert sorted(set(ran)) == list(range(10))
    assert all(ran.count(n) == 1 for n in range(9)), "what was done is not done again"
    await client.runs.aio_replay(reference.workflow_run_id)
    again = await asyncio.wait_for(reference.aio_result(), LONG_S)
    assert {**again["durable-parent"], "invocation": 0} == {**answer, "invocation": 0}
    assert len(stage.told(f"{key}-unlucky", "kid")) == 1


# Determinism, replay, branches ---------------------------------------------------------------------------------------


async def test_another_operation_than_the_recorded_one_is_noticed(durable: Hatchet, key: str) -> None:
    """Line 51."""
    assert await result(await start(durable, "durable-fickle", Cue(key=key)), "durable-fickle") == {
        "node": 1,
        "invocation": 2,
    }


async def test_a_replay_returns_what_was_recorded(durable: Hatchet, stage: Stage, key: str) -> None:
    """Line 52."""
    reference = await start(durable, "durable-sleeper", Cue(key=key, n=1))
    first = await result(reference, "durable-sleeper")
    await durable.runs.aio_replay(reference.workflow_run_id)
    again = await result(reference, "durable-sleeper")
    assert again["began"] == first["began"]
    assert again["invocation"] == first["invocation"] + 1


async def test_a_reset_does_the_rest_again_and_branches_have_branches(
    durable: Hatchet, stage: Stage, engine: EngineProcess, key: str
) -> None:
    """Line 53."""
    reference = await start(durable, "durable-three-sleeps", Cue(key=key))
    await result(reference, "durable-three-sleeps")
    run_id = reference.workflow_run_id
    async with Rest(engine.url, engine.token, durable.tenant_id) as rest:
        for branch_id, node in ((1, 2), (2, 3)):
            await durable.runs.aio_reset_durable_task(run_id, node_id=node, branch_id=branch_id)
            await eventually(
                lambda: rest.status(run_id), until=lambda status: status == "COMPLETED", what="it ends", within_s=30
            )
        log = [(entry["branchId"], entry["nodeId"], entry["userMessage"]) for entry in await rest.durable_log(run_id)]
    assert log == [
        (1, 1, "sleep 1"),
        (1, 2, "sleep 2"),
        (1, 3, "sleep 3"),
        (2, 2, "sleep 2"),
        (2, 3, "sleep 3"),
        (3, 3, "sleep 3"),
    ]


# Eviction ------------------------------------------------------------------------------------------------------------


async def test_an_evicted_task_can_be_cancelled(
    durable: Hatchet, stage: Stage, engine: EngineProcess, key: str
) -> None:
    """Line 54."""
    reference = await start(durable, "durable-sleeper", Cue(key=key, n=600))
    async with Rest(engine.url, engine.token, durable.tenant_id) as rest:
        await until_evicted(rest, reference.workflow_run_id)
        await rest.cancel(reference.workflow_run_id)
        assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
        types = await rest.event_types(reference.workflow_run_id)
        assert types[-1] == "CANCELLED"


async def test_an_evicted_task_can_be_restored_by_hand(
    durable: Hatchet, stage: Stage, engine: EngineProcess, key: str
) -> None:
    reference = await start(durable, "durable-sleeper", Cue(key=key, n=600))
    async with Rest(engine.url, engine.token, durable.tenant_id) as rest:
        await until_evicted(rest, reference.workflow_run_id)
        assert await rest.restore(reference.workflow_run_id) is True
        told = await stage.heard(key, "invocation", count=2)
        assert [signal.data["count"] for signal in told] == [1, 2]
        await rest.cancel(reference.workflow_run_id)
        assert await rest.restore(reference.workflow_run_id) is False


async def test_a_worker_that_ends_evicts_what_waits_and_another_goes_on(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Line 54: SIGTERM, and a task that is otherwise never evicted."""
    worker, _ = await start_worker(engine=own_engine, program=PROGRAM)
    client = own_engine.client()
    reference = await start(client, "durable-never-evicted", Cue(key=key, n=5))
    await stage.heard(key, "waiting")
    await durable_waits(client, reference)
    worker.terminate()
    assert await worker.ended() == 0
    await start_worker("other", engine=own_engine, program=PROGRAM)
    assert (await result(reference, "durable-never-evicted"))["invocation"] == 2


async def test_a_worker_without_room_evicts_one_that_waits(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Line 54: ten wait on a worker with ten durable slots, so the eleventh gets the place of one of them."""
    await start_worker(engine=own_engine, program=PROGRAM)
    client = own_engine.client()
    waiting = [await start(client, "durable-waiter", Cue(key=key, n=n)) for n in range(11)]
    await stage.heard(key, "waiting", count=11)
    await durable_waits(client, *waiting)
    wanted = {"since": BEGINNING, "only_tasks": "false", "statuses": "RUNNING"}
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        rows = await rest.runs(**wanted)
        evicted = {row["metadata"]["id"] for row in rows if row.get("isEvicted")}
        assert len(rows) == 11 and evicted
        # The worker may evict more of them meanwhile, to have room to spare.
        assert evicted <= {row["metadata"]["id"] for row in await rest.runs(**wanted, running_filter="EVICTED")}
        working = {row["metadata"]["id"] for row in await rest.runs(**wanted, running_filter="ON_WORKER")}
        assert working and not evicted & working
    await client.event.aio_push(f"durable:{key}", {"n": 1})
    assert [await result(one, "durable-waiter") for one in waiting] == [{"got": {"n": 1}}] * 11


async def test_what_raced_ends_the_same_way_in_a_replay(durable: Hatchet, stage: Stage, key: str) -> None:
    """Line 55."""
    reference = await start(durable, "durable-racer", Cue(key=key))
    await durable_waits(durable, reference)

    async def both_wait() -> bool:
        async with Rest(durable.config.server_url, durable.config.token, durable.tenant_id) as rest:
            return len(await rest.durable_log(reference.workflow_run_id)) == 2

    await eventually(both_wait, what="both waits are recorded")
    for name in ("b", "a"):
        await durable.event.aio_push(f"{name}:{key}", {})
        await eventually(lambda n=name: _came(stage, key, n), what=f"{name} came")
    assert await result(reference, "durable-racer") == {"order": ["b", "a"]}
    await durable.runs.aio_replay(reference.workflow_run_id)
    assert await result(reference, "durable-racer") == {"order": ["b", "a"]}


async def _came(stage: Stage, key: str, name: str) -> bool:
    return any(signal.data["name"] == name for signal in stage.told(key, "came"))
