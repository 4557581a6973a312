"""Event filters, idempotency keys and bulk triggers with the official SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from hatchet_sdk import BulkTriggerIdempotencyCollisionError, Hatchet, IdempotencyCollisionError
from hatchet_sdk.clients.events import BulkPushEventWithMetadata
from hatchet_sdk.clients.rest.exceptions import BadRequestException, NotFoundException
from hatchet_sdk.clients.rest.models.v1_event import V1Event
from hatchet_sdk.clients.rest.models.v1_update_filter_request import V1UpdateFilterRequest
from lean_client import LeanClient, Task
from programs.flow_cue import Flow
from programs.flow_places import start, start_many
from wirekit import Rest, Stage, eventually

from broadaxe.rpc._gen import workflows_pb2
from broadaxe.rpc._gen.triggers_pb2 import TriggerWorkflowRequest


async def triggered(client: Hatchet, event_id: str) -> V1Event:
    """The event as it is listed. Its runs are stored with it, so there is nothing to wait for."""
    return await asyncio.to_thread(client.event.get, event_id)


async def push(client: Hatchet, key: str, cue: Flow, **options: Any) -> V1Event:
    return await triggered(client, (await client.event.aio_push(key, cue.model_dump(), **options)).event_id)


# Filters -------------------------------------------------------------------------------------------------------------


async def test_declared_filters_choose_by_scope_and_expression(flow: Hatchet, stage: Stage, key: str) -> None:
    small, large = Flow(key=key, units=1), Flow(key=key, units=10)
    for cue, scope, metadata, names in (
        (large, None, {}, []),
        (large, "elsewhere", {}, []),
        (small, "large", {"region": "us"}, []),
        (large, "large", {"region": "us"}, ["large"]),
        (large, "large", {"region": "eu"}, ["european", "large"]),
        (small, "late", {}, []),
    ):
        event = await push(flow, "flow:filtered:early", cue, scope=scope, additional_metadata=metadata)
        assert len(event.triggered_runs or []) == len(names), (scope, metadata)
        assert len({run.filter_id for run in event.triggered_runs or []} - {None}) == len(names)
        assert event.scope == scope
    late = await push(flow, "flow:filtered:late", small, scope="late")
    assert (
        late.workflow_run_summary.queued + late.workflow_run_summary.running + late.workflow_run_summary.succeeded == 1
    )
    told = await stage.heard(key, "filtered", count=4)
    assert sorted(signal.data["payload"]["name"] for signal in told) == ["european", "large", "large", "late"]
    assert {"least": 10, "name": "large"} in [signal.data["payload"] for signal in told]


async def test_filters_are_made_changed_and_deleted(flow: Hatchet, stage: Stage, key: str) -> None:
    workflow = next(row for row in (await flow.workflows.aio_list("flow-picky")).rows or [] if row.name == "flow-picky")
    made = await flow.filters.aio_create(workflow.metadata.id, "input.n > payload.least", key, {"least": 1})
    try:
        assert (made.scope, made.payload, made.is_declarative) == (key, {"least": 1}, False)
        assert await flow.filters.aio_get(made.metadata.id) == made
        listed = await flow.filters.aio_list(workflow_ids=[workflow.metadata.id], scopes=[key])
        assert [row.metadata.id for row in listed.rows or []] == [made.metadata.id]
        assert not (await push(flow, "flow:picky", Flow(key=key, n=1), scope=key)).triggered_runs
        event = await push(flow, "flow:picky", Flow(key=key, n=2), scope=key)
        assert [run.filter_id for run in event.triggered_runs or []] == [made.metadata.id]
        (told,) = await stage.heard(key, "picky")
        assert told.data["payload"] == {"least": 1}

        changed = await flow.filters.aio_update(made.metadata.id, V1UpdateFilterRequest(expression="input.n == 1"))
        assert (changed.expression, changed.payload) == ("input.n == 1", {"least": 1})
        assert (await push(flow, "flow:picky", Flow(key=key, n=1), scope=key)).triggered_runs
        with pytest.raises(BadRequestException, match="expression"):
            await flow.filters.aio_update(made.metadata.id, V1UpdateFilterRequest(expression="input."))
    finally:
        deleted = await flow.filters.aio_delete(made.metadata.id)
    assert deleted.metadata.id == made.metadata.id
    # The last filter is gone, so every event of the key passes again, with a scope or without.
    assert (await push(flow, "flow:picky", Flow(key=key, n=9))).triggered_runs
    with pytest.raises(NotFoundException):
        await asyncio.to_thread(
            flow.filters._fa(flow.filters.client()).v1_filter_delete, flow.tenant_id, made.metadata.id
        )


async def test_a_filter_that_fails_is_recorded(flow: Hatchet, rest: Rest, key: str) -> None:
    workflow = next(row for row in (await flow.workflows.aio_list("flow-picky")).rows or [] if row.name == "flow-picky")
    made = await flow.filters.aio_create(workflow.metadata.id, "input.nowhere == 1", key)
    try:
        event = await push(flow, "flow:picky", Flow(key=key), scope=key)
        assert not event.triggered_runs
        failures = await rest.expression_failures(sources="FILTER")
        (failure,) = (row for row in failures if row.get("eventId") == event.metadata.id)
        assert failure["workflowId"] == workflow.metadata.id
        assert "input.nowhere" in failure["message"]
    finally:
        await flow.filters.aio_delete(made.metadata.id)


async def test_an_expression_can_be_tried_out(flow: Hatchet) -> None:
    said = await flow.cel.aio_debug("input.n > payload.least", {"n": 2}, filter_payload={"least": 1})
    assert said.result.status == "success" and said.result.output is True  # type: ignore[union-attr]
    for expression in ("input.n", "input.", "nothing", "input.missing == 1", ""):
        refused = await flow.cel.aio_debug(expression, {"n": 2})
        assert refused.result.status == "failure" and refused.result.error, expression  # type: ignore[union-attr]


# Events --------------------------------------------------------------------------------------------------------------


async def test_events_nobody_listens_for_are_listed_by_key_scope_and_metadata(flow: Hatchet, key: str) -> None:
    pushed = await flow.event.aio_bulk_push(
        [
            BulkPushEventWithMetadata(
                key=f"{key}:{n}", payload={"n": n}, additional_metadata={"n": n, "even": n % 2 == 0}
            )
            for n in range(4)
        ]
    )
    assert [event.key for event in pushed] == [f"{key}:{n}" for n in range(4)]
    by_key = await flow.event.aio_list(keys=[f"{key}:1", f"{key}:2"])
    assert [row.key for row in by_key.rows or []] == [f"{key}:2", f"{key}:1"], "newest first"
    by_metadata = await flow.event.aio_list(additional_metadata={"n": 3}, keys=[f"{key}:{n}" for n in range(4)])
    assert [row.key for row in by_metadata.rows or []] == [f"{key}:3"]
    by_id = await flow.event.aio_list(event_ids=[pushed[0].event_id], scopes=None)
    assert [row.payload for row in by_id.rows or []] == [{"n": 0}]
    assert (by_id.rows or [])[0].triggered_runs in (None, [])
    await flow.event.aio_push(f"{key}:scoped", {}, scope=key)
    assert [row.key for row in (await flow.event.aio_list(scopes=[key])).rows or []] == [f"{key}:scoped"]


# Bulk ----------------------------------------------------------------------------------------------------------------


async def test_fifteen_hundred_runs_come_back_in_order(flow: Hatchet, lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    references = await start_many(flow, key, [Flow(key=key, n=n) for n in range(1500)])
    ids = [reference.workflow_run_id for reference in references]
    assert len(set(ids)) == 1500
    workflow = next(row for row in (await flow.workflows.aio_list(key)).rows or [])
    rows = await rest.runs(
        since="2025-01-01T00:00:00Z",
        only_tasks="false",
        workflow_ids=workflow.metadata.id,
        limit="2000",
        include_payloads="true",
    )
    number = {row["metadata"]["id"]: row["input"]["n"] for row in rows}
    assert [number[run_id] for run_id in ids] == list(range(1500))
    await rest.cancel(*ids)


async def test_a_thousand_and_one_are_too_many_for_one_request(lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    with pytest.raises(grpc.aio.AioRpcError, match="1000") as refused:
        await lean._bulk_trigger(
            workflows_pb2.BulkTriggerWorkflowRequest(
                workflows=[TriggerWorkflowRequest(name=key, input="{}") for _ in range(1_001)]
            )
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# Idempotency keys ----------------------------------------------------------------------------------------------------


async def test_a_key_is_held_for_its_time_across_workflows(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    first = await start(flow, "flow-once", Flow(key=key, user=key))
    await first.aio_result()
    for workflow in ("flow-once", "flow-one-at-a-time"):
        with pytest.raises(IdempotencyCollisionError) as refused:
            await start(flow, workflow, Flow(key=key, user=key))
        assert refused.value.existing_run_external_id == first.workflow_run_id
    event = await push(flow, "flow:once", Flow(key=key, user=key))
    assert not event.triggered_runs, "events collide in silence"
    assert len(stage.told(key, "started")) == 1
    run = await rest.runs(since="2025-01-01T00:00:00Z", only_tasks="false", idempotency_keys=key)
    assert [(row["metadata"]["id"], row["idempotencyKey"]) for row in run] == [(first.workflow_run_id, key)]
    tasks = await rest.runs(since="2025-01-01T00:00:00Z", only_tasks="true", idempotency_keys=key)
    assert [row["metadata"]["id"] for row in tasks] == [first.workflow_run_id]


async def test_a_key_is_free_once_its_time_is_over(flow: Hatchet, key: str) -> None:
    first = await start(flow, "flow-briefly-once", Flow(key=key, user=key))

    async def again() -> str | None:
        try:
            return str((await start(flow, "flow-briefly-once", Flow(key=key, user=key))).workflow_run_id)
        except IdempotencyCollisionError as collision:
            assert collision.existing_run_external_id == first.workflow_run_id
            return None

    second = await eventually(again, until=lambda found: found is not None, what="the key is free")
    assert second != first.workflow_run_id


async def test_a_status_key_is_held_until_the_run_has_ended(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    cue = Flow(key=key, user=key, fails=1)
    first = await start(flow, "flow-one-at-a-time", cue)
    await stage.heard(key, "started")
    with pytest.raises(IdempotencyCollisionError):
        await start(flow, "flow-one-at-a-time", cue)
    stage.open(key, "go")
    await stage.heard(key, "failed")
    await first.aio_result()
    second = await start(flow, "flow-one-at-a-time", cue)
    assert second.workflow_run_id != first.workflow_run_id
    await second.aio_result()


async def test_a_bulk_starts_what_does_not_collide(flow: Hatchet, rest: Rest, key: str) -> None:
    held = await start(flow, "flow-once", Flow(key=key, user=f"{key}-a"))
    users = [f"{key}-{letter}" for letter in "abcbd"]
    with pytest.raises(BulkTriggerIdempotencyCollisionError) as refused:
        await start_many(flow, "flow-once", [Flow(key=key, user=user) for user in users])
    started = refused.value.successful_workflow_run_external_ids
    keys = [(await rest.run(run_id))["tasks"][0]["idempotencyKey"] for run_id in started]
    assert keys == [f"{key}-b", f"{key}-c", f"{key}-d"]
    existing = [collision.existing_run_external_id for collision in refused.value.collisions]
    assert existing == [held.workflow_run_id, started[0]]


async def test_a_child_that_exists_is_not_a_collision(flow: Hatchet, key: str) -> None:
    parent = await start(flow, "flow-spawns-once", Flow(key=key, user=key))
    first, again = (await parent.aio_result())["flow-spawns-once"]["ids"]
    assert first == again


async def test_a_key_that_cannot_be_had_is_the_callers_mistake(lean: LeanClient, flow: Hatchet, rest: Rest) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=r"input\.user") as refused:
        await lean.trigger("flow-once", {"key": "k"})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    event = await triggered(flow, (await flow.event.aio_push("flow:once", {"key": "k"})).event_id)
    assert not event.triggered_runs
    failures = await rest.expression_failures(sources="IDEMPOTENCY_KEY")
    assert event.metadata.id in [row.get("eventId") for row in failures]


async def test_the_http_api_says_which_run_holds_the_key(flow: Hatchet, key: str) -> None:
    first = await start(flow, "flow-once", Flow(key=key, user=key))
    with pytest.raises(BadRequestException, match=first.workflow_run_id):
        await flow.runs.aio_create("flow-once", Flow(key=key, user=key).model_dump())
