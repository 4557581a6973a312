"""The REST client of 0.47.1, whose addresses are others than today's (REST specification 4.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from wirekit import Rest, Stage, eventually

from .conftest import CallFailed

if TYPE_CHECKING:
    from .conftest import Caller


async def test_a_run_is_read_whole(old: Caller, plain: Caller, key: str) -> None:
    run_id = await old("run", workflow="OldDag", input={"key": key, "n": 1}, additional_metadata={"of": key})
    await old("result_of", run_id=run_id)
    run = await plain("rest", method="workflow_run_get", workflow_run_id=run_id)
    assert run["metadata"]["id"] == run_id
    assert run["status"] == "SUCCEEDED" and run["input"] == {"key": key, "n": 1}
    assert run["additionalMetadata"]["of"] == key
    steps = {step["step"]["readableId"]: step for job in run["jobRuns"] for step in job["stepRuns"]}
    assert set(steps) == {"stepone", "step_two", "sum"}
    assert steps["sum"]["status"] == "SUCCEEDED" and steps["sum"]["output"] == '{"total": 13}'


async def test_runs_are_listed_by_what_they_are(old: Caller, plain: Caller, stage: Stage, key: str) -> None:
    run_id = await old("run", workflow="OldParent", input={"key": key, "n": 1}, additional_metadata={"family": key})
    await old("result_of", run_id=run_id)
    listed = await plain("rest", method="workflow_run_list", additional_metadata=[f"family:{key}"])
    assert {row["metadata"]["id"] for row in listed["rows"]} >= {run_id}
    children = await plain("rest", method="workflow_run_list", parent_workflow_run_id=run_id)
    assert {row["metadata"]["id"] for row in children["rows"]} == {
        told.data["run"] for told in stage.told(key, "child")
    }
    assert {row["triggeredBy"]["parentWorkflowRunId"] for row in children["rows"]} == {run_id}
    workflow = await plain("workflow_named", name="OldParent")
    by_workflow = await plain("rest", method="workflow_run_list", workflow_id=workflow["metadata"]["id"], limit=1)
    assert [row["metadata"]["id"] for row in by_workflow["rows"]] == [run_id]
    none = await plain("rest", method="workflow_run_list", parent_workflow_run_id=run_id, offset=9)
    assert none["rows"] == []


async def test_what_a_list_cannot_do_is_refused(plain: Caller) -> None:
    with pytest.raises(CallFailed, match="newest first"):
        await plain("rest", method="workflow_run_list", order_by_field="finishedAt")


async def test_workflows_and_versions(old: Caller, plain: Caller) -> None:
    workflow = await plain("workflow_named", name="OldDag")
    workflow_id = workflow["metadata"]["id"]
    assert (await plain("rest", method="workflow_get", workflow_id=workflow_id))["name"] == "OldDag"
    version = await plain("rest", method="workflow_version_get", workflow_id=workflow_id)
    assert version["workflowId"] == workflow_id


async def test_a_run_is_started_and_replayed(old: Caller, plain: Caller, stage: Stage, rest: Rest, key: str) -> None:
    workflow = await plain("workflow_named", name="OldDag")
    made = await plain(
        "rest", method="workflow_run_create", workflow_id=workflow["metadata"]["id"], input={"key": key, "n": 2}
    )
    run_id = made["metadata"]["id"]
    assert (await old("result_of", run_id=run_id))["sum"] == {"total": 15}
    replayed = await old("rest_in_loop", method="workflow_run_replay", workflow_run_ids=[run_id])
    assert [row["metadata"]["id"] for row in replayed["workflowRuns"]] == [run_id]
    await stage.heard(key, "sum", count=2)
    assert await rest.finished(run_id) == "COMPLETED"


async def test_runs_are_cancelled_in_bulk(old: Caller, plain: Caller, stage: Stage, rest: Rest, key: str) -> None:
    runs = [await old("run", workflow="OldWaiter", input={"key": key}) for _ in range(2)]
    await stage.heard(key, "waiting", count=2)
    answer = await plain("rest", method="workflow_run_bulk_cancel", workflow_run_ids=runs)
    assert answer["workflowRunIds"] == runs
    assert [await rest.status(run_id) for run_id in runs] == ["CANCELLED", "CANCELLED"]
    stage.open(key)


async def test_log_lines(old: Caller, plain: Caller, key: str) -> None:
    run_id = await old("run", workflow="OldSpeech", input={"key": key})
    await old("result_of", run_id=run_id)

    async def lines(**query: Any) -> list[str]:
        found = await plain("rest", method="list_logs", step_run_id=run_id, **query)
        return [line["message"] for line in found["rows"]]

    assert await eventually(lines, until=lambda found: len(found) == 2, what="two lines") == ["one", "two"]
    assert await lines(order_by_field="createdAt", order_by_direction="desc") == ["two", "one"]
    assert await lines(search="tw") == ["two"]


async def test_events_are_listed_and_pushed_again(old: Caller, plain: Caller, stage: Stage, key: str) -> None:
    event_id = await plain("push", key="old:fan", payload={"key": key}, additional_metadata={"round": key})
    await stage.heard(key, "fanned")
    listed = await plain("rest", method="events_list", keys=["old:fan"], additional_metadata=[f"round:{key}"])
    assert [row["metadata"]["id"] for row in listed["rows"]] == [event_id]
    again = await old("rest_in_loop", method="events_replay", event_ids=[event_id])
    assert [row["key"] for row in again["rows"]] == ["old:fan"]
    assert again["rows"][0]["metadata"]["id"] != event_id
    await stage.heard(key, "fanned", count=2)


async def test_what_is_not_there_is_not_found(old: Caller) -> None:
    stranger = "00000000-0000-7000-8000-000000000000"
    for call in (
        {"method": "workflow_run_get", "workflow_run_id": stranger},
        {"method": "workflow_run_create", "workflow_id": stranger, "input": {}},
        {"method": "list_logs", "step_run_id": stranger},
        {"method": "events_replay", "event_ids": [stranger]},
    ):
        with pytest.raises(CallFailed, match="404"):
            await old("rest_in_loop", **call)


async def test_step_runs_and_what_else_is_asked_of_a_run(
    old: Caller, plain: Caller, stage: Stage, rest: Rest, key: str
) -> None:
    run_id = await old("run", workflow="OldDag", input={"key": key, "n": 1}, additional_metadata={"of": key})
    await old("result_of", run_id=run_id)
    of_run = {"workflow_run": run_id}

    async def ask(api: str, method: str, **arguments: Any) -> Any:
        return await old("rest_api", api=api, method=method, **arguments)

    shape = await ask("workflow_api", "workflow_run_get_shape", **of_run)
    (job_run,) = shape["jobRuns"]
    names = {step["metadata"]["id"]: step["readableId"] for step in job_run["job"]["steps"]}
    steps = {names[step["stepId"]]: step["metadata"]["id"] for step in job_run["stepRuns"]}
    assert set(steps) == {"stepone", "step_two", "sum"}
    assert await ask("workflow_run_api", "workflow_run_get_input", **of_run) == {"key": key, "n": 1}

    of_step = {"step_run": steps["sum"]}
    assert (await ask("step_run_api", "step_run_get", **of_step))["output"] == '{"total": 13}'
    schema = await ask("step_run_api", "step_run_get_schema", **of_step)
    assert schema["properties"]["n"] == {"type": "integer"}
    events = await ask("step_run_api", "step_run_list_events", step_run=steps["sum"])
    assert events["rows"][0]["reason"] == "FINISHED"
    of_all = await ask("step_run_api", "workflow_run_list_step_run_events", **of_run)
    assert {row["stepRunId"] for row in of_all["rows"]} == set(steps.values())
    assert (await ask("step_run_api", "step_run_list_archives", step_run=steps["sum"]))["rows"] == []

    await ask("step_run_api", "step_run_update_rerun", **of_step, rerun_step_run_request={"input": {}})
    await stage.heard(key, "sum", count=2)
    assert await rest.finished(run_id) == "COMPLETED"
    archives = await ask("step_run_api", "step_run_list_archives", step_run=steps["sum"])
    assert [row["retryCount"] for row in archives["rows"]] == [0]
    workflow = await plain("workflow_named", name="OldDag")
    workers = await ask("workflow_api", "workflow_get_workers_count", workflow=workflow["metadata"]["id"])
    assert 0 < workers["freeSlotCount"] <= workers["maxSlotCount"]


async def test_a_step_run_and_the_runs_of_an_event_are_cancelled(
    old: Caller, plain: Caller, stage: Stage, rest: Rest, key: str
) -> None:
    run_id = await old("run", workflow="OldWaiter", input={"key": key})
    await stage.heard(key, "waiting")
    (step_run,) = (await plain("rest", method="workflow_run_get", workflow_run_id=run_id))["jobRuns"][0]["stepRuns"]
    arguments = {"step_run": step_run["metadata"]["id"]}
    cancelled = await old("rest_api", api="step_run_api", method="step_run_update_cancel", **arguments)
    assert cancelled["status"] == "CANCELLED"
    # The other step of the run goes on.
    assert await rest.status(run_id) == "RUNNING"
    stage.open(key)
    assert await rest.finished(run_id) == "CANCELLED"

    event_id = await plain("push", key="old:greeting", payload={"key": key, "n": 1})
    request = {"cancel_event_request": {"eventIds": [event_id]}}
    answer = await old("rest_api", api="event_api", method="event_update_cancel", **request)
    assert isinstance(answer["workflowRunIds"], list)
    keys = await old("rest_api", api="event_api", method="event_key_list")
    assert "old:greeting" in keys["rows"]
