"""Counts for charts and filter chips. (Prometheus metrics are in `broadaxe.rest.metrics`.)"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel

from broadaxe.core.lifecycle import RunStatus
from broadaxe.rest import wire
from broadaxe.rest.buckets import window
from broadaxe.rest.context import ContextDep
from broadaxe.rest.identity import ViewerScope
from broadaxe.rest.parameters import Id, IdList, InputInstant, TextList, metadata_pairs
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.storage.reads import RunFilter

#: A task that finishes in a chart's window was made at most this long before it.
LONGEST_TASK: Final = timedelta(days=31)
_AHEAD: Final = timedelta(days=1)

routes = router("counts")


class CountQuery(BaseModel):
    since: InputInstant
    until: InputInstant | None = None
    workflow_ids: IdList = None
    parent_task_external_id: Id | None = None
    triggering_event_external_id: Id | None = None
    additional_metadata: TextList = None


@routes.get(f"{STABLE}/tenants/{{tenant}}/task-metrics")
async def count_by_status(
    scope: ViewerScope, context: ContextDep, query: Annotated[CountQuery, Query()]
) -> list[wire.StatusCount]:
    """Runs created in the window by status; all five statuses are always there."""
    counts = await context.reads.run_status_counts(
        RunFilter(
            tenant_id=scope.tenant_id,
            since=query.since,
            until=query.until or datetime.now(UTC) + _AHEAD,
            workflow_ids=tuple(query.workflow_ids) if query.workflow_ids else None,
            parent_task_id=query.parent_task_external_id,
            event_id=query.triggering_event_external_id,
            metadata=metadata_pairs(query.additional_metadata),
        )
    )
    return [
        wire.StatusCount(
            status=status,
            count=count,
            running_detail_count=wire.RunningDetail(evicted=0, on_worker=count)
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
) -> wire.FinishedPoints:
    """Tasks that succeeded and failed over time."""
    since, until, width = window(created_after, finished_before)
    buckets = await context.reads.finished_buckets(scope.tenant_id, since, until, width, LONGEST_TASK)
    return wire.FinishedPoints(
        results=[
            wire.FinishedPoint(time=bucket.starts_at, SUCCEEDED=bucket.succeeded, FAILED=bucket.failed)
            for bucket in buckets
        ]
    )


@routes.get(f"{API}/tenants/{{tenant}}/step-run-queue-metrics")
async def count_queued(scope: ViewerScope, context: ContextDep) -> wire.QueueCounts:
    """Waiting tasks per action."""
    return wire.QueueCounts(queues=await context.reads.queue_counts(scope.tenant_id))
