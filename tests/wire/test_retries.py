"""Failing: retries, backoff, errors not worth a retry, and every kind of timeout."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage

ATTEMPT = ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED"]


async def fail(hatchet: Hatchet, name: str, cue: Cue) -> tuple[str, FailedTaskRunExceptionGroup]:
    """Runs a workflow that fails; returns the run's id and what the caller got."""
    reference = await hatchet.stubs.workflow(name=name, input_validator=Cue).aio_run(cue, wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup) as raised:
        await reference.aio_result()
    return reference.workflow_run_id, raised.value


def at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


async def test_a_failing_task_is_tried_again_as_often_as_it_may(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    run_id, error = await fail(hatchet, "always-fails", Cue(key=key))
    assert error.exceptions[0].exc == "attempt 3 failed"
    assert [signal.data["retry_count"] for signal in stage.told(key, "attempt")] == [0, 1, 2, 3]
    events = await rest.events(run_id)
    again = [*ATTEMPT, "FAILED", "RETRYING"]
    assert [event["eventType"] for event in events] == [*again, *again, *again, *ATTEMPT, "FAILED"]
    assert [event["attempt"] for event in events if event["eventType"] == "FAILED"] == [1, 2, 3, 4]
    assert await rest.status(run_id) == "FAILED"


async def test_a_task_may_succeed_at_a_retry(hatchet: Hatchet, rest: Rest, key: str) -> None:
    workflow = hatchet.stubs.workflow(name="fails-until", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key, n=2), wait_for_result=False)
    assert await reference.aio_result() == {"fails-until": {"retry_count": 2}}
    assert await rest.status(reference.workflow_run_id) == "COMPLETED"


async def test_backoff_grows_with_its_factor_up_to_its_maximum(hatchet: Hatchet, rest: Rest, key: str) -> None:
    run_id, _ = await fail(hatchet, "backs-off", Cue(key=key))
    events = await rest.events(run_id)
    left_at = [at(event) for event in events if event["eventType"] == "RETRYING"]
    came_back_at = [at(event) for event in events if event["eventType"] == "QUEUED"][1:]
    waited = [back - left for left, back in zip(left_at, came_back_at, strict=True)]
    assert waited == [pytest.approx(1.5, abs=0.5), pytest.approx(2.0, abs=0.5)]
    assert min(waited) >= 1.5, "a timer never rings early"


async def test_an_error_not_worth_a_retry_is_final(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    run_id, error = await fail(hatchet, "gives-up", Cue(key=key))
    assert error.exceptions[0].exc == "no use"
    assert len(stage.told(key, "attempt")) == 1
    assert await rest.event_types(run_id) == [*ATTEMPT, "FAILED"]


async def test_an_attempt_that_takes_too_long_is_stopped_and_retried(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    run_id, error = await fail(hatchet, "too-slow", Cue(key=key))
    assert "timed out" in str(error.exceptions[0].exc)
    cancelled = await stage.heard(key, "cancelled", count=2)
    assert [signal.data["retry_count"] for signal in cancelled] == [0, 1]
    events = await rest.events(run_id)
    assert [event["eventType"] for event in events] == [*ATTEMPT, "TIMED_OUT", "RETRYING", *ATTEMPT, "TIMED_OUT"]
    assert at(events[4]) - at(events[1]) == pytest.approx(1.0, abs=0.5)
    assert await rest.status(run_id) == "FAILED"


async def test_more_time_is_added_to_the_deadline(hatchet: Hatchet, rest: Rest, key: str) -> None:
    run_id, _ = await fail(hatchet, "asks-for-time", Cue(key=key))
    events = {event["eventType"]: event for event in await rest.events(run_id)}
    assert "TIMEOUT_REFRESHED" in events
    ran_s = at(events["TIMED_OUT"]) - at(events["ASSIGNED"])
    assert 3.0 <= ran_s < 3.5, "the deadline is 1 s + 2 s after the assignment"


async def test_a_task_that_no_worker_takes_ends_as_cancelled(
    lean: LeanClient, engine: EngineProcess, rest: Rest, key: str
) -> None:
    tasks = [Task("first", schedule_timeout="1s", retries=3), Task("second", parents=["first"])]
    await lean.put_workflow(key, tasks, on_failure=Task("never"))
    run_id = await lean.trigger(key, {})
    assert await rest.finished(run_id) == "CANCELLED"
    rows = await rest.tasks(run_id)
    assert {name: row["status"] for name, row in rows.items()} == {
        "first": "CANCELLED",
        "second": "CANCELLED",
        "never": "COMPLETED",
    }
    events = await rest.events(rows["first"]["taskExternalId"])
    assert [event["eventType"] for event in events] == ["QUEUED", "REQUEUED_NO_WORKER", "SCHEDULING_TIMED_OUT"]
    assert at(events[2]) - at(events[0]) == pytest.approx(1.0, abs=0.5)
    assert await rest.event_types(rows["never"]["taskExternalId"]) == ["SKIPPED"]
    # Whoever waits for it is told; a cancelled run is no error, and its status says what it came to.
    assert await engine.client().runs.get_run_ref(run_id).aio_result() == {"never": {"skipped": True}}


async def test_a_retry_goes_before_fresh_work_of_the_highest_priority(single: Hatchet, stage: Stage, key: str) -> None:
    workflow = single.stubs.workflow(name="fails-until", input_validator=Cue)
    retried = await workflow.aio_run(Cue(key=key, n=1, fail=True), wait_for_result=False)
    await stage.heard(key, "attempt")
    fresh = await workflow.aio_run(Cue(key=key, n=0), wait_for_result=False, priority=3)
    stage.open(key, "1")
    stage.open(key, "0")
    await retried.aio_result()
    await fresh.aio_result()
    order = [(signal.data["n"], signal.data["retry_count"]) for signal in stage.told(key, "attempt")]
    assert order == [(1, 0), (1, 1), (0, 0)]
