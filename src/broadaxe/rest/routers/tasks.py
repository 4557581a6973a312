"""Tasks: one task, its attempts, its history."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import ViewerCaller, missing
from broadaxe.rest.parameters import Offset, PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import tasks as shapes
from broadaxe.storage.pages import BySeq

ENTRIES_MAX: Final = 1_000

routes = router("tasks")


@routes.get(f"{STABLE}/tasks/{{task}}")
async def get_task(
    task: PathId,
    caller: ViewerCaller,
    context: ContextDep,
    attempt: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="An older attempt, from 1.")] = None,
) -> shapes.TaskSummary:
    """A task as of its latest attempt, or of an older one. The id of a DAG run is not a task's: 404."""
    found = await context.reads.task(caller.tenant_ids, task)
    if found is None:
        raise missing("task", task)
    run, record = found
    if attempt is not None:
        older = await context.reads.attempt(run.tenant_id, record, attempt - 1)
        if older is None:
            raise missing(f"attempt {attempt} of task", task)
        record = older
    definitions = await context.catalogue.definitions(run.tenant_id, [run.version_id])
    return shapes.task_alone(run, record, definitions.get(run.version_id))


@routes.get(f"{STABLE}/tasks/{{task}}/task-events")
async def list_task_events(
    task: PathId,
    caller: ViewerCaller,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = ENTRIES_MAX,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> shapes.TaskEventList:
    """What happened to a task, newest first."""
    listing = Listing(BySeq, "task events", task)
    after = listing.after(cursor, offset)
    tenant_id = await context.reads.tenant_of_task(caller.tenant_ids, task)
    if tenant_id is None:
        raise missing("task", task)
    page = await context.reads.task_events(tenant_id, task, limit=limit, offset=offset, after=after)
    return shapes.TaskEventList(pagination=listing.pagination(page.end), rows=shapes.events_of_task(page.rows))
