"""The engine is killed or stopped with work under way, and comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count

import grpc.aio
import pytest
from gallery.cue import Cue
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_work_under_way_survives_the_engine(
    embedded_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str, how: str
) -> None:
    """One task ends while the engine is away, one after it is back, one has not even started."""
    _, worker_id = await start_worker(engine=embedded_engine, slots=2)
    client = embedded_engine.client()
    hold = client.stubs.workflow(name="hold", input_validator=Cue)
    away = await hold.aio_run(Cue(key=f"{key}-away", n=1), wait_for_result=False)
    after = await hold.aio_run(Cue(key=f"{key}-after", n=2), wait_for_result=False)
    await stage.heard(f"{key}-away", "started")
    await stage.heard(f"{key}-after", "started")
    waiting = await hold.aio_run(Cue(key=f"{key}-waiting", n=3), wait_for_result=False)
    stage.open(f"{key}-waiting")
    awaited = asyncio.create_task(after.aio_result())

    if how == "killed":
        await embedded_engine.kill()
    else:
        assert await embedded_engine.stop() == 0
    stage.open(f"{key}-away")
    await stage.heard(f"{key}-away", "ended")
    await embedded_engine.start()

    async with Rest(embedded_engine.url, embedded_engine.token, client.tenant_id) as rest:
        assert await rest.finished(away.workflow_run_id, within_s=40) == "COMPLETED"
        stage.open(f"{key}-after")
        assert await awaited == {"hold": {"n": 2, "retry_count": 0}}
        assert await away.aio_result() == {"hold": {"n": 1, "retry_count": 0}}
        assert await waiting.aio_result() == {"hold": {"n": 3, "retry_count": 0}}
        # Nobody ran twice, and it is the same worker as before.
        told = [stage.told(f"{key}-{which}", "started") for which in ("away", "after", "waiting")]
        assert [len(signals) for signals in told] == [1, 1, 1]
        assert {signal.data["worker_id"] for signals in told for signal in signals} == {worker_id}
        assert [row["metadata"]["id"] for row in await rest.workers()] == [worker_id]
        types = await rest.event_types(after.workflow_run_id)
        assert types == ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]


async def test_what_was_acknowledged_is_not_lost_and_runs_once(own_engine: EngineProcess, key: str) -> None:
    """Triggers pour in while the engine is killed, three times; then a worker takes what is there."""
    acknowledged: list[str] = []
    numbers = count()
    enough = asyncio.Event()

    async def pour(client: LeanClient, goal: int) -> None:
        while True:
            try:
                acknowledged.append(await client.trigger(key, {"n": next(numbers)}))
            except grpc.aio.AioRpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error
                return
            if len(acknowledged) >= goal:
                enough.set()

    for goal in (200, 400, 600):
        async with LeanClient(own_engine.address, own_engine.token) as client:
            await client.put_workflow(key, [Task("only")])
            enough.clear()
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(pour(client, goal))
                await enough.wait()
                await own_engine.kill()
        await own_engine.start()

    assert len(set(acknowledged)) == len(acknowledged) >= 600
    received: Counter[str] = Counter()
    async with LeanClient(own_engine.address, own_engine.token) as client:
        worker = asyncio.create_task(
            client.run_noop_worker(
                [f"{key}:only"], slots=200, on_received=lambda action: received.update([action.workflow_run_id])
            )
        )
        runs = await client.subscribe_runs()
        for run_id in acknowledged:
            await runs.add(run_id)
        finished = {(await asyncio.wait_for(anext(runs), 60)).workflow_run_id for _ in acknowledged}
        worker.cancel()
    assert finished == set(acknowledged)
    assert set(received.values()) == {1}, "each run went to a worker once"
    # A trigger may have been committed without its answer getting out: at most one per caller and crash.
    assert len(received) - len(acknowledged) <= 3 * 20


async def test_runs_in_flight_by_the_hundred_all_finish(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """The SDK forgets reports that are under way when its connection breaks, so some attempts have to run out of time
    and be made again: this is what "at least once" means.
    """
    await start_worker(engine=own_engine)
    client = own_engine.client()
    tough = client.stubs.workflow(name="tough", input_validator=Cue)
    references = await tough.aio_run_many(
        [tough.create_bulk_run_item(Cue(key=key, n=n)) for n in range(100)], wait_for_result=False
    )
    await stage.heard(key, "attempt")
    await own_engine.kill()
    await own_engine.start()
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        for reference in references:
            assert await rest.finished(reference.workflow_run_id, within_s=40) == "COMPLETED"

        async def busy() -> int:
            return sum(row["maxRuns"] - row["availableRuns"] for row in await rest.workers())

        await eventually(busy, until=lambda units: units == 0, what="every slot is free again")
    assert {signal.data["n"] for signal in stage.told(key, "attempt")} == set(range(100))
