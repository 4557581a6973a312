"""Getting in: tokens, compression, and what is refused with words that help."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from gallery.cue import Cue
from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.clients.rest.exceptions import UnauthorizedException
from hatchet_sdk.config import ClientTLSConfig, TenacityConfig
from lean_client import LeanClient, Task
from wirekit import EngineProcess

from broadaxe.rpc.services.admin import AdminService
from broadaxe.rpc.services.dispatcher import DispatcherService
from broadaxe.rpc.services.durable import DurableService
from broadaxe.rpc.services.events import EventsService
from broadaxe.rpc.services.streams import StreamsService
from broadaxe.rpc.services.traces import TraceService
from broadaxe.rpc.services.workflows import WorkflowService
from broadaxe.rpc.transport import Method


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def test_a_token_says_where_and_whose(engine: EngineProcess) -> None:
    claims = claims_of(engine.token)
    assert engine.token.startswith("ey") and engine.token.count(".") == 2
    assert claims["grpc_broadcast_address"] == engine.address
    assert claims["server_url"] == engine.url
    assert engine.client().tenant_id == claims["sub"]
    assert {"exp", "iat", "iss", "aud", "token_id"} <= set(claims)


def test_the_token_alone_is_enough_to_find_the_engine(engine: EngineProcess) -> None:
    config = ClientConfig(token=engine.token, tls_config=ClientTLSConfig(strategy="none"))
    assert (config.host_port, config.server_url) == (engine.address, engine.url)


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = claims_of(token) | {"sub": "00000000-0000-7000-8000-000000000000"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


async def test_a_forged_token_is_refused_everywhere(engine: EngineProcess) -> None:
    async with LeanClient(engine.address, tampered(engine.token)) as stranger:
        for call in (
            stranger.get_version(),
            stranger.put_workflow("any", [Task("only")]),
            stranger.register(["any:only"], 1),
            stranger.trigger("any", {}),
            anext(stranger.listen("00000000-0000-7000-8000-000000000000")),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_no_token_is_refused(engine: EngineProcess) -> None:
    async with grpc.aio.insecure_channel(engine.address) as channel:
        for metadata in ((), (("authorization", "basic abc"),), (("authorization", engine.token),)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary("/Dispatcher/GetVersion")(b"", metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def broadaxe(*arguments: str) -> str:
    """What the command of this name prints, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broadaxe", *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode().strip()


async def test_a_revoked_token_loses_its_open_streams(engine: EngineProcess, lean: LeanClient, key: str) -> None:
    here = ("--data-dir", str(engine.data_dir))
    token = await broadaxe("token", "create", "--name", key, *here)
    await lean.put_workflow(key, [Task("only")])
    async with LeanClient(engine.address, token) as leaked:
        worker_id = await leaked.register([f"{key}:only"], 1)
        following = await leaked.subscribe_runs()
        follows = asyncio.ensure_future(anext(following))
        durable = asyncio.ensure_future(anext(await leaked.durable_stream(worker_id)))
        streams = (follows, durable, asyncio.ensure_future(anext(leaked.listen(worker_id))))
        await broadaxe("token", "revoke", str(claims_of(token)["token_id"]), *here)
        for stream in streams:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await asyncio.wait_for(stream, 10)
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


READING = {
    "/Dispatcher/GetVersion",
    "/Dispatcher/SubscribeToWorkflowEvents",
    "/Dispatcher/SubscribeToWorkflowRuns",
    "/v1.AdminService/GetRunDetails",
    "/v1.V1Streams/Subscribe",
}


def methods() -> list[Method]:
    """All that wants a token."""
    nothing: Any = None
    return [
        *DispatcherService(nothing, nothing, nothing).methods(),
        *AdminService(nothing, nothing, nothing).methods(),
        *WorkflowService(nothing, nothing).methods(),
        *EventsService(nothing, nothing, nothing).methods(),
        *TraceService(nothing).methods(),
        *DurableService(nothing).methods(),
        *StreamsService(nothing, nothing).methods(),
    ]


async def refusals_told(engine: EngineProcess, token_id: str, wanted: int) -> list[dict[str, Any]]:
    """Entries of what was refused to a token, once there are so many: they are written after the call."""
    headers = {"authorization": f"Bearer {engine.token}"}
    path = f"/api/v1/tenants/{engine.client().tenant_id}/audit"
    async with httpx.AsyncClient(base_url=engine.url, headers=headers, timeout=60) as http, asyncio.timeout(60):
        while True:
            rows = (await http.get(path, params={"action": "access.refused"})).json()["rows"]
            told: list[dict[str, Any]] = [row for row in rows if row["initiator"]["id"] == token_id]
            if len(told) >= wanted:
                return told
            await asyncio.sleep(0.05)


async def test_a_token_that_reads_is_refused_whatever_changes_something(
    engine: EngineProcess, lean: LeanClient, key: str
) -> None:
    token = await broadaxe("token", "create", "--name", key, "--role", "VIEWER", "--data-dir", str(engine.data_dir))
    metadata = (("authorization", f"Bearer {token}"),)
    let_in, refusals = set(), {}
    async with grpc.aio.insecure_channel(engine.address) as channel:
        for method in methods():
            # Head and message go out in one piece, also to methods that take a stream of them: these are refused for
            # the head alone, and of a message written after the refusal grpc.aio says INTERNAL in place of the status.
            call = channel.unary_stream(method.path)(b"", metadata=metadata)
            try:
                await anext(aiter(call), None)
            except grpc.aio.AioRpcError as ended:
                if method.path not in READING:
                    refusals[method.path] = ended.code().name, str(ended.details())
                    continue
            let_in.add(method.path)
    assert refusals == {
        path: ("PERMISSION_DENIED", f"this token only reads (its role is VIEWER), and {path} changes something")
        for path in refusals
    }
    assert let_in == READING
    # The audit log of the tenant has them: three of their own, the others are counted when their minute is over.
    told = await refusals_told(engine, claims_of(token)["token_id"], 3)
    assert {entry["initiator"]["kind"] for entry in told} == {"TOKEN"}
    assert {entry["object"]["name"] for entry in told} <= set(refusals)
    assert {entry["refusal"] for entry in told} <= {why for _, why in refusals.values()}
    await lean.put_workflow(key, [Task("only")])
    run_id = await lean.trigger(key, {"n": 1})
    async with LeanClient(engine.address, token) as reader:
        assert json.loads((await reader.run_details(run_id)).input)["n"] == 1
    config = ClientConfig(
        token=token, host_port=engine.address, server_url=engine.url, tls_config=ClientTLSConfig(strategy="none")
    )
    hatchet = Hatchet(config=config)
    assert (await hatchet.runs.aio_get(run_id)).run.metadata.id == run_id
    with pytest.raises(UnauthorizedException):
        await hatchet.runs.aio_cancel(run_id)


async def test_the_scheme_may_be_written_either_way(engine: EngineProcess) -> None:
    async with grpc.aio.insecure_channel(engine.address) as channel:
        for scheme in ("bearer", "Bearer"):
            metadata = (("authorization", f"{scheme} {engine.token}"),)
            assert b"v0." in await channel.unary_unary("/Dispatcher/GetVersion")(b"", metadata=metadata)


async def test_compressed_and_plain_requests_are_understood(engine: EngineProcess, key: str) -> None:
    text = "broadaxe " * 100_000
    for gzip in (True, False):
        async with LeanClient(engine.address, engine.token, gzip=gzip) as client:
            await client.put_workflow(key, [Task("only")])
            run_id = await client.trigger(key, {"text": text})
            assert json.loads((await client.run_details(run_id)).input)["text"] == text


def impatient(engine: EngineProcess, retries: list[object]) -> Hatchet:
    """A client that notes every retry it makes."""
    return Hatchet(
        config=ClientConfig(
            token=engine.token,
            host_port=engine.address,
            server_url=engine.url,
            tls_config=ClientTLSConfig(strategy="none"),
            tenacity=TenacityConfig(before_sleep=retries.append),
        )
    )


async def test_an_unknown_workflow_is_refused_once_and_for_all(engine: EngineProcess, key: str) -> None:
    retries: list[object] = []
    unknown = impatient(engine, retries).stubs.workflow(name=key, input_validator=Cue)
    with pytest.raises(grpc.RpcError) as refused:
        await unknown.aio_run(Cue(key=key))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert key in refused.value.details()
    assert retries == []


async def test_one_unknown_workflow_refuses_the_whole_bulk(engine: EngineProcess, lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    client = engine.client()
    good = client.stubs.workflow(name=key, input_validator=Cue)
    bad = client.stubs.workflow(name=f"{key}-unknown", input_validator=Cue)
    items = [workflow.create_bulk_run_item(Cue(key=key)) for workflow in (good, bad)]
    with pytest.raises(grpc.RpcError) as refused:
        await good.aio_run_many(items, wait_for_result=False)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_priority_out_of_range_names_its_field(lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    with pytest.raises(grpc.aio.AioRpcError, match="priority") as refused:
        await lean.trigger(key, {}, priority=4)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("given", ["[1]", "nonsense", '{"a": "\\u0000"}', '"text"'])
async def test_an_input_that_is_no_object_is_refused(lean: LeanClient, key: str, given: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    with pytest.raises(grpc.aio.AioRpcError, match="input") as refused:
        await lean.trigger(key, given)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
