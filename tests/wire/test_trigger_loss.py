"""The engine is killed while runs are triggered in every way but one at a time, by a clock and from transactions (see
test_engine_loss.py, test_calendar.py, test_outbox.py): what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import Any

import grpc.aio
import httpx
from hatchet_sdk.clients.rest.models.v1_webhook_basic_auth import V1WebhookBasicAuth
from hatchet_sdk.clients.rest.models.v1_webhook_source_name import V1WebhookSourceName
from lean_client import LeanClient, Task, _task_opts
from wirekit import EngineProcess, Rest

from broadaxe.rpc._gen import admin_pb2, events_pb2
from broadaxe.rpc._gen.status_pb2 import Status
from broadaxe.rpc._gen.triggers_pb2 import IdempotencyCollisionError, TriggerWorkflowRequest
from broadaxe.rpc._gen.workflows_pb2 import TriggerWorkflowResponse

GOALS = (150, 300)
CALLERS = 10
BULK = 20
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def work_off(client: LeanClient, action: str, run_ids: set[str]) -> Counter[str]:
    """A worker takes whatever is there; returns how often each run was sent, once all of `run_ids` have ended."""
    received: Counter[str] = Counter()
    worker = asyncio.create_task(
        client.run_noop_worker([action], slots=200, on_received=lambda sent: received.update([sent.workflow_run_id]))
    )
    runs = await client.subscribe_runs()
    for run_id in run_ids:
        await runs.add(run_id)
    ended = {(await asyncio.wait_for(anext(runs), 60)).workflow_run_id for _ in run_ids}
    worker.cancel()
    assert ended == run_ids
    return received


async def test_an_acknowledged_event_started_its_run_exactly_once(own_engine: EngineProcess, key: str) -> None:
    acknowledged: list[str] = []
    enough = asyncio.Event()

    async def pour(client: LeanClient, goal: int) -> None:
        push = client._unary("/EventsService/Push", events_pb2.Event)
        while True:
            try:
                acknowledged.append((await push(events_pb2.PushEventRequest(key=f"{key}:go", scope="S"))).event_id)
            except grpc.aio.AioRpcError as error:
                assert error.code() in GONE, error
                return
            if len(acknowledged) >= goal:
                enough.set()

    definition = admin_pb2.CreateWorkflowVersionRequest(
        name=key,
        event_triggers=[f"{key}:*"],
        tasks=[_task_opts(key, Task("only"))],
        default_filters=[admin_pb2.DefaultFilter(expression="event_key.endsWith('go')", scope="S", payload=b'{"f":1}')],
    )
    for goal in GOALS:
        async with LeanClient(own_engine.address, own_engine.token) as client:
            await client.put_definition(definition)
            enough.clear()
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(pour(client, goal))
                await enough.wait()
                await own_engine.kill()
        await own_engine.start()

    assert len(set(acknowledged)) == len(acknowledged) >= GOALS[-1]
    async with Rest(own_engine.url, own_engine.token, own_engine.client().tenant_id) as rest:
        listed = {row["metadata"]["id"]: row["triggeredRuns"] for row in await rest.user_events(limit="5000")}
    assert set(acknowledged) <= set(listed)
    assert {len(runs) for runs in listed.values()} == {1}, "no event without its run, none with two"
    run_ids = {runs[0]["workflowRunId"] for runs in listed.values()}
    async with LeanClient(own_engine.address, own_engine.token) as client:
        received = await work_off(client, f"{key}:only", run_ids)
    assert set(received) == run_ids
    assert set(received.values()) == {1}, "each run went to a worker once"


async def test_a_trigger_repeated_across_kills_makes_one_run_per_key(own_engine: EngineProcess, key: str) -> None:
    """Callers whose answer was lost trigger again, as a careful program would: the collision names their run."""
    run_of: dict[int, str] = {}
    lost: set[int] = set()
    numbers = count()
    enough = asyncio.Event()

    async def trigger(client: LeanClient, number: int) -> None:
        try:
            run_id = await client.trigger(key, {"k": f"key-{number}"})
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            assert number in lost, "only what was tried before can collide"
            details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
            collision = IdempotencyCollisionError.FromString(Status.FromString(details).details[0].value)
            run_id = collision.existing_run_external_id
        run_of[number] = run_id

    async def pour(client: LeanClient, goal: int) -> None:
        while True:
            number = next(numbers)
            try:
                await trigger(client, number)
            except grpc.aio.AioRpcError as error:
                assert error.code() in GONE, error
                lost.add(number)
                return
            if len(run_of) >= goal:
                enough.set()

    definition = admin_pb2.CreateWorkflowVersionRequest(
        name=key,
        tasks=[_task_opts(key, Task("only"))],
        idempotency=admin_pb2.IdempotencyConfig(expression="input.k", ttl_ms=3_600_000),
    )
    for goal in GOALS:
        async with LeanClient(own_engine.address, own_engine.token) as client:
            await client.put_definition(definition)
            for number in sorted(lost - run_of.keys()):
                await trigger(client, number)
            enough.clear()
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(pour(client, goal))
                await enough.wait()
                await own_engine.kill()
        await own_engine.start()

    async with LeanClient(own_engine.address, own_engine.token) as client:
        for number in sorted(lost - run_of.keys()):
            await trigger(client, number)
        assert len(set(run_of.values())) == len(run_of) >= GOALS[-1]
        received = await work_off(client, f"{key}:only", set(run_of.values()))
    assert set(received) == set(run_of.values()), "a key made no run that nobody was told of in the end"
    assert set(received.values()) == {1}


async def runs_of(rest: Rest, **query: str) -> list[dict[str, Any]]:
    """All runs, a page at a time."""
    found: list[dict[str, Any]] = []
    while page := await rest.runs(
        since="2020-01-01T00:00:00Z", only_tasks="false", limit="1000", offset=str(len(found)), **query
    ):
        found += page
    return found


async def test_a_bulk_is_there_whole_or_not_at_all(own_engine: EngineProcess, key: str) -> None:
    acknowledged: dict[int, list[str]] = {}
    numbers = count()
    enough = asyncio.Event()

    async def pour(client: LeanClient, goal: int) -> None:
        while True:
            bulk = next(numbers)
            try:
                acknowledged[bulk] = await client.bulk_trigger(key, [{"bulk": bulk, "n": n} for n in range(BULK)])
            except grpc.aio.AioRpcError as error:
                assert error.code() in GONE, error
                return
            if len(acknowledged) >= goal:
                enough.set()

    for goal in (10, 20):
        async with LeanClient(own_engine.address, own_engine.token) as client:
            await client.put_workflow(key, [Task("only")])
            enough.clear()
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(pour(client, goal))
                await enough.wait()
                await own_engine.kill()
        await own_engine.start()

    async with Rest(own_engine.url, own_engine.token, own_engine.client().tenant_id) as rest:
        rows = await runs_of(rest)
    bulks: dict[int, dict[int, str]] = {}
    for row in rows:
        assert (
            bulks.setdefault(row["input"]["bulk"], {}).setdefault(row["input"]["n"], row["metadata"]["id"])
            == (row["metadata"]["id"])
        ), "an item made two runs"
    assert {tuple(sorted(items)) for items in bulks.values()} == {tuple(range(BULK))}
    for bulk, run_ids in acknowledged.items():
        assert [bulks[bulk][n] for n in range(BULK)] == run_ids, "in the order of the request"


async def test_a_child_spawned_again_after_a_kill_is_the_child_that_was_spawned(
    own_engine: EngineProcess, key: str
) -> None:
    """What a parent does whose attempt is made again: it asks for the same children, whether or not it was told."""
    run_of: dict[int, str] = {}
    asked: set[int] = set()
    numbers = count()
    enough = asyncio.Event()

    async def pour(client: LeanClient, parent_id: str, goal: int) -> None:
        spawn = client._unary("/WorkflowService/TriggerWorkflow", TriggerWorkflowResponse)
        while True:
            index = next(numbers)
            asked.add(index)
            try:
                run_of[index] = (await spawn(child_request(parent_id, index))).workflow_run_id
            except grpc.aio.AioRpcError as error:
                assert error.code() in GONE, error
                return
            if len(run_of) >= goal:
                enough.set()

    def child_request(parent_id: str, index: int) -> TriggerWorkflowRequest:
        return TriggerWorkflowRequest(
            name=key, input="{}", parent_id=parent_id, parent_task_run_external_id=parent_id, child_index=index
        )

    async with LeanClient(own_engine.address, own_engine.token) as client:
        await client.put_workflow(key, [Task("only")])
        await client.put_workflow(f"{key}-parent", [Task("only")])
        parent_id = await client.trigger(f"{key}-parent", {})
        # It is at work when the engine is killed, so that it gets attempt after attempt.
        assignments = client.listen(await client.register([f"{key}-parent:only"], 1))
        assert (await anext(assignments)).workflow_run_id == parent_id
    for goal in GOALS:
        async with LeanClient(own_engine.address, own_engine.token) as client:
            enough.clear()
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(pour(client, parent_id, goal))
                await enough.wait()
                await own_engine.kill()
        await own_engine.start()

    assert len(set(run_of.values())) == len(run_of) >= GOALS[-1]
    async with LeanClient(own_engine.address, own_engine.token) as client:
        spawn = client._unary("/WorkflowService/TriggerWorkflow", TriggerWorkflowResponse)
        again = {index: (await spawn(child_request(parent_id, index))).workflow_run_id for index in sorted(asked)}
    assert run_of.items() <= again.items()
    async with Rest(own_engine.url, own_engine.token, own_engine.client().tenant_id) as rest:
        children = await runs_of(rest, parent_task_external_id=parent_id)
    assert sorted(row["metadata"]["id"] for row in children) == sorted(again.values())


async def test_an_acknowledged_webhook_request_started_its_run_exactly_once(
    embedded_engine: EngineProcess, key: str
) -> None:
    acknowledged: list[str] = []
    enough = asyncio.Event()
    client = embedded_engine.client()
    auth = V1WebhookBasicAuth(username="u", password="p")
    client.webhooks.create(V1WebhookSourceName.GENERIC, key, f"'{key}:go'", auth)
    url = f"/api/v1/stable/tenants/{client.tenant_id}/webhooks/{key}"

    async def pour(http: httpx.AsyncClient, goal: int) -> None:
        while True:
            try:
                answer = await http.post(url, json={"x": 1}, auth=("u", "p"))
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            acknowledged.append(answer.json()["event"]["metadata"]["id"])
            if len(acknowledged) >= goal:
                enough.set()

    async with LeanClient(embedded_engine.address, embedded_engine.token) as lean:
        await lean.put_definition(
            admin_pb2.CreateWorkflowVersionRequest(
                name=key, event_triggers=[f"{key}:*"], tasks=[_task_opts(key, Task("only"))]
            )
        )
    # A webhook takes a hundred requests at once, and this is about losses.
    for goal in (30, 60):
        async with httpx.AsyncClient(base_url=embedded_engine.url, timeout=30) as http:
            enough.clear()
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(pour(http, goal))
                await enough.wait()
                await embedded_engine.kill()
        await embedded_engine.start()

    assert len(set(acknowledged)) == len(acknowledged) >= 60
    async with Rest(embedded_engine.url, embedded_engine.token, client.tenant_id) as rest:
        listed = {row["metadata"]["id"]: row["triggeredRuns"] for row in await rest.user_events(limit="5000")}
    assert set(acknowledged) <= set(listed)
    assert {len(runs) for runs in listed.values()} == {1}, "no event without its run, none with two"
    run_ids = {runs[0]["workflowRunId"] for runs in listed.values()}
    assert len(run_ids) == len(listed)
