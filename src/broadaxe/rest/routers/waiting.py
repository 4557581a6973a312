"""What live memory knows: why tasks do not run, what is to come, who holds a key and who waits for it.

Asked of the engine through its port, so every answer is as of this instant and costs the tables next to nothing. What
memory has only by id is looked up for the rows of a page.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from fastapi import Query

from broadaxe.core.occupancy import place_of
from broadaxe.core.questions import (
    ASKED_MAX,
    PAGE_MAX,
    Coming,
    ComingKind,
    KeysInUse,
    LimitUsers,
    NoWorker,
    QueuesInUse,
    TimeToCome,
    Waiting,
    WhyWaiting,
    WorkerName,
)
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import Id, PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import waiting as shapes
from broadaxe.storage.live_names import last_workers, run_names
from broadaxe.storage.pages import ByAlarm, ByUse

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
SEARCH_CHARS_MAX: Final = 1_000
LIMIT_KEY_CHARS_MAX: Final = 10_000

PageLimit = Annotated[int, Query(ge=1, le=PAGE_MAX)]

routes = router("live memory")


@routes.get(f"{STABLE}/tasks/{{task}}/waiting")
async def why_task_waits(task: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.WaitReasonList:
    """Why the task does not run, or what it waits for while it runs; no row for one that just runs or is finished. An
    event that is waited for comes with a payload that makes its expression true, where that can be derived."""
    tenant_id = await context.reads.tenant_of_task(caller.tenant_ids, task)
    if tenant_id is None:
        raise missing("task", task)
    reasons = await _reasons(context, tenant_id, (task,))
    return shapes.WaitReasonList(rows=[shapes.with_payloads(row) for row in reasons.rows])


@routes.get(f"{STABLE}/workflow-runs/{{run}}/waiting")
async def why_run_waits(run: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.WaitReasonList:
    """The same for every task of a run that waits, in the order of the definition. Tasks that wait for parents may not
    exist yet and have no id then."""
    found = await context.reads.runs_by_id(caller.tenant_ids, [run])
    if not found:
        raise missing("run", run)
    return await _reasons(context, found[0].tenant_id, (run,))


@routes.get(f"{STABLE}/tenants/{{tenant}}/waiting")
async def why_these_wait(
    scope: ViewerScope,
    context: ContextDep,
    ids: Annotated[list[Id], Query(min_length=1, max_length=ASKED_MAX, description="Runs or tasks.")],
) -> shapes.WaitReasonList:
    """The same for several runs or tasks at once. Those that are not there, or do not wait, have no row."""
    return await _reasons(context, scope.tenant_id, tuple(ids))


@routes.get(f"{STABLE}/tenants/{{tenant}}/upcoming")
async def list_upcoming(
    scope: ViewerScope,
    context: ContextDep,
    kinds: Annotated[list[ComingKind] | None, Query()] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> shapes.ComingList:
    """Time to come: the next instants of everything, earliest first. Crons, schedules, ends of sleeps, retries after a
    backoff, timeouts in the queue and of execution, ends of debounces, batches and refills of rate limits that
    somebody waits for."""
    chosen = frozenset(kinds or ())
    listing = Listing(ByAlarm, "upcoming", *sorted(chosen))
    after = listing.after(cursor)
    place = None if after is None else (after.at_us, after.number)
    page = await context.engine.ask(scope.tenant_id, TimeToCome(after=place, kinds=chosen, limit=limit))
    last = page.rows[-1] if page.has_more and page.rows else None
    until_us = page.schedules_until_us
    return shapes.ComingList(
        pagination=listing.pagination(None if last is None else ByAlarm(last.at_us, last.number)),
        rows=await _named(context, scope.tenant_id, page.rows),
        schedules_until=None if until_us is None else shapes.instant(until_us),
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/concurrency-keys")
async def list_concurrency_keys(
    scope: ViewerScope,
    context: ContextDep,
    search: Annotated[str, Query(max_length=SEARCH_CHARS_MAX, description="Part of the key, whatever its case.")] = "",
    workflow_id: Annotated[Id | None, Query(alias="workflowId")] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> shapes.ConcurrencyKeyList:
    """Concurrency keys that somebody holds or waits for, those with the longest line first. A walk by cursor may miss
    keys, or meet them twice, whose line changes meanwhile."""
    listing = Listing(ByUse, "concurrency keys", search, workflow_id or "")
    after = listing.after(cursor)
    place = None if after is None else (after.waiting, after.held, after.id)
    question = KeysInUse(search=search, workflow_id=workflow_id, after=place, limit=limit)
    page = await context.engine.ask(scope.tenant_id, question)
    end = ByUse(*place_of(page.rows[-1])) if page.has_more and page.rows else None
    rows = [shapes.concurrency_key(row) for row in page.rows]
    return shapes.ConcurrencyKeyList(pagination=listing.pagination(end), rows=rows)


@routes.get(f"{STABLE}/tenants/{{tenant}}/queues")
async def list_queues(scope: ViewerScope, context: ContextDep) -> shapes.TaskQueueList:
    """Actions whose tasks wait for a worker, the longest queue first; at most 500."""
    found = await context.engine.ask(scope.tenant_id, QueuesInUse())
    return shapes.TaskQueueList(rows=[shapes.task_queue(row) for row in found])


@routes.get(f"{STABLE}/tenants/{{tenant}}/rate-limit-users")
async def list_rate_limit_users(
    scope: ViewerScope, context: ContextDep, key: Annotated[str, Query(min_length=1, max_length=LIMIT_KEY_CHARS_MAX)]
) -> shapes.RateLimitUserList:
    """Tasks of the workflows' latest versions that ask for units of a rate limit, those that name it first; at most
    500."""
    found = await context.engine.ask(scope.tenant_id, LimitUsers(key))
    return shapes.RateLimitUserList(rows=[shapes.rate_limit_user(row) for row in found])


async def _reasons(context: Context, tenant_id: str, ids: tuple[str, ...]) -> shapes.WaitReasonList:
    answer = await context.engine.ask(tenant_id, WhyWaiting(ids))
    tasks = await _with_last_workers(context, tenant_id, answer.tasks)
    now_us = (datetime.now(UTC) - _EPOCH) // _MICROSECOND
    rows = [shapes.wait_reason(row, now_us) for row in tasks]
    return shapes.WaitReasonList(rows=rows, is_cut=answer.is_cut or None)


async def _with_last_workers(context: Context, tenant_id: str, tasks: tuple[Waiting, ...]) -> list[Waiting]:
    """Memory forgets workers that are gone; their rows tell who it was."""
    gone = {row.reason.action_id for row in tasks if isinstance(row.reason, NoWorker)}
    known = await last_workers(context.pool, tenant_id, gone)
    told: list[Waiting] = []
    for row in tasks:
        last = known.get(row.reason.action_id) if isinstance(row.reason, NoWorker) else None
        if last is not None:
            seen_at_us = (last.seen_at - _EPOCH) // _MICROSECOND
            reason = msgspec.structs.replace(row.reason, worker=WorkerName(last.id, last.name), seen_at_us=seen_at_us)
            row = msgspec.structs.replace(row, reason=reason)
        told.append(row)
    return told


async def _named(context: Context, tenant_id: str, rows: tuple[Coming, ...]) -> list[shapes.ComingInstant]:
    runs = await run_names(context.pool, tenant_id, (row.run_id for row in rows if row.run_id is not None))
    schedule_ids = [row.schedule_id for row in rows if row.schedule_id is not None]
    schedules = await context.calendar.schedules(tenant_id, schedule_ids) if schedule_ids else []
    workflows = {schedule.id: schedule.workflow_name for schedule in schedules}
    named = []
    for row in rows:
        run = None if row.run_id is None else runs.get(row.run_id)
        workflow_name = workflows.get(row.schedule_id or "") if run is None else run.workflow_name
        named.append(
            shapes.coming_instant(
                row,
                None if run is None else run.display_name,
                None if run is None else run.workflow_id,
                workflow_name,
            )
        )
    return named
