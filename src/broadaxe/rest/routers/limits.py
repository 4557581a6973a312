"""Rate limits: listed, put and forgotten. Source: REST specification 4.13 and 7.13; putting is ours."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import BaseModel, Field

from broadaxe.core.commands.ratelimits import DeleteRateLimit, PutRateLimit
from broadaxe.core.durations import format_duration, parse_duration
from broadaxe.errors import InvalidArgument
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, ViewerScope
from broadaxe.rest.parameters import Body, Limit, Offset, page_of, plain_text
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.shapes import limits as shapes
from broadaxe.storage.pages import ByKey, ByNumber
from broadaxe.storage.rate_limit_reads import RateLimitOrder

routes = router("rate limits")


class RateLimitQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 50
    cursor: Cursor = None
    search: str = Field(default="", max_length=1_000)
    order_by: Literal["key", "value", "limitValue"] = Field(default="key", alias="orderByField")
    direction: Literal["asc", "desc"] = Field(default="asc", alias="orderByDirection")


class NewLimit(Body):
    key: str = Field(min_length=1, max_length=10_000)
    limit: int = Field(ge=0, le=2**31 - 1, description="Units of each window.")
    window: str = Field(max_length=100, description="How long a window is, as a duration such as 1s, 5m or 24h.")


@routes.get(f"{API}/tenants/{{tenant}}/rate-limits")
async def list_rate_limits(
    scope: ViewerScope, context: ContextDep, query: Annotated[RateLimitQuery, Query()]
) -> shapes.RateLimitList:
    """Rate limits with the units they have left now. A walk by cursor in the order of `value` may miss limits, or meet
    them twice, whose value changes meanwhile."""
    # Both parts are literals, whose product the type checker does not form.
    order: RateLimitOrder = f"{query.order_by} {query.direction}"  # type: ignore[assignment]
    listing: Listing[ByKey | ByNumber] = Listing(ByKey if query.order_by == "key" else ByNumber, "rate limits", order)
    after = listing.after(query.cursor, query.offset)
    page, total = await context.rate_limit_reads.rate_limits_page(
        scope.tenant_id, query.search, order, limit=query.limit, offset=query.offset, after=after
    )
    rows = [
        shapes.RateLimit(
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
    return shapes.RateLimitList(pagination=listing.pagination(page.end, numbers), rows=rows)


@routes.put(f"{STABLE}/tenants/{{tenant}}/rate-limits", status_code=204)
async def put_rate_limit(body: NewLimit, scope: MemberScope, context: ContextDep) -> Response:
    """Makes a limit or changes the one of that key. Raising it adds no units before the next refill; lowering it takes
    some away. Code that declares it otherwise changes it again."""
    window_us = parse_duration(body.window, field="window")
    if window_us <= 0:
        raise InvalidArgument("a window lasts longer than nothing", field="window")
    await context.engine.submit(
        scope.tenant_id, PutRateLimit(plain_text(body.key, field="key"), body.limit, window_us), by=scope.caller.by
    )
    return Response(status_code=204)


@routes.delete(f"{API}/tenants/{{tenant}}/rate-limits", status_code=204)
async def delete_rate_limit(
    scope: MemberScope, context: ContextDep, key: Annotated[str, Query(min_length=1, max_length=10_000)]
) -> Response:
    """Forgets a limit. Tasks under it wait until it is put again."""
    await context.engine.submit(scope.tenant_id, DeleteRateLimit(key), by=scope.caller.by)
    return Response(status_code=204)
