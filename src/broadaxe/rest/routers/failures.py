"""What goes wrong: failed tasks grouped by the mistake they died of.

A group is told by its fingerprint (`rest/error_groups.py`). It is kept nowhere: it is what the newest failed tasks of a
time range say when somebody asks, so its tasks are read again to act on them.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import BaseModel

from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.error_groups import ErrorGroup, group_failures
from broadaxe.rest.identity import ViewerScope, missing
from broadaxe.rest.parameters import IdList, InputInstant, TextList
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.run_selection import until_or_later
from broadaxe.rest.shapes import failures as shapes
from broadaxe.storage.failure_reads import FAILURES_LOOKED_AT_MAX, FailedTask

GROUPS_MAX: Final = 500

routes = router("failures")


class FailureQuery(BaseModel):
    since: InputInstant
    until: InputInstant | None = None
    workflow_ids: IdList = None
    workflow_names: TextList = None


@routes.get(f"{STABLE}/tenants/{{tenant}}/error-groups")
async def list_error_groups(
    scope: ViewerScope, context: ContextDep, query: Annotated[FailureQuery, Query()]
) -> shapes.ErrorGroupList:
    """Tasks made in the time range that stand FAILED, grouped by the innermost frame of their own code (libraries and
    the SDK left out) and the type of exception; the most frequent group first.

    Looks at the newest 5000 of these tasks; `oldestLookedAt` says how far back that was if there may be more. At most
    500 groups.
    """
    failed = await _failed(context, scope.tenant_id, query)
    groups = await asyncio.to_thread(group_failures, failed)
    is_cut = len(failed) >= FAILURES_LOOKED_AT_MAX
    return shapes.ErrorGroupList(
        rows=[_shown(group) for group in groups[:GROUPS_MAX]],
        tasks_looked_at=len(failed),
        oldest_looked_at=min(task.failed_at for task in failed) if is_cut else None,
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/error-groups/{{fingerprint}}/tasks")
async def list_tasks_of_error_group(
    fingerprint: Annotated[str, Path(pattern="^[0-9a-f]{16}$")],
    scope: ViewerScope,
    context: ContextDep,
    query: Annotated[FailureQuery, Query()],
) -> shapes.ErrorGroupTasks:
    """The tasks of one group, newest first, as the list with the same parameters counts them: to be looked at, or
    replayed by their ids."""
    groups = await asyncio.to_thread(group_failures, await _failed(context, scope.tenant_id, query))
    found = next((group for group in groups if group.fingerprint == fingerprint), None)
    if found is None:
        raise missing("error group", fingerprint)
    return shapes.ErrorGroupTasks(
        rows=[
            shapes.ErrorGroupTask(
                task_external_id=task.id,
                workflow_run_external_id=task.run_id,
                workflow_name=task.workflow_name,
                task_name=task.name,
                failed_at=task.failed_at,
            )
            for task in found.tasks
        ]
    )


async def _failed(context: Context, tenant_id: str, query: FailureQuery) -> list[FailedTask]:
    workflow_ids: tuple[str, ...] | None = tuple(query.workflow_ids) if query.workflow_ids else None
    if query.workflow_names:
        workflow_ids = (workflow_ids or ()) + await context.catalogue.workflows_named(tenant_id, query.workflow_names)
    until: datetime = until_or_later(query.until)
    return await context.failure_reads.newest(tenant_id, query.since, until, workflow_ids)


def _shown(group: ErrorGroup) -> shapes.ErrorGroup:
    mistake, newest = group.mistake, group.tasks[0]
    return shapes.ErrorGroup(
        fingerprint=group.fingerprint,
        exception_type=mistake.kind or None,
        message=mistake.message,
        file=mistake.file,
        line=mistake.line,
        function=mistake.function,
        code=mistake.code,
        count=len(group.tasks),
        first_seen_at=group.first_at,
        last_seen_at=group.last_at,
        example_run_external_id=newest.run_id,
        example_task_external_id=newest.id,
        workflows=[
            shapes.ErrorGroupWorkflow(workflow_id=workflow_id, name=name, count=count)
            for workflow_id, name, count in group.workflows
        ],
        task_names=sorted({task.name for task in group.tasks}),
    )
