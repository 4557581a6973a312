"""`EventsService`: pushed events, log lines, streamed chunks. Source: grpc specification 10."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.core.triggers import BULK_MAX
from broadaxe.engine.port import EnginePort
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.rpc import fitting, inbound, outbound
from broadaxe.rpc._gen import events_pb2 as pb
from broadaxe.rpc.transport import Call, Method, unary
from broadaxe.storage.event_reads import EventReads
from broadaxe.storage.logs import LogStore

LOG_MESSAGE_CHARS_MAX: Final = 10_000
_LEVELS: Final = {"WARNING": "WARN", "CRITICAL": "ERROR", "FATAL": "ERROR", "TRACE": "DEBUG"}


class EventsService:
    def __init__(self, engine: EnginePort, reads: EventReads, logs: LogStore) -> None:
        self._engine = engine
        self._reads = reads
        self._logs = logs

    def methods(self) -> list[Method]:
        return [
            unary("/EventsService/Push", pb.PushEventRequest, pb.Event, self.push),
            unary("/EventsService/BulkPush", pb.BulkPushEventRequest, pb.Events, self.bulk_push),
            unary("/EventsService/ReplaySingleEvent", pb.ReplayEventRequest, pb.Event, self.replay),
            unary("/EventsService/PutLog", pb.PutLogRequest, pb.PutLogResponse, self.put_log),
            unary(
                "/EventsService/PutStreamEvent",
                pb.PutStreamEventRequest,
                pb.PutStreamEventResponse,
                self.put_stream_event,
            ),
        ]

    async def push(self, request: pb.PushEventRequest, call: Call) -> pb.Event:
        pushed = await self._push(call, (_event_request(request, ""),))
        return pushed.events[0]

    async def bulk_push(self, request: pb.BulkPushEventRequest, call: Call) -> pb.Events:
        if not 1 <= len(request.events) <= BULK_MAX:
            raise InvalidArgument(
                f"between 1 and {BULK_MAX} events in one request, not {len(request.events)}", field="events"
            )
        requests = tuple(_event_request(event, f"events[{position}].") for position, event in enumerate(request.events))
        return await self._push(call, requests)

    async def replay(self, request: pb.ReplayEventRequest, call: Call) -> pb.Event:
        """Pushes the event once more, as a new one."""
        event_id = inbound.uuid_text(request.event_id, field="event_id")
        record = await self._reads.event([call.principal.tenant_id], event_id)
        if record is None:
            raise NotFound(f"there is no event {event_id}", field="event_id")
        again = EventRequest(
            key=record.key,
            payload=record.payload,
            additional_metadata=record.additional_metadata,
            scope=record.scope,
        )
        (event,) = (await self._push(call, (again,))).events
        return event

    async def _push(self, call: Call, requests: tuple[EventRequest, ...]) -> pb.Events:
        tenant_id = call.principal.tenant_id
        pushed = await self._engine.submit(tenant_id, PushEvents(requests), client=call.peer)
        assert isinstance(pushed, tuple)
        events: list[pb.Event] = []
        for request, stored in zip(requests, pushed, strict=True):
            assert isinstance(stored, PushedEvent)
            event = pb.Event(
                tenant_id=tenant_id,
                event_id=stored.event_id,
                key=request.key,
                payload=request.payload,
                event_timestamp=outbound.timestamp(stored.seen_at_us),
            )
            if request.additional_metadata is not None:
                event.additional_metadata = request.additional_metadata
            if request.scope is not None:
                event.scope = request.scope
            events.append(event)
        return fitting.fit_events(pb.Events(events=events))

    async def put_log(self, request: pb.PutLogRequest, call: Call) -> pb.PutLogResponse:
        """Lenient in what only describes the line: level and length. Lines may come after the task has ended."""
        tenant_id = call.principal.tenant_id
        task_id = inbound.uuid_text(request.task_run_external_id, field="task_run_external_id")
        metadata = inbound.metadata_object(request.metadata, field="metadata")
        await self._engine.check_task(tenant_id, task_id)
        at = _instant(request.created_at)
        keep_line(
            self._logs, tenant_id, task_id, request.task_retry_count, request.level, request.message, metadata, at
        )
        return pb.PutLogResponse()

    async def put_stream_event(self, request: pb.PutStreamEventRequest, call: Call) -> pb.PutStreamEventResponse:
        task_id = inbound.uuid_text(request.task_run_external_id, field="task_run_external_id")
        text = request.message.decode("utf-8", errors="replace")
        index = request.event_index if request.HasField("event_index") else None
        await self._engine.put_chunk(call.principal.tenant_id, task_id, text, index)
        return pb.PutStreamEventResponse()


def _event_request(wire: pb.PushEventRequest, field: str) -> EventRequest:
    return EventRequest(
        key=inbound.plain_text(wire.key, field=f"{field}key"),
        payload=inbound.json_object(wire.payload, field=f"{field}payload"),
        additional_metadata=inbound.metadata_object(wire.additional_metadata, field=f"{field}additional_metadata"),
        priority=wire.priority if wire.HasField("priority") else None,
        scope=inbound.plain_text(wire.scope, field=f"{field}scope") if wire.HasField("scope") else None,
    )


def keep_line(
    logs: LogStore,
    tenant_id: str,
    task_id: str,
    retry_count: int,
    level: str,
    message: str,
    metadata: str | None,
    at: datetime,
) -> None:
    """Keeps a line of a task that is there, as much of it as can be kept."""
    message = message.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:LOG_MESSAGE_CHARS_MAX]
    if message:
        logs.add(tenant_id, task_id, max(retry_count, 0), _level(level), message, metadata, at)


def _level(level: str) -> str:
    upper = level.upper()
    upper = _LEVELS.get(upper, upper)
    return upper if upper in ("DEBUG", "INFO", "WARN", "ERROR") else "INFO"


def _instant(stamp: Timestamp) -> datetime:
    """The line's own time; the server's when the client gave none or nonsense."""
    if stamp.seconds <= 0 or stamp.seconds > 253_402_300_799:
        return datetime.now(UTC)
    return stamp.ToDatetime(tzinfo=UTC)
