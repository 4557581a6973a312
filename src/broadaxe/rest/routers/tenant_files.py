"""A tenant as one file: what is in it as JSON Lines, which is kept and which `broadaxe import` reads again.

Owns what is in the file and in which order. A line is `{"kind": ..., "row": ...}`, its row as the list of that kind has
it, so no secret is in it that a list would not show. The first line says what the file is, the last one, of the kind
`end`, how many lines of each kind there are: a file without it is not whole. Invariants: in memory there is a page of a
list, and of runs, whose payloads may be large, about `PAGE_BYTES`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import msgspec
from fastapi.responses import StreamingResponse

from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import AdminScope, Scope, missing
from broadaxe.rest.routers import alerts, crons, filters, limits, members, runs, schedules, webhooks, workflows
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import workflows as workflow_shapes
from broadaxe.rest.wire import Wire, format_instant
from broadaxe.storage import accounts

FORMAT: Final = "broadaxe-tenant"
#: Readers refuse files of a newer form.
FORM: Final = 1
PAGE: Final = 200
#: What a page of runs should come to; a run is never parted.
PAGE_BYTES: Final = 4 * 1024 * 1024
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)

routes = router("people and tenants")

#: A page of a list behind a cursor: its rows, and the cursor of the next one.
ReadPage = Callable[[str | None], Awaitable[tuple[list[Wire], str | None]]]


@routes.get(
    f"{STABLE}/tenants/{{tenant}}/file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def get_tenant_file(scope: AdminScope, context: ContextDep) -> StreamingResponse:
    """The tenant as one file of JSON Lines: workflows with their latest definitions, rate limits, filters, webhooks and
    alert channels without their secrets, crons, scheduled runs, alert rules, members, and all runs with their inputs
    and outputs, newest first. `broadaxe import --from-file` reads it.

    It is read list by list while the tenant goes on: what changes meanwhile may be in it or not. Without a line of the
    kind `end` it is not whole.
    """
    found = await accounts.tenant(context.pool, scope.tenant_id)
    if found is None:
        raise missing("tenant", scope.tenant_id)
    head = {
        "format": FORMAT,
        "form": FORM,
        "madeAt": format_instant(datetime.now(UTC)),
        "engineVersion": version("broadaxe"),
        "tenant": {"id": found.id, "name": found.name, "slug": found.slug},
    }
    return StreamingResponse(
        _lines(head, scope, context),
        media_type="application/x-ndjson",
        headers={
            "Content-Disposition": f'attachment; filename="{found.slug}.jsonl"',
            "Cache-Control": "no-store",
        },
    )


async def _lines(head: dict[str, object], scope: Scope, context: Context) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(head) + b"\n"
    counts: dict[str, int] = {}
    async for kind, row in _rows(scope, context):
        counts[kind] = counts.get(kind, 0) + 1
        yield b'{"kind":"%s","row":%s}\n' % (kind.encode(), row)
    yield msgspec.json.encode({"kind": "end", "row": counts}) + b"\n"


async def _rows(scope: Scope, context: Context) -> AsyncIterator[tuple[str, bytes]]:
    async for row in _paged(lambda cursor: _workflows(scope, context, cursor)):
        yield ("workflow-version" if isinstance(row, workflow_shapes.WorkflowVersion) else "workflow"), _json(row)
    for kind, read in _lists(scope, context).items():
        async for row in _paged(read):
            yield kind, _json(row)
    async for line in _runs(scope, context):
        yield "run", line


def _lists(scope: Scope, context: Context) -> dict[str, ReadPage]:
    """By kind, in the order of the file."""

    async def rate_limits(cursor: str | None) -> tuple[list[Wire], str | None]:
        found = await limits.list_rate_limits(scope, context, limits.RateLimitQuery(limit=PAGE, cursor=cursor))
        return [*found.rows], found.pagination.next_cursor

    async def event_filters(cursor: str | None) -> tuple[list[Wire], str | None]:
        found = await filters.list_filters(scope, context, filters.FilterQuery(limit=PAGE, cursor=cursor))
        return [*found.rows], found.pagination.next_cursor

    async def hooks(cursor: str | None) -> tuple[list[Wire], str | None]:
        found = await webhooks.list_webhooks(scope, context, webhooks.WebhookListQuery(limit=PAGE, cursor=cursor))
        return [*found.rows], None if found.pagination is None else found.pagination.next_cursor

    async def all_crons(cursor: str | None) -> tuple[list[Wire], str | None]:
        found = await crons.list_crons(scope, context, crons.CronQuery(limit=PAGE, cursor=cursor))
        return [*found.rows], found.pagination.next_cursor

    async def scheduled(cursor: str | None) -> tuple[list[Wire], str | None]:
        found = await schedules.list_schedules(scope, context, schedules.ScheduleQuery(limit=PAGE, cursor=cursor))
        return [*found.rows], found.pagination.next_cursor

    async def channels(_: str | None) -> tuple[list[Wire], str | None]:
        return [*(await alerts.list_alert_channels(scope, context)).rows], None

    async def rules(_: str | None) -> tuple[list[Wire], str | None]:
        return [*(await alerts.list_alert_rules(scope, context)).rows], None

    async def people(cursor: str | None) -> tuple[list[Wire], str | None]:
        found = await members.list_members(scope, context, PAGE, cursor)
        return [*found.rows], None if found.pagination is None else found.pagination.next_cursor

    return {
        "rate-limit": rate_limits,
        "filter": event_filters,
        "webhook": hooks,
        "cron": all_crons,
        "schedule": scheduled,
        "alert-channel": channels,
        "alert-rule": rules,
        "member": people,
    }


async def _workflows(scope: Scope, context: Context, cursor: str | None) -> tuple[list[Wire], str | None]:
    found = await workflows.list_workflows(scope, context, None, PAGE, 0, cursor)
    rows: list[Wire] = []
    for row in found.rows:
        rows.append(row)
        rows.append(await workflows.get_version(row.metadata.id, scope.caller, context))
    return rows, found.pagination.next_cursor


async def _runs(scope: Scope, context: Context) -> AsyncIterator[bytes]:
    limit, cursor = PAGE, None
    while True:
        query = runs.RunListQuery(
            only_tasks=False,
            since=_BEGINNING,
            include_payloads=True,
            include_num_pages=False,
            limit=limit,
            cursor=cursor,
        )
        found = await runs.list_runs(scope, context, query)
        size = 0
        for row in found.rows:
            line = _json(row)
            size += len(line)
            yield line
        cursor = found.pagination.next_cursor
        if cursor is None:
            return
        limit = max(1, min(PAGE, limit * PAGE_BYTES // max(size, 1)))


async def _paged(read: ReadPage) -> AsyncIterator[Wire]:
    cursor: str | None = None
    while True:
        rows, cursor = await read(cursor)
        for row in rows:
            yield row
        if cursor is None:
            return


def _json(row: Wire) -> bytes:
    return row.model_dump_json(by_alias=True, exclude_none=True).encode()
