"""Event filters, trying an expression out, and expressions that failed. Source: REST specification 3.7, 4.10."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, Field

from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.decision import FailureSource
from broadaxe.core.expressions import Environment, Failure, evaluate_bool
from broadaxe.errors import Internal
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, ViewerScope, missing
from broadaxe.rest.parameters import LIST_VALUES_MAX, Body, Id, Limit, Offset, PathId, json_text, plain_text
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import filters as shapes
from broadaxe.rest.wire import Pagination
from broadaxe.storage.event_reads import FilterRecord
from broadaxe.storage.pages import ById

FILTERS_PAGE: Limit = 20_000

_FILTERS: Final = Listing(ById, "filters")
_FAILURES: Final = Listing(ById, "expression failures")

routes = router("filters")


class FilterQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = FILTERS_PAGE
    cursor: Cursor = None
    workflow_ids: list[Id] | None = Field(default=None, alias="workflowIds", max_length=LIST_VALUES_MAX)
    scopes: list[str] | None = Field(default=None, max_length=LIST_VALUES_MAX)


class NewFilter(Body):
    workflow_id: Id
    expression: str
    scope: str
    payload: dict[str, object] | None = None


class FilterChange(Body):
    expression: str | None = None
    scope: str | None = None
    payload: dict[str, object] | None = None


class Trial(Body):
    """A filter expression and what it shall be tried on."""

    expression: str
    input: dict[str, object]
    filter_payload: dict[str, object] | None = None
    additional_metadata: dict[str, object] | None = None


@routes.get(f"{STABLE}/tenants/{{tenant}}/filters")
async def list_filters(
    scope: ViewerScope, context: ContextDep, query: Annotated[FilterQuery, Query()]
) -> shapes.FilterList:
    """Event filters, newest first."""
    reads = context.event_reads
    chosen = (scope.tenant_id, query.workflow_ids or None, query.scopes or None)
    rows, pagination = await _FILTERS.read(
        query,
        lambda limit, offset, after: reads.filters_page(*chosen, limit=limit, offset=offset, after=after),
        lambda: reads.count_filters(*chosen),
        _pages_from_0,
    )
    return shapes.FilterList(
        pagination=pagination, rows=[shapes.event_filter(record, scope.tenant_id) for record in rows]
    )


def _pages_from_0(offset: int, limit: int, total: int) -> Pagination:
    """Only this list counts its pages so."""
    current = offset // limit
    return Pagination(current_page=current, next_page=current + 1, num_pages=-(-total // limit))


@routes.post(f"{STABLE}/tenants/{{tenant}}/filters")
async def create_filter(body: NewFilter, scope: MemberScope, context: ContextDep) -> shapes.Filter:
    """Makes a filter. From the first one on, the workflow's events have to name a scope."""
    command = CreateFilter(
        workflow_id=body.workflow_id,
        scope=plain_text(body.scope, field="scope"),
        expression=plain_text(body.expression, field="expression"),
        payload=json_text(body.payload or {}, field="payload"),
    )
    filter_id = await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    if not isinstance(filter_id, str):
        raise Internal(f"the engine answered {type(filter_id).__name__} where an id was due")
    return shapes.event_filter(await _filter(context, scope.tenant_id, filter_id), scope.tenant_id)


@routes.get(f"{STABLE}/tenants/{{tenant}}/filters/{{filter}}")
async def get_filter(filter: PathId, scope: ViewerScope, context: ContextDep) -> shapes.Filter:
    return shapes.event_filter(await _filter(context, scope.tenant_id, filter), scope.tenant_id)


@routes.patch(f"{STABLE}/tenants/{{tenant}}/filters/{{filter}}")
async def change_filter(filter: PathId, body: FilterChange, scope: MemberScope, context: ContextDep) -> shapes.Filter:
    """What is left out stays. Runs that were started keep the payload they were given."""
    payload = None if body.payload is None else json_text(body.payload, field="payload")
    for name, text in (("scope", body.scope), ("expression", body.expression)):
        if text is not None:
            plain_text(text, field=name)
    command = ChangeFilter(filter_id=filter, scope=body.scope, expression=body.expression, payload=payload)
    await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    return shapes.event_filter(await _filter(context, scope.tenant_id, filter), scope.tenant_id)


@routes.delete(f"{STABLE}/tenants/{{tenant}}/filters/{{filter}}")
async def delete_filter(filter: PathId, scope: MemberScope, context: ContextDep) -> shapes.Filter:
    """Answers the filter as it was. A declared one comes back when its workflow is registered with it again."""
    record = await _filter(context, scope.tenant_id, filter)
    await context.engine.submit(scope.tenant_id, DeleteFilter(filter), by=scope.caller.by)
    return shapes.event_filter(record, scope.tenant_id)


@routes.post(f"{STABLE}/tenants/{{tenant}}/cel/debug")
async def debug_expression(body: Trial, scope: ViewerScope) -> shapes.ExpressionDebug:
    """Evaluates a filter expression on made-up values."""
    variables: dict[str, object] = {
        "input": body.input,
        "payload": body.filter_payload or {},
        "additional_metadata": body.additional_metadata or {},
    }
    answer = evaluate_bool(body.expression, Environment.EVENT_FILTER, variables)
    if isinstance(answer, Failure):
        return shapes.ExpressionDebug(status="ERROR", error=answer.message)
    return shapes.ExpressionDebug(status="SUCCESS", output=answer)


@routes.get(f"{STABLE}/tenants/{{tenant}}/cel/failures")
async def list_expression_failures(
    scope: ViewerScope,
    context: ContextDep,
    sources: Annotated[list[FailureSource] | None, Query()] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> shapes.ExpressionFailures:
    """The newest expressions of filters and idempotency keys that failed while nobody waited, and limits of the tenant
    that kept runs of crons and schedules from being made; 1,000 are kept."""
    chosen = [source.value for source in sources] if sources else None
    after = _FAILURES.after(cursor, offset)
    page = await context.event_reads.expression_failures(
        scope.tenant_id, chosen, limit=limit, offset=offset, after=after
    )
    return shapes.ExpressionFailures(
        rows=[shapes.expression_failure(record) for record in page.rows],
        pagination=_FAILURES.only_cursor(page.end),
    )


async def _filter(context: Context, tenant_id: str, filter_id: str) -> FilterRecord:
    record = await context.event_reads.filter(tenant_id, filter_id)
    if record is None:
        raise missing("filter", filter_id)
    return record
