"""Rate limits: listed and forgotten. (They are put over gRPC.) Source: REST specification 4.13 and 7.13."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import BaseModel, Field

from broadaxe.core.commands import DeleteRateLimit
from broadaxe.core.durations import format_duration
from broadaxe.rest import wire
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, ViewerScope
from broadaxe.rest.parameters import Limit, Offset, page_of
from broadaxe.rest.routers.route import API, router
from broadaxe.storage.pages import ByKey, ByNumber
from broadaxe.storage.reads import RateLimitOrder

routes = router("rate limits")


class RateLimitQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 50
    cursor: Cursor = None
    search: str = Field(default="", max_length=1_000)
    order_by: Literal["key", "value", "limitValue"] = Field(default="key", alias="orderByField")
    direction: Literal["asc", "desc"] = Field(default="asc", alias="orderByDirection")


@routes.get(f"{API}/tenants/{{tenant}}/rate-limits")
async def list_rate_limits(
    scope: ViewerScope, context: ContextDep, query: Annotated[RateLimitQuery, Query()]
) -> wire.RateLimitList:
    """Rate limits with the units they have left now. A walk by cursor in the order of `value` may miss limits, or meet
    them twice, whose value changes meanwhile."""
    # Both parts are literals, whose product the type checker does not form.
    order: RateLimitOrder = f"{query.order_by} {query.direction}"  # type: ignore[assignment]
    listing: Listing[ByKey | ByNumber] = Listing(ByKey if query.order_by == "key" else ByNumber, "rate limits", order)
    after = listing.after(query.cursor, query.offset)
    page, total = await context.reads.rate_limits_page(
        scope.tenant_id, query.search, order, limit=query.limit, offset=query.offset, after=after
    )
    rows = [
        wire.RateLimit(
            key=record.key,
            tenant_id=scope.tenant_id,
            limit_value=record.limit,
            value=record.value,
            window=format_duration(record.window_us),
            last_refill=record.last_refill_at,
            paused_until=record.paused_until,
        )
        for record in page.rows
    ]
    numbers = None if after else page_of(query.offset, query.limit, total)
    return wire.RateLimitList(pagination=listing.pagination(page.end, numbers), rows=rows)


@routes.delete(f"{API}/tenants/{{tenant}}/rate-limits", status_code=204)
async def delete_rate_limit(
    scope: MemberScope, context: ContextDep, key: Annotated[str, Query(min_length=1, max_length=10_000)]
) -> Response:
    """Forgets a limit. Tasks under it wait until it is put again."""
    await context.engine.submit(scope.tenant_id, DeleteRateLimit(key))
    return Response(status_code=204)
