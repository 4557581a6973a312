"""Running things: single tasks, DAGs, their results, outputs and histories."""

from __future__ import annotations

import asyncio

import pytest
from gallery.cue import Cue
from gallery.plain import Echoed
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from lean_client import LeanClient, Task
from wirekit import Rest, Stage

HAPPY = ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]


async def test_a_task_runs_and_its_caller_gets_the_typed_output(hatchet: Hatchet, key: str) -> None:
    echo = hatchet.stubs.task(name="echo", input_validator=Cue, output_validator=Echoed)
    answer = await echo.aio_run(Cue(key=key, n=7, text="grüße"))
    assert (answer.n, answer.text) == (7, "grüße")


def test_the_synchronous_client_runs_and_waits(hatchet: Hatchet, key: str) -> None:
    echo = hatchet.stubs.task(name="echo", input_validator=Cue, output_validator=Echoed)
    assert echo.run(Cue(key=key, n=1)).n == 1
    reference = echo.run(Cue(key=key, n=2), wait_for_result=False)
    assert reference.result().n == 2


async def test_a_run_of_one_task_has_the_id_of_its_task_and_the_plain_history(
    hatchet: Hatchet, rest: Rest, key: str
) -> None:
    echo = hatchet.stubs.task(name="echo", input_validator=Cue, output_validator=Echoed)
    reference = await echo.aio_run(Cue(key=key), wait_for_result=False)
    answer = await reference.aio_result()
    assert answer.workflow_run_id == answer.task_run_id == reference.workflow_run_id
    assert await rest.status(reference.workflow_run_id) == "COMPLETED"
    events = await rest.events(reference.workflow_run_id)
    assert [event["eventType"] for event in events] == HAPPY
    assert {event["attempt"] for event in events} == {1}
    worker_ids = {event["workerId"] for event in events[1:]}
    assert len(worker_ids) == 1 and None not in worker_ids
    (task,) = (await rest.run(reference.workflow_run_id))["tasks"]
    assert task["taskExternalId"] == reference.workflow_run_id
    assert task["input"]["key"] == key
    assert task["output"]["workflow_run_id"] == reference.workflow_run_id


async def test_synchronous_tasks_run_on_threads_side_by_side(hatchet: Hatchet, stage: Stage, key: str) -> None:
    workflow = hatchet.stubs.workflow(name="hold-sync", input_validator=Cue)
    first = await workflow.aio_run(Cue(key=key, n=1), wait_for_result=False)
    second = await workflow.aio_run(Cue(key=key, n=2), wait_for_result=False)
    await stage.heard(key, "started", count=2)
    stage.open(key)
    assert await first.aio_result() == {"hold-sync": {"n": 1, "is_cancelled": False}}
    assert await second.aio_result() == {"hold-sync": {"n": 2, "is_cancelled": False}}


async def test_the_details_of_a_run_are_told_over_the_wire(hatchet: Hatchet, stage: Stage, key: str) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key, n=3), wait_for_result=False, additional_metadata={"colour": "red"})
    await stage.heard(key, "started")
    details = await hatchet.runs.aio_get_details(reference.workflow_run_id)
    assert details.status.value == "RUNNING" and not details.done
    assert details.input is not None and details.input["key"] == key
    assert details.additional_metadata == {"colour": "red"}
    stage.open(key)
    await reference.aio_result()
    details = await hatchet.runs.aio_get_details(reference.workflow_run_id)
    assert details.status.value == "COMPLETED" and details.done
    assert details.task_runs["hold"].external_id == reference.workflow_run_id
    assert details.task_runs["hold"].output == {"n": 3, "retry_count": 0}


async def test_the_result_of_a_finished_run_can_be_asked_for_later_and_again(hatchet: Hatchet, key: str) -> None:
    nothing = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    reference = await nothing.aio_run(Cue(key=key, n=4), wait_for_result=False)
    first = await reference.aio_result()
    assert await reference.aio_result() == first
    late = await hatchet.runs.get_run_ref(reference.workflow_run_id).aio_result()
    assert late == first and late["echo"]["n"] == 4


async def test_a_task_that_returns_nothing_completes(hatchet: Hatchet, rest: Rest, key: str) -> None:
    nothing = hatchet.stubs.workflow(name="nothing", input_validator=Cue)
    reference = await nothing.aio_run(Cue(key=key), wait_for_result=False)
    assert await reference.aio_result() == {"nothing": {}}
    assert await rest.status(reference.workflow_run_id) == "COMPLETED"


@pytest.mark.parametrize(("name", "complaint"), [("a-list", "IllegalTaskOutput"), ("a-nul", "IllegalTaskOutput")])
async def test_an_output_that_cannot_be_kept_fails_the_task(
    hatchet: Hatchet, rest: Rest, key: str, name: str, complaint: str
) -> None:
    workflow = hatchet.stubs.workflow(name=name, input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup) as raised:
        await reference.aio_result()
    assert complaint in raised.value.exceptions[0].exc_type
    assert await rest.status(reference.workflow_run_id) == "FAILED"


async def test_a_task_with_on_failure_is_a_run_of_two_tasks(hatchet: Hatchet, rest: Rest, key: str) -> None:
    guarded = hatchet.stubs.workflow(name="guarded", input_validator=Cue)
    reference = await guarded.aio_run(Cue(key=key, n=5), wait_for_result=False)
    assert await reference.aio_result() == {"work": {"n": 5}, "rescue-on-failure": {"skipped": True}}
    tasks = await rest.tasks(reference.workflow_run_id)
    assert set(tasks) == {"work", "rescue-on-failure"}
    assert reference.workflow_run_id not in {task["taskExternalId"] for task in tasks.values()}
    assert await rest.status(reference.workflow_run_id) == "COMPLETED"
    assert await rest.event_types(tasks["rescue-on-failure"]["taskExternalId"]) == ["SKIPPED"]


async def test_on_failure_sees_the_error_and_the_run_stays_failed(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    guarded = hatchet.stubs.workflow(name="guarded", input_validator=Cue)
    reference = await guarded.aio_run(Cue(key=key, fail=True), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup) as raised:
        await reference.aio_result()
    (error,) = raised.value.exceptions
    assert (error.exc_type, error.exc) == ("ValueError", "work is broken")
    (rescue,) = await stage.heard(key, "rescue")
    assert "ValueError: work is broken" in rescue.data["errors"]["work"]
    assert await rest.status(reference.workflow_run_id) == "FAILED"
    tasks = await rest.tasks(reference.workflow_run_id)
    assert tasks["rescue-on-failure"]["output"] == {"rescued": "work is broken"}


async def test_a_diamond_runs_its_sides_at_once_and_joins_them(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    reference = await diamond.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "b")
    await stage.heard(key, "c")
    assert set(await rest.tasks(reference.workflow_run_id)) == {"a", "b", "c"}
    assert await rest.status(reference.workflow_run_id) == "RUNNING"
    stage.open(key, "b")
    stage.open(key, "c")
    result = await reference.aio_result()
    assert result["d"] == {"letter": "ABAC", "seen": {"a": "A", "b": "AB", "c": "AC"}}
    assert result["mend-on-failure"] == {"skipped": True}
    tasks = await rest.tasks(reference.workflow_run_id)
    assert {name: task["status"] for name, task in tasks.items()} == dict.fromkeys("abcd", "COMPLETED") | {
        "mend-on-failure": "COMPLETED"
    }
    assert len({task["taskExternalId"] for task in tasks.values()} | {reference.workflow_run_id}) == 6


async def test_a_failed_side_cancels_what_follows_and_leaves_the_other_side_alone(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    reference = await diamond.aio_run(Cue(key=key, fail=True), wait_for_result=False)
    await stage.heard(key, "c")
    stage.open(key, "b")
    # C is still held at its gate: on_failure starts at the first failure, not at the end of the run.
    (mend,) = await stage.heard(key, "mend")
    assert list(mend.data["errors"]) == ["b"] and "b is broken" in mend.data["errors"]["b"]
    tasks = await rest.tasks(reference.workflow_run_id)
    assert (tasks["c"]["status"], tasks["d"]["status"]) == ("RUNNING", "CANCELLED")
    stage.open(key, "c")
    with pytest.raises(FailedTaskRunExceptionGroup):
        await reference.aio_result()
    tasks = await rest.tasks(reference.workflow_run_id)
    assert {name: task["status"] for name, task in tasks.items()} == {
        "a": "COMPLETED",
        "b": "FAILED",
        "c": "COMPLETED",
        "d": "CANCELLED",
        "mend-on-failure": "COMPLETED",
    }
    assert await rest.status(reference.workflow_run_id) == "FAILED"
    assert stage.told(key, "d") == []


async def test_a_bulk_of_1500_runs_gets_its_ids_in_order(hatchet: Hatchet, lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    worker = asyncio.create_task(lean.run_noop_worker([f"{key}:only"], slots=500))
    workflow = hatchet.stubs.workflow(name=key, input_validator=Cue)
    references = await workflow.aio_run_many(
        [workflow.create_bulk_run_item(Cue(key=key, n=n)) for n in range(1500)], wait_for_result=False
    )
    assert len({reference.workflow_run_id for reference in references}) == 1500
    for position in (0, 1, 998, 999, 1000, 1499):
        details = await hatchet.runs.aio_get_details(references[position].workflow_run_id)
        assert details.input is not None and details.input["n"] == position
    # All of them run: nothing of a bulk is left behind.
    for reference in references:
        assert await reference.aio_result() == {"only": {}}
    worker.cancel()
