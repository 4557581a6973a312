"""Methods that no official SDK calls, on the bare wire: programs in other languages use them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from hatchet_sdk import Hatchet
from lean_client import LeanClient
from wirekit import EngineProcess, Rest, Stage

from broadaxe.rpc._gen import admin_pb2, events_pb2

Ask: TypeAlias = Callable[[str, Message, type[Any]], Awaitable[Any]]


@pytest.fixture
async def ask(engine: EngineProcess) -> AsyncIterator[Ask]:
    async with grpc.aio.insecure_channel(engine.address) as channel:

        async def call(path: str, request: Message, answer: type[Any]) -> Any:
            method = channel.unary_unary(path, lambda message: message.SerializeToString(), answer.FromString)
            return await method(request, metadata=(("authorization", f"bearer {engine.token}"),))

        yield call


async def trigger(ask: Ask, **fields: Any) -> str:
    request = admin_pb2.TriggerWorkflowRunRequest(**fields)
    answer = await ask("/v1.AdminService/TriggerWorkflowRun", request, admin_pb2.TriggerWorkflowRunResponse)
    assert isinstance(answer.external_id, str)
    return answer.external_id


async def refusal(asking: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asking
    return refused.value.code(), refused.value.details() or ""


async def test_a_run_is_triggered_by_name_with_all_it_can_be_told(
    hatchet: Hatchet, rest: Rest, lean: LeanClient, ask: Ask, key: str
) -> None:
    run_id = await trigger(
        ask,
        workflow_name="echo",
        input=json.dumps({"key": key, "n": 9}).encode(),
        additional_metadata=b'{"colour":"red"}',
        priority=3,
    )
    runs = await lean.subscribe_runs()
    await runs.add(run_id)
    (result,) = (await anext(runs)).results
    output = json.loads(result.output)
    assert (output["n"], output["workflow_run_id"], output["metadata"]["colour"]) == (9, run_id, "red")
    assert await rest.status(run_id) == "COMPLETED"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "workflow_name"),
        ({"workflow_name": "nobody-knows-it"}, "nobody-knows-it"),
        ({"workflow_name": "echo", "input": b"[1]"}, "input"),
        ({"workflow_name": "echo", "input": b"\xff"}, "input"),
        ({"workflow_name": "echo", "additional_metadata": b"nonsense"}, "additional_metadata"),
        ({"workflow_name": "echo", "priority": 7}, "priority"),
    ],
)
async def test_a_trigger_that_cannot_be_is_refused_by_its_field(
    hatchet: Hatchet, ask: Ask, fields: dict[str, Any], named: str
) -> None:
    code, details = await refusal(trigger(ask, **fields))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in details


async def replay(ask: Ask, event_id: str) -> events_pb2.Event:
    request = events_pb2.ReplayEventRequest(event_id=event_id)
    answer: events_pb2.Event = await ask("/EventsService/ReplaySingleEvent", request, events_pb2.Event)
    return answer


async def test_a_replayed_event_is_a_new_one_and_starts_what_it_started(
    hatchet: Hatchet, stage: Stage, ask: Ask, key: str
) -> None:
    pushed = await hatchet.event.aio_push("wire:exact", {"key": key, "n": 5}, additional_metadata={"colour": "blue"})
    await stage.heard(key, "echo")
    again = await replay(ask, pushed.event_id)
    await stage.heard(key, "echo", count=2)
    assert again.event_id not in ("", pushed.event_id)
    assert (again.key, json.loads(again.payload)) == ("wire:exact", {"key": key, "n": 5})
    assert json.loads(again.additional_metadata) == {"colour": "blue"}
    assert again.event_timestamp.seconds


async def test_an_event_that_is_not_there_is_not_replayed(hatchet: Hatchet, ask: Ask) -> None:
    assert (await refusal(replay(ask, str(uuid4()))))[0] is grpc.StatusCode.NOT_FOUND
    assert (await refusal(replay(ask, "nonsense")))[0] is grpc.StatusCode.INVALID_ARGUMENT
