"""Durable tasks: their logs, restoring one that was evicted, and branches. Source: REST specification 4.3 and 7.16."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Response

from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.tasks import BranchTask, RestoreTask
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import NEXT_CURSOR, Cursor, Listing
from broadaxe.rest.identity import MemberCaller, MemberScope, ViewerScope, missing
from broadaxe.rest.parameters import Body, Id, Offset, PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import durable as shapes
from broadaxe.storage.pages import ByNode

ENTRIES_PAGE: Final = 1_000
ENTRIES_PAGE_MAX: Final = 10_000

routes = router("durable tasks")


class Branch(Body):
    task_external_id: Id
    node_id: int
    branch_id: int


@routes.post(f"{STABLE}/tenants/{{tenant}}/durable-tasks/branch")
async def branch_durable_task(body: Branch, scope: MemberScope, context: ContextDep) -> shapes.DurableBranch:
    """Starts a task that is over anew from one of its operations, on a branch of its own."""
    fork = await context.engine.submit(
        scope.tenant_id, BranchTask(body.task_external_id, body.node_id, body.branch_id), by=scope.caller.by
    )
    assert isinstance(fork, EntryRef)
    return shapes.DurableBranch(task_external_id=fork.task_id, node_id=fork.node_id, branch_id=fork.branch_id)


@routes.get(f"{STABLE}/tenants/{{tenant}}/durable-tasks/{{task}}")
async def list_durable_entries(
    task: PathId,
    scope: ViewerScope,
    context: ContextDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=ENTRIES_PAGE_MAX)] = ENTRIES_PAGE,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> list[shapes.DurableLogEntry]:
    """The log of a durable task, all branches; empty for other tasks. The next cursor is in the header
    `X-Next-Cursor`."""
    listing = Listing(ByNode, "durable log", task)
    after = listing.after(cursor, offset)
    page = await context.durable_reads.log(scope.tenant_id, task, limit=limit, offset=offset, after=after)
    next_cursor = listing.cursor(page.end)
    if next_cursor is not None:
        response.headers[NEXT_CURSOR] = next_cursor
    return [shapes.durable_entry(task, entry) for entry in page.rows]


@routes.post(f"{STABLE}/tasks/{{task}}/restore")
async def restore_task(task: PathId, caller: MemberCaller, context: ContextDep) -> shapes.Restored:
    """Queues an evicted durable task again. `requeued` is false for a task that is not evicted."""
    tenant_id = await context.reads.tenant_of_task(caller.tenant_ids, task)
    if tenant_id is None:
        raise missing("task", task)
    caller.enter(tenant_id)
    reply = await context.engine.submit(tenant_id, RestoreTask(task), by=caller.by)
    return shapes.Restored(requeued=reply is True)
