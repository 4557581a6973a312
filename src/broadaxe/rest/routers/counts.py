"""Counts: for charts and filter chips, for autoscalers, and for the Prometheus of one tenant."""

from __future__ import annotations

from typing import Annotated, Final, cast

from fastapi import Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from broadaxe.core.lifecycle import RunStatus
from broadaxe.rest.buckets import window
from broadaxe.rest.context import ContextDep
from broadaxe.rest.gauges import queue_gauges, slot_gauges
from broadaxe.rest.identity import ViewerCaller, ViewerScope, missing
from broadaxe.rest.metrics import Metrics
from broadaxe.rest.parameters import InputInstant, PathId
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.run_selection import RunTraits
from broadaxe.rest.shapes import counts as shapes
from broadaxe.rest.task_stats import places_with_rules, task_stats

NAMES_MAX: Final = 1_000
WORKERS_SHOWN_MAX: Final = 1_000

routes = router("counts")


@routes.get(f"{STABLE}/tenants/{{tenant}}/task-metrics")
async def count_by_status(
    scope: ViewerScope, context: ContextDep, query: Annotated[RunTraits, Query()]
) -> list[shapes.StatusCount]:
    """Runs created in the window by status; all five statuses are always there."""
    counts, evicted = await context.reads.run_status_counts(await query.wanted(context, scope.tenant_id))
    return [
        shapes.StatusCount(
            status=status,
            count=count,
            running_detail_count=shapes.RunningDetail(evicted=evicted, on_worker=count - evicted)
            if status is RunStatus.RUNNING
            else None,
        )
        for status, count in sorted(counts.items())
    ]


@routes.get(f"{STABLE}/tenants/{{tenant}}/task-point-metrics")
async def count_finished(
    scope: ViewerScope,
    context: ContextDep,
    created_after: Annotated[InputInstant | None, Query(alias="createdAfter")] = None,
    finished_before: Annotated[InputInstant | None, Query(alias="finishedBefore")] = None,
) -> shapes.FinishedPoints:
    """Tasks that succeeded and failed over time."""
    since, until, width = window(created_after, finished_before)
    buckets = await context.count_reads.finished_buckets(scope.tenant_id, since, until, width)
    return shapes.FinishedPoints(
        results=[
            shapes.FinishedPoint(time=bucket.starts_at, SUCCEEDED=bucket.succeeded, FAILED=bucket.failed)
            for bucket in buckets
        ]
    )


@routes.get(f"{API}/tenants/{{tenant}}/step-run-queue-metrics")
async def count_queued(scope: ViewerScope, context: ContextDep) -> shapes.QueueCounts:
    """Waiting tasks per action."""
    return shapes.QueueCounts(queues=await context.count_reads.queue_counts(scope.tenant_id))


@routes.get(f"{API}/tenants/{{tenant}}/task-stats")
async def count_live_tasks(
    scope: ViewerScope,
    context: ContextDep,
    names: Annotated[
        list[str] | None,
        Query(alias="taskNames", max_length=NAMES_MAX, description="Repeated, or several with commas between."),
    ] = None,
) -> dict[str, shapes.TaskStat]:
    """Tasks that wait and run, by task name. Names that were asked for are always there."""
    counts = await context.count_reads.live_task_counts(scope.tenant_id)
    runs = await context.reads.runs_by_id([scope.tenant_id], list({count.some_run_id for count in counts}))
    found = await context.catalogue.definitions(scope.tenant_id, {run.version_id for run in runs})
    definitions = list(found.values())
    live = {count.definition_id for count in counts}
    places = {task: place for task, place in places_with_rules(definitions).items() if task in live}
    groups = await context.count_reads.live_group_counts(scope.tenant_id, places) if places else []
    wanted = [name for text in names or () for name in text.split(",") if name]
    return task_stats(counts, groups, definitions, wanted)


@routes.get(
    f"{API}/tenants/{{tenant}}/prometheus-metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def expose_metrics(scope: ViewerScope, context: ContextDep, request: Request) -> Response:
    """The tenant's metrics in the format of Prometheus. Counters begin at zero with the engine."""
    page, _ = await context.catalogue.workers_page(
        scope.tenant_id, statuses=("ACTIVE", "PAUSED"), labels=(), limit=WORKERS_SHOWN_MAX, offset=0
    )
    gauges = [
        *slot_gauges(page.rows),
        *queue_gauges(
            await context.count_reads.queue_sizes(scope.tenant_id),
            await context.count_reads.queue_sizes_by_metadata(scope.tenant_id),
        ),
    ]
    metrics = cast(Metrics, request.app.state.metrics)
    await metrics.read()
    return Response(metrics.render_tenant(scope.tenant_id, gauges), media_type=CONTENT_TYPE_LATEST)


@routes.get(f"{API}/tenants/{{tenant}}/queue-metrics", deprecated=True)
async def count_queued_the_old_way(scope: ViewerScope, context: ContextDep) -> shapes.LegacyQueueCounts:
    """For old clients; ask for task-stats instead."""
    counts = await context.count_reads.live_task_counts(scope.tenant_id)
    queues: dict[str, int] = {}
    for count in counts:
        if not count.is_running:
            queues[count.action_id] = queues.get(count.action_id, 0) + count.tasks
    running = sum(count.tasks for count in counts if count.is_running)
    total = shapes.LegacyCounts(num_queued=sum(queues.values()), num_running=running)
    return shapes.LegacyQueueCounts(total=total, queues=queues)


@routes.get(f"{API}/workflows/{{workflow}}/metrics", deprecated=True)
async def count_groups_the_old_way(
    workflow: PathId, caller: ViewerCaller, context: ContextDep
) -> shapes.LegacyWorkflowCounts:
    """For old clients, which get zeros; ask for task-stats instead."""
    if await context.catalogue.workflow(caller.tenant_ids, workflow) is None:
        raise missing("workflow", workflow)
    return shapes.LegacyWorkflowCounts()
