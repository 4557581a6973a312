"""Addresses of the SDKs of 2025 that have others today, so that code of that time goes on working.

Owns the translation of what they ask; what is behind is the same as behind today's addresses. What they could ask and
cannot be answered truthfully is refused by its name. Source: REST specification 4.14.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks, in_parts
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.triggers import BULK_MAX
from broadaxe.errors import InvalidArgument
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberCaller, MemberScope, ViewerCaller, ViewerScope, missing
from broadaxe.rest.parameters import (
    BODY_VALUES_MAX,
    LIST_VALUES_MAX,
    Body,
    Id,
    InputInstant,
    Limit,
    Offset,
    PathId,
    json_text,
    metadata_text,
    page_of,
    strict_metadata_pairs,
)
from broadaxe.rest.routers.events import listed_events
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import events as event_shapes
from broadaxe.rest.shapes import older as older_shapes
from broadaxe.storage.event_reads import EventFilter
from broadaxe.storage.log_reads import LogFilter
from broadaxe.storage.pages import ById, ByTime
from broadaxe.storage.reads import RunRecord
from broadaxe.storage.run_filter import RunFilter

RUNS_PAGE_MAX: Final = 2_000
RUNS_REPLAYED_MAX: Final = 500
LINES_MAX: Final = 10_000
SEARCH_LENGTH_MAX: Final = 1_000
#: Their lists knew no default span of time.
_BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=1)

_RUNS: Final = Listing(ById, "runs")

routes = router("runs of 2025")

OldStatus = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "QUEUED", "BACKOFF"]


class RunQuery(BaseModel):
    offset: Offset = 0
    cursor: Cursor = None
    limit: int = Field(default=50, ge=1, le=RUNS_PAGE_MAX)
    event_id: Id | None = Field(default=None, alias="eventId")
    workflow_id: Id | None = Field(default=None, alias="workflowId")
    parent_run_id: Id | None = Field(default=None, alias="parentWorkflowRunId")
    parent_step_run_id: Id | None = Field(default=None, alias="parentStepRunId")
    statuses: list[OldStatus] | None = None
    additional_metadata: list[str] | None = Field(default=None, alias="additionalMetadata", max_length=LIST_VALUES_MAX)
    created_after: InputInstant | None = Field(default=None, alias="createdAfter")
    created_before: InputInstant | None = Field(default=None, alias="createdBefore")
    finished_after: InputInstant | None = Field(default=None, alias="finishedAfter")
    finished_before: InputInstant | None = Field(default=None, alias="finishedBefore")
    order_by_field: Literal["createdAt", "startedAt", "finishedAt", "duration"] = Field(
        default="createdAt", alias="orderByField"
    )
    order_by_direction: Literal["ASC", "DESC"] = Field(default="DESC", alias="orderByDirection")

    def for_tenant(self, tenant_id: str, parent_task_id: str | None) -> RunFilter:
        for field, is_asked in (
            ("finishedAfter", self.finished_after is not None),
            ("finishedBefore", self.finished_before is not None),
            ("orderByField", self.order_by_field != "createdAt"),
            ("orderByDirection", self.order_by_direction != "DESC"),
        ):
            if is_asked:
                raise InvalidArgument("runs are listed by creation time, newest first", field=field)
        return RunFilter(
            tenant_id=tenant_id,
            since=self.created_after or _BEGINNING,
            until=self.created_before or datetime.now(UTC) + _AHEAD,
            statuses=frozenset(older_shapes.RUN_STATUSES[word] for word in self.statuses) if self.statuses else None,
            workflow_ids=None if self.workflow_id is None else (self.workflow_id,),
            parent_task_id=parent_task_id,
            event_id=self.event_id,
            metadata=strict_metadata_pairs(self.additional_metadata, field="additionalMetadata"),
            match_all=True,
        )


class LogQuery(BaseModel):
    offset: Offset = 0
    cursor: Cursor = None
    limit: int = Field(default=50, ge=1, le=LINES_MAX)
    levels: list[Literal["DEBUG", "INFO", "WARN", "ERROR"]] | None = None
    search: str | None = Field(default=None, max_length=SEARCH_LENGTH_MAX)
    order_by_field: Literal["createdAt"] = Field(default="createdAt", alias="orderByField")
    order_by_direction: Literal["asc", "desc"] = Field(default="asc", alias="orderByDirection")


class EventQuery(BaseModel):
    offset: Offset = 0
    cursor: Cursor = None
    limit: Limit = 50
    keys: list[str] | None = Field(default=None, max_length=LIST_VALUES_MAX)
    workflows: list[Id] | None = Field(default=None, max_length=LIST_VALUES_MAX)
    statuses: list[OldStatus] | None = None
    search: str | None = None
    additional_metadata: list[str] | None = Field(default=None, alias="additionalMetadata", max_length=LIST_VALUES_MAX)
    order_by_field: Literal["createdAt"] = Field(default="createdAt", alias="orderByField")
    order_by_direction: Literal["asc", "desc"] = Field(default="desc", alias="orderByDirection")


class RunIds(Body):
    workflow_run_ids: list[Id] = Field(max_length=BODY_VALUES_MAX)


class EventIds(Body):
    event_ids: list[Id] = Field(max_length=BULK_MAX)


class OlderTrigger(Body):
    input: dict[str, object]
    additional_metadata: dict[str, object] | None = None


# Runs ---------------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/workflows/runs")
async def list_runs(
    scope: ViewerScope, context: ContextDep, query: Annotated[RunQuery, Query()]
) -> older_shapes.WorkflowRunList:
    """Runs, newest first. All metadata pairs must match."""
    reads = context.reads
    after = _RUNS.after(query.cursor, query.offset)
    if query.parent_run_id is not None and query.parent_step_run_id is None:
        runs: list[RunRecord] = []
        for task_id in await parents_of(context, scope.tenant_id, query.parent_run_id):
            wanted = query.for_tenant(scope.tenant_id, task_id)
            runs += (await reads.runs_page(wanted, limit=RUNS_PAGE_MAX, after=after, with_payloads=True)).rows
        runs.sort(key=lambda run: run.id, reverse=True)
        total = len(runs)
        runs = runs[query.offset : query.offset + query.limit]
        end = ById(runs[-1].id) if len(runs) == query.limit else None
    else:
        wanted = query.for_tenant(scope.tenant_id, query.parent_step_run_id)
        page = await reads.runs_page(wanted, limit=query.limit, offset=query.offset, after=after, with_payloads=True)
        runs, end = page.rows, page.end
        total = 0 if after else await reads.count_runs(wanted)
    numbers = None if after else page_of(query.offset, query.limit, total)
    return older_shapes.WorkflowRunList(
        rows=[older_shapes.workflow_run(run) for run in runs], pagination=_RUNS.pagination(end, numbers)
    )


@routes.get(f"{API}/tenants/{{tenant}}/workflow-runs/{{run}}")
async def get_run(run: PathId, scope: ViewerScope, context: ContextDep) -> older_shapes.OlderWorkflowRun:
    return older_shapes.workflow_run(await read_run(context, [scope.tenant_id], run))


@routes.post(f"{API}/tenants/{{tenant}}/workflow-runs/replay")
async def replay(body: RunIds, scope: MemberScope, context: ContextDep) -> older_shapes.ReplayedRuns:
    """Queues the tasks of these runs again; runs that are still active are left alone. Answers all of them."""
    if len(body.workflow_run_ids) > RUNS_REPLAYED_MAX:
        raise InvalidArgument(f"at most {RUNS_REPLAYED_MAX} runs at a time", field="workflowRunIds")
    run_ids = tuple(dict.fromkeys(body.workflow_run_ids))
    await context.engine.submit(scope.tenant_id, ReplayTasks(run_ids), by=scope.caller.by)
    found = [await context.reads.run([scope.tenant_id], run_id, with_payloads=True) for run_id in run_ids]
    return older_shapes.ReplayedRuns(workflow_runs=[older_shapes.workflow_run(run) for run in found if run is not None])


@routes.post(f"{API}/tenants/{{tenant}}/workflows/cancel")
async def cancel(body: RunIds, scope: MemberScope, context: ContextDep) -> older_shapes.CancelledRuns:
    """Answers the ids given, whether or not the runs were still active; ids of nothing in this tenant are left out."""
    run_ids = tuple(dict.fromkeys(body.workflow_run_ids))
    for part in in_parts(run_ids):
        await context.engine.submit(scope.tenant_id, CancelTasks(part), by=scope.caller.by)
    return older_shapes.CancelledRuns(workflow_run_ids=await context.reads.known_ids(scope.tenant_id, run_ids))


@routes.post(f"{API}/workflows/{{workflow}}/trigger")
async def trigger(
    body: OlderTrigger,
    workflow: PathId,
    caller: MemberCaller,
    context: ContextDep,
    version: Annotated[Id | None, Query()] = None,
) -> older_shapes.OlderWorkflowRun:
    """Starts a run of the newest version; `version` may only name that."""
    record = await context.catalogue.workflow(caller.tenant_ids, workflow)
    if record is None:
        raise missing("workflow", workflow)
    caller.enter(record.tenant_id)
    newest = await context.catalogue.version(record.tenant_id, record.id)
    if version is not None and (newest is None or newest.id != version):
        raise InvalidArgument("only the newest version can be started", field="version")
    metadata = None
    if body.additional_metadata:
        metadata = metadata_text(body.additional_metadata, field="additionalMetadata")
    request = RunRequest(
        workflow_name=record.name, input=json_text(body.input, field="input"), additional_metadata=metadata
    )
    reply = await context.engine.submit(record.tenant_id, TriggerRuns((request,)), by=caller.by)
    assert isinstance(reply, tuple)
    return older_shapes.workflow_run(await read_run(context, [record.tenant_id], str(reply[0])))


@routes.get(f"{API}/step-runs/{{task}}/logs")
async def list_logs(
    task: PathId, caller: ViewerCaller, context: ContextDep, query: Annotated[LogQuery, Query()]
) -> older_shapes.OlderLogLineList:
    """Log lines of a task."""
    tenant_id = await context.reads.tenant_of_task(caller.tenant_ids, task)
    if tenant_id is None:
        raise missing("step run", task)
    listing = Listing(ByTime, "log lines of a task", task, query.order_by_direction.upper())
    wanted = LogFilter(search=query.search, levels=tuple(query.levels) if query.levels else None)
    page = await context.log_reads.task_logs(
        tenant_id,
        [task],
        wanted,
        newest_first=query.order_by_direction == "desc",
        limit=query.limit,
        offset=query.offset,
        after=listing.after(query.cursor, query.offset),
    )
    return older_shapes.OlderLogLineList(
        pagination=listing.pagination(page.end), rows=[older_shapes.log_line(line) for line in page.rows]
    )


# Events -------------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/events")
async def list_events(
    scope: ViewerScope, context: ContextDep, query: Annotated[EventQuery, Query()]
) -> event_shapes.EventList:
    """Events, newest first."""
    if query.search:
        raise InvalidArgument("payloads are not searched; filter by keys or metadata", field="search")
    if query.order_by_direction != "desc":
        raise InvalidArgument("events are listed newest first", field="orderByDirection")
    statuses = frozenset(older_shapes.RUN_STATUSES[word] for word in query.statuses) if query.statuses else None
    wanted = EventFilter(
        tenant_id=scope.tenant_id,
        since=_BEGINNING,
        until=datetime.now(UTC) + _AHEAD,
        keys=tuple(query.keys) if query.keys else None,
        workflow_ids=tuple(query.workflows) if query.workflows else None,
        run_statuses=statuses,
        metadata=strict_metadata_pairs(query.additional_metadata, field="additionalMetadata"),
    )
    return await listed_events(context, wanted, query)


@routes.post(f"{API}/tenants/{{tenant}}/events/replay")
async def replay_events(body: EventIds, scope: MemberScope, context: ContextDep) -> older_shapes.ReplayedEvents:
    """Pushes the same events once more; answers the new ones."""
    requests: list[EventRequest] = []
    for event_id in dict.fromkeys(body.event_ids):
        record = await context.event_reads.event([scope.tenant_id], event_id)
        if record is None:
            raise missing("event", event_id)
        requests.append(
            EventRequest(
                key=record.key,
                payload=record.payload,
                additional_metadata=record.additional_metadata,
                scope=record.scope,
            )
        )
    pushed = (
        await context.engine.submit(scope.tenant_id, PushEvents(tuple(requests)), by=scope.caller.by)
        if requests
        else ()
    )
    assert isinstance(pushed, tuple)
    found = [
        await context.event_reads.event([scope.tenant_id], event.event_id)
        for event in pushed
        if isinstance(event, PushedEvent)
    ]
    return older_shapes.ReplayedEvents(rows=[event_shapes.event(record) for record in found if record is not None])


async def parents_of(context: Context, tenant_id: str, run_id: str) -> list[str]:
    """The tasks of a run that spawned children; of an unknown run none."""
    parent = await context.reads.run([tenant_id], run_id, with_payloads=False)
    return [] if parent is None else [task.id for task in parent.tasks if task.spawned_children]


async def read_run(context: Context, tenant_ids: list[str], run_id: str) -> RunRecord:
    run = await context.reads.run(tenant_ids, run_id, with_payloads=True)
    if run is None:
        raise missing("workflow run", run_id)
    return run
