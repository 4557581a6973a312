"""Crons. Source: REST specification 4.7 and 7.13."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import Path, Query, Response
from msgspec import UNSET
from pydantic import BaseModel, Field

from broadaxe.core.commands.crons import (
    BACKFILL_TICKS_MAX,
    BackfillCron,
    Backfilled,
    ChangeCron,
    CreateCron,
    DeleteCron,
    RunCron,
)
from broadaxe.core.cron import CronExpression
from broadaxe.core.firing import backfill_ticks
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, ViewerScope, missing
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
    page_of,
    plain_text,
)
from broadaxe.rest.parameters import strict_metadata_pairs as pairs_of
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.shapes import crons as shapes
from broadaxe.rest.shapes import schedules as schedule_shapes
from broadaxe.storage.calendar import CronFilter, CronOrder, CronRecord
from broadaxe.storage.pages import ById, ByName

EXPRESSIONS_MAX: Final = 100
TICKS_MAX: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_BACKFILL = f"{STABLE}/tenants/{{tenant}}/crons/{{cron}}/backfill"
_CRONS = f"{API}/tenants/{{tenant}}/workflows/crons"

#: A name in the path; clients percent-encode it.
WorkflowName = Annotated[str, Path(min_length=1, max_length=1_000)]

#: Stands before everything that begins with a fixed word, so that a workflow may be named like one.
by_name = router("crons")
routes = router("crons")


class CronQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 50
    cursor: Cursor = None
    workflow_id: Id | None = Field(default=None, alias="workflowId")
    workflow_name: str | None = Field(default=None, alias="workflowName", max_length=1_000)
    cron_name: str | None = Field(default=None, alias="cronName", max_length=1_000)
    additional_metadata: list[str] | None = Field(default=None, alias="additionalMetadata", max_length=LIST_VALUES_MAX)
    order_by: Literal["name", "createdAt"] = Field(default="createdAt", alias="orderByField")
    direction: Literal["ASC", "DESC"] = Field(default="DESC", alias="orderByDirection")


class NewCron(Body):
    cron_name: str
    cron_expression: str
    input: dict[str, object]
    additional_metadata: dict[str, object]
    priority: int | None = None
    enabled: bool = Field(default=True, description="False: made, but not ticking until it is enabled.")


class CronChange(Body):
    """What is left out stays as it is. A cron that its workflow declares can be enabled and disabled only."""

    enabled: bool | None = None
    cron_name: str | None = None
    cron_expression: str | None = None
    input: dict[str, object] | None = None
    additional_metadata: dict[str, object] | None = None
    priority: int | None = Field(default=None, description="Null: as the workflow says.")


class PastRange(Body):
    """Both ends are included."""

    since: InputInstant
    until: InputInstant


@by_name.post(f"{API}/tenants/{{tenant}}/workflows/{{workflow}}/crons")
async def create_cron(body: NewCron, workflow: WorkflowName, scope: MemberScope, context: ContextDep) -> shapes.Cron:
    """Makes a cron for the workflow of that name, in any case if there is none in this."""
    name = await registered_name(context, scope.tenant_id, workflow)
    command = CreateCron(
        workflow_name=name,
        name=plain_text(body.cron_name, field="cronName"),
        expression=plain_text(body.cron_expression, field="cronExpression"),
        input=json_text(body.input, field="input"),
        additional_metadata=metadata_or_none(body.additional_metadata),
        priority=body.priority,
        is_enabled=body.enabled,
    )
    try:
        cron_id = await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    except NotFound as error:
        # The address is right; it is the name in it that means nothing, and clients try a 404 again and again.
        raise InvalidArgument(error.message, field="workflow") from None
    return await _cron(context, scope.tenant_id, str(cron_id))


@routes.get(_CRONS)
async def list_crons(scope: ViewerScope, context: ContextDep, query: Annotated[CronQuery, Query()]) -> shapes.CronList:
    """Crons of all workflows, the newest first. All of `additionalMetadata` (key:value) must match."""
    wanted = CronFilter(
        tenant_id=scope.tenant_id,
        workflow_id=query.workflow_id,
        workflow_name=query.workflow_name,
        cron_name=query.cron_name,
        metadata=pairs_of(query.additional_metadata, field="additionalMetadata"),
    )
    # Both parts are literals, whose product the type checker does not form.
    order: CronOrder = f"{query.order_by} {query.direction}"  # type: ignore[assignment]
    listing: Listing[ById | ByName] = Listing(ByName if query.order_by == "name" else ById, "crons", order)
    after = listing.after(query.cursor, query.offset)
    page, total = await context.calendar.crons_page(wanted, order, limit=query.limit, offset=query.offset, after=after)
    numbers = None if after else page_of(query.offset, query.limit, total)
    return shapes.CronList(
        pagination=listing.pagination(page.end, numbers), rows=[shapes.cron(record) for record in page.rows]
    )


@routes.get(f"{_CRONS}/{{cron}}")
async def get_cron(cron: PathId, scope: ViewerScope, context: ContextDep) -> shapes.Cron:
    return await _cron(context, scope.tenant_id, cron)


@routes.delete(f"{_CRONS}/{{cron}}")
async def delete_cron(cron: PathId, scope: MemberScope, context: ContextDep) -> wire.Deleted:
    """Forgets a cron. One that its workflow declares returns when the workflow is registered again."""
    await context.engine.submit(scope.tenant_id, DeleteCron(cron), by=scope.caller.by)
    return wire.Deleted()


@routes.patch(f"{_CRONS}/{{cron}}", status_code=204)
async def change_cron(body: CronChange, cron: PathId, scope: MemberScope, context: ContextDep) -> Response:
    """Enables or disables a cron, or makes another one of it. Ticks that come while it is disabled are lost."""
    command = ChangeCron(
        cron,
        body.enabled,
        name=None if body.cron_name is None else plain_text(body.cron_name, field="cronName"),
        expression=None if body.cron_expression is None else plain_text(body.cron_expression, field="cronExpression"),
        input=None if body.input is None else json_text(body.input, field="input"),
        additional_metadata=UNSET if body.additional_metadata is None else metadata_or_none(body.additional_metadata),
        priority=body.priority if "priority" in body.model_fields_set else UNSET,
    )
    await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    return Response(status_code=204)


@routes.get(f"{STABLE}/tenants/{{tenant}}/cron-ticks")
async def next_ticks(
    scope: ViewerScope,
    expression: Annotated[list[str], Query(min_length=1, max_length=EXPRESSIONS_MAX)],
    count: Annotated[int, Query(ge=1, le=TICKS_MAX)] = 5,
) -> shapes.CronTicksList:
    """When cron expressions come true next, the soonest first; fewer than `count` when there are no more.

    Whether an expression is one can be asked here before it is used: 400 says what is wrong with it.
    """
    now_us = _us(datetime.now(UTC))
    rows = []
    for text in expression:
        parsed = CronExpression(plain_text(text, field="expression"), field="expression")
        rows.append(
            shapes.CronTicks(expression=text, time_zone=parsed.zone_name, ticks=_ticks_after(parsed, now_us, count))
        )
    return shapes.CronTicksList(rows=rows)


@routes.post(f"{_CRONS}/{{cron}}")
async def run_cron(cron: PathId, scope: MemberScope, context: ContextDep) -> schedule_shapes.FiredRun:
    """Makes a run of the cron now, beside its ticks, also while it is disabled."""
    run_id = await context.engine.submit(scope.tenant_id, RunCron(cron), by=scope.caller.by)
    return schedule_shapes.FiredRun(external_id=str(run_id))


@routes.get(_BACKFILL)
async def preview_backfill(
    cron: PathId,
    scope: ViewerScope,
    context: ContextDep,
    since: Annotated[InputInstant, Query()],
    until: Annotated[InputInstant, Query()],
) -> shapes.BackfillPreview:
    """How many runs a backfill of this past time range would make. Makes none."""
    record = await _record(context, scope.tenant_id, cron)
    expression = CronExpression(record.expression, field="cron")
    ticks = backfill_ticks(expression, _us(since), _us(until), _us(datetime.now(UTC)))
    counted = ticks[:BACKFILL_TICKS_MAX]
    return shapes.BackfillPreview(
        count=len(counted),
        count_max=BACKFILL_TICKS_MAX,
        is_too_many=len(ticks) > len(counted),
        first=_at(counted[0]) if counted else None,
        last=_at(counted[-1]) if counted else None,
    )


@routes.post(_BACKFILL)
async def backfill(body: PastRange, cron: PathId, scope: MemberScope, context: ContextDep) -> shapes.Backfill:
    """Makes a run for each tick of a past time range, at most 1000, whether or not it came then. Each has its tick in
    its metadata under `hatchet__cron_scheduled_at`, and all have `backfillId` under `broadaxe__backfill_id`."""
    command = BackfillCron(cron, _us(body.since), _us(body.until))
    done = await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    assert isinstance(done, Backfilled)
    return shapes.Backfill(backfill_id=done.backfill_id, made=done.made, skipped=done.skipped)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _at(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _ticks_after(expression: CronExpression, at_us: int, count: int) -> list[datetime]:
    ticks: list[datetime] = []
    next_us = expression.next_after(at_us)
    while next_us is not None and len(ticks) < count:
        ticks.append(_at(next_us))
        next_us = expression.next_after(next_us)
    return ticks


async def registered_name(context: Context, tenant_id: str, name: str) -> str:
    """The workflow that is meant. Some clients lower-case the name."""
    found = await context.calendar.workflow_name(tenant_id, name)
    if found is None:
        raise InvalidArgument(f"no workflow is registered as {name[:255]!r}", field="workflow")
    return found


def metadata_or_none(metadata: dict[str, object]) -> str | None:
    return metadata_text(metadata, field="additionalMetadata") if metadata else None


async def _cron(context: Context, tenant_id: str, cron_id: str) -> shapes.Cron:
    return shapes.cron(await _record(context, tenant_id, cron_id))


async def _record(context: Context, tenant_id: str, cron_id: str) -> CronRecord:
    record = await context.calendar.cron(tenant_id, cron_id)
    if record is None:
        raise missing("cron", cron_id)
    return record
