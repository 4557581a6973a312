"""Intervening: cancelling wherever a task may be, and replaying what has ended."""

from __future__ import annotations

import asyncio

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from lean_client import LeanClient, Task
from wirekit import Rest, Stage, eventually


async def test_a_cancelled_waiting_task_never_starts(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    cancelled, kept = await lean.bulk_trigger(key, [{}, {}])
    await rest.cancel(cancelled)
    assert await rest.finished(cancelled) == "CANCELLED"
    received: list[str] = []
    worker = asyncio.create_task(
        lean.run_noop_worker(
            [f"{key}:only"], slots=10, on_received=lambda action: received.append(action.workflow_run_id)
        )
    )
    assert await rest.finished(kept) == "COMPLETED"
    worker.cancel()
    assert received == [kept]
    assert (await rest.event_types(cancelled))[-1] == "CANCELLED"


async def test_a_cancelled_running_task_is_stopped_on_its_worker(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    waiting = asyncio.create_task(reference.aio_result())
    await hatchet.runs.aio_cancel(reference.workflow_run_id)
    await stage.heard(key, "cancelled")
    with pytest.raises(FailedTaskRunExceptionGroup):
        await waiting
    assert await rest.status(reference.workflow_run_id) == "CANCELLED"
    with pytest.raises(ValueError, match="cancelled"):
        await asyncio.to_thread(reference.result)
    assert stage.told(key, "ended") == []


async def test_a_task_cancelled_in_backoff_is_not_tried_again(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    workflow = hatchet.stubs.workflow(name="waits-long", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key), wait_for_result=False)
    await eventually(
        lambda: rest.event_types(reference.workflow_run_id),
        until=lambda types: types[-1:] == ["RETRYING"],
        what="the first attempt failed",
    )
    assert await rest.status(reference.workflow_run_id) == "QUEUED"
    await rest.cancel(reference.workflow_run_id)
    assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    assert (await rest.event_types(reference.workflow_run_id))[-1] == "CANCELLED"
    assert len(stage.told(key, "attempt")) == 1


async def test_cancelling_a_dag_ends_all_of_it(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    reference = await diamond.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "b")
    await stage.heard(key, "c")
    await hatchet.runs.aio_cancel(reference.workflow_run_id)
    assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    statuses = {name: row["status"] for name, row in (await rest.tasks(reference.workflow_run_id)).items()}
    # Nothing failed, so on_failure is skipped, which counts as completed.
    assert statuses == {
        "a": "COMPLETED",
        "b": "CANCELLED",
        "c": "CANCELLED",
        "d": "CANCELLED",
        "mend-on-failure": "COMPLETED",
    }
    assert stage.told(key, "mend") == []


async def test_a_failed_run_can_be_replayed(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    workflow = hatchet.stubs.workflow(name="fails-until", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key, n=4), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup):
        await reference.aio_result()
    await hatchet.runs.aio_replay(reference.workflow_run_id)
    await stage.heard(key, "attempt", count=5)
    assert await rest.until_status(reference.workflow_run_id, "COMPLETED") == "COMPLETED"
    again = hatchet.runs.get_run_ref(reference.workflow_run_id)
    assert await again.aio_result() == {"fails-until": {"retry_count": 4}}
    assert [signal.data["retry_count"] for signal in stage.told(key, "attempt")] == [0, 1, 2, 3, 4]


async def test_a_cancelled_run_can_be_replayed(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    await rest.cancel(reference.workflow_run_id)
    await stage.heard(key, "cancelled")
    await hatchet.runs.aio_replay(reference.workflow_run_id)
    await stage.heard(key, "started", count=2)
    stage.open(key)
    assert await reference.aio_result() == {"hold": {"n": 0, "retry_count": 1}}


async def test_a_completed_run_can_be_replayed_and_keeps_its_ids(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    echo = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    reference = await echo.aio_run(Cue(key=key, n=9), wait_for_result=False)
    first = await reference.aio_result()
    assert await rest.replay(reference.workflow_run_id) == [reference.workflow_run_id]
    await stage.heard(key, "echo", count=2)
    await rest.until_status(reference.workflow_run_id, "COMPLETED")
    assert await reference.aio_result() == first
    types = await rest.event_types(reference.workflow_run_id)
    whole = ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]
    assert types == [*whole, "RETRIED_BY_USER", *whole]


async def test_replaying_one_task_of_a_dag_runs_it_and_what_follows(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    stage.open(key, "b")
    stage.open(key, "c")
    reference = await diamond.aio_run(Cue(key=key), wait_for_result=False)
    await reference.aio_result()
    tasks = await rest.tasks(reference.workflow_run_id)
    replayed = await rest.replay(tasks["b"]["taskExternalId"])
    assert {tasks[name]["taskExternalId"] for name in ("b", "d")} <= set(replayed)
    assert tasks["a"]["taskExternalId"] not in replayed and tasks["c"]["taskExternalId"] not in replayed
    await stage.heard(key, "d", count=2)
    await rest.until_status(reference.workflow_run_id, "COMPLETED")
    assert {name: len(stage.told(key, name)) for name in "abcd"} == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert (await reference.aio_result())["d"]["letter"] == "ABAC"


async def test_replaying_a_dag_runs_all_of_it(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """The first time round a side fails; replayed, everything runs again, on_failure included."""
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    stage.open(key, "b")
    stage.open(key, "c")
    reference = await diamond.aio_run(Cue(key=key, fail=True), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup):
        await reference.aio_result()
    before = await rest.tasks(reference.workflow_run_id)
    assert len(await rest.replay(reference.workflow_run_id)) == 5
    for name in ("a", "b", "c", "mend"):
        await stage.heard(key, name, count=2)
    await rest.until_status(reference.workflow_run_id, "FAILED")
    after = await rest.tasks(reference.workflow_run_id)
    assert {name: row["taskExternalId"] for name, row in after.items()} == {
        name: row["taskExternalId"] for name, row in before.items()
    }
    assert {name: (row["status"], row["retryCount"]) for name, row in after.items()} == {
        "a": ("COMPLETED", 1),
        "b": ("FAILED", 1),
        "c": ("COMPLETED", 1),
        "d": ("CANCELLED", 1),
        "mend-on-failure": ("COMPLETED", 1),
    }


async def test_replaying_a_running_run_does_nothing(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    assert await rest.replay(reference.workflow_run_id) == []
    stage.open(key)
    assert await reference.aio_result() == {"hold": {"n": 0, "retry_count": 0}}
    assert len(stage.told(key, "started")) == 1
