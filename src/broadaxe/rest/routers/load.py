"""Load over time: of a tenant, and of one of its workers. For charts; alerts are better off with the metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from broadaxe.errors import InvalidArgument
from broadaxe.rest.buckets import window
from broadaxe.rest.context import ContextDep
from broadaxe.rest.identity import ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import InputInstant, PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import load as shapes

routes = router("load")

Since = Annotated[InputInstant | None, Query(description="By default 24 hours ago. The window ends now.")]


def _until_now(since: datetime | None) -> tuple[datetime, datetime, timedelta]:
    now = datetime.now(UTC)
    if since is not None and since > now:
        raise InvalidArgument("is in the future", field="since")
    return window(since, now)


@routes.get(f"{STABLE}/tenants/{{tenant}}/load")
async def tenant_load(scope: ViewerScope, context: ContextDep, since: Since = None) -> shapes.LoadPoints:
    """What ended over time, how long it had waited and run, and how many waited and ran on average.

    Times are milliseconds. Where a bucket has many tasks its times, and what waited and ran, are estimated from a
    sample; what ended is counted. Of at most 100,000 tasks that wait or run now it is known since when.
    """
    start, now, width = _until_now(since)
    buckets = await context.load_reads.of_tenant(scope.tenant_id, start, now, width)
    return shapes.LoadPoints(
        width_s=width // timedelta(seconds=1),
        results=[
            shapes.LoadPoint(
                time=bucket.starts_at,
                succeeded=bucket.succeeded,
                failed=bucket.failed,
                cancelled=bucket.cancelled,
                waited_ms_p50=_ms(bucket.waited_p50),
                waited_ms_p95=_ms(bucket.waited_p95),
                ran_ms_p50=_ms(bucket.ran_p50),
                ran_ms_p95=_ms(bucket.ran_p95),
                waiting=round(max(0, bucket.waiting), 3),
                running=round(max(0, bucket.running), 3),
            )
            for bucket in buckets
        ],
    )


@routes.get(f"{STABLE}/workers/{{worker}}/load")
async def worker_load(
    worker: PathId, caller: ViewerCaller, context: ContextDep, since: Since = None
) -> shapes.WorkerLoadPoints:
    """What ended on a worker over time, and how many tasks it ran at once at the most, from its latest 20,000 tasks."""
    record = await context.catalogue.worker(caller.tenant_ids, worker)
    if record is None:
        raise missing("worker", worker)
    start, now, width = _until_now(since)
    buckets = await context.load_reads.of_worker(record.tenant_id, record.id, start, now, width)
    return shapes.WorkerLoadPoints(
        width_s=width // timedelta(seconds=1),
        results=[
            shapes.WorkerLoadPoint(
                time=bucket.starts_at, succeeded=bucket.succeeded, failed=bucket.failed, running=bucket.running
            )
            for bucket in buckets
        ],
    )


def _ms(took: timedelta | None) -> int | None:
    return None if took is None else took // timedelta(milliseconds=1)
