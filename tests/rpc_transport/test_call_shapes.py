"""Every call shape over a real connection, and what a handler learns about its call."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from broadaxe.rpc._gen.dispatcher_pb2 import (
    AssignedAction,
    GetVersionRequest,
    GetVersionResponse,
    SubscribeToWorkflowRunsRequest,
    WorkerListenRequest,
    WorkflowRunEvent,
)
from broadaxe.rpc._gen.events_pb2 import Event, PushEventRequest
from broadaxe.rpc.transport import RECEIVE_SIZE_BYTES_MAX, SEND_SIZE_BYTES_MAX, Call, Send, bidi, server_stream, unary

PUSH = "/EventsService/Push"
LISTEN = "/Dispatcher/ListenV2"
SUBSCRIBE = "/Dispatcher/SubscribeToWorkflowRuns"


async def echo(request: PushEventRequest, call: Call) -> Event:
    return Event(key=request.key, payload=request.payload)


async def test_unary_answers_its_request(serve) -> None:
    served = await serve(unary(PUSH, PushEventRequest, Event, echo))
    push = served.channel.unary_unary(PUSH, PushEventRequest.SerializeToString, Event.FromString)
    answer = await push(PushEventRequest(key="user:create", payload="{}"))
    assert (answer.key, answer.payload) == ("user:create", "{}")


async def test_unary_handler_may_answer_with_bytes(serve) -> None:
    async def version(request: GetVersionRequest, call: Call) -> bytes:
        return GetVersionResponse(version="v1.2.3").SerializeToString()

    served = await serve(unary("/Dispatcher/GetVersion", GetVersionRequest, GetVersionResponse, version))
    call = served.channel.unary_unary("/Dispatcher/GetVersion", None, GetVersionResponse.FromString)
    assert (await call(b"")).version == "v1.2.3"


async def test_call_carries_principal_metadata_and_deadline(serve) -> None:
    seen: list[tuple[Call, float | None]] = []

    async def remember(request: PushEventRequest, call: Call) -> Event:
        seen.append((call, call.remaining_s()))
        return Event()

    served = await serve(unary(PUSH, PushEventRequest, Event, remember))
    push = served.channel.unary_unary(PUSH, PushEventRequest.SerializeToString, Event.FromString)
    metadata = (("authorization", "bearer ey.a.b"), ("trace-bin", b"\x00\xff"))
    await push(PushEventRequest(), metadata=metadata, timeout=30)
    await push(PushEventRequest())

    (with_deadline, remaining_s), (without_deadline, nothing_s) = seen
    assert with_deadline.principal.tenant_id == str(uuid.UUID(int=1))
    assert with_deadline.path == PUSH
    assert with_deadline.metadata["authorization"] == "bearer ey.a.b"
    assert with_deadline.metadata["trace-bin"] == b"\x00\xff"
    # The client rounds its timeout up to what three digits can say.
    assert remaining_s is not None and 0 < remaining_s <= 31
    assert without_deadline.deadline_at is None and nothing_s is None


async def test_server_stream_delivers_messages_and_bytes_in_order_and_ends_with_ok(serve) -> None:
    async def three(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        await send(AssignedAction(action_id="a:1"))
        await send(AssignedAction(action_id="a:2").SerializeToString())
        await send(AssignedAction(action_id=request.worker_id))

    served = await serve(server_stream(LISTEN, WorkerListenRequest, AssignedAction, three))
    stream = served.channel.unary_stream(LISTEN, WorkerListenRequest.SerializeToString, AssignedAction.FromString)(
        WorkerListenRequest(worker_id="last")
    )
    assert [action.action_id async for action in stream] == ["a:1", "a:2", "last"]
    assert await stream.code() is grpc.StatusCode.OK


async def test_bidi_answers_while_the_client_is_still_sending_and_ends_at_half_close(serve) -> None:
    async def answer(
        requests: AsyncIterator[SubscribeToWorkflowRunsRequest], call: Call, send: Send[WorkflowRunEvent]
    ) -> None:
        async for request in requests:
            await send(WorkflowRunEvent(workflow_run_id=request.workflow_run_id))
        await send(WorkflowRunEvent(workflow_run_id="half-closed"))

    served = await serve(bidi(SUBSCRIBE, SubscribeToWorkflowRunsRequest, WorkflowRunEvent, answer))
    stream = served.channel.stream_stream(
        SUBSCRIBE, SubscribeToWorkflowRunsRequest.SerializeToString, WorkflowRunEvent.FromString
    )()
    for run_id in ("r1", "r2"):
        await stream.write(SubscribeToWorkflowRunsRequest(workflow_run_id=run_id))
        assert (await stream.read()).workflow_run_id == run_id
    await stream.done_writing()
    assert (await stream.read()).workflow_run_id == "half-closed"
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_gzip_requests_are_understood(serve) -> None:
    served = await serve(unary(PUSH, PushEventRequest, Event, echo))
    async with _Relay(served.port) as relay:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{relay.port}", compression=grpc.Compression.Gzip) as channel:
            push = channel.unary_unary(PUSH, PushEventRequest.SerializeToString, Event.FromString)
            answer = await push(PushEventRequest(key="k", payload="a" * 1_000_000))
        assert answer.payload == "a" * 1_000_000
        assert relay.upstream_bytes < 100_000, "the request crossed the wire uncompressed, so this test proves nothing"


async def test_largest_messages_pass_in_both_directions(serve) -> None:
    envelope = Event(payload="a" * SEND_SIZE_BYTES_MAX).ByteSize() - SEND_SIZE_BYTES_MAX
    payload = "a" * (SEND_SIZE_BYTES_MAX - envelope)
    served = await serve(unary(PUSH, PushEventRequest, Event, echo))
    push = served.channel.unary_unary(PUSH, PushEventRequest.SerializeToString, Event.FromString)
    assert len((await push(PushEventRequest(payload=payload))).payload) == len(payload)


async def test_an_answer_too_large_for_clients_is_a_clear_error(serve) -> None:
    async def huge(request: GetVersionRequest, call: Call) -> GetVersionResponse:
        return GetVersionResponse(version="v" * (SEND_SIZE_BYTES_MAX + 1))

    served = await serve(unary("/Dispatcher/GetVersion", GetVersionRequest, GetVersionResponse, huge))
    call = served.channel.unary_unary("/Dispatcher/GetVersion", None, None)(b"")
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(SEND_SIZE_BYTES_MAX) in await call.details()


async def test_a_request_beyond_the_bound_is_refused_before_the_handler(serve) -> None:
    calls: list[PushEventRequest] = []

    async def count(request: PushEventRequest, call: Call) -> Event:
        calls.append(request)
        return Event()

    served = await serve(unary(PUSH, PushEventRequest, Event, count))
    call = served.channel.unary_unary(PUSH, PushEventRequest.SerializeToString, Event.FromString)(
        PushEventRequest(payload="a" * (RECEIVE_SIZE_BYTES_MAX + 1))
    )
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert calls == []


async def test_send_waits_for_a_slow_reader(serve) -> None:
    frames_total, frame = 800, AssignedAction(action_payload="x" * 65_536).SerializeToString()
    sent = 0
    blocked, resumed = asyncio.Event(), asyncio.Event()

    async def flood(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        nonlocal sent
        for _ in range(frames_total):
            sending = asyncio.ensure_future(send(frame))
            # A send that makes no progress for this long is waiting for the reader; the total is far beyond any window.
            if not (await asyncio.wait({sending}, timeout=0.5))[0]:
                blocked.set()
                await resumed.wait()
            await sending
            sent += 1

    served = await serve(server_stream(LISTEN, WorkerListenRequest, AssignedAction, flood))
    stream = served.channel.unary_stream(LISTEN, WorkerListenRequest.SerializeToString, AssignedAction.FromString)(
        WorkerListenRequest()
    )
    assert len((await stream.read()).action_payload) == 65_536
    await asyncio.wait_for(blocked.wait(), 20)
    assert sent < frames_total / 2
    resumed.set()
    received = 1
    while await stream.read() is not grpc.aio.EOF:
        received += 1
    assert (received, sent) == (frames_total, frames_total)


class _Relay:
    """Passes bytes between a client and the server, counting those that go up."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._pumps: set[asyncio.Task[None]] = set()
        self.upstream_bytes = 0

    async def __aenter__(self) -> _Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._pumps.add(asyncio.create_task(self._pump(reader, target_writer, counted=True)))
        self._pumps.add(asyncio.create_task(self._pump(target_reader, writer, counted=False)))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        try:
            while data := await reader.read(65_536):
                if counted:
                    self.upstream_bytes += len(data)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
