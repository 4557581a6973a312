"""Log lines: of one task, of a tenant, and how many over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from broadaxe.rest import wire
from broadaxe.rest.buckets import window
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import LIST_VALUES_MAX, Id, IdList, InputInstant, Offset, PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import logs as shapes
from broadaxe.storage.log_reads import LogFilter, LogRecord
from broadaxe.storage.pages import ByTime, Page

LINES_MAX: Final = 10_000
SEARCH_LENGTH_MAX: Final = 1_000
DEFAULT_SPAN: Final = timedelta(hours=24)

routes = router("logs")

Level = Literal["DEBUG", "INFO", "WARN", "ERROR"]


class LogQuery(BaseModel):
    limit: int = Field(default=50, ge=1, le=LINES_MAX)
    offset: Offset = 0
    cursor: Cursor = None
    since: InputInstant | None = None
    until: InputInstant | None = None
    search: str | None = Field(default=None, max_length=SEARCH_LENGTH_MAX)
    levels: list[Level] | None = None
    order_by_direction: Literal["ASC", "DESC"] = "ASC"
    attempt: int | None = Field(default=None, ge=1, le=2**31 - 1)

    def wanted(self, workflow_ids: list[Id] | None = None, step_ids: list[Id] | None = None) -> LogFilter:
        return LogFilter(
            since=self.since,
            until=self.until,
            search=self.search,
            levels=tuple(self.levels) if self.levels else None,
            retry_count=None if self.attempt is None else self.attempt - 1,
            workflow_ids=tuple(workflow_ids) if workflow_ids else None,
            definition_ids=tuple(step_ids) if step_ids else None,
        )


class TenantLogQuery(LogQuery):
    task_external_ids: list[Id] | None = Field(default=None, alias="taskExternalIds", max_length=LIST_VALUES_MAX)
    workflow_ids: IdList = None
    step_ids: IdList = None


@routes.get(f"{STABLE}/tasks/{{task}}/logs")
async def list_task_logs(
    task: PathId, caller: ViewerCaller, context: ContextDep, query: Annotated[LogQuery, Query()]
) -> shapes.LogLineList:
    """The log lines of a task, oldest first unless asked otherwise. `since` and `until` are exclusive."""
    listing = Listing(ByTime, "log lines of a task", task, query.order_by_direction)
    after = listing.after(query.cursor, query.offset)
    tenant_id = await context.reads.tenant_of_task(caller.tenant_ids, task)
    if tenant_id is None:
        raise missing("task", task)
    page = await context.log_reads.task_logs(
        tenant_id,
        [task],
        query.wanted(),
        newest_first=query.order_by_direction == "DESC",
        limit=query.limit,
        offset=query.offset,
        after=after,
    )
    return _list(page, listing, after)


@routes.get(f"{STABLE}/tenants/{{tenant}}/logs")
async def list_tenant_logs(
    scope: ViewerScope, context: ContextDep, query: Annotated[TenantLogQuery, Query()]
) -> shapes.LogLineList:
    """Log lines of a tenant; of the last 24 hours unless tasks or `since` are given.

    What passes a filter is looked for among a bounded number of lines. A page may therefore have fewer rows than
    `limit`, even none, and a `next_cursor` that goes on behind the last line looked at.
    """
    listing = Listing(ByTime, "log lines", query.order_by_direction)
    after = listing.after(query.cursor, query.offset)
    newest_first = query.order_by_direction == "DESC"
    wanted = query.wanted(query.workflow_ids, query.step_ids)
    if query.task_external_ids:
        page = await context.log_reads.task_logs(
            scope.tenant_id,
            query.task_external_ids,
            wanted,
            newest_first=newest_first,
            limit=query.limit,
            offset=query.offset,
            after=after,
        )
    else:
        until = query.until or datetime.now(UTC)
        page = await context.log_reads.tenant_logs(
            scope.tenant_id,
            query.since or until - DEFAULT_SPAN,
            wanted,
            newest_first=newest_first,
            limit=query.limit,
            offset=query.offset,
            after=after,
        )
    return _list(page, listing, after)


@routes.get(f"{STABLE}/tenants/{{tenant}}/log-point-metrics")
async def log_points(
    scope: ViewerScope, context: ContextDep, query: Annotated[TenantLogQuery, Query()]
) -> shapes.LogPoints:
    """Log lines over time, per level.

    A bounded number of lines is looked at, the latest of the window: at least 50,000. Where there are more,
    `countedSince` says where counting began.
    """
    since, until, width = window(query.since, query.until)
    buckets, counted_since = await context.log_reads.log_buckets(
        scope.tenant_id,
        since,
        until,
        width,
        query.wanted(query.workflow_ids, query.step_ids),
        query.task_external_ids,
    )
    return shapes.LogPoints(
        counted_since=counted_since,
        results=[
            shapes.LogPoint(
                time=bucket.starts_at, DEBUG=bucket.debug, INFO=bucket.info, WARN=bucket.warn, ERROR=bucket.error
            )
            for bucket in buckets
        ],
    )


def _list(page: Page[LogRecord, ByTime], listing: Listing[ByTime], after: ByTime | None) -> shapes.LogLineList:
    # The protocol has these numbers so.
    numbers = None if after else wire.Pagination(current_page=0, next_page=0, num_pages=0)
    return shapes.LogLineList(
        pagination=listing.pagination(page.end, numbers), rows=[shapes.log_line(line) for line in page.rows]
    )
