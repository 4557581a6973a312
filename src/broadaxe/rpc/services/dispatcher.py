"""`Dispatcher`: workers' lives, their assignment streams and reports, and the streams people follow runs on.

Source: grpc specification 4 to 6. Methods this version does not offer are absent, so the carrier answers UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.attempts import Outcome, RefreshTimeout, RefuseDelivery, ReleaseSlot, ReportAttempt
from broadaxe.core.commands.tasks import RestoreTask
from broadaxe.core.commands.workers import Heartbeat, PutWorkerLabels, RegisterWorker, UnregisterWorker
from broadaxe.core.durations import US_PER_MS, US_PER_S, parse_duration
from broadaxe.core.lifecycle import TERMINAL_RUN
from broadaxe.core.metadata import has_nul
from broadaxe.engine.clock import Clock
from broadaxe.engine.port import EnginePort
from broadaxe.engine.sessions import Assignment, BatchAssignment, Outgoing
from broadaxe.engine.subscriptions import EventSubscription
from broadaxe.errors import BroadaxeError, InvalidArgument, NotFound, ResourceExhausted
from broadaxe.rpc import fitting, inbound, outbound
from broadaxe.rpc._gen import dispatcher_pb2 as pb
from broadaxe.rpc.draining import closed_by_stop
from broadaxe.rpc.transport import SEND_SIZE_BYTES_MAX, Call, Method, Send, bidi, server_stream, unary
from broadaxe.storage.reads import Reads

#: What SDKs see as the engine's version. They switch features on by it (grpc specification 2).
ENGINE_VERSION: Final = "v0.111.0"
DEFAULT_SLOTS: Final = 100
#: How long a subscription waits for a run that does not exist yet.
RUN_WAIT_S: Final = 10.0
#: Runs that one stream waits for; each costs memory until it ends, and an id costs its sender nothing.
RUNS_AWAITED_MAX: Final = 100_000
KEY_CHARS_MAX: Final = 4_096
#: How long what a worker reports is held while its tenant is not to be had: the SDKs set no deadline, and one call that
#: is refused costs every report under way on its connection (section 13.9).
REPORT_HOLD_S: Final = 600.0
#: How often the server counts an old-style stream as a sign of life.
LISTEN_HEARTBEAT_S: Final = 4.0

_OUTCOMES: Final = {
    pb.STEP_EVENT_TYPE_STARTED: Outcome.STARTED,
    pb.STEP_EVENT_TYPE_COMPLETED: Outcome.COMPLETED,
    pb.STEP_EVENT_TYPE_FAILED: Outcome.FAILED,
    pb.STEP_EVENT_TYPE_CANCELLED: Outcome.CANCELLED,
}
_KEY_OUTCOMES: Final = {
    pb.GROUP_KEY_EVENT_TYPE_STARTED: Outcome.STARTED,
    pb.GROUP_KEY_EVENT_TYPE_COMPLETED: Outcome.COMPLETED,
    pb.GROUP_KEY_EVENT_TYPE_FAILED: Outcome.FAILED,
}
_LANGUAGES: Final = {pb.GO: "GOLANG", pb.PYTHON: "PYTHON", pb.TYPESCRIPT: "TYPESCRIPT", pb.RUBY: "RUBY"}

_log = structlog.get_logger(__name__)


class DispatcherService:
    def __init__(self, engine: EnginePort, reads: Reads, clock: Clock) -> None:
        self._engine = engine
        self._reads = reads
        self._clock = clock

    def methods(self) -> list[Method]:
        def path(name: str) -> str:
            return f"/Dispatcher/{name}"

        return [
            unary(path("GetVersion"), pb.GetVersionRequest, pb.GetVersionResponse, self.get_version, is_reading=True),
            unary(path("Register"), pb.WorkerRegisterRequest, pb.WorkerRegisterResponse, self.register),
            server_stream(path("ListenV2"), pb.WorkerListenRequest, pb.AssignedAction, self.listen),
            server_stream(path("Listen"), pb.WorkerListenRequest, pb.AssignedAction, self.listen_with_heartbeat),
            unary(path("Heartbeat"), pb.HeartbeatRequest, pb.HeartbeatResponse, self.heartbeat),
            unary(path("Unsubscribe"), pb.WorkerUnsubscribeRequest, pb.WorkerUnsubscribeResponse, self.unsubscribe),
            unary(path("SendStepActionEvent"), pb.StepActionEvent, pb.ActionEventResponse, self.report),
            unary(path("SendGroupKeyActionEvent"), pb.GroupKeyActionEvent, pb.ActionEventResponse, self.report_key),
            unary(path("SendBatchActionEvent"), pb.BatchActionEvent, pb.ActionEventResponse, self.report_batch),
            unary(
                path("UpsertWorkerLabels"), pb.UpsertWorkerLabelsRequest, pb.UpsertWorkerLabelsResponse, self.put_labels
            ),
            unary(path("RefreshTimeout"), pb.RefreshTimeoutRequest, pb.RefreshTimeoutResponse, self.refresh_timeout),
            unary(
                path("RestoreEvictedTask"),
                pb.RestoreEvictedTaskRequest,
                pb.RestoreEvictedTaskResponse,
                self.restore_evicted,
            ),
            unary(path("ReleaseSlot"), pb.ReleaseSlotRequest, pb.ReleaseSlotResponse, self.release_slot),
            unary(path("PutOverridesData"), pb.OverridesData, pb.OverridesDataResponse, self.put_overrides),
            bidi(
                path("SubscribeToWorkflowRuns"),
                pb.SubscribeToWorkflowRunsRequest,
                pb.WorkflowRunEvent,
                self.subscribe_to_runs,
                is_reading=True,
            ),
            server_stream(
                path("SubscribeToWorkflowEvents"),
                pb.SubscribeToWorkflowEventsRequest,
                pb.WorkflowEvent,
                self.subscribe_to_events,
                is_reading=True,
            ),
        ]

    # Workers -------------------------------------------------------------------------------------------------------

    async def get_version(self, request: pb.GetVersionRequest, call: Call) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(version=ENGINE_VERSION)

    async def register(self, request: pb.WorkerRegisterRequest, call: Call) -> pb.WorkerRegisterResponse:
        worker_id = await self._engine.submit(call.principal.tenant_id, registration(request), client=call.peer)
        assert isinstance(worker_id, str)
        return pb.WorkerRegisterResponse(
            tenant_id=call.principal.tenant_id, worker_id=worker_id, worker_name=request.worker_name
        )

    async def listen(self, request: pb.WorkerListenRequest, call: Call, send: Send[pb.AssignedAction]) -> None:
        tenant_id = call.principal.tenant_id
        session = await self._engine.open_session(tenant_id, inbound.uuid_text(request.worker_id, field="worker_id"))

        def close() -> None:
            self._engine.close_session(tenant_id, session)

        try:
            async with closed_by_stop(call, close):
                while (item := await session.next()) is not None:
                    action = outbound.assigned_action(tenant_id, item)
                    if fitting.is_oversize(action):
                        await refuse_oversize(self._engine, tenant_id, item, action.ByteSize())
                    else:
                        await send(action)
        finally:
            close()

    async def listen_with_heartbeat(
        self, request: pb.WorkerListenRequest, call: Call, send: Send[pb.AssignedAction]
    ) -> None:
        """The older stream: its clients send no heartbeats, so the open stream stands for them."""
        worker_id = inbound.uuid_text(request.worker_id, field="worker_id")

        async def beat() -> None:
            while True:
                await asyncio.sleep(LISTEN_HEARTBEAT_S)
                try:
                    await self._engine.submit(call.principal.tenant_id, Heartbeat(worker_id), client=call.peer)
                except BroadaxeError as error:
                    # One beat that is refused says nothing of the next: the stream is open, so the worker lives.
                    _log.debug("a beat of an open stream was refused", worker=worker_id, error=str(error))
                except Exception:
                    _log.exception("a beat of an open stream failed; trying again")

        beating = asyncio.create_task(beat())
        try:
            await self.listen(request, call, send)
        finally:
            beating.cancel()

    async def heartbeat(self, request: pb.HeartbeatRequest, call: Call) -> pb.HeartbeatResponse:
        worker_id = inbound.uuid_text(request.worker_id, field="worker_id")
        await self._engine.submit(call.principal.tenant_id, Heartbeat(worker_id), client=call.peer)
        return pb.HeartbeatResponse()

    async def unsubscribe(self, request: pb.WorkerUnsubscribeRequest, call: Call) -> pb.WorkerUnsubscribeResponse:
        tenant_id = call.principal.tenant_id
        worker_id = inbound.uuid_text(request.worker_id, field="worker_id")
        await self._engine.submit(tenant_id, UnregisterWorker(worker_id), client=call.peer)
        self._engine.end_sessions(tenant_id, worker_id)
        return pb.WorkerUnsubscribeResponse(tenant_id=tenant_id, worker_id=worker_id)

    async def put_labels(self, request: pb.UpsertWorkerLabelsRequest, call: Call) -> pb.UpsertWorkerLabelsResponse:
        tenant_id = call.principal.tenant_id
        worker_id = inbound.uuid_text(request.worker_id, field="worker_id")
        inbound.refuse_nul(request)
        await self._engine.submit(
            tenant_id, PutWorkerLabels(worker_id, inbound.labels(request.labels)), client=call.peer
        )
        return pb.UpsertWorkerLabelsResponse(tenant_id=tenant_id, worker_id=worker_id)

    # Attempts ------------------------------------------------------------------------------------------------------

    async def _reported(self, command: Command, call: Call) -> Reply:
        return await self._engine.submit(call.principal.tenant_id, command, client=call.peer, hold_s=REPORT_HOLD_S)

    async def report(self, request: pb.StepActionEvent, call: Call) -> pb.ActionEventResponse:
        """A stale or repeated report is answered OK and changes nothing (grpc specification 4.6)."""
        tenant_id = call.principal.tenant_id
        command = _report(request)
        if command is not None:
            await self._reported(command, call)
        return pb.ActionEventResponse(tenant_id=tenant_id, worker_id=request.worker_id)

    async def report_batch(self, request: pb.BatchActionEvent, call: Call) -> pb.ActionEventResponse:
        """One outcome for many attempts; each is taken like a report of its own (grpc specification 4.7).

        The batch is what tells a present report from a late one: its start carries no retry counts, so clients send
        none that mean anything.
        """
        tenant_id = call.principal.tenant_id
        if request.items:
            batch_id = inbound.uuid_text(request.batch_id, field="batch_id") if request.batch_id else None
            commands = [_item_report(request, item, batch_id) for item in request.items]
            await asyncio.gather(*(self._reported(command, call) for command in commands))
        return pb.ActionEventResponse(tenant_id=tenant_id, worker_id=request.worker_id)

    async def report_key(self, request: pb.GroupKeyActionEvent, call: Call) -> pb.ActionEventResponse:
        """The answer to the question for a run's group key, from the older SDKs (grpc specification 5.4)."""
        tenant_id = call.principal.tenant_id
        await self._reported(_key_report(request), call)
        return pb.ActionEventResponse(tenant_id=tenant_id, worker_id=request.worker_id)

    async def refresh_timeout(self, request: pb.RefreshTimeoutRequest, call: Call) -> pb.RefreshTimeoutResponse:
        task_id = inbound.uuid_text(request.task_run_external_id, field="task_run_external_id")
        by_us = parse_duration(request.increment_timeout_by, field="increment_timeout_by")
        due_at_us = await self._reported(RefreshTimeout(task_id, by_us), call)
        assert isinstance(due_at_us, int)
        return pb.RefreshTimeoutResponse(timeout_at=outbound.timestamp(due_at_us))

    async def release_slot(self, request: pb.ReleaseSlotRequest, call: Call) -> pb.ReleaseSlotResponse:
        task_id = inbound.uuid_text(request.task_run_external_id, field="task_run_external_id")
        await self._reported(ReleaseSlot(task_id), call)
        return pb.ReleaseSlotResponse()

    async def restore_evicted(self, request: pb.RestoreEvictedTaskRequest, call: Call) -> pb.RestoreEvictedTaskResponse:
        task_id = inbound.uuid_text(request.task_run_external_id, field="task_run_external_id")
        reply = await self._engine.submit(call.principal.tenant_id, RestoreTask(task_id), client=call.peer)
        return pb.RestoreEvictedTaskResponse(requeued=reply is True)

    async def put_overrides(self, request: pb.OverridesData, call: Call) -> pb.OverridesDataResponse:
        """Accepted and forgotten, as the protocol has it: only old SDKs send them, and nobody reads them."""
        return pb.OverridesDataResponse()

    # Following runs ------------------------------------------------------------------------------------------------

    async def subscribe_to_runs(
        self,
        requests: AsyncIterator[pb.SubscribeToWorkflowRunsRequest],
        call: Call,
        send: Send[pb.WorkflowRunEvent],
    ) -> None:
        """One message per run asked for, once it has finished. Malformed ids are ignored, unknown ones waited for.

        ResourceExhausted when more than `RUNS_AWAITED_MAX` are waited for on the stream.
        """
        subscription = await self._engine.results(call.principal.tenant_id)
        asked_as: dict[str, str] = {}

        async def read() -> None:
            async for request in requests:
                try:
                    run_id = inbound.uuid_text(request.workflow_run_id, field="workflow_run_id")
                except InvalidArgument:
                    continue
                if len(asked_as) >= RUNS_AWAITED_MAX and run_id not in asked_as:
                    raise ResourceExhausted(
                        f"one stream waits for at most {RUNS_AWAITED_MAX} runs at a time; open another for more",
                        field="workflow_run_id",
                    )
                asked_as[run_id] = request.workflow_run_id
                subscription.add(run_id)

        reading = asyncio.create_task(read())
        reading.add_done_callback(lambda _: subscription.close())
        try:
            async with closed_by_stop(call, subscription.close):
                while (outcome := await subscription.next()) is not None:
                    run_id = asked_as.pop(outcome.run_id, outcome.run_id)
                    await send(outbound.run_event(outcome, run_id, self._clock.now_us()))
            if reading.done():
                reading.result()
        finally:
            subscription.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def subscribe_to_events(
        self, request: pb.SubscribeToWorkflowEventsRequest, call: Call, send: Send[pb.WorkflowEvent]
    ) -> None:
        inbound.refuse_nul(request)
        by_metadata = bool(request.additional_meta_key) and request.HasField("additional_meta_value")
        if bool(request.workflow_run_id) == by_metadata:
            raise InvalidArgument(
                "give either workflow_run_id, or additional_meta_key and additional_meta_value", field="workflow_run_id"
            )
        if by_metadata:
            await self._follow_metadata(request, call, send)
        else:
            await self._follow_run(inbound.uuid_text(request.workflow_run_id, field="workflow_run_id"), call, send)

    async def _follow_run(self, run_id: str, call: Call, send: Send[pb.WorkflowEvent]) -> None:
        tenant_id = call.principal.tenant_id
        engine = self._engine
        subscription = await engine.watch_run(tenant_id, run_id)
        try:
            if not await engine.is_live(tenant_id, run_id):
                found = await self._reads.run_details(tenant_id, run_id)
                if found is not None and found.status in TERMINAL_RUN:
                    last = pb.WorkflowEvent(
                        workflow_run_id=run_id,
                        resource_type=pb.RESOURCE_TYPE_WORKFLOW_RUN,
                        event_type=outbound.finished_type(found.status),
                        resource_id=run_id,
                        event_timestamp=outbound.timestamp(self._clock.now_us()),
                        hangup=True,
                    )
                    await send(last)
                    return
                if found is None:
                    await self._wait_for_run(tenant_id, run_id, subscription.appeared)
            await _relay(subscription, call, send)
        finally:
            engine.unwatch(tenant_id, subscription)

    async def _wait_for_run(self, tenant_id: str, run_id: str, appeared: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(appeared.wait(), RUN_WAIT_S)
        except TimeoutError:
            raise NotFound(f"there is no run {run_id}", field="workflow_run_id") from None

    async def _follow_metadata(
        self, request: pb.SubscribeToWorkflowEventsRequest, call: Call, send: Send[pb.WorkflowEvent]
    ) -> None:
        tenant_id = call.principal.tenant_id
        key, value = request.additional_meta_key, request.additional_meta_value
        subscription = await self._engine.watch_metadata(tenant_id, key, value)
        try:
            await _relay(subscription, call, send)
        finally:
            self._engine.unwatch(tenant_id, subscription)


def registration(request: pb.WorkerRegisterRequest) -> RegisterWorker:
    inbound.refuse_nul(request)
    if request.slot_config and request.HasField("slots"):
        raise InvalidArgument("give either slot_config or slots, not both", field="slot_config")
    slots = dict(request.slot_config) or {"default": request.slots if request.HasField("slots") else DEFAULT_SLOTS}
    return RegisterWorker(
        request.worker_name,
        tuple(request.actions),
        slots,
        inbound.labels(request.labels),
        _runtime(request.runtime_info) if request.HasField("runtime_info") else {},
    )


async def refuse_oversize(engine: EnginePort, tenant_id: str, item: Outgoing, size_bytes: int) -> None:
    """A worker would break its stream over it, and every other task of it would be in doubt."""
    for part in item.items if isinstance(item, BatchAssignment) else (item,):
        if isinstance(part, Assignment):
            is_alone = not isinstance(item, BatchAssignment) or len(item.items) == 1
            own_bytes = size_bytes if is_alone else fitting.size_bytes_in_batch(part)
            attempt = part.attempt
            await engine.submit(
                tenant_id, RefuseDelivery(attempt.task_id, attempt.retry_count, own_bytes, SEND_SIZE_BYTES_MAX)
            )


async def _relay(subscription: EventSubscription, call: Call, send: Send[pb.WorkflowEvent]) -> None:
    """Sends what happens until the last event, or until the server stops."""

    async with closed_by_stop(call, subscription.close):
        while (event := await subscription.next()) is not None:
            for message in outbound.live_events(event):
                await send(message)
            if event.is_last:
                return


def _report(request: pb.StepActionEvent) -> ReportAttempt | None:
    """The report as a command; None for one that says nothing (ACKNOWLEDGED)."""
    if request.event_type == pb.STEP_EVENT_TYPE_ACKNOWLEDGED:
        inbound.uuid_text(request.task_run_external_id, field="task_run_external_id")
        return None
    return _item_report(request, request)


def _key_report(request: pb.GroupKeyActionEvent) -> ReportAttempt:
    task, _, retries = request.get_group_key_run_id.partition("/")
    task_id = inbound.uuid_text(task, field="get_group_key_run_id")
    if not retries.isdecimal() or len(retries) > 9:
        raise InvalidArgument("not an id this server asked under", field="get_group_key_run_id")
    outcome = _KEY_OUTCOMES.get(request.event_type)
    if outcome is None:
        raise InvalidArgument(f"{request.event_type} is not a report this version knows", field="event_type")
    answer = request.event_payload
    if outcome is Outcome.COMPLETED:
        if answer in ("", "null"):
            outcome, answer = Outcome.FAILED, "the concurrency function returned no key"
        elif len(answer) > KEY_CHARS_MAX or has_nul(answer):
            outcome, answer = Outcome.FAILED, f"a group key may have {KEY_CHARS_MAX} characters, none of them NUL"
        elif inbound.output_problem(answer) is not None:
            answer = msgspec.json.encode(answer).decode()
    elif outcome is Outcome.FAILED:
        answer = inbound.error_text(answer)
    return ReportAttempt(task_id, int(retries), outcome, answer, is_retryable=False, at_us=_said_us(request))


def _item_report(
    event: pb.StepActionEvent | pb.BatchActionEvent,
    item: pb.StepActionEvent | pb.BatchActionEventItem,
    batch_id: str | None = None,
) -> ReportAttempt:
    task_id = inbound.uuid_text(item.task_run_external_id, field="task_run_external_id")
    retry_count = item.retry_count if item.HasField("retry_count") else None
    outcome = _OUTCOMES.get(event.event_type)
    if outcome is None:
        raise InvalidArgument(f"{event.event_type} is not a report this version knows", field="event_type")
    return inbound.attempt_report(
        task_id,
        retry_count,
        outcome,
        item.event_payload,
        is_retryable=not item.should_not_retry,
        retry_after_us=max(0, item.retry_after_ms) * US_PER_MS if item.HasField("retry_after_ms") else None,
        batch_id=batch_id,
        worker=event.worker_id,
        at_us=_said_us(event),
    )


def _said_us(event: pb.StepActionEvent | pb.BatchActionEvent | pb.GroupKeyActionEvent) -> int | None:
    """When it happened by the worker's clock. Whatever that says, the report counts."""
    if not event.HasField("event_timestamp"):
        return None
    return event.event_timestamp.seconds * US_PER_S + event.event_timestamp.nanos // 1000


def _runtime(info: pb.RuntimeInfo) -> dict[str, str]:
    """Under the names the REST API shows them by."""
    runtime = {
        "sdkVersion": info.sdk_version,
        "language": _LANGUAGES.get(info.language, ""),
        "languageVersion": info.language_version,
        "os": info.os,
        "runtimeExtra": info.extra,
    }
    return {key: value[:1000] for key, value in runtime.items() if value}
