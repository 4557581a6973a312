"""What the REST clients of 2025 ask of step runs, of runs, of workflows and of events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.definition import TaskSpec
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.storage.ids import new_id
from tests.rest.conftest import Site


async def get(site: Site, path: str, **params: Any) -> Any:
    answer = await site.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def tried_twice(site: Site, **columns: Any) -> str:
    """A run whose first attempt failed."""
    made = await site.seeds.single()
    task = {"status": "COMPLETED", "output": '{"ok":true}', "retry_count": 1} | columns
    run_id = await site.seeds.run(made, status=task["status"], input='{"n":1}', task=task)
    await site.seeds.history(
        run_id,
        ("QUEUED", 0),
        ("ASSIGNED", 0),
        ("STARTED", 0),
        ("FAILED", 0, {"error": "boom"}),
        ("RETRYING", 0),
        ("QUEUED", 1),
        ("STARTED", 1),
        ("FINISHED", 1),
    )
    return run_id


async def test_a_step_run_is_read_with_its_input(site: Site) -> None:
    run_id = await tried_twice(site)
    step_run = await get(site, f"{site.tenant}/step-runs/{run_id}")
    assert (step_run["metadata"]["id"], step_run["status"]) == (run_id, "SUCCEEDED")
    assert (step_run["input"], step_run["output"]) == ('{"n":1}', '{"ok":true}')
    assert step_run["step"]["readableId"] == "greet"


@pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.WAITING])
async def test_every_status_has_a_word_of_that_time(site: Site, status: TaskStatus) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, status="RUNNING", task={"status": status.value})
    (row,) = (await get(site, f"{site.tenant}/workflows/runs"))["rows"]
    (step_run,) = row["jobRuns"][0]["stepRuns"]
    assert step_run["metadata"]["id"] == run_id
    known = {"PENDING", "PENDING_ASSIGNMENT", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "BACKOFF"}
    assert step_run["status"] in known


async def test_the_history_of_a_step_run_is_told_in_the_words_of_that_time(site: Site) -> None:
    run_id = await tried_twice(site)
    rows = (await get(site, f"/api/v1/step-runs/{run_id}/events"))["rows"]
    assert [row["reason"] for row in rows] == ["FINISHED", "STARTED", "RETRYING", "FAILED", "STARTED", "ASSIGNED"]
    failed = next(row for row in rows if row["reason"] == "FAILED")
    assert (failed["severity"], failed["message"], failed["stepRunId"]) == ("CRITICAL", "boom", run_id)
    newest = (await get(site, f"/api/v1/step-runs/{run_id}/events", limit=1))["rows"]
    assert [row["reason"] for row in newest] == ["FINISHED"]


async def test_the_history_of_a_run_goes_on_after_the_last_entry_known(site: Site) -> None:
    run_id = await tried_twice(site)
    path = f"{site.tenant}/workflow-runs/{run_id}/step-run-events"
    rows = (await get(site, path))["rows"]
    assert [row["reason"] for row in rows] == ["ASSIGNED", "STARTED", "FAILED", "RETRYING", "STARTED", "FINISHED"]
    later = (await get(site, path, lastId=rows[3]["id"]))["rows"]
    assert later == rows[4:]


async def test_attempts_before_the_last_are_archived(site: Site) -> None:
    run_id = await tried_twice(site)
    (first,) = (await get(site, f"/api/v1/step-runs/{run_id}/archives"))["rows"]
    assert (first["stepRunId"], first["retryCount"], first["error"]) == (run_id, 0, "boom")
    assert (await get(site, f"/api/v1/step-runs/{run_id}/archives", offset=1))["rows"] == []


async def test_the_schema_is_the_workflows_or_that_of_the_input(site: Site) -> None:
    run_id = await tried_twice(site)
    assert await get(site, f"{site.tenant}/step-runs/{run_id}/schema") == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
    }
    declared = await site.seeds.workflow("w", (TaskSpec(name="a", action_id="w:a"),), input_json_schema='{"title":"W"}')
    run_id = await site.seeds.run(declared, task={})
    assert await get(site, f"{site.tenant}/step-runs/{run_id}/schema") == {"title": "W"}


@pytest.mark.parametrize("given", [{}, {"n": 1}, {"input": {"n": 1}, "parents": {}}])
async def test_a_step_run_that_is_over_is_run_again(site: Site, given: dict[str, Any]) -> None:
    run_id = await tried_twice(site)
    answer = await site.client.post(f"{site.tenant}/step-runs/{run_id}/rerun", json={"input": given})
    assert answer.status_code == 200, answer.text
    assert site.engine.commands == [(site.seeds.tenant_id, ReplayTasks((run_id,)))]


async def test_a_rerun_with_another_input_or_of_a_live_task_is_refused(site: Site) -> None:
    over, live = await tried_twice(site), await site.seeds.run(await site.seeds.single("other"), task={})
    answer = await site.client.post(f"{site.tenant}/step-runs/{over}/rerun", json={"input": {"n": 2}})
    assert answer.status_code == 400 and "keeps its input" in answer.text
    answer = await site.client.post(f"{site.tenant}/step-runs/{live}/rerun", json={"input": {}})
    assert answer.status_code == 400 and "not over" in answer.text
    assert site.engine.commands == []


async def test_a_step_run_is_cancelled(site: Site) -> None:
    live = await site.seeds.run(await site.seeds.single(), task={})
    answer = await site.client.post(f"{site.tenant}/step-runs/{live}/cancel")
    assert answer.status_code == 200 and answer.json()["metadata"]["id"] == live
    assert site.engine.commands == [(site.seeds.tenant_id, CancelTasks((live,)))]


async def test_the_input_of_a_run_stands_alone(site: Site) -> None:
    run_id = await tried_twice(site)
    assert await get(site, f"{site.tenant}/workflow-runs/{run_id}/input") == {"n": 1}
    assert await get(site, f"/api/v1/workflow-runs/{run_id}/input") == {"n": 1}


async def test_the_shape_of_a_run_has_all_steps_in_one_job(site: Site) -> None:
    tasks = (TaskSpec(name="one", action_id="w:one"), TaskSpec(name="two", action_id="w:two", parents=("one",)))
    made = await site.seeds.workflow("w", tasks)
    run_id = await site.seeds.run(made, status="RUNNING")
    await site.seeds.task(made, run_id, "one", status="COMPLETED", output='{"x":1}')
    shape = await get(site, f"{site.tenant}/workflow-runs/{run_id}/shape")
    assert (shape["metadata"]["id"], shape["workflowId"], shape["status"]) == (run_id, made[0], "RUNNING")
    (job_run,) = shape["jobRuns"]
    assert [step_run["output"] for step_run in job_run["stepRuns"]] == ['{"x":1}']
    one, two = job_run["job"]["steps"]
    assert (one["readableId"], two["readableId"]) == ("one", "two")
    assert (one["children"], two["parents"]) == ([two["metadata"]["id"]], [one["metadata"]["id"]])
    assert job_run["stepRuns"][0]["stepId"] == one["metadata"]["id"]


async def test_runs_are_counted_by_status(site: Site) -> None:
    made = await site.seeds.single()
    for status in ("COMPLETED", "COMPLETED", "FAILED", "QUEUED"):
        await site.seeds.run(made, status=status, metadata={"k": status}, task={"status": status})
    path = f"{site.tenant}/workflows/runs/metrics"
    expected = {"PENDING": 0, "QUEUED": 1, "RUNNING": 0, "SUCCEEDED": 2, "FAILED": 1, "CANCELLED": 0}
    assert (await get(site, path))["counts"] == expected
    some = (await get(site, path, additionalMetadata="k:FAILED"))["counts"]
    assert some == dict.fromkeys(expected, 0) | {"FAILED": 1}
    nothing = (await get(site, path, parentWorkflowRunId=new_id()))["counts"]
    assert nothing == dict.fromkeys(expected, 0)


async def test_slots_for_a_workflow_are_those_of_its_workers(site: Site) -> None:
    made = await site.seeds.single()
    # However slow the machine, they have just been heard of.
    beating = {"last_heartbeat_at": site.seeds.now + timedelta(hours=1)}
    worker = await site.seeds.worker(**beating)
    await site.seeds.worker(actions=["other:other"], **beating)
    await site.seeds.run(made, status="RUNNING", task={"status": "RUNNING", "worker_id": worker})
    counted = await get(site, f"{site.tenant}/workflows/{made[0]}/worker-count")
    assert counted["maxSlotCount"] == 10
    assert 0 <= counted["freeSlotCount"] <= 10
    assert (await site.client.get(f"{site.tenant}/workflows/{new_id()}/worker-count")).status_code == 404


async def test_keys_of_events(site: Site) -> None:
    for key in ("b", "a", "b"):
        await site.seeds.event(key)
    assert (await get(site, f"{site.tenant}/events/keys"))["rows"] == ["a", "b"]


async def test_the_live_runs_of_events_are_cancelled(site: Site) -> None:
    made = await site.seeds.single()
    event, other = await site.seeds.event("a"), await site.seeds.event("a")
    live = await site.seeds.run(made, triggering_event_id=event, task={})
    await site.seeds.run(made, triggering_event_id=event, status="COMPLETED", task={"status": "COMPLETED"})
    await site.seeds.run(made, triggering_event_id=other, task={})
    answer = await site.client.post(f"{site.tenant}/events/cancel", json={"eventIds": [event, event, new_id()]})
    assert answer.json() == {"workflowRunIds": [live]}
    assert site.engine.commands == [(site.seeds.tenant_id, CancelTasks((live,)))]
