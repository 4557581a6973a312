"""Workflows and their versions."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Response

from broadaxe.core.commands import DeleteWorkflow
from broadaxe.errors import Unimplemented
from broadaxe.rest import presentation, wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import CallerDep, ViewerScope, missing
from broadaxe.rest.parameters import Id, Limit, Offset, PathId, page_of
from broadaxe.rest.routers.route import API, router
from broadaxe.storage.accounts import Role
from broadaxe.storage.catalogue import WorkflowRecord

NAME_LENGTH_MAX: Final = 1_000

routes = router("workflows")


@routes.get(f"{API}/tenants/{{tenant}}/workflows")
async def list_workflows(
    scope: ViewerScope,
    context: ContextDep,
    name: Annotated[str | None, Query(max_length=NAME_LENGTH_MAX)] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> wire.WorkflowList:
    """Workflows whose name contains `name`, in any case; an exact match comes first, then the newest."""
    records, total = await context.catalogue.workflows_page(scope.tenant_id, name=name, limit=limit, offset=offset)
    return wire.WorkflowList(
        pagination=page_of(offset, limit, total), rows=[presentation.workflow(record) for record in records]
    )


@routes.get(f"{API}/workflows/{{workflow}}")
async def get_workflow(workflow: PathId, caller: CallerDep, context: ContextDep) -> wire.Workflow:
    """A workflow with its latest version."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    return presentation.workflow(record, await context.catalogue.version(record.tenant_id, record.id))


@routes.get(f"{API}/workflows/{{workflow}}/versions")
async def get_version(
    workflow: PathId, caller: CallerDep, context: ContextDep, version: Annotated[Id | None, Query()] = None
) -> wire.WorkflowVersion:
    """One version of a workflow, the latest unless `version` is given."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    found = await context.catalogue.version(record.tenant_id, record.id, version)
    if found is None:
        raise missing("workflow version", version or workflow)
    return presentation.workflow_version(record, found)


@routes.patch(f"{API}/workflows/{{workflow}}")
async def change_workflow(workflow: PathId, caller: CallerDep, context: ContextDep) -> wire.Workflow:
    """Pausing workflows is not available in this version."""
    await _workflow(context, caller.tenant_ids, workflow)
    raise Unimplemented("pausing a workflow is not available yet; pause its workers instead")


@routes.delete(f"{API}/workflows/{{workflow}}", status_code=204)
async def delete_workflow(workflow: PathId, caller: CallerDep, context: ContextDep) -> Response:
    """Forgets the name; history and live runs stay."""
    record = await _workflow(context, caller.tenant_ids, workflow)
    caller.require(record.tenant_id, Role.MEMBER)
    await context.engine.submit(record.tenant_id, DeleteWorkflow(record.id))
    return Response(status_code=204)


async def _workflow(context: Context, tenant_ids: list[str], workflow_id: str) -> WorkflowRecord:
    record = await context.catalogue.workflow(tenant_ids, workflow_id)
    if record is None:
        raise missing("workflow", workflow_id)
    return record
