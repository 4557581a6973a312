"""Workers that are killed, told to stop, or just idle for a long time."""

from __future__ import annotations

import pytest
from gallery.cue import Cue
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually


async def test_the_task_of_a_killed_worker_goes_to_another(
    engine: EngineProcess, rest: Rest, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """The other worker is idle until then, for longer than it takes to count as lost: its heartbeats keep it."""
    first, first_id = await start_worker("first", namespace=key)
    hold = engine.client(key).stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    _, second_id = await start_worker("second", namespace=key)
    await first.kill()
    second = (await stage.heard(key, "started", count=2))[1]
    assert (second.data["worker_id"], second.data["retry_count"]) == (second_id, 1)
    stage.open(key)
    assert await reference.aio_result() == {"hold": {"n": 0, "retry_count": 1}}
    types = await rest.event_types(reference.workflow_run_id)
    assert types.count("REASSIGNED") == 1 and types.count("FINISHED") == 1
    assert (await rest.worker(first_id))["status"] == "INACTIVE"
    assert (await rest.worker(second_id))["status"] == "ACTIVE"


@pytest.mark.parametrize("runtime", ["official", "session"])
async def test_a_worker_told_to_stop_finishes_what_it_has_and_takes_no_more(
    engine: EngineProcess, rest: Rest, start_worker: StartWorker, stage: Stage, key: str, runtime: str
) -> None:
    worker, worker_id = await start_worker("leaving", namespace=key, runtime=runtime)
    hold = engine.client(key).stubs.workflow(name="hold", input_validator=Cue)
    running = await hold.aio_run(Cue(key=key, n=1), wait_for_result=False)
    await stage.heard(key, "started")
    worker.terminate()
    # The worker pauses itself before it drains.
    await eventually(
        lambda: rest.worker(worker_id), until=lambda row: row["status"] != "ACTIVE", what="the worker stops taking work"
    )
    waiting = await hold.aio_run(Cue(key=key, n=2), wait_for_result=False)
    stage.open(key)
    assert await running.aio_result() == {"hold": {"n": 1, "retry_count": 0}}
    assert await worker.ended() == 0
    assert await rest.status(waiting.workflow_run_id) == "QUEUED"
    await start_worker("coming", namespace=key)
    assert await waiting.aio_result() == {"hold": {"n": 2, "retry_count": 0}}
    assert len(stage.told(key, "started")) == 2
