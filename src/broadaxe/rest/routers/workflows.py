"""Workflows and their versions; pausing and deleting them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.durations import US_PER_S, parse_duration
from broadaxe.errors import InvalidArgument
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberCaller, ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import Body, Id, Limit, Offset, PathId, page_of
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.shapes import workflows as shapes
from broadaxe.storage.catalogue import WorkflowRecord
from broadaxe.storage.pages import ByMatch

NAME_LENGTH_MAX: Final = 1_000
LAST_RUNS_MAX: Final = 100

#: For clients that can only say "paused": what waits is kept for 30 days (and what comes due meanwhile waits too).
DEFAULT_QUEUE_TTL_US: Final = 30 * 86_400 * US_PER_S

routes = router("workflows")


class WorkflowPause(Body):
    """`action` says which; pausing needs the three that follow."""

    action: Literal["pause", "unpause"]
    paused_workflow_cron_run_queue_behavior: WhilePaused | None = None
    paused_workflow_scheduled_run_queue_behavior: WhilePaused | None = None
    paused_workflow_queue_ttl: str | None = Field(
        default=None, alias="pausedWorkflowQueueTTL", examples=["90s", "1h30m", "7d"]
    )


class WorkflowChange(Body):
    pause: WorkflowPause | None = None
    is_paused: bool | None = None
    """What clients before 1.0 send instead."""


@routes.get(f"{API}/tenants/{{tenant}}/workflows")
async def list_workflows(
    scope: ViewerScope,
    context: ContextDep,
    name: Annotated[str | None, Query(max_length=NAME_LENGTH_MAX)] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> shapes.WorkflowList:
    """Workflows whose name contains `name`, in any case; an exact match comes first, then the newest."""
    listing = Listing(ByMatch, "workflows", name or "")
    after = listing.after(cursor, offset)
    page, total = await context.catalogue.workflows_page(
        scope.tenant_id, name=name, limit=limit, offset=offset, after=after
    )
    numbers = None if after else page_of(offset, limit, total)
    return shapes.WorkflowList(
        pagination=listing.pagination(page.end, numbers), rows=[shapes.workflow(record) for record in page.rows]
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/last-runs")
async def list_last_runs(
    scope: ViewerScope,
    context: ContextDep,
    workflow_ids: Annotated[list[Id], Query(min_length=1, max_length=LAST_RUNS_MAX)],
) -> shapes.LastRunList:
    """The newest run of each workflow; those that never ran have no row."""
    found = await context.catalogue.last_runs(scope.tenant_id, workflow_ids)
    rows = [
        shapes.LastRun(
            workflow_id=record.workflow_id,
            run_external_id=record.run_id,
            status=record.status,
            created_at=record.created_at,
            finished_at=record.finished_at,
        )
        for record in found
    ]
    return shapes.LastRunList(rows=rows)


@routes.get(f"{API}/workflows/{{workflow}}")
async def get_workflow(workflow: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.Workflow:
    """A workflow with its latest version."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    return shapes.workflow(record, await context.catalogue.version(record.tenant_id, record.id))


@routes.get(f"{API}/workflows/{{workflow}}/versions")
async def get_version(
    workflow: PathId, caller: ViewerCaller, context: ContextDep, version: Annotated[Id | None, Query()] = None
) -> shapes.WorkflowVersion:
    """One version of a workflow, the latest unless `version` is given."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    found = await context.catalogue.version(record.tenant_id, record.id, version)
    if found is None:
        raise missing("workflow version", version or workflow)
    return shapes.workflow_version(record, found)


@routes.patch(f"{API}/workflows/{{workflow}}")
async def change_workflow(
    body: WorkflowChange, workflow: PathId, caller: MemberCaller, context: ContextDep
) -> shapes.Workflow:
    """Pauses a workflow or lets it go on. While paused, runs are made and wait; those that run go on. A task that was
    made longer than `pausedWorkflowQueueTTL` ago (a duration like 90s, 1h30m or 7d) is cancelled."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    caller.enter(record.tenant_id)
    command = _change(body, record)
    if command is not None:
        await context.engine.submit(record.tenant_id, command, by=caller.by)
        record = await _workflow(context, [record.tenant_id], workflow)
    return shapes.workflow(record, await context.catalogue.version(record.tenant_id, record.id))


@routes.delete(f"{API}/workflows/{{workflow}}")
async def delete_workflow(workflow: PathId, caller: MemberCaller, context: ContextDep) -> wire.Deleted:
    """Forgets the name; history and live runs stay."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    caller.enter(record.tenant_id)
    await context.engine.submit(record.tenant_id, DeleteWorkflow(record.id), by=caller.by)
    return wire.Deleted()


def _change(body: WorkflowChange, record: WorkflowRecord) -> PauseWorkflow | UnpauseWorkflow | None:
    pause = body.pause
    if pause is None:
        if body.is_paused is None or body.is_paused is record.is_paused:
            return None
        if not body.is_paused:
            return UnpauseWorkflow(record.id)
        return PauseWorkflow(record.id, DEFAULT_QUEUE_TTL_US, WhilePaused.QUEUE, WhilePaused.QUEUE)
    if pause.action == "unpause":
        return UnpauseWorkflow(record.id)
    crons, schedules = (
        pause.paused_workflow_cron_run_queue_behavior,
        pause.paused_workflow_scheduled_run_queue_behavior,
    )
    if crons is None:
        raise _unsaid("pausedWorkflowCronRunQueueBehavior", "DROP or QUEUE")
    if schedules is None:
        raise _unsaid("pausedWorkflowScheduledRunQueueBehavior", "DROP or QUEUE")
    if pause.paused_workflow_queue_ttl is None:
        raise _unsaid("pausedWorkflowQueueTTL", "a duration like 24h")
    ttl_us = parse_duration(pause.paused_workflow_queue_ttl, field="pause.pausedWorkflowQueueTTL")
    return PauseWorkflow(record.id, ttl_us, crons, schedules)


def _unsaid(name: str, values: str) -> InvalidArgument:
    return InvalidArgument(f"pausing a workflow needs {name}: {values}", field=f"pause.{name}")


async def _workflow(context: Context, tenant_ids: list[str], workflow_id: str) -> WorkflowRecord:
    record = await context.catalogue.workflow(tenant_ids, workflow_id)
    if record is None:
        raise missing("workflow", workflow_id)
    return record
