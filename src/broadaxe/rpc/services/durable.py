"""`v1.V1Dispatcher`: durable tasks on one stream per worker, and the older waits by key.

Requests of a stream are submitted in the order they came, without waiting for each other's commits; their answers leave
as effects of the commits. A request that cannot be right is answered with an error of its task. While the engine cannot
decide, requests wait: every one may be decided twice (`engine/durable_streams.py`). Only when clients have stopped
waiting for their answers does the stream end, with UNAVAILABLE.

Source: grpc specification 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EntryRef,
    EvictInvocation,
    RegisterSignal,
    ReportWaiting,
    SpawnChildren,
)
from broadaxe.core.triggers import BULK_MAX
from broadaxe.engine.durable_streams import DurableStream
from broadaxe.engine.port import EnginePort
from broadaxe.errors import BroadaxeError, InvalidArgument
from broadaxe.rpc import inbound, outbound
from broadaxe.rpc._gen import durable_pb2 as pb
from broadaxe.rpc.transport import Call, Method, Send, bidi, unary

#: Requests of a stream that may be under way at once.
UNDER_WAY_MAX: Final = 256
#: Entries in one list of what a worker waits for.
WAITING_MAX: Final = 50_000
SIGNAL_KEY_LENGTH_MAX: Final = 1_000


class DurableService:
    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine

    def methods(self) -> list[Method]:
        def path(name: str) -> str:
            return f"/v1.V1Dispatcher/{name}"

        return [
            bidi(path("DurableTask"), pb.DurableTaskRequest, pb.DurableTaskResponse, self.durable_task),
            unary(
                path("RegisterDurableEvent"),
                pb.RegisterDurableEventRequest,
                pb.RegisterDurableEventResponse,
                self.register_signal,
            ),
            bidi(
                path("ListenForDurableEvent"),
                pb.ListenForDurableEventRequest,
                pb.DurableEvent,
                self.listen_for_signals,
            ),
        ]

    async def durable_task(
        self, requests: AsyncIterator[pb.DurableTaskRequest], call: Call, send: Send[pb.DurableTaskResponse]
    ) -> None:
        await Conversation(self._engine, call, send).hold(requests)

    async def register_signal(
        self, request: pb.RegisterDurableEventRequest, call: Call
    ) -> pb.RegisterDurableEventResponse:
        task_id = inbound.uuid_text(request.task_id, field="task_id")
        if not 1 <= len(request.signal_key) <= SIGNAL_KEY_LENGTH_MAX:
            raise InvalidArgument(f"between 1 and {SIGNAL_KEY_LENGTH_MAX} characters", field="signal_key")
        inbound.refuse_nul(request)
        conditions = inbound.wait_conditions(request.conditions, field="conditions")
        await self._engine.submit(
            call.principal.tenant_id, RegisterSignal(task_id, request.signal_key, conditions), client=call.peer
        )
        return pb.RegisterDurableEventResponse()

    async def listen_for_signals(
        self, requests: AsyncIterator[pb.ListenForDurableEventRequest], call: Call, send: Send[pb.DurableEvent]
    ) -> None:
        """Ids that are malformed or unknown are tolerated (as in section 6.1)."""
        tenant_id = call.principal.tenant_id
        subscription = await self._engine.listen_for_signals(tenant_id)

        async def read() -> None:
            async for request in requests:
                try:
                    task_id = str(UUID(request.task_id))
                except ValueError:
                    continue
                if "\x00" in request.signal_key:
                    continue
                await self._engine.want_signal(tenant_id, subscription, task_id, request.signal_key)

        reading = asyncio.create_task(read())
        draining = asyncio.create_task(call.draining.wait())
        try:
            while True:
                following = asyncio.create_task(subscription.next())
                await asyncio.wait((reading, draining, following), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    if reading.done():
                        reading.result()
                    return
                task_id, key, data = following.result()
                await send(pb.DurableEvent(task_id=task_id, signal_key=key, data=data.encode()))
        finally:
            for task in (reading, draining):
                task.cancel()
            await asyncio.gather(reading, draining, return_exceptions=True)
            self._engine.stop_listening(tenant_id, subscription)


class Conversation:
    """What durable tasks of one worker ask and are answered, on whatever stream that travels."""

    def __init__(self, engine: EnginePort, call: Call, send: Send[pb.DurableTaskResponse]) -> None:
        self._engine = engine
        self._client = call.peer
        self._tenant_id = call.principal.tenant_id
        self._draining = call.draining
        self._send = send
        # Sends of one call must not overlap.
        self._sending = asyncio.Lock()

    async def hold(self, requests: AsyncIterator[pb.DurableTaskRequest]) -> None:
        """Returns when the worker has no more to ask, or when the server stops. Raises what makes the stream
        unusable."""
        stream = await self._engine.open_durable_stream(self._tenant_id)
        try:
            reading = asyncio.create_task(self._read(requests, stream))
            writing = asyncio.create_task(self._answer(stream))
            draining = asyncio.create_task(self._draining.wait())
            tasks: tuple[asyncio.Task[Any], ...] = (reading, writing, draining)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in (reading, writing):
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._engine.close_durable_stream(self._tenant_id, stream)

    async def _read(self, requests: AsyncIterator[pb.DurableTaskRequest], stream: DurableStream) -> None:
        """Returns when the client half-closes. Raises what makes the stream unusable."""
        room = asyncio.Semaphore(UNDER_WAY_MAX)
        under_way: set[asyncio.Task[None]] = set()
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def submit(request: pb.DurableTaskRequest, command: Command) -> None:
            try:
                await stream.decide(command, self._submit)
            except BroadaxeError as error:
                if error.retryable:
                    if not failed.done():
                        failed.set_exception(error)
                else:
                    await self._refuse(request, error)
            finally:
                room.release()

        async def read_all() -> None:
            async for request in requests:
                if request.WhichOneof("message") == "register_worker":
                    worker_id = inbound.uuid_text(request.register_worker.worker_id, field="worker_id")
                    await self._engine.register_durable_stream(self._tenant_id, stream, worker_id)
                    await self._write(
                        pb.DurableTaskResponse(register_worker=pb.DurableRegisterWorkerResponse(worker_id=worker_id))
                    )
                    continue
                try:
                    command = _command(request, stream.number)
                except BroadaxeError as error:
                    await self._refuse(request, error)
                    continue
                if command is None:
                    continue
                await room.acquire()
                # Tasks begin in the order they are made, so commands reach the tenant in the order of the stream.
                task = asyncio.create_task(submit(request, stream.ask(command)))
                under_way.add(task)
                task.add_done_callback(under_way.discard)

        reading = asyncio.create_task(read_all())
        try:
            await asyncio.wait((reading, failed), return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            reading.result()
            if under_way:
                await asyncio.wait(under_way)
        finally:
            reading.cancel()
            failed.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _submit(self, command: Command) -> Reply:
        return await self._engine.submit(self._tenant_id, command, client=self._client)

    async def _answer(self, stream: DurableStream) -> None:
        while (answer := await stream.next()) is not None:
            await self._write(outbound.durable_response(answer))

    async def _write(self, response: pb.DurableTaskResponse) -> None:
        async with self._sending:
            await self._send(response)

    async def _refuse(self, request: pb.DurableTaskRequest, error: BroadaxeError) -> None:
        variant = request.WhichOneof("message")
        if variant in (None, "worker_status"):
            return
        message = request.complete_memo.ref if variant == "complete_memo" else getattr(request, variant)
        ref = pb.DurableEventLogEntryRef(
            durable_task_external_id=message.durable_task_external_id, invocation_count=message.invocation_count
        )
        await self._write(pb.DurableTaskResponse(error=pb.DurableError(ref=ref, error_message=str(error))))


def _command(request: pb.DurableTaskRequest, stream: int) -> Command | None:
    """The command a message stands for; None for an empty message."""
    match request.WhichOneof("message"):
        case "memo":
            memo = request.memo
            return BeginMemo(stream=stream, task_id=_task_id(memo), invocation_count=memo.invocation_count)
        case "complete_memo":
            done = request.complete_memo
            return CompleteMemo(
                stream=stream,
                task_id=_task_id(done.ref),
                invocation_count=done.ref.invocation_count,
                branch_id=done.ref.branch_id,
                node_id=done.ref.node_id,
                payload=inbound.json_value(done.payload, field="payload"),
            )
        case "trigger_runs":
            spawn = request.trigger_runs
            if not 1 <= len(spawn.trigger_opts) <= BULK_MAX:
                raise InvalidArgument(
                    f"between 1 and {BULK_MAX} runs in one request, not {len(spawn.trigger_opts)}", field="trigger_opts"
                )
            requests = tuple(
                inbound.run_request(opts, field=f"trigger_opts[{position}].")
                for position, opts in enumerate(spawn.trigger_opts)
            )
            return SpawnChildren(
                stream=stream, task_id=_task_id(spawn), invocation_count=spawn.invocation_count, requests=requests
            )
        case "wait_for":
            wait = request.wait_for
            inbound.refuse_nul(wait)
            return BeginWait(
                stream=stream,
                task_id=_task_id(wait),
                invocation_count=wait.invocation_count,
                conditions=inbound.wait_conditions(wait.wait_for_conditions, field="wait_for_conditions"),
                label=wait.label,
            )
        case "evict_invocation":
            evict = request.evict_invocation
            inbound.refuse_nul(evict)
            return EvictInvocation(
                stream=stream, task_id=_task_id(evict), invocation_count=evict.invocation_count, reason=evict.reason
            )
        case "worker_status":
            status = request.worker_status
            if len(status.waiting_entries) > WAITING_MAX:
                raise InvalidArgument(f"at most {WAITING_MAX} entries", field="waiting_entries")
            return ReportWaiting(
                stream,
                tuple(
                    EntryRef(_task_id(entry), entry.invocation_count, entry.branch_id, entry.node_id)
                    for entry in status.waiting_entries
                ),
                tuple(
                    (_task_id(order), order.invocation_count, order.highest_received_satisfied_order)
                    for order in status.received_satisfied_orders
                ),
            )
        case _:
            return None


def _task_id(
    message: pb.DurableMemoRequest
    | pb.DurableTriggerRunsRequest
    | pb.DurableWaitForRequest
    | pb.DurableEvictInvocationRequest
    | pb.DurableEventLogEntryRef
    | pb.DurableTaskAwaitedCompletedEntry
    | pb.DurableTaskReceivedSatisfiedOrder,
) -> str:
    return inbound.uuid_text(message.durable_task_external_id, field="durable_task_external_id")
