"""Who runs when and where: slots, priorities, pauses, labels."""

from __future__ import annotations

import asyncio

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from wirekit import Rest, Stage, eventually


async def test_a_worker_never_holds_more_tasks_than_it_has_slots(
    pair: tuple[Hatchet, str], rest: Rest, stage: Stage, key: str
) -> None:
    client, worker_id = pair
    hold = client.stubs.workflow(name="hold", input_validator=Cue)
    references = await hold.aio_run_many(
        [hold.create_bulk_run_item(Cue(key=key, n=n)) for n in range(5)], wait_for_result=False
    )
    await stage.heard(key, "started", count=2)
    statuses = [await rest.status(reference.workflow_run_id) for reference in references]
    assert sorted(statuses) == ["QUEUED"] * 3 + ["RUNNING"] * 2
    assert (await rest.worker(worker_id))["availableRuns"] == 0
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    running = most = 0
    for signal in stage.told(key):
        running += {"started": 1, "ended": -1}[signal.what]
        most = max(most, running)
    assert most == 2


async def test_waiting_work_is_taken_by_priority_then_arrival(single: Hatchet, stage: Stage, key: str) -> None:
    hold = single.stubs.workflow(name="hold", input_validator=Cue)
    references = [await hold.aio_run(Cue(key=key, n=0), wait_for_result=False)]
    await stage.heard(key, "started")
    for n, priority in ((1, 1), (30, 3), (2, 2), (31, 3), (11, 1)):
        references.append(await hold.aio_run(Cue(key=key, n=n), wait_for_result=False, priority=priority))
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    assert [signal.data["n"] for signal in stage.told(key, "started")] == [0, 30, 31, 2, 1, 11]


async def test_a_paused_worker_gets_nothing_until_it_is_unpaused(
    pair: tuple[Hatchet, str], rest: Rest, stage: Stage, key: str
) -> None:
    client, worker_id = pair
    await client.workers.aio_pause(worker_id)
    assert (await rest.worker(worker_id))["status"] == "PAUSED"
    reference = await client.stubs.workflow(name="echo", input_validator=Cue).aio_run(
        Cue(key=key), wait_for_result=False
    )
    await eventually(
        lambda: rest.event_types(reference.workflow_run_id),
        until=lambda types: types == ["QUEUED", "REQUEUED_NO_WORKER"],
        what="the run waits for a worker",
    )
    assert await rest.status(reference.workflow_run_id) == "QUEUED"
    await client.workers.aio_unpause(worker_id)
    await reference.aio_result()
    assert len(stage.told(key, "echo")) == 1


async def test_a_released_slot_lets_another_task_start(single: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    release = single.stubs.workflow(name="release", input_validator=Cue)
    first = await release.aio_run(Cue(key=key, n=1), wait_for_result=False)
    await stage.heard(key, "released")
    second = await release.aio_run(Cue(key=key, n=2), wait_for_result=False)
    await stage.heard(key, "started", count=2)
    assert await rest.status(first.workflow_run_id) == "RUNNING"
    stage.open(key)
    assert await first.aio_result() == {"release": {"n": 1}}
    assert await second.aio_result() == {"release": {"n": 2}}
    assert "SLOT_RELEASED" in await rest.event_types(first.workflow_run_id)


async def test_labels_are_kept_and_merged(pair: tuple[Hatchet, str], rest: Rest, key: str) -> None:
    client, worker_id = pair
    label = client.stubs.workflow(name="label", input_validator=Cue)
    assert (await label.aio_run(Cue(key=key, text="large", n=48)))["label"] == {"worker_id": worker_id}
    labels = {row["key"]: row["value"] for row in (await rest.worker(worker_id))["labels"]}
    assert labels == {"region": "eu", "model": "large", "memory": "48"}


async def test_a_worker_says_who_it_is(hatchet: Hatchet, rest: Rest) -> None:
    row = next(row for row in await rest.workers() if row["name"] == "gallery")
    assert row["status"] == "ACTIVE"
    assert {"echo:echo", "diamond:a", "diamond:mend-on-failure"} <= set(row["actions"])
    assert row["slotConfig"]["default"]["limit"] == row["maxRuns"] == 100
    assert row["runtimeInfo"]["language"] == "PYTHON" and row["runtimeInfo"]["sdkVersion"].startswith("1.")
