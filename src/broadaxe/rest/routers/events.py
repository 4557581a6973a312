"""Pushed events: how they are read, and pushed by programs without an SDK (SDKs push over gRPC).

Source: REST specification 3.6, 4.9, 7.8.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, Field

from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.core.lifecycle import RunStatus
from broadaxe.core.triggers import BULK_MAX
from broadaxe.errors import Internal
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Asked, Cursor, Listing
from broadaxe.rest.identity import MemberScope, Scope, ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import (
    LIST_VALUES_MAX,
    Body,
    Id,
    InputInstant,
    Limit,
    Offset,
    PathId,
    json_text,
    metadata_text,
    plain_text,
)
from broadaxe.rest.parameters import strict_metadata_pairs as pairs_of
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.shapes import events as shapes
from broadaxe.storage.event_reads import EventFilter, EventRecord
from broadaxe.storage.pages import ById

DEFAULT_SPAN: Final = timedelta(hours=24)
_AHEAD: Final = timedelta(days=1)

_EVENTS: Final = Listing(ById, "events")

routes = router("events")


class EventQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 50
    cursor: Cursor = None
    keys: list[str] | None = Field(default=None, max_length=LIST_VALUES_MAX)
    since: InputInstant | None = None
    until: InputInstant | None = None
    workflow_ids: list[Id] | None = Field(default=None, alias="workflowIds", max_length=LIST_VALUES_MAX)
    run_statuses: list[RunStatus] | None = Field(default=None, alias="workflowRunStatuses")
    event_ids: list[Id] | None = Field(default=None, alias="eventIds", max_length=LIST_VALUES_MAX)
    additional_metadata: list[str] | None = Field(default=None, alias="additionalMetadata", max_length=LIST_VALUES_MAX)
    scopes: list[str] | None = Field(default=None, max_length=LIST_VALUES_MAX)

    def for_tenant(self, tenant_id: str) -> EventFilter:
        now = datetime.now(UTC)
        return EventFilter(
            tenant_id=tenant_id,
            since=self.since or now - DEFAULT_SPAN,
            until=self.until or now + _AHEAD,
            keys=tuple(self.keys) if self.keys else None,
            event_ids=tuple(self.event_ids) if self.event_ids else None,
            scopes=tuple(self.scopes) if self.scopes else None,
            metadata=pairs_of(self.additional_metadata, field="additionalMetadata"),
            workflow_ids=tuple(self.workflow_ids) if self.workflow_ids else None,
            run_statuses=frozenset(self.run_statuses) if self.run_statuses else None,
        )


@routes.get(f"{STABLE}/tenants/{{tenant}}/events")
async def list_events(
    scope: ViewerScope, context: ContextDep, query: Annotated[EventQuery, Query()]
) -> shapes.EventList:
    """Events of the last 24 hours unless `since` says otherwise, newest first."""
    return await listed_events(context, query.for_tenant(scope.tenant_id), query)


async def listed_events(context: Context, wanted: EventFilter, asked: Asked) -> shapes.EventList:
    reads = context.event_reads
    rows, pagination = await _EVENTS.read(
        asked,
        lambda limit, offset, after: reads.events_page(wanted, limit=limit, offset=offset, after=after),
        lambda: reads.count_events(wanted),
    )
    return shapes.EventList(pagination=pagination, rows=[shapes.event(record) for record in rows])


@routes.get(f"{STABLE}/tenants/{{tenant}}/events/keys")
async def list_event_keys(scope: ViewerScope, context: ContextDep) -> shapes.EventKeys:
    """The keys seen in the last 24 hours."""
    return shapes.EventKeys(
        rows=await context.event_reads.event_keys(scope.tenant_id, datetime.now(UTC) - DEFAULT_SPAN)
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/events/{{event}}")
async def get_event(event: PathId, scope: ViewerScope, context: ContextDep) -> shapes.Event:
    return shapes.event(await _event(context, [scope.tenant_id], event))


@routes.get(f"{API}/tenants/{{tenant}}/events/{{event}}/data")
async def get_tenant_event_data(event: PathId, scope: ViewerScope, context: ContextDep) -> shapes.EventData:
    """The payload as JSON text."""
    return shapes.EventData(data=(await _event(context, [scope.tenant_id], event)).payload)


@routes.get(f"{API}/events/{{event}}/data")
async def get_event_data(event: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.EventData:
    """The payload as JSON text."""
    return shapes.EventData(data=(await _event(context, caller.tenant_ids, event)).payload)


@routes.get(f"{API}/events/{{event}}")
async def get_event_by_id(event: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.Event:
    return shapes.event(await _event(context, caller.tenant_ids, event))


class NewEvent(Body):
    key: str = Field(min_length=1)
    data: dict[str, object]
    additional_metadata: dict[str, object] | None = None
    priority: int | None = None
    scope: str | None = None


class NewEvents(Body):
    events: list[NewEvent] = Field(min_length=1, max_length=BULK_MAX)


@routes.post(f"{API}/tenants/{{tenant}}/events")
async def push_event(body: NewEvent, scope: MemberScope, context: ContextDep) -> shapes.Event:
    """Pushes an event and answers it with the runs it started."""
    (event,) = await _push(context, scope, [body], "")
    return event


@routes.post(f"{API}/tenants/{{tenant}}/events/bulk")
async def push_events(body: NewEvents, scope: MemberScope, context: ContextDep) -> shapes.PushedEvents:
    """Pushes several events, all or none, and answers them in order."""
    events = await _push(context, scope, body.events, "events[{}].")
    return shapes.PushedEvents(metadata=events[0].metadata, events=events)


async def _push(context: Context, scope: Scope, wanted: list[NewEvent], field: str) -> list[shapes.Event]:
    requests = tuple(
        EventRequest(
            key=plain_text(event.key, field=f"{field.format(position)}key"),
            payload=json_text(event.data, field=f"{field.format(position)}data"),
            additional_metadata=None
            if not event.additional_metadata
            else metadata_text(event.additional_metadata, field=f"{field.format(position)}additionalMetadata"),
            priority=event.priority,
            scope=None if event.scope is None else plain_text(event.scope, field=f"{field.format(position)}scope"),
        )
        for position, event in enumerate(wanted)
    )
    pushed = await context.engine.submit(scope.tenant_id, PushEvents(requests), by=scope.caller.by)
    if not isinstance(pushed, tuple):
        raise Internal(f"the engine answered {type(pushed).__name__} where events were due")
    event_ids = [event.event_id for event in pushed if isinstance(event, PushedEvent)]
    stored = await context.event_reads.events_by_id(scope.tenant_id, event_ids)
    return [shapes.event(record) for record in stored]


async def _event(context: Context, tenant_ids: list[str], event_id: str) -> EventRecord:
    record = await context.event_reads.event(tenant_ids, event_id)
    if record is None:
        raise missing("event", event_id)
    return record
