"""What the engine makes of reports and definitions that come twice, late or changed. Driven on the bare wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from lean_client import LeanClient, Task
from wirekit import Rest

from broadaxe.rpc._gen import dispatcher_pb2 as pb

STARTED, COMPLETED, FAILED = pb.STEP_EVENT_TYPE_STARTED, pb.STEP_EVENT_TYPE_COMPLETED, pb.STEP_EVENT_TYPE_FAILED


async def next_of(actions: AsyncIterator[pb.AssignedAction]) -> pb.AssignedAction:
    return await asyncio.wait_for(anext(actions), 10)


async def test_the_first_of_two_final_reports_counts(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only", retries=3)])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    action = await next_of(actions)
    await lean.report(action.task_run_external_id, 0, COMPLETED, '{"n": 1}')
    await lean.report(action.task_run_external_id, 0, FAILED, "too late")
    await lean.report(action.task_run_external_id, 0, COMPLETED, '{"n": 2}')
    await lean.report(action.task_run_external_id, 0, STARTED)
    details = await lean.run_details(run_id)
    assert details.done and details.task_runs["only"].output == b'{"n": 1}'
    types = await rest.event_types(run_id)
    assert types.count("FINISHED") == 1 and "FAILED" not in types


async def test_a_report_of_an_older_attempt_is_ignored(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only", retries=3)])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    task_id = (await next_of(actions)).task_run_external_id
    await lean.report(task_id, 0, FAILED, "once")
    second = await next_of(actions)
    assert (second.task_run_external_id, second.retry_count) == (task_id, 1)
    await lean.report(task_id, 0, COMPLETED, '{"n": 0}')
    assert await rest.status(run_id) == "RUNNING"
    await lean.report(task_id, 1, COMPLETED, '{"n": 1}')
    assert (await lean.run_details(run_id)).task_runs["only"].output == b'{"n": 1}'


async def test_a_report_after_a_cancel_is_ignored(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    started = await next_of(actions)
    await rest.cancel(run_id)
    cancel = await next_of(actions)
    assert cancel.action_type == pb.CANCEL_STEP_RUN
    assert (cancel.task_run_external_id, cancel.retry_count) == (started.task_run_external_id, started.retry_count)
    await lean.report(started.task_run_external_id, 0, COMPLETED, '{"n": 1}')
    assert await rest.status(run_id) == "CANCELLED"
    # The slot is free again.
    other = await lean.trigger(key, {})
    assert (await next_of(actions)).workflow_run_id == other


@pytest.mark.parametrize("payload", ['{"text": "a\\u0000b"}', "not json", '{"n": '])
async def test_an_output_that_cannot_be_kept_fails_the_attempt(
    lean: LeanClient, rest: Rest, key: str, payload: str
) -> None:
    await lean.put_workflow(key, [Task("only", retries=1)])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    task_id = (await next_of(actions)).task_run_external_id
    await lean.report(task_id, 0, COMPLETED, payload)
    assert (await next_of(actions)).retry_count == 1
    await lean.report(task_id, 1, COMPLETED, payload)
    assert await rest.finished(run_id) == "FAILED"


@pytest.mark.parametrize("payload", ["", "null"])
async def test_no_output_is_an_empty_object(lean: LeanClient, key: str, payload: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    await lean.report((await next_of(actions)).task_run_external_id, 0, COMPLETED, payload)
    assert (await lean.run_details(run_id)).task_runs["only"].output == b"{}"


async def test_reports_that_make_no_sense_are_answered_well(lean: LeanClient) -> None:
    """An error would make the SDK send its report twenty times more and block all others meanwhile."""
    await lean.report("00000000-0000-7000-8000-000000000000", 0, COMPLETED, "{}")


async def test_the_same_definition_again_is_no_new_version(lean: LeanClient, key: str) -> None:
    first = await lean.put_workflow(key, [Task("a"), Task("b", parents=["a"])])
    assert await lean.put_workflow(key, [Task("a"), Task("b", parents=["a"])]) == first
    assert await lean.put_workflow(key, [Task("b", parents=["a"]), Task("a")]) == first, "order does not matter"
    changed = await lean.put_workflow(key, [Task("a", timeout="61s"), Task("b", parents=["a"])])
    assert changed.workflow_id == first.workflow_id and changed.version_id != first.version_id


async def test_a_run_keeps_the_definition_it_was_started_with(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only", retries=1)])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    task_id = (await next_of(actions)).task_run_external_id
    await lean.put_workflow(key, [Task("only", retries=0)])
    await lean.report(task_id, 0, FAILED, "once")
    again = await next_of(actions)
    assert (again.workflow_run_id, again.retry_count) == (run_id, 1)
    await lean.report(task_id, 1, COMPLETED, "{}")
    newer = await lean.trigger(key, {})
    await lean.report((await next_of(actions)).task_run_external_id, 0, FAILED, "final")
    assert await rest.finished(newer) == "FAILED"


async def test_a_task_shows_the_times_of_its_worker(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    actions = lean.listen(await lean.register([f"{key}:only"], 1))
    run_id = await lean.trigger(key, {})
    task_id = (await next_of(actions)).task_run_external_id
    began = datetime.now(UTC)
    ended = began + timedelta(milliseconds=50)
    # Both reports arrive together, as they do from a worker that was busy.
    await asyncio.sleep(0.06)
    reports = []
    for at, event_type in ((began, STARTED), (ended, COMPLETED)):
        event = pb.StepActionEvent(task_run_external_id=task_id, event_type=event_type, retry_count=0)
        event.event_timestamp.FromDatetime(at)
        reports.append(lean._report(event))
    await asyncio.gather(*reports)
    await rest.finished(run_id)
    task = await rest.task(task_id)
    assert [datetime.fromisoformat(task[name]) for name in ("startedAt", "finishedAt")] == [began, ended]


async def test_an_assignment_of_more_than_clients_take_fails_at_once_and_disturbs_nobody(
    lean: LeanClient, rest: Rest, key: str
) -> None:
    parents = ["a", "b", "c"]
    await lean.put_workflow(key, [*map(Task, parents), Task("sum", parents=parents, retries=3)])
    actions = lean.listen(await lean.register([f"{key}:{name}" for name in (*parents, "sum")], 10))
    run_id = await lean.trigger(key, {})
    large = json.dumps({"text": "x" * 1_500_000})
    for _ in parents:
        await lean.report((await next_of(actions)).task_run_external_id, 0, COMPLETED, large)
    assert await rest.finished(run_id) == "FAILED"
    task = (await rest.tasks(run_id))["sum"]
    assert task["retryCount"] == 0
    assert "4194304" in task["errorMessage"] and "too large" in task["errorMessage"]
    # The stream is the same one and goes on.
    other = await lean.trigger(key, {})
    assert (await next_of(actions)).workflow_run_id == other
