"""Cancellation, liveness of idle connections, start and stop."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest

from broadaxe.errors import ConfigurationError
from broadaxe.rpc._gen.dispatcher_pb2 import (
    AssignedAction,
    GetVersionRequest,
    GetVersionResponse,
    SubscribeToWorkflowRunsRequest,
    WorkerListenRequest,
    WorkflowRunEvent,
)
from broadaxe.rpc.http2.carrier import Http2Carrier
from broadaxe.rpc.transport import Call, Metadata, Principal, Send, bidi, server_stream, unary

VERSION = "/Dispatcher/GetVersion"
LISTEN = "/Dispatcher/ListenV2"
SUBSCRIBE = "/Dispatcher/SubscribeToWorkflowRuns"


class Waiting:
    """Handlers that wait for ever, and remember how they ended."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def _wait(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def unary(self, request: GetVersionRequest, call: Call) -> GetVersionResponse:
        await self._wait()
        return GetVersionResponse()

    async def stream(self, request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        await self._wait()

    async def bidi(
        self, requests: AsyncIterator[SubscribeToWorkflowRunsRequest], call: Call, send: Send[WorkflowRunEvent]
    ) -> None:
        await self._wait()

    def methods(self):
        return (
            unary(VERSION, GetVersionRequest, GetVersionResponse, self.unary),
            server_stream(LISTEN, WorkerListenRequest, AssignedAction, self.stream),
            bidi(SUBSCRIBE, SubscribeToWorkflowRunsRequest, WorkflowRunEvent, self.bidi),
        )


def open_call(channel: grpc.aio.Channel, path: str, **options: float):
    match path:
        case "/Dispatcher/GetVersion":
            return channel.unary_unary(path, None, None)(b"", **options)
        case "/Dispatcher/ListenV2":
            return channel.unary_stream(path, None, None)(b"", **options)
        case _:
            return channel.stream_stream(path, None, None)(**options)


every_shape = pytest.mark.parametrize("path", [VERSION, LISTEN, SUBSCRIBE])


@every_shape
async def test_client_cancellation_reaches_the_handler(serve, path: str) -> None:
    waiting = Waiting()
    served = await serve(*waiting.methods())
    call = open_call(served.channel, path)
    await asyncio.wait_for(waiting.started.wait(), 10)
    call.cancel()
    await asyncio.wait_for(waiting.cancelled.wait(), 10)


@every_shape
async def test_passed_deadline_reaches_the_handler(serve, path: str) -> None:
    waiting = Waiting()
    served = await serve(*waiting.methods())
    call = open_call(served.channel, path, timeout=0.3)
    await asyncio.wait_for(waiting.cancelled.wait(), 10)
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("path", [LISTEN, SUBSCRIBE])
async def test_a_stream_whose_caller_lost_their_right_ends_with_unauthenticated(serve, path: str) -> None:
    waiting = Waiting()
    tells: list[Callable[[], None]] = []
    unwatched = asyncio.Event()

    def watch(principal: Principal, on_end: Callable[[], None]) -> Callable[[], None]:
        tells.append(on_end)
        return unwatched.set

    served = await serve(*waiting.methods(), watch=watch)
    call = open_call(served.channel, path)
    await asyncio.wait_for(waiting.started.wait(), 10)
    assert len(tells) == 1 and not unwatched.is_set()
    tells[0]()
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "connect with a valid one" in await call.details()
    await asyncio.wait_for(waiting.cancelled.wait(), 10)
    assert unwatched.is_set()
    tells[0]()  # Too late to mean anything.


async def test_a_unary_call_is_not_watched_and_a_stream_only_while_it_is_open(serve) -> None:
    waiting = Waiting()
    watched: list[str] = []

    def watch(principal: Principal, on_end: Callable[[], None]) -> Callable[[], None]:
        watched.append(principal.token_id)
        return watched.clear

    served = await serve(*waiting.methods(), watch=watch)
    unary_call = open_call(served.channel, VERSION)
    await asyncio.wait_for(waiting.started.wait(), 10)
    assert watched == []
    waiting.started.clear()
    stream = open_call(served.channel, LISTEN)
    await asyncio.wait_for(waiting.started.wait(), 10)
    assert len(watched) == 1
    unary_call.cancel()
    waiting.cancelled.clear()
    stream.cancel()
    await asyncio.wait_for(waiting.cancelled.wait(), 10)
    assert watched == []


async def test_closed_channel_reaches_the_handler(serve) -> None:
    waiting = Waiting()
    served = await serve(*waiting.methods())
    open_call(served.channel, LISTEN)
    await asyncio.wait_for(waiting.started.wait(), 10)
    await served.channel.close()
    await asyncio.wait_for(waiting.cancelled.wait(), 10)


async def test_handler_that_keeps_sending_to_a_gone_client_is_stopped(serve) -> None:
    ended = asyncio.Event()

    async def flood(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        try:
            while True:
                await send(AssignedAction(action_payload="x" * 1000))
        finally:
            ended.set()

    served = await serve(server_stream(LISTEN, WorkerListenRequest, AssignedAction, flood))
    call = open_call(served.channel, LISTEN)
    await call.read()
    call.cancel()
    await asyncio.wait_for(ended.wait(), 10)


async def test_pings_on_an_idle_connection_are_all_answered(serve) -> None:
    served = await serve(*Waiting().methods())
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, b""))
    async with asyncio.timeout(10):
        # One after the other: pings that arrive together count as one to a server that wants to punish them.
        for number in range(40):
            writer.write(_frame(6, 0, struct.pack(">Q", number)))
            assert await _next_ping_answer(reader) == number
    writer.close()


async def _next_ping_answer(reader: asyncio.StreamReader) -> int:
    while True:
        header = await reader.readexactly(9)
        kind, flags, payload = header[3], header[4], await reader.readexactly(int.from_bytes(header[:3], "big"))
        assert kind != 7, f"the server sent GOAWAY: {payload!r}"
        if kind == 6 and flags & 1:
            return int.from_bytes(payload, "big")


def _frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + b"\0\0\0\0" + payload


async def test_stream_that_heeds_draining_ends_with_ok_and_its_last_message(serve) -> None:
    started = asyncio.Event()

    async def listen(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        started.set()
        await call.draining.wait()
        await send(AssignedAction(action_id="last"))

    served = await serve(server_stream(LISTEN, WorkerListenRequest, AssignedAction, listen))
    call = open_call(served.channel, LISTEN)
    await asyncio.wait_for(started.wait(), 10)
    began_at = time.monotonic()
    await served.carrier.stop(grace_s=30)
    assert time.monotonic() - began_at < 10, "the stop waited for a client that had nothing open"
    assert AssignedAction.FromString(await call.read()).action_id == "last"
    assert await call.code() is grpc.StatusCode.OK


async def test_unary_call_in_flight_is_answered_during_the_grace(serve) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: GetVersionRequest, call: Call) -> GetVersionResponse:
        started.set()
        await call.draining.wait()
        await go_on.wait()
        return GetVersionResponse(version="v1")

    served = await serve(unary(VERSION, GetVersionRequest, GetVersionResponse, slow))
    call = open_call(served.channel, VERSION)
    await asyncio.wait_for(started.wait(), 10)
    stopping = asyncio.create_task(served.carrier.stop(grace_s=30))
    go_on.set()
    assert GetVersionResponse.FromString(await call).version == "v1"
    await asyncio.wait_for(stopping, 10)


@every_shape
async def test_call_that_outlives_the_grace_ends_with_unavailable(serve, path: str) -> None:
    waiting = Waiting()
    served = await serve(*waiting.methods())
    call = open_call(served.channel, path)
    await asyncio.wait_for(waiting.started.wait(), 10)
    await served.carrier.stop(grace_s=0.1)
    assert waiting.cancelled.is_set()
    assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_stalled_reader_does_not_hold_up_the_stop_and_is_not_told_cancelled(serve) -> None:
    frame = AssignedAction(action_payload="x" * 1_000_000).SerializeToString()

    async def flood(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        while True:
            await send(frame)

    served = await serve(server_stream(LISTEN, WorkerListenRequest, AssignedAction, flood))
    call = open_call(served.channel, LISTEN)
    await call.read()
    await asyncio.wait_for(served.carrier.stop(grace_s=0.2), 10)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while True:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_new_call_after_the_stop_is_unavailable(serve) -> None:
    served = await serve(*Waiting().methods())
    await served.carrier.stop(grace_s=1)
    assert await open_call(served.channel, VERSION).code() is grpc.StatusCode.UNAVAILABLE


async def test_stop_may_come_twice_and_before_start() -> None:
    carrier = Http2Carrier(Waiting().methods(), _let_in, "127.0.0.1", 0)
    await carrier.stop(grace_s=1)
    await carrier.start()
    await asyncio.gather(carrier.stop(grace_s=1), carrier.stop(grace_s=1))
    await carrier.stop(grace_s=1)


async def test_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}: the port is taken"):
            await Http2Carrier((), _let_in, "127.0.0.1", port).start()


async def test_port_of_another_engine_is_taken_too(serve) -> None:
    served = await serve(*Waiting().methods())
    with pytest.raises(ConfigurationError, match="the port is taken"):
        await Http2Carrier((), _let_in, "127.0.0.1", served.port).start()


async def test_address_of_another_machine_is_named() -> None:
    with pytest.raises(ConfigurationError, match="not an address of this machine"):
        await Http2Carrier((), _let_in, "192.0.2.1", 0).start()


async def test_ipv6_loopback_is_served() -> None:
    carrier = Http2Carrier(Waiting().methods(), _let_in, "::1", 0)
    assert await carrier.start() > 0
    await carrier.stop(grace_s=1)


def test_two_methods_for_one_path_are_refused() -> None:
    methods = Waiting().methods()
    with pytest.raises(ValueError, match="/Dispatcher/GetVersion"):
        Http2Carrier((*methods, methods[0]), _let_in, "127.0.0.1", 0)


async def _let_in(_: Metadata) -> Principal:
    raise AssertionError("no call was expected")
