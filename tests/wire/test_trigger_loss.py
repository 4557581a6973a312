"""The engine is killed while events are pushed and runs with idempotency keys are triggered."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count

import grpc.aio
from lean_client import LeanClient, Task, _task_opts
from wirekit import EngineProcess, Rest

from broadaxe.rpc._gen import admin_pb2, events_pb2
from broadaxe.rpc._gen.status_pb2 import Status
from broadaxe.rpc._gen.triggers_pb2 import IdempotencyCollisionError

GOALS = (150, 300)
CALLERS = 10
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
