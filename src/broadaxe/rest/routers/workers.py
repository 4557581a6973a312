"""Workers: who is there, what they can take, pausing them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

from broadaxe.core.commands.workers import PauseWorker
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberCaller, ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import Body, Limit, Offset, PathId, TextList, page_of, strict_metadata_pairs
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import workers as shapes
from broadaxe.storage.catalogue import WorkerRecord, WorkerStatus
from broadaxe.storage.pages import ByTime

_WORKERS: Final = Listing(ByTime, "workers")

routes = router("workers")


class WorkerChange(Body):
    is_paused: bool | None = None


@routes.get(f"{API}/tenants/{{tenant}}/worker")
async def list_workers(
    scope: ViewerScope,
    context: ContextDep,
    statuses: Annotated[list[WorkerStatus] | None, Query()] = None,
    labels: TextList = None,
    limit: Limit = 10_000,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> shapes.WorkerList:
    """Workers seen in the last 24 hours, newest first."""
    after = _WORKERS.after(cursor, offset)
    page, total = await context.catalogue.workers_page(
        scope.tenant_id,
        statuses=statuses or None,
        labels=strict_metadata_pairs(labels, field="labels"),
        limit=limit,
        offset=offset,
        after=after,
    )
    return shapes.WorkerList(
        pagination=_WORKERS.pagination(page.end, None if after else page_of(offset, limit, total)),
        rows=[shapes.worker(record) for record in page.rows],
    )


@routes.get(f"{API}/workers/{{worker}}")
async def get_worker(worker: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.Worker:
    return await _shown(context, await _worker(context, caller.tenant_ids, worker))


@routes.patch(f"{API}/workers/{{worker}}")
async def change_worker(body: WorkerChange, worker: PathId, caller: MemberCaller, context: ContextDep) -> shapes.Worker:
    """A paused worker gets no new tasks; those it runs go on."""
    record = await _worker(context, caller.tenant_ids, worker)
    caller.enter(record.tenant_id)
    if body.is_paused is not None:
        await context.engine.submit(record.tenant_id, PauseWorker(record.id, body.is_paused), by=caller.by)
        record = await _worker(context, [record.tenant_id], worker)
    return await _shown(context, record)


async def _worker(context: Context, tenant_ids: list[str], worker_id: str) -> WorkerRecord:
    record = await context.catalogue.worker(tenant_ids, worker_id)
    if record is None:
        raise missing("worker", worker_id)
    return record


async def _shown(context: Context, record: WorkerRecord) -> shapes.Worker:
    workflows = await context.catalogue.workflows_of_actions(record.tenant_id, record.actions)
    return shapes.worker(record, workflows)
