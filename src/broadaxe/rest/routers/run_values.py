"""Values of runs: what a run says of itself under a name, read by anybody while it runs. Ours; not of the protocol.

Applications with the engine's tables in their database set them in their own transactions (docs/transactions.md);
everybody else sets them here. The body is the value, whatever JSON can say.
"""

from __future__ import annotations

import json
from typing import Annotated, Final

from fastapi import Path, Query, Request

from broadaxe.engine.changes import Kind
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import Caller, MemberCaller, ViewerCaller, missing
from broadaxe.rest.parameters import PathId, json_text, plain_text
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import run_values as shapes
from broadaxe.storage.pages import ByKey
from broadaxe.storage.run_values import read_value, set_value, values_page

VALUES_ON_PAGE_MAX: Final = 100

_VALUES: Final = f"{STABLE}/workflow-runs/{{run}}/values"
_VALUE: Final = f"{_VALUES}/{{name:path}}"
_ANYTHING: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}}

routes = router("runs")

Name = Annotated[str, Path(description="What the value is called, up to 1,024 bytes; slashes belong to it.")]


@routes.get(_VALUES)
async def list_values(
    run: PathId,
    caller: ViewerCaller,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=VALUES_ON_PAGE_MAX)] = VALUES_ON_PAGE_MAX,
    cursor: Cursor = None,
) -> shapes.ValueList:
    """What the run said of itself, in the order of the names; the last commit counts. Values of more than 16 KiB are
    left out."""
    tenant_id = await _tenant_of(context, caller, run)
    listing = Listing(ByKey, "values", run)
    page = await values_page(context.pool, tenant_id, run, limit=limit, after=listing.after(cursor))
    return shapes.ValueList(pagination=listing.pagination(page.end), rows=[shapes.value(row) for row in page.rows])


@routes.get(_VALUE)
async def get_value(run: PathId, name: Name, caller: ViewerCaller, context: ContextDep) -> shapes.Value:
    """What the run said of itself under a name, whatever its size."""
    return await _value(context, await _tenant_of(context, caller, run), run, plain_text(name, field="name"))


@routes.put(_VALUE, openapi_extra=_ANYTHING)
async def put_value(
    run: PathId, name: Name, request: Request, caller: MemberCaller, context: ContextDep
) -> shapes.Value:
    """Says something of a run under a name, in the place of what was said under it before. It is stored when this is
    answered. A run that has ended takes values too, as long as it is kept."""
    tenant_id = await _tenant_of(context, caller, run)
    name = plain_text(name, field="name")
    content = await request.body()
    try:
        json_text(json.loads(content), field="value")
    except (ValueError, RecursionError):
        raise InvalidArgument("the body is no JSON, or is nested too deeply", field="value") from None
    # As it was written: numbers may have more digits than a float.
    await set_value(context.pool, tenant_id, run, name, content.decode())
    context.engine.note_change(tenant_id, Kind.RUNS, [run])
    return await _value(context, tenant_id, run, name)


async def _value(context: Context, tenant_id: str, run: str, name: str) -> shapes.Value:
    found = await read_value(context.pool, tenant_id, run, name)
    if found is None:
        raise NotFound(f"run {run} has no value {name[:80]!r}", field="name")
    return shapes.value(found)


async def _tenant_of(context: Context, caller: Caller, run: str) -> str:
    found = await context.reads.runs_by_id(caller.tenant_ids, [run])
    if not found:
        raise missing("run", run)
    return caller.enter(found[0].tenant_id).tenant_id
