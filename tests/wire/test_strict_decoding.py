"""What the strictest official client, Go's, decodes: a wrong shape there makes it drop an assignment without a word.

Its module could not be fetched where Broadaxe is developed, so nothing here runs it. These tests hold the engine to
what is known of its decoder: absent optional fields are absent, objects are objects, and no id is an empty text.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest

from broadaxe.rpc._gen import dispatcher_pb2 as pb

#: What clients take as any object: what users put in, and the definition of a workflow.
OPAQUE: Final = {"input", "output", "payload", "additionalMetadata", "workflowConfig"}


async def next_of(actions: AsyncIterator[pb.AssignedAction]) -> pb.AssignedAction:
    return await asyncio.wait_for(anext(actions), 10)


def assert_decodes(action: pb.AssignedAction) -> dict[str, Any]:
    """What the client demands of an assignment before it looks for the task; returns the payload."""
    assert action.get_group_key_run_id == ""
    for name in ("parent_workflow_run_id", "workflow_id", "workflow_version_id", "triggering_event_external_id"):
        if action.HasField(name):  # type: ignore[arg-type]
            UUID(getattr(action, name))
    if action.HasField("additional_metadata"):
        assert isinstance(json.loads(action.additional_metadata), dict)
    payload: dict[str, Any] = json.loads(action.action_payload)
    assert isinstance(payload["input"], dict)
    assert all(isinstance(output, dict) for output in payload["parents"].values())
    assert isinstance(payload["triggers"], dict)
    assert all(isinstance(value, dict | None) for value in payload["triggers"].values())
    assert all(isinstance(error, str) for error in payload.get("step_run_errors", {}).values())
    return payload


@pytest.mark.parametrize("output", ["", "null", "{}", '{"n": 1}'], ids=["nothing", "null", "empty", "object"])
async def test_assignments_decode_whatever_a_parent_returned(lean: LeanClient, key: str, output: str) -> None:
    await lean.put_workflow(key, [Task("first"), Task("second", parents=["first"])])
    actions = lean.listen(await lean.register([f"{key}:first", f"{key}:second"], 1))
    await lean.trigger(key, {})
    first = await next_of(actions)
    assert assert_decodes(first)["parents"] == {}
    await lean.report(first.task_run_external_id, 0, pb.STEP_EVENT_TYPE_COMPLETED, output)
    second = await next_of(actions)
    assert assert_decodes(second)["parents"] == {"first": json.loads(output or "{}") or {}}
    await lean.report(second.task_run_external_id, 0, pb.STEP_EVENT_TYPE_COMPLETED, "{}")


async def test_assignment_of_an_on_failure_task_decodes(lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("only")], on_failure=Task("on-failure"))
    actions = lean.listen(await lean.register([f"{key}:only", f"{key}:on-failure"], 1))
    await lean.trigger(key, {})
    only = await next_of(actions)
    await lean.report(only.task_run_external_id, 0, pb.STEP_EVENT_TYPE_FAILED, "broken", should_not_retry=True)
    cleaning = await next_of(actions)
    assert assert_decodes(cleaning)["step_run_errors"] == {"only": "broken"}
    await lean.report(cleaning.task_run_external_id, 0, pb.STEP_EVENT_TYPE_COMPLETED, "{}")


async def test_error_of_a_result_is_there_only_when_there_is_one(lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("good"), Task("bad")])
    actions = lean.listen(await lean.register([f"{key}:good", f"{key}:bad"], 2))
    run_id = await lean.trigger(key, {})
    for action in (await next_of(actions), await next_of(actions)):
        is_good = action.action_id.endswith(":good")
        await lean.report(
            action.task_run_external_id,
            0,
            pb.STEP_EVENT_TYPE_COMPLETED if is_good else pb.STEP_EVENT_TYPE_FAILED,
            "{}" if is_good else "broken",
        )
    runs = await lean.subscribe_runs()
    await runs.add(run_id)
    event = await asyncio.wait_for(anext(runs), 10)
    runs.close()
    results = {result.task_name: result for result in event.results}
    assert not results["good"].HasField("error") and results["good"].output == "{}"
    assert results["bad"].error == "broken" and not results["bad"].HasField("output")


async def test_no_answer_of_the_http_api_has_an_empty_id_or_a_null(
    engine: EngineProcess, hatchet: Hatchet, rest: Rest, key: str
) -> None:
    parent = await hatchet.stubs.workflow(name="parent", input_validator=Cue).aio_run(Cue(key=key, n=1))
    run_id = parent["parent"]["run_id"]
    event = await hatchet.event.aio_push("wire:order.created.now", {"key": key, "n": 5})
    tenant = hatchet.tenant_id
    stable, api = "/api/v1/stable", "/api/v1"
    paths = [
        f"{stable}/workflow-runs/{run_id}",
        f"{stable}/tasks/{run_id}",
        f"{stable}/tasks/{run_id}/task-events",
        f"{stable}/workflow-runs/{run_id}/task-timings",
        f"{stable}/tenants/{tenant}/workflow-runs?since=2020-01-01T00:00:00Z&only_tasks=false&limit=50",
        f"{stable}/tenants/{tenant}/workflow-runs?since=2020-01-01T00:00:00Z&only_tasks=true&limit=50",
        f"{stable}/tenants/{tenant}/events?limit=50",
        f"{stable}/tenants/{tenant}/events/{event.event_id}",
        f"{stable}/tenants/{tenant}/filters",
        f"{stable}/tenants/{tenant}/webhooks",
        f"{api}/tenants/{tenant}",
        f"{api}/tenants/{tenant}/workflows?limit=200",
        f"{api}/tenants/{tenant}/worker",
        f"{api}/tenants/{tenant}/rate-limits",
        f"{api}/tenants/{tenant}/workflows/crons",
        f"{api}/tenants/{tenant}/workflows/scheduled",
    ]
    headers = {"Authorization": f"Bearer {engine.token}"}
    async with httpx.AsyncClient(base_url=engine.url, headers=headers, timeout=30) as http:
        for path in paths:
            answer = await http.get(path)
            assert answer.status_code == 200, f"{path}: {answer.text}"
            assert list(faults(answer.json())) == [], path


def faults(value: Any, where: str = "") -> Iterator[str]:
    """Where an answer has an empty id or a null."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in OPAQUE:
                continue
            place = f"{where}.{name}"
            if inner is None:
                yield f"{place} is null"
            elif inner == "" and (name == "id" or name.endswith(("Id", "ID"))):
                yield f"{place} is empty"
            else:
                yield from faults(inner, place)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from faults(inner, f"{where}[{index}]")
