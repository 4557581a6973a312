"""Step runs of the SDKs of 2025, and what else their clients ask of a run: its input, its shape, counts.

A step run is a task. Like `older.py` it translates, and refuses by name what cannot be answered truthfully. Source:
REST specification 4.14 and its table of older addresses.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from pydantic import Field

from broadaxe.core.commands.tasks import CANCELLED_BY_FILTER_MAX, CancelTasks, ReplayTasks, in_parts
from broadaxe.core.lifecycle import TERMINAL
from broadaxe.core.triggers import BULK_MAX
from broadaxe.errors import FailedPrecondition, InvalidArgument
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import MemberScope, ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import Body, Id, Offset, PathId
from broadaxe.rest.routers.older import RunQuery, parents_of, read_run
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import older as older_shapes
from broadaxe.rest.wire import JsonObject
from broadaxe.storage.reads import EVENTS_PER_RUN_MAX, RunRecord, TaskRecord
from broadaxe.storage.run_filter import LIVE_RUN, RunFilter

ARCHIVES_MAX: Final = 100
WORKERS_MAX: Final = 10_000
#: As at today's address.
KEYS_SPAN: Final = timedelta(days=1)
_BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=1)

routes = router("step runs of 2025")


class Rerun(Body):
    input: dict[str, object]


class CancelledEvents(Body):
    event_ids: list[Id] = Field(max_length=BULK_MAX)


# Step runs ----------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/step-runs/{{task}}")
async def get_step_run(task: PathId, scope: ViewerScope, context: ContextDep) -> older_shapes.StepRunAlone:
    return older_shapes.step_run_alone(*await _task(context, [scope.tenant_id], task))


@routes.get(f"{API}/tenants/{{tenant}}/step-runs/{{task}}/schema")
async def get_step_run_schema(task: PathId, scope: ViewerScope, context: ContextDep) -> JsonObject:
    """A JSON schema of the input: that of the workflow, or the types of what the run was given."""
    run, _ = await _task(context, [scope.tenant_id], task)
    version = await context.catalogue.version(run.tenant_id, run.workflow_id, run.version_id)
    declared = None if version is None else wire.json_object(version.definition.input_json_schema)
    return declared or older_shapes.schema_of(wire.json_object(run.input))


@routes.get(f"{API}/step-runs/{{task}}/events")
async def list_step_run_events(
    task: PathId,
    caller: ViewerCaller,
    context: ContextDep,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=EVENTS_PER_RUN_MAX)] = EVENTS_PER_RUN_MAX,
) -> older_shapes.StepRunEventList:
    """What happened to a task, newest first. What the clients of 2025 have no word for is left out of a page."""
    run, _ = await _task(context, caller.tenant_ids, task)
    page = await context.reads.task_events(run.tenant_id, task, limit=limit, offset=offset)
    return older_shapes.step_run_events(run.id, ((entry.seq, entry) for entry in page.rows))


@routes.get(f"{API}/step-runs/{{task}}/archives")
async def list_step_run_archives(
    task: PathId,
    caller: ViewerCaller,
    context: ContextDep,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=ARCHIVES_MAX)] = 50,
) -> older_shapes.StepRunArchiveList:
    """The attempts before the latest one, newest first."""
    run, latest = await _task(context, caller.tenant_ids, task)
    newest = latest.retry_count - 1 - offset
    numbers = range(newest, max(-1, newest - limit), -1)
    attempts = [await context.reads.attempt(run.tenant_id, latest, number) for number in numbers]
    return older_shapes.StepRunArchiveList(
        rows=[older_shapes.archive(run, attempt) for attempt in attempts if attempt is not None]
    )


@routes.post(f"{API}/tenants/{{tenant}}/step-runs/{{task}}/rerun")
async def rerun_step_run(
    body: Rerun, task: PathId, scope: MemberScope, context: ContextDep
) -> older_shapes.StepRunAlone:
    """Queues a task that is over again, and what depends on it. A run keeps its input: another one is refused."""
    run, record = await _task(context, [scope.tenant_id], task)
    kept = wire.json_object(run.input)
    if body.input not in ({}, kept) and body.input.get("input") != kept:
        raise InvalidArgument("a run keeps its input; start a new run for another one", field="input")
    if record.status not in TERMINAL:
        raise FailedPrecondition(f"step run {task} is not over")
    await context.engine.submit(scope.tenant_id, ReplayTasks((task,)), by=scope.caller.by)
    return older_shapes.step_run_alone(*await _task(context, [scope.tenant_id], task))


@routes.post(f"{API}/tenants/{{tenant}}/step-runs/{{task}}/cancel")
async def cancel_step_run(task: PathId, scope: MemberScope, context: ContextDep) -> older_shapes.StepRunAlone:
    """Cancels a task; one that is over stays as it is."""
    await _task(context, [scope.tenant_id], task)
    await context.engine.submit(scope.tenant_id, CancelTasks((task,)), by=scope.caller.by)
    return older_shapes.step_run_alone(*await _task(context, [scope.tenant_id], task))


# Runs ---------------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/workflow-runs/{{run}}/input")
async def get_run_input(run: PathId, scope: ViewerScope, context: ContextDep) -> JsonObject:
    return wire.json_object((await read_run(context, [scope.tenant_id], run)).input)


@routes.get(f"{API}/workflow-runs/{{run}}/input")
async def get_run_input_by_id(run: PathId, caller: ViewerCaller, context: ContextDep) -> JsonObject:
    return wire.json_object((await read_run(context, caller.tenant_ids, run)).input)


@routes.get(f"{API}/tenants/{{tenant}}/workflow-runs/{{run}}/shape")
async def get_run_shape(run: PathId, scope: ViewerScope, context: ContextDep) -> older_shapes.WorkflowRunShape:
    """A run as one job with all its steps, those that have not begun included."""
    found = await read_run(context, [scope.tenant_id], run)
    definitions = await context.catalogue.definitions(found.tenant_id, [found.version_id])
    return older_shapes.run_shape(found, definitions.get(found.version_id))


@routes.get(f"{API}/tenants/{{tenant}}/workflow-runs/{{run}}/step-run-events")
async def list_run_step_run_events(
    run: PathId,
    scope: ViewerScope,
    context: ContextDep,
    last_id: Annotated[int | None, Query(alias="lastId", ge=0, le=2**31 - 1)] = None,
) -> older_shapes.StepRunEventList:
    """What happened to all tasks of a run, oldest first; with `lastId` only what came after that entry."""
    found = await read_run(context, [scope.tenant_id], run)
    entries = await context.reads.run_events(found.tenant_id, [task.id for task in found.tasks])
    numbered = [(number, entry) for number, entry in enumerate(entries, 1) if number > (last_id or 0)]
    return older_shapes.step_run_events(found.id, numbered)


@routes.get(f"{API}/tenants/{{tenant}}/workflows/runs/metrics")
async def count_runs(
    scope: ViewerScope, context: ContextDep, query: Annotated[RunQuery, Query()]
) -> older_shapes.WorkflowRunsMetrics:
    """Runs by status, filtered like the list of runs."""
    parents: list[str | None] = [query.parent_step_run_id]
    if query.parent_run_id is not None and query.parent_step_run_id is None:
        parents = [*await parents_of(context, scope.tenant_id, query.parent_run_id)]
    counts = [await context.reads.run_status_counts(query.for_tenant(scope.tenant_id, parent)) for parent in parents]
    return older_shapes.run_metrics(count for count, _ in counts)


@routes.get(f"{API}/tenants/{{tenant}}/workflows/{{workflow}}/worker-count")
async def count_workers(workflow: PathId, scope: ViewerScope, context: ContextDep) -> older_shapes.WorkflowWorkersCount:
    """Slots of the active workers that can run a task of the workflow."""
    record = await context.catalogue.workflow([scope.tenant_id], workflow)
    version = None if record is None else await context.catalogue.version(scope.tenant_id, workflow)
    if version is None:
        raise missing("workflow", workflow)
    page, _ = await context.catalogue.workers_page(
        scope.tenant_id, statuses=["ACTIVE"], labels=(), limit=WORKERS_MAX, offset=0, after=None
    )
    actions = {task.action_id for task in version.definition.tasks}
    able = [worker for worker in page.rows if not actions.isdisjoint(worker.actions)]
    slots = [(limit, worker.slots_used(kind)) for worker in able for kind, limit in worker.slots.items()]
    return older_shapes.WorkflowWorkersCount(
        free_slot_count=sum(max(0, limit - used) for limit, used in slots),
        max_slot_count=sum(limit for limit, _ in slots),
        workflow_run_id=workflow,
    )


# Events -------------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/events/keys")
async def list_event_keys(scope: ViewerScope, context: ContextDep) -> older_shapes.EventKeyList:
    """The keys seen in the last 24 hours."""
    keys = await context.event_reads.event_keys(scope.tenant_id, datetime.now(UTC) - KEYS_SPAN)
    return older_shapes.EventKeyList(rows=keys)


@routes.post(f"{API}/tenants/{{tenant}}/events/cancel")
async def cancel_events(body: CancelledEvents, scope: MemberScope, context: ContextDep) -> older_shapes.CancelledRuns:
    """Cancels the live runs that these events started, and answers their ids."""
    run_ids: list[str] = []
    for event_id in dict.fromkeys(body.event_ids):
        wanted = RunFilter(
            tenant_id=scope.tenant_id,
            since=_BEGINNING,
            until=datetime.now(UTC) + _AHEAD,
            statuses=LIVE_RUN,
            event_id=event_id,
        )
        run_ids += await context.reads.run_ids(wanted, limit=CANCELLED_BY_FILTER_MAX - len(run_ids))
    for part in in_parts(run_ids):
        await context.engine.submit(scope.tenant_id, CancelTasks(part), by=scope.caller.by)
    return older_shapes.CancelledRuns(workflow_run_ids=run_ids)


async def _task(context: Context, tenant_ids: list[str], task_id: str) -> tuple[RunRecord, TaskRecord]:
    found = await context.reads.task(tenant_ids, task_id)
    if found is None:
        raise missing("step run", task_id)
    return found
