"""Runs: lists, one run, and what can be done to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from broadaxe.core.commands.tasks import (
    CANCELLED_BY_FILTER_MAX,
    REPLAYED_BY_FILTER_MAX,
    CancelTasks,
    ReplayTasks,
    in_parts,
)
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.definition import check_priority
from broadaxe.core.lifecycle import TERMINAL_RUN, RunStatus
from broadaxe.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, QuotaReached
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, Scope, ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import (
    BODY_VALUES_MAX,
    Body,
    Id,
    Offset,
    PathId,
    json_text,
    metadata_text,
    page_of,
)
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.run_selection import RunSelection, SelectionBody, until_or_later
from broadaxe.rest.shapes import runs as shapes
from broadaxe.rest.shapes import tasks as task_shapes
from broadaxe.rest.shapes import workflows as workflow_shapes
from broadaxe.storage.pages import ById, ByTaskEvent
from broadaxe.storage.reads import EVENTS_PER_RUN_MAX, RunRecord
from broadaxe.storage.run_filter import LIVE_RUN, RunFilter

NAMES_MAX: Final = 1_000
DAGS_MAX: Final = 100
TIMING_ROWS_MAX: Final = 20_000
#: A list row carries payloads of all its tasks, so a page is smaller than that of other lists.
RUNS_PAGE_MAX: Final = 2_000

_RUNS: Final = Listing(ById, "runs")
_RUNS_FROM_THE_OLDEST: Final = Listing(ById, "runs", "oldest first")
_TASKS: Final = Listing(ById, "tasks")

routes = router("runs")


class RunListQuery(RunSelection):
    only_tasks: bool
    include_payloads: bool | None = Field(default=None, description="By default true for tokens, false for people.")
    include_num_pages: bool = True
    limit: int = Field(default=50, ge=1, le=RUNS_PAGE_MAX)
    offset: Offset = 0
    cursor: Cursor = None
    order_by_direction: Literal["ASC", "DESC"] = Field(default="DESC", description="By creation. ASC is for runs only.")


class Trigger(Body):
    workflow_name: str
    input: dict[str, object]
    additional_metadata: dict[str, object] | None = None
    priority: int | None = None


class TaskSelection(Body):
    """Either ids of runs and tasks, or a filter."""

    external_ids: list[Id] | None = Field(default=None, max_length=BODY_VALUES_MAX)
    filter: SelectionBody | None = None


# Lists --------------------------------------------------------------------------------------------------------------


@routes.get(f"{STABLE}/tenants/{{tenant}}/workflow-runs")
async def list_runs(
    scope: ViewerScope, context: ContextDep, query: Annotated[RunListQuery, Query()]
) -> shapes.TaskSummaryList:
    """Runs, or tasks with `only_tasks=true`, newest first unless asked for otherwise."""
    reads = context.reads
    oldest_first = query.order_by_direction == "ASC"
    if oldest_first and query.only_tasks:
        raise InvalidArgument("tasks are listed newest first only", field="order_by_direction")
    wanted, searched = await query.searched(context, scope.tenant_id, of_tasks=query.only_tasks)
    with_payloads = scope.caller.is_token if query.include_payloads is None else query.include_payloads
    listing = _TASKS if query.only_tasks else _RUNS_FROM_THE_OLDEST if oldest_first else _RUNS
    after = listing.after(query.cursor, query.offset)
    is_counted = query.include_num_pages and after is None
    total = 0
    if query.only_tasks:
        tasks = await reads.tasks_page(
            wanted, limit=query.limit, offset=query.offset, after=after, with_payloads=with_payloads
        )
        definitions = await _definitions(context, scope.tenant_id, (run for run, _ in tasks.rows), with_payloads)
        rows = [row for run, task in tasks.rows for row in task_shapes.task_rows(run, [task], definitions)]
        end = tasks.end
        if is_counted:
            total = await reads.count_tasks(wanted)
    else:
        runs = await reads.runs_page(
            wanted,
            limit=query.limit,
            offset=query.offset,
            after=after,
            with_payloads=with_payloads,
            oldest_first=oldest_first,
        )
        definitions = await _definitions(context, scope.tenant_id, runs.rows, with_payloads)
        rows = [shapes.run_row(run, definitions) for run in runs.rows]
        end = runs.end
        if is_counted:
            total = await reads.count_runs(wanted)
    numbers = None if after else page_of(query.offset, query.limit, total, stops=False)
    return shapes.TaskSummaryList(
        pagination=listing.pagination(end, numbers), rows=rows, looked_at=shapes.looked_at(searched)
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/workflow-runs/external-ids")
async def list_run_ids(scope: ViewerScope, context: ContextDep, query: Annotated[RunSelection, Query()]) -> list[str]:
    return await context.reads.run_ids(await query.wanted(context, scope.tenant_id), limit=CANCELLED_BY_FILTER_MAX)


@routes.get(f"{STABLE}/tenants/{{tenant}}/workflow-runs/count")
async def count_runs(
    scope: ViewerScope, context: ContextDep, query: Annotated[RunSelection, Query()]
) -> shapes.RunCount:
    """Counts no further than 20000."""
    return shapes.RunCount(count=await context.reads.count_runs(await query.wanted(context, scope.tenant_id)))


@routes.get(f"{STABLE}/tenants/{{tenant}}/workflow-runs/display-names")
async def display_names(
    scope: ViewerScope, context: ContextDep, external_ids: Annotated[list[Id], Query(max_length=NAMES_MAX)]
) -> shapes.DisplayNameList:
    """Unknown ids are left out."""
    runs = await context.reads.runs_by_id([scope.tenant_id], external_ids)
    return shapes.DisplayNameList(
        pagination=wire.Pagination(current_page=1, num_pages=1),
        rows=[
            shapes.DisplayName(
                metadata=wire.metadata_of(run.id, run.created_at, run.finished_at), display_name=run.display_name
            )
            for run in runs
        ],
    )


# One run ------------------------------------------------------------------------------------------------------------


@routes.get(f"{STABLE}/workflow-runs/{{run}}")
async def get_run(run: PathId, caller: ViewerCaller, context: ContextDep) -> shapes.WorkflowRunDetails:
    return await _details(context, await _run(context, caller.tenant_ids, run))


@routes.get(f"{STABLE}/workflow-runs/{{run}}/status")
async def get_status(run: PathId, caller: ViewerCaller, context: ContextDep) -> RunStatus:
    """A bare JSON string."""
    found = await context.reads.runs_by_id(caller.tenant_ids, [run])
    if not found:
        raise missing("run", run)
    return found[0].status


@routes.get(f"{STABLE}/workflow-runs/{{run}}/task-events")
async def list_run_events(
    run: PathId,
    caller: ViewerCaller,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=EVENTS_PER_RUN_MAX)] = EVENTS_PER_RUN_MAX,
    cursor: Cursor = None,
) -> task_shapes.TaskEventList:
    """The history of all tasks of a run: the newest `limit` entries, oldest first. `next_cursor` leads to those before
    them. Their ids number the entries of one answer."""
    listing = Listing(ByTaskEvent, "run events", run)
    after = listing.after(cursor)
    found = await _run(context, caller.tenant_ids, run, with_payloads=False)
    task_ids = [task.id for task in found.tasks]
    page = await context.reads.run_events_page(found.tenant_id, task_ids, limit=limit, after=after)
    return task_shapes.TaskEventList(pagination=listing.pagination(page.end), rows=task_shapes.task_events(page.rows))


@routes.get(f"{STABLE}/workflow-runs/{{run}}/task-timings")
async def list_timings(
    run: PathId, caller: ViewerCaller, context: ContextDep, depth: Annotated[int, Query(ge=0, le=10)] = 0
) -> task_shapes.TaskTimingList:
    """When the tasks of a run, and of the runs they spawned down to `depth`, waited and ran."""
    rows: list[task_shapes.TaskTiming] = []
    await _add_timings(context, await _run(context, caller.tenant_ids, run, with_payloads=False), 0, depth, rows)
    return task_shapes.TaskTimingList(pagination=wire.Pagination(), rows=rows)


@routes.get(f"{STABLE}/dags/tasks")
async def list_dag_tasks(
    caller: ViewerCaller,
    context: ContextDep,
    dag_ids: Annotated[list[Id], Query(max_length=DAGS_MAX)],
    tenant: Annotated[Id, Query()],
) -> list[shapes.DagChildren]:
    caller.enter(tenant)
    answer = []
    for dag_id in dict.fromkeys(dag_ids):
        run = await context.reads.run([tenant], dag_id, with_payloads=False)
        if run is not None:
            answer.append(shapes.DagChildren(dag_id=dag_id, children=task_shapes.task_rows(run, run.tasks, {})))
    return answer


# Acting -------------------------------------------------------------------------------------------------------------


@routes.post(f"{STABLE}/tenants/{{tenant}}/workflow-runs/trigger")
async def trigger(body: Trigger, scope: MemberScope, context: ContextDep) -> shapes.WorkflowRunDetails:
    """Starts a run and returns it as it is right after its creation."""
    if body.priority is not None:
        check_priority(body.priority, field="priority")
    metadata = None
    if body.additional_metadata is not None:
        metadata = metadata_text(body.additional_metadata, field="additionalMetadata")
    request = RunRequest(
        workflow_name=body.workflow_name,
        input=json_text(body.input, field="input"),
        additional_metadata=metadata,
        priority=body.priority,
    )
    try:
        reply = await context.engine.submit(scope.tenant_id, TriggerRuns((request,)), by=scope.caller.by)
    except (NotFound, InvalidArgument) as error:
        # 404 would say that this address is wrong, and some clients would try it again. What the engine calls the
        # name is called otherwise here, and forms show the message beside the field.
        is_name = isinstance(error, NotFound) or error.field == "name"
        raise InvalidArgument(error.message, field="workflowName" if is_name else error.field) from None
    except QuotaReached as error:
        # 400 by the protocol, here and nowhere else.
        raise FailedPrecondition(error.message) from None
    run_id = _ids(reply)[0]
    return await _details(context, await _run(context, [scope.tenant_id], run_id))


@routes.post(f"{STABLE}/tenants/{{tenant}}/tasks/cancel")
async def cancel(body: TaskSelection, scope: MemberScope, context: ContextDep) -> shapes.AffectedIds:
    """Answers the ids given, or those the filter found, whether or not they were still running; ids of nothing in this
    tenant are left out.

    A filter that names no statuses finds the runs that have not ended, at most 20000.
    """
    ids = await _selected(context, scope, body, LIVE_RUN, CANCELLED_BY_FILTER_MAX)
    for part in in_parts(ids):
        await context.engine.submit(scope.tenant_id, CancelTasks(part), by=scope.caller.by)
    return shapes.AffectedIds(ids=await context.reads.known_ids(scope.tenant_id, ids))


@routes.post(f"{STABLE}/tenants/{{tenant}}/tasks/replay")
async def replay(body: TaskSelection, scope: MemberScope, context: ContextDep) -> shapes.AffectedIds:
    """Answers the ids of the tasks that were queued again; those still active are skipped.

    A filter that names no statuses finds the runs that have ended, at most 1000.
    """
    replayed: list[str] = []
    for part in in_parts(await _selected(context, scope, body, TERMINAL_RUN, REPLAYED_BY_FILTER_MAX)):
        replayed += _ids(await context.engine.submit(scope.tenant_id, ReplayTasks(part), by=scope.caller.by))
    return shapes.AffectedIds(ids=replayed)


# ----------------------------------------------------------------------------------------------------------------------


async def _run(context: Context, tenant_ids: list[str], run_id: str, *, with_payloads: bool = True) -> RunRecord:
    run = await context.reads.run(tenant_ids, run_id, with_payloads=with_payloads)
    if run is None:
        raise missing("run", run_id)
    return run


async def _details(context: Context, run: RunRecord) -> shapes.WorkflowRunDetails:
    entries = await context.reads.run_events(run.tenant_id, [task.id for task in run.tasks])
    definitions = await context.catalogue.definitions(run.tenant_id, [run.version_id])
    return shapes.run_details(run, entries, definitions.get(run.version_id))


async def _definitions(
    context: Context, tenant_id: str, runs: Iterable[RunRecord], with_payloads: bool
) -> workflow_shapes.Definitions:
    # Definitions only tell which parents' outputs belong to a DAG member's input.
    if not with_payloads:
        return {}
    return await context.catalogue.definitions(tenant_id, {run.version_id for run in runs if run.is_dag})


async def _add_timings(
    context: Context, run: RunRecord, level: int, depth: int, rows: list[task_shapes.TaskTiming]
) -> None:
    for task in sorted(run.tasks, key=lambda task: (task.queued_at or task.created_at, task.id)):
        if len(rows) >= TIMING_ROWS_MAX:
            return
        rows.append(task_shapes.task_timing(run, task, level))
        if level < depth and task.spawned_children:
            spawned = RunFilter(
                tenant_id=run.tenant_id,
                since=task.created_at,
                until=until_or_later(None),
                parent_task_id=task.id,
            )
            children = await context.reads.runs_page(spawned, limit=RUNS_PAGE_MAX, offset=0, with_payloads=False)
            for child in reversed(children.rows):
                await _add_timings(context, child, level + 1, depth, rows)


async def _selected(
    context: Context, scope: Scope, body: TaskSelection, statuses: frozenset[RunStatus], by_filter_max: int
) -> tuple[str, ...]:
    """The ids given, or those of the runs that the filter finds; `statuses` when it names none."""
    if body.external_ids and body.filter is not None:
        raise InvalidArgument("give either externalIds or a filter, not both", field="filter")
    if body.external_ids:
        return tuple(dict.fromkeys(body.external_ids))
    if body.filter is None:
        if body.external_ids is None:
            raise InvalidArgument("give externalIds or a filter", field="externalIds")
        return ()
    wanted = await body.filter.wanted(context, scope.tenant_id, statuses)
    return tuple(await context.reads.run_ids(wanted, limit=by_filter_max))


def _ids(reply: object) -> tuple[str, ...]:
    if not isinstance(reply, tuple):
        raise Internal(f"the engine answered {type(reply).__name__} where ids were due")
    return tuple(str(item) for item in reply)
