"""Which worker runs a task, and in which order: units, priorities, labels, sticky strategies."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hatchet_sdk import Hatchet
from hatchet_sdk.types.labels import DesiredWorkerLabel
from programs.flow_cue import Flow
from programs.flow_places import start, start_many, until_event
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

FLOW = "programs.flow_worker"


def numbers(stage: Stage, key: str) -> list[int]:
    return [signal.data["n"] for signal in stage.told(key, "started")]


async def test_a_wide_task_takes_its_units_of_one_worker(
    engine: EngineProcess, start_worker: StartWorker, rest: Rest, stage: Stage, key: str
) -> None:
    """Three units: one task of two and one of one run, the next of each waits."""
    _, worker_id = await start_worker(engine=engine, namespace=key, slots=3, program=FLOW)
    client = engine.client(key)
    wide = await start(client, "flow-wide", Flow(key=key, n=1, way="wide"))
    narrow = await start(client, "flow-hold", Flow(key=key, n=2, way="narrow"))
    await stage.heard(key, "started", count=2)
    waiting = [
        await start(client, "flow-wide", Flow(key=key, n=3)),
        await start(client, "flow-hold", Flow(key=key, n=4)),
    ]
    assert [await rest.status(reference.workflow_run_id) for reference in waiting] == ["QUEUED", "QUEUED"]
    assert (await rest.worker(worker_id))["availableRuns"] == 0
    stage.open(key, "narrow")
    await narrow.aio_result()
    # One unit is free: enough for the narrow one only.
    await stage.heard(key, "started", count=3)
    assert numbers(stage, key)[2] == 4
    assert await rest.status(waiting[0].workflow_run_id) == "QUEUED"
    stage.open(key, "wide")
    await stage.heard(key, "started", count=4)
    stage.open(key)
    await asyncio.gather(wide.aio_result(), *(reference.aio_result() for reference in waiting))


async def test_a_retry_goes_before_every_priority(narrow: tuple[Hatchet, str], stage: Stage, key: str) -> None:
    client, _ = narrow
    references = [await start(client, "flow-hold", Flow(key=key, n=0, fails=1))]
    await stage.heard(key, "started")
    for priority in (1, 3, 2):
        references.append(await start(client, "flow-hold", Flow(key=key, n=priority), priority=priority))
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    assert numbers(stage, key) == [0, 0, 3, 2, 1]


async def test_a_task_waits_for_a_worker_with_its_label(
    engine: EngineProcess, start_worker: StartWorker, rest: Rest, stage: Stage, key: str
) -> None:
    """It says so once, however often workers come and look."""
    await start_worker("wrong", engine=engine, namespace=key, labels={"gpu": "no"}, program=FLOW)
    client = engine.client(key)
    reference = await start(client, "flow-labelled", Flow(key=key, n=1))
    await until_event(rest, reference.workflow_run_id, "REQUEUED_NO_WORKER")
    _, right = await start_worker("right", engine=engine, namespace=key, labels={"gpu": "yes"}, program=FLOW)
    assert (await reference.aio_result())["flow-labelled"]["worker_id"] == right
    types = await rest.event_types(reference.workflow_run_id)
    assert types == ["QUEUED", "REQUEUED_NO_WORKER", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]


async def test_weights_choose_among_workers_and_ties_take_turns(
    engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Memory weighs 10, the region 5. Each worker has two units; the best one goes first, the next best take turns."""
    workers: dict[str, str] = {}
    for name, labels in (
        ("best", {"memory": "32", "region": "eu"}),
        ("big-1", {"memory": "16", "region": "us"}),
        ("big-2", {"memory": "64"}),
    ):
        _, worker_id = await start_worker(name, engine=engine, namespace=key, slots=2, labels=labels, program=FLOW)
        workers[worker_id] = name
    client = engine.client(key)
    for n in range(6):
        await start(client, "flow-weighed", Flow(key=key, n=n))
    signals = await stage.heard(key, "started", count=6)
    order = [workers[s.data["worker_id"]] for s in sorted(signals, key=lambda signal: signal.data["n"])]
    assert order[:2] == ["best", "best"]
    assert sorted(order[2:4]) == sorted(order[4:6]) == ["big-1", "big-2"]
    # Labels of the trigger replace the task's own: with no room where they are met, the run waits.
    wanted = [DesiredWorkerLabel(key="region", value="us", required=True)]
    reference = await start(client, "flow-weighed", Flow(key=key, n=6), desired_worker_labels=wanted)
    stage.open(key)
    assert workers[(await reference.aio_result())["flow-weighed"]["worker_id"]] == "big-1"


async def test_alike_workers_take_turns(twins: tuple[Hatchet, frozenset[str]], stage: Stage, key: str) -> None:
    client, worker_ids = twins
    references = await start_many(client, "flow-hold", [Flow(key=key, n=n) for n in range(10)])
    signals = await stage.heard(key, "started", count=10)
    assert Counter(signal.data["worker_id"] for signal in signals) == dict.fromkeys(worker_ids, 5)
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))


@pytest.mark.parametrize("name", ["flow-soft", "flow-hard"])
async def test_a_sticky_run_stays_on_its_worker(
    twins: tuple[Hatchet, frozenset[str]], rest: Rest, stage: Stage, key: str, name: str
) -> None:
    """With its worker paused a SOFT run goes to the other one, and a HARD one waits."""
    client, worker_ids = twins
    for turn in range(4):
        # Both workers are free, so it is a choice to stay.
        stage.open(f"{key}-{turn}")
        result = await (await start(client, name, Flow(key=f"{key}-{turn}"))).aio_result()
        assert result["second"]["worker_id"] == result["first"]["worker_id"]

    reference = await start(client, name, Flow(key=key, n=1))
    (first,) = await stage.heard(key, "started")
    home = first.data["worker_id"]
    await client.workers.aio_pause(home)
    try:
        stage.open(key)
        if name == "flow-soft":
            (second,) = await stage.heard(key, "second")
            assert {second.data["worker_id"]} == worker_ids - {home}
        else:
            task = await _task(rest, reference.workflow_run_id, "second")
            await until_event(rest, task["taskExternalId"], "REQUEUED_NO_WORKER")
    finally:
        await client.workers.aio_unpause(home)
    result = await reference.aio_result()
    assert name == "flow-soft" or result["second"]["worker_id"] == home


async def _task(rest: Rest, run_id: str, name: str) -> dict[str, Any]:
    async def find() -> dict[str, Any] | None:
        return (await rest.tasks(run_id)).get(name)

    found = await eventually(find, what=f"task {name} of {run_id} exists")
    assert found is not None
    return found


async def test_sticky_children_run_where_their_parent_does(twins: tuple[Hatchet, frozenset[str]], key: str) -> None:
    client, _ = twins
    for _ in range(2):
        made = (await (await start(client, "flow-parent", Flow(key=key))).aio_result())["flow-parent"]
        assert made["children"] == [made["worker_id"]] * 4
