"""A lean client for benches: worker and caller on the bare wire, without the weight of an SDK.

Owns one gRPC channel and the calls a bench needs: put a workflow, register a worker, listen, beat, report, trigger,
wait for runs. It speaks exactly what the SDKs speak (same paths, same messages, same keepalive), so what it measures is
what they would wait for, minus their own overhead. Refuses: retries, reconnects and conveniences. A bench that meets
an error should stop and say so.

    async with LeanClient("127.0.0.1:7077", token) as client:
        await client.put_workflow("noop", [Task("only")])
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(client.run_noop_worker(["noop:only"], slots=100))
            runs = await client.subscribe_runs()
            run_id = await client.trigger("noop", {})
            await runs.add(run_id)
            event = await anext(runs)
            worker.cancel()
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from broadaxe.rpc._gen import (
    admin_pb2,
    dispatcher_pb2,
    durable_pb2,
    events_pb2,
    streams_pb2,
    triggers_pb2,
    workflows_pb2,
)

__all__ = ["DurableStream", "LeanClient", "RunSubscription", "Task", "WorkflowIds"]

HEARTBEAT_INTERVAL_S: Final = 4.0
"""What every SDK does."""

BULK_SIZE_MAX: Final = 1000
"""The most runs one bulk call may ask for."""

_MESSAGE_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024

_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_send_message_length", _MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_receive_message_length", _MESSAGE_SIZE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 60_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Several clients of one process must not share a connection: each stands for a process of its own.
    ("grpc.use_local_subchannel_pool", 1),
)

JsonObject: TypeAlias = Mapping[str, object]
EventType: TypeAlias = dispatcher_pb2.StepActionEventType
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a workflow. Its action id is `<workflow>:<readable_id>`, lower-cased, as SDKs form it."""

    readable_id: str
    parents: Sequence[str] = ()
    retries: int = 0
    timeout: str = "60s"
    schedule_timeout: str = "5m"
    slot_requests: Mapping[str, int] = field(default_factory=lambda: {"default": 1})
    is_durable: bool = False
    """Ask for `{"durable": 1}` slots as well."""


@dataclass(frozen=True, slots=True)
class WorkflowIds:
    version_id: str
    workflow_id: str


class LeanClient:
    """One connection with one token. Use it as an async context manager, or call `close`.

    Every method raises `grpc.aio.AioRpcError` when the engine answers with a status other than OK.
    """

    def __init__(self, address: str, token: str, *, gzip: bool = False) -> None:
        """`address` is `host:port`. `gzip` compresses requests, as the 1.x SDKs do by default."""
        self._metadata: _Metadata = (("authorization", f"bearer {token}"),)
        self._channel = grpc.aio.insecure_channel(
            address, options=_OPTIONS, compression=grpc.Compression.Gzip if gzip else None
        )
        self._get_version = self._unary("/Dispatcher/GetVersion", dispatcher_pb2.GetVersionResponse)
        self._put_workflow = self._unary("/v1.AdminService/PutWorkflow", admin_pb2.CreateWorkflowVersionResponse)
        self._register = self._unary("/Dispatcher/Register", dispatcher_pb2.WorkerRegisterResponse)
        self._unsubscribe = self._unary("/Dispatcher/Unsubscribe", dispatcher_pb2.WorkerUnsubscribeResponse)
        self._heartbeat = self._unary("/Dispatcher/Heartbeat", dispatcher_pb2.HeartbeatResponse)
        self._report = self._unary("/Dispatcher/SendStepActionEvent", dispatcher_pb2.ActionEventResponse)
        self._trigger = self._unary("/WorkflowService/TriggerWorkflow", workflows_pb2.TriggerWorkflowResponse)
        self._bulk_trigger = self._unary(
            "/WorkflowService/BulkTriggerWorkflow", workflows_pb2.BulkTriggerWorkflowResponse
        )
        self._push_event = self._unary("/EventsService/Push", events_pb2.Event)
        self._publish = self._unary("/v1.V1Streams/Publish", streams_pb2.PublishResponse)
        self._run_details = self._unary("/v1.AdminService/GetRunDetails", admin_pb2.GetRunDetailsResponse)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls still open end with CANCELLED."""
        await self._channel.close(None)

    async def get_version(self) -> str:
        """The cheapest call there is: the engine's version. Good for measuring the bare transport."""
        return (await self._get_version(dispatcher_pb2.GetVersionRequest())).version

    async def put_workflow(
        self, name: str, tasks: Sequence[Task], *, event_triggers: Sequence[str] = (), on_failure: Task | None = None
    ) -> WorkflowIds:
        """Declares a workflow the way 1.x SDKs do at worker start. The same definition again changes nothing."""
        request = admin_pb2.CreateWorkflowVersionRequest(
            name=name,
            event_triggers=event_triggers,
            tasks=[_task_opts(name, task) for task in tasks],
            default_priority=1,
        )
        if on_failure is not None:
            request.on_failure_task.CopyFrom(_task_opts(name, on_failure))
        return await self.put_definition(request)

    async def put_definition(self, request: admin_pb2.CreateWorkflowVersionRequest) -> WorkflowIds:
        """Declares a workflow as given, for definitions that `put_workflow` has no arguments for."""
        answer = await self._put_workflow(request)
        return WorkflowIds(version_id=answer.id, workflow_id=answer.workflow_id)

    async def register(
        self, actions: Iterable[str], slots: int, *, name: str = "lean", slot_type: str = "default"
    ) -> str:
        """A new worker that can run `actions`, `slots` at a time; returns its id. It gets work once it listens."""
        answer = await self._register(
            dispatcher_pb2.WorkerRegisterRequest(
                worker_name=name,
                actions=list(actions),
                services=["default"],
                slot_config={slot_type: slots},
                runtime_info=dispatcher_pb2.RuntimeInfo(language=dispatcher_pb2.PYTHON, extra="lean bench client"),
            )
        )
        return answer.worker_id

    async def listen(self, worker_id: str) -> AsyncIterator[dispatcher_pb2.AssignedAction]:
        """The worker's assignments, until the engine ends the stream.

        The engine says nothing until there is work, so a caller cannot tell when the stream has arrived there. Send
        one warm-up run before measuring. Keep `heartbeats` running beside it, or the worker counts as gone.
        """
        stream = self._channel.unary_stream(
            "/Dispatcher/ListenV2",
            _serialise,
            dispatcher_pb2.AssignedAction.FromString,
        )(dispatcher_pb2.WorkerListenRequest(worker_id=worker_id), metadata=self._metadata)
        try:
            async for action in stream:
                yield action
        finally:
            stream.cancel()

    async def heartbeats(self, worker_id: str) -> None:
        """Beats every four seconds until cancelled."""
        while True:
            request = dispatcher_pb2.HeartbeatRequest(worker_id=worker_id)
            request.heartbeat_at.GetCurrentTime()
            await self._heartbeat(request)
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def report(
        self,
        task_run_external_id: str,
        retry_count: int,
        event_type: EventType,
        payload: str = "",
        *,
        action_id: str = "",
        worker_id: str = "",
        should_not_retry: bool = False,
    ) -> None:
        """Tells how an attempt stands: STARTED, COMPLETED with JSON output, or FAILED with error text."""
        event = dispatcher_pb2.StepActionEvent(
            worker_id=worker_id,
            task_run_external_id=task_run_external_id,
            action_id=action_id,
            event_type=event_type,
            event_payload=payload,
            retry_count=retry_count,
        )
        if event_type == dispatcher_pb2.STEP_EVENT_TYPE_FAILED:
            event.should_not_retry = should_not_retry
        event.event_timestamp.GetCurrentTime()
        await self._report(event)

    async def unsubscribe(self, worker_id: str) -> None:
        """Says goodbye: the worker gets no more work."""
        await self._unsubscribe(dispatcher_pb2.WorkerUnsubscribeRequest(worker_id=worker_id))

    async def run_noop_worker(
        self,
        actions: Iterable[str],
        slots: int,
        *,
        output: str = "{}",
        report_started: bool = False,
        on_received: Callable[[dispatcher_pb2.AssignedAction], None] | None = None,
    ) -> None:
        """A worker that completes every assignment at once, until cancelled or until the engine ends its stream.

        Args:
            actions: The action ids it registers.
            slots: How many attempts it holds at a time; also bounds its reports in flight.
            output: The JSON text every task completes with.
            report_started: Whether it reports STARTED first. SDKs do (Python even twice); without it an attempt costs
                one report.
            on_received: Called in the instant an assignment arrives, for latency measurements.
        """
        worker_id = await self.register(actions, slots)
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self.heartbeats(worker_id))
            reporting: set[asyncio.Task[None]] = set()
            async for action in self.listen(worker_id):
                if on_received is not None:
                    on_received(action)
                if action.action_type != dispatcher_pb2.START_STEP_RUN:
                    continue
                # The engine frees a slot when it has committed the report, and may assign before we read its answer.
                if len(reporting) >= 2 * slots:
                    await asyncio.wait(reporting, return_when=asyncio.FIRST_COMPLETED)
                report = group.create_task(self._complete(worker_id, action, output, report_started=report_started))
                reporting.add(report)
                report.add_done_callback(reporting.discard)
            beating.cancel()

    async def trigger(
        self, name: str, input: JsonObject | str, *, additional_metadata: JsonObject | None = None, priority: int = 1
    ) -> str:
        """Starts one run and returns its id. `input` given as text is sent as it is."""
        answer = await self._trigger(_trigger_request(name, input, additional_metadata, priority))
        return answer.workflow_run_id

    async def bulk_trigger(
        self,
        name: str,
        inputs: Sequence[JsonObject | str],
        *,
        additional_metadata: JsonObject | None = None,
        priority: int = 1,
    ) -> list[str]:
        """Starts one run per input, in chunks of a thousand as the SDKs do; ids come in the order of `inputs`."""
        run_ids: list[str] = []
        for first in range(0, len(inputs), BULK_SIZE_MAX):
            chunk = inputs[first : first + BULK_SIZE_MAX]
            answer = await self._bulk_trigger(
                workflows_pb2.BulkTriggerWorkflowRequest(
                    workflows=[_trigger_request(name, each, additional_metadata, priority) for each in chunk]
                )
            )
            run_ids.extend(answer.workflow_run_ids)
        return run_ids

    async def push_event(self, key: str, payload: JsonObject) -> str:
        """Pushes one event and returns its id."""
        request = events_pb2.PushEventRequest(key=key, payload=json.dumps(payload, separators=(",", ":")))
        request.event_timestamp.GetCurrentTime()
        return (await self._push_event(request)).event_id

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        namespace: str = "",
        producer_id: str = "",
        producer_seq: int = 0,
        payload_ref: str = "",
    ) -> None:
        """Publishes one message; returns when it is stored."""
        await self._publish(
            streams_pb2.PublishRequest(
                namespace=namespace,
                topic=topic,
                payload=payload,
                producer_id=producer_id,
                producer_seq=producer_seq,
                payload_ref=payload_ref,
            )
        )

    async def subscribe(
        self, topic: str, cursor: str | None = None, *, namespace: str = ""
    ) -> AsyncIterator[streams_pb2.SubscribeResponse]:
        """What the engine answers one subscription with, until it ends that."""
        request = streams_pb2.SubscribeRequest(namespace=namespace, topic=topic, cursor=cursor)
        stream = self._channel.unary_stream(
            "/v1.V1Streams/Subscribe", _serialise, streams_pb2.SubscribeResponse.FromString
        )(request, metadata=self._metadata)
        try:
            async for response in stream:
                yield response
        finally:
            stream.cancel()

    async def run_details(self, run_id: str) -> admin_pb2.GetRunDetailsResponse:
        """The state of a run as 1.x SDKs poll it."""
        return await self._run_details(admin_pb2.GetRunDetailsRequest(external_id=run_id))

    async def subscribe_runs(self) -> RunSubscription:
        """One stream on which any number of runs can be awaited."""
        stream = self._channel.stream_stream(
            "/Dispatcher/SubscribeToWorkflowRuns",
            _serialise,
            dispatcher_pb2.WorkflowRunEvent.FromString,
        )(None, metadata=self._metadata)
        return RunSubscription(stream)

    async def durable_stream(self, worker_id: str) -> DurableStream:
        """The stream on which a worker's durable tasks talk to the engine."""
        stream = self._channel.stream_stream(
            "/v1.V1Dispatcher/DurableTask",
            _serialise,
            durable_pb2.DurableTaskResponse.FromString,
        )(None, metadata=self._metadata)
        opened = DurableStream(stream)
        await opened.send(
            durable_pb2.DurableTaskRequest(
                register_worker=durable_pb2.DurableRegisterWorkerRequest(worker_id=worker_id)
            )
        )
        await anext(opened)
        return opened

    async def _complete(
        self, worker_id: str, action: dispatcher_pb2.AssignedAction, output: str, *, report_started: bool
    ) -> None:
        if report_started:
            await self.report(
                action.task_run_external_id,
                action.retry_count,
                dispatcher_pb2.STEP_EVENT_TYPE_STARTED,
                action_id=action.action_id,
                worker_id=worker_id,
            )
        await self.report(
            action.task_run_external_id,
            action.retry_count,
            dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
            output,
            action_id=action.action_id,
            worker_id=worker_id,
        )

    def _unary(self, path: str, response_type: type[ResponseT]) -> _Unary[ResponseT]:
        return _Unary(self._channel.unary_unary(path, _serialise, response_type.FromString), self._metadata)


class RunSubscription:
    """Finished runs, in the order in which the engine tells of them. Iterate it; `add` may be called meanwhile."""

    def __init__(self, stream: _RunStream) -> None:
        self._stream = stream
        self._writing = asyncio.Lock()

    async def add(self, run_id: str) -> None:
        """Asks for the end of one run, past or future. Each run is told of once."""
        async with self._writing:  # gRPC allows one write at a time.
            await self._stream.write(dispatcher_pb2.SubscribeToWorkflowRunsRequest(workflow_run_id=run_id))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dispatcher_pb2.WorkflowRunEvent:
        event = await self._stream.read()
        if not isinstance(event, dispatcher_pb2.WorkflowRunEvent):  # the end-of-stream mark
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """Ends the stream from our side."""
        self._stream.cancel()


class DurableStream:
    """What the engine answers, in its order. Iterate it; `send` may be called meanwhile."""

    def __init__(self, stream: _DurableStream) -> None:
        self._stream = stream
        self._writing = asyncio.Lock()

    async def send(self, request: durable_pb2.DurableTaskRequest) -> None:
        async with self._writing:
            await self._stream.write(request)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> durable_pb2.DurableTaskResponse:
        answer = await self._stream.read()
        if not isinstance(answer, durable_pb2.DurableTaskResponse):
            raise StopAsyncIteration
        return answer

    def close(self) -> None:
        self._stream.cancel()


_Metadata: TypeAlias = tuple[tuple[str, str], ...]


class _RunStream(Protocol):
    async def write(self, request: dispatcher_pb2.SubscribeToWorkflowRunsRequest) -> None: ...
    async def read(self) -> object: ...
    def cancel(self) -> bool: ...


class _DurableStream(Protocol):
    async def write(self, request: durable_pb2.DurableTaskRequest) -> None: ...
    async def read(self) -> object: ...
    def cancel(self) -> bool: ...


class _Unary(Generic[ResponseT]):
    """A unary method of one channel, with the token already in hand."""

    __slots__ = ("_metadata", "_method")

    # grpcio's own stubs leave the type of a call's result open.
    def __init__(self, method: Callable[..., Any], metadata: _Metadata) -> None:
        self._method = method
        self._metadata = metadata

    async def __call__(self, request: Message) -> ResponseT:
        answer: ResponseT = await self._method(request, metadata=self._metadata)
        return answer


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()


def _task_opts(workflow: str, task: Task) -> admin_pb2.CreateTaskOpts:
    return admin_pb2.CreateTaskOpts(
        readable_id=task.readable_id,
        action=f"{workflow}:{task.readable_id}".lower(),
        timeout=task.timeout,
        inputs="{}",
        parents=task.parents,
        retries=task.retries,
        schedule_timeout=task.schedule_timeout,
        slot_requests=task.slot_requests,
        is_durable=task.is_durable,
    )


def _trigger_request(
    name: str, input: JsonObject | str, additional_metadata: JsonObject | None, priority: int
) -> triggers_pb2.TriggerWorkflowRequest:
    return triggers_pb2.TriggerWorkflowRequest(
        name=name,
        input=input if isinstance(input, str) else json.dumps(input, separators=(",", ":")),
        additional_metadata=json.dumps(additional_metadata or {}, separators=(",", ":")),
        priority=priority,
    )
