"""Runs scheduled for an instant, until they are triggered. Source: REST specification 4.8 and 7.13."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, Scheduled, ScheduleRuns
from broadaxe.errors import Internal, InvalidArgument, NotFound
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, Scope, ViewerScope, missing
from broadaxe.rest.parameters import (
    BODY_VALUES_MAX,
    LIST_VALUES_MAX,
    Body,
    Id,
    InputInstant,
    Limit,
    Offset,
    PathId,
    json_text,
    page_of,
)
from broadaxe.rest.parameters import strict_metadata_pairs as pairs_of
from broadaxe.rest.routers.crons import WorkflowName, metadata_or_none, registered_name
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import schedules as shapes
from broadaxe.storage.calendar import ScheduleFilter, ScheduleOrder
from broadaxe.storage.pages import ById, ByTime

BULK_MAX: Final = 500
#: Schedules that one filter deletes.
BY_FILTER_MAX: Final = 10_000

_SCHEDULED = f"{API}/tenants/{{tenant}}/workflows/scheduled"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_GONE: Final = "there is no such schedule; it may have been triggered"

#: Stands before everything that begins with a fixed word, so that a workflow may be named like one.
by_name = router("schedules")
routes = router("schedules")


class ScheduleStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ScheduleQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 50
    cursor: Cursor = None
    order_by: Literal["triggerAt", "createdAt"] = Field(default="triggerAt", alias="orderByField")
    direction: Literal["ASC", "DESC"] = Field(default="DESC", alias="orderByDirection")
    workflow_id: Id | None = Field(default=None, alias="workflowId")
    parent_run_id: Id | None = Field(default=None, alias="parentWorkflowRunId")
    parent_task_id: Id | None = Field(default=None, alias="parentStepRunId")
    additional_metadata: list[str] | None = Field(default=None, alias="additionalMetadata", max_length=LIST_VALUES_MAX)
    statuses: list[ScheduleStatus] | None = None


class NewSchedule(Body):
    trigger_at: InputInstant
    input: dict[str, object]
    additional_metadata: dict[str, object]
    priority: int | None = None


class ScheduleChange(Body):
    trigger_at: InputInstant


class ScheduleSelection(Body):
    workflow_id: Id | None = None
    parent_workflow_run_id: Id | None = None
    parent_step_run_id: Id | None = None
    additional_metadata: list[str] | None = Field(default=None, max_length=BODY_VALUES_MAX)


class BulkDelete(Body):
    """Either ids or a filter."""

    scheduled_workflow_run_ids: list[Id] | None = Field(default=None, max_length=BULK_MAX)
    filter: ScheduleSelection | None = None


class ScheduleUpdate(Body):
    id: Id
    trigger_at: InputInstant


class BulkUpdate(Body):
    updates: list[ScheduleUpdate] = Field(min_length=1, max_length=BULK_MAX)


@by_name.post(f"{API}/tenants/{{tenant}}/workflows/{{workflow}}/scheduled")
async def create_schedule(
    body: NewSchedule, workflow: WorkflowName, scope: MemberScope, context: ContextDep
) -> shapes.Schedule:
    """Schedules a run of the workflow of that name, in any case if there is none in this. A past instant is now."""
    name = await registered_name(context, scope.tenant_id, workflow)
    run_input, metadata = json_text(body.input, field="input"), metadata_or_none(body.additional_metadata)
    command = ScheduleRuns(
        workflow_name=name,
        at_us=(_us(body.trigger_at),),
        input=run_input,
        additional_metadata=metadata,
        priority=body.priority,
    )
    try:
        reply = await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    except NotFound as error:
        raise InvalidArgument(error.message, field="workflow") from None
    if not isinstance(reply, Scheduled):
        raise Internal(f"the engine answered {type(reply).__name__} where a schedule was due")
    # One that was due at once is gone by now, so the answer is made from what is known.
    created_at = _EPOCH + timedelta(microseconds=reply.made_at_us)
    return shapes.Schedule(
        metadata=wire.metadata_of(reply.schedule_ids[0], created_at, created_at),
        tenant_id=scope.tenant_id,
        workflow_version_id=reply.version_id,
        workflow_id=reply.workflow_id,
        workflow_name=name,
        trigger_at=body.trigger_at,
        method="API",
        input=wire.json_object(run_input),
        additional_metadata=wire.json_object(metadata),
        priority=reply.priority,
    )


@routes.get(_SCHEDULED)
async def list_schedules(
    scope: ViewerScope, context: ContextDep, query: Annotated[ScheduleQuery, Query()]
) -> shapes.ScheduleList:
    """Runs that are not triggered yet, the last to come first. (Once triggered they are among the runs.)"""
    # Both parts are literals, whose product the type checker does not form.
    order: ScheduleOrder = f"{query.order_by} {query.direction}"  # type: ignore[assignment]
    listing: Listing[ById | ByTime] = Listing(ByTime if query.order_by == "triggerAt" else ById, "schedules", order)
    if query.statuses and ScheduleStatus.SCHEDULED not in query.statuses:
        listing.after(query.cursor, query.offset)  # Which refuses what is no cursor of this list.
        return shapes.ScheduleList(pagination=page_of(query.offset, query.limit, 0), rows=[])
    wanted = ScheduleFilter(
        tenant_id=scope.tenant_id,
        workflow_id=query.workflow_id,
        parent_run_id=query.parent_run_id,
        parent_task_id=query.parent_task_id,
        metadata=pairs_of(query.additional_metadata, field="additionalMetadata"),
    )
    rows, pagination = await listing.read(
        query,
        lambda limit, offset, after: context.calendar.schedules_page(
            wanted, order, limit=limit, offset=offset, after=after
        ),
        lambda: context.calendar.count_schedules(wanted),
    )
    return shapes.ScheduleList(pagination=pagination, rows=[shapes.schedule(record) for record in rows])


@routes.post(f"{_SCHEDULED}/bulk-delete")
async def delete_schedules(body: BulkDelete, scope: MemberScope, context: ContextDep) -> shapes.DeletedSchedules:
    """Deletes schedules by id, or up to 10,000 that a filter finds, those that come next first."""
    ids = body.scheduled_workflow_run_ids
    if ids and body.filter is not None:
        raise InvalidArgument("give either scheduledWorkflowRunIds or a filter, not both", field="filter")
    if not ids:
        return await _delete_by_filter(body.filter, scope, context)
    deleted = _ids(await context.engine.submit(scope.tenant_id, DeleteSchedules(tuple(ids)), by=scope.caller.by))
    return shapes.DeletedSchedules(deleted_ids=deleted, errors=_errors(ids, deleted))


@routes.post(f"{_SCHEDULED}/bulk-update")
async def change_schedules(body: BulkUpdate, scope: MemberScope, context: ContextDep) -> shapes.UpdatedSchedules:
    """Gives schedules other instants."""
    moves = tuple((update.id, _us(update.trigger_at)) for update in body.updates)
    updated = _ids(await context.engine.submit(scope.tenant_id, MoveSchedules(moves), by=scope.caller.by))
    return shapes.UpdatedSchedules(updated_ids=updated, errors=_errors([update.id for update in body.updates], updated))


@routes.get(f"{_SCHEDULED}/{{scheduled}}")
async def get_schedule(scheduled: PathId, scope: ViewerScope, context: ContextDep) -> shapes.Schedule:
    """A run that is not triggered yet; afterwards it is among the runs, and not found here."""
    return await _schedule(context, scope.tenant_id, scheduled)


@routes.delete(f"{_SCHEDULED}/{{scheduled}}")
async def delete_schedule(scheduled: PathId, scope: MemberScope, context: ContextDep) -> wire.Deleted:
    if not _ids(await context.engine.submit(scope.tenant_id, DeleteSchedules((scheduled,)), by=scope.caller.by)):
        raise missing("schedule", scheduled)
    return wire.Deleted()


@routes.patch(f"{_SCHEDULED}/{{scheduled}}")
async def change_schedule(
    body: ScheduleChange, scheduled: PathId, scope: MemberScope, context: ContextDep
) -> shapes.Schedule:
    """Gives a schedule another instant. A past one is now."""
    before = await _schedule(context, scope.tenant_id, scheduled)
    if not _ids(
        await context.engine.submit(
            scope.tenant_id, MoveSchedules(((scheduled, _us(body.trigger_at)),)), by=scope.caller.by
        )
    ):
        raise InvalidArgument("it has been triggered", field="scheduled")
    # It may be gone by now, if the instant is past.
    return before.model_copy(update={"trigger_at": body.trigger_at})


@routes.post(f"{_SCHEDULED}/{{scheduled}}")
async def run_schedule(scheduled: PathId, scope: MemberScope, context: ContextDep) -> shapes.FiredRun:
    """Triggers a schedule now instead of at its instant."""
    run_id = await context.engine.submit(scope.tenant_id, RunSchedule(scheduled), by=scope.caller.by)
    return shapes.FiredRun(external_id=str(run_id))


async def _delete_by_filter(
    selection: ScheduleSelection | None, scope: Scope, context: Context
) -> shapes.DeletedSchedules:
    if selection is None or not any(selection.model_dump().values()):
        raise InvalidArgument(
            "give scheduledWorkflowRunIds, or a filter with at least one condition", field="scheduledWorkflowRunIds"
        )
    wanted = ScheduleFilter(
        tenant_id=scope.tenant_id,
        workflow_id=selection.workflow_id,
        parent_run_id=selection.parent_workflow_run_id,
        parent_task_id=selection.parent_step_run_id,
        metadata=pairs_of(selection.additional_metadata, field="filter.additionalMetadata"),
    )
    found = await context.calendar.schedule_ids(wanted, limit=BY_FILTER_MAX + 1)
    deleted: list[str] = []
    for start in range(0, min(len(found), BY_FILTER_MAX), BULK_MAX):
        part = tuple(found[start : min(start + BULK_MAX, BY_FILTER_MAX)])
        deleted += _ids(await context.engine.submit(scope.tenant_id, DeleteSchedules(part), by=scope.caller.by))
    errors = []
    if len(found) > BY_FILTER_MAX:
        errors.append(shapes.ScheduleError(error=f"there are more than {BY_FILTER_MAX}; ask again for the rest"))
    return shapes.DeletedSchedules(deleted_ids=deleted, errors=errors)


async def _schedule(context: Context, tenant_id: str, schedule_id: str) -> shapes.Schedule:
    records = await context.calendar.schedules(tenant_id, [schedule_id])
    if not records:
        raise missing("schedule", schedule_id)
    return shapes.schedule(records[0])


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _ids(reply: object) -> list[str]:
    if not isinstance(reply, tuple):
        raise Internal(f"the engine answered {type(reply).__name__} where ids were due")
    return [str(item) for item in reply]


def _errors(asked: list[str], done: list[str]) -> list[shapes.ScheduleError]:
    return [shapes.ScheduleError(id=i, error=_GONE) for i in dict.fromkeys(asked) if i not in set(done)]
