"""Reads of rate limits for people. Decides nothing. Invariants as in `reads.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from broadaxe.storage.pages import ByKey, ByNumber, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.reads import COUNT_MAX
from broadaxe.storage.statements import statement

__all__ = ["RateLimitOrder", "RateLimitReads", "RateLimitRecord"]

#: A field and a direction.
RateLimitOrder = Literal["key asc", "key desc", "value asc", "value desc", "limitValue asc", "limitValue desc"]


class RateLimitRecord(msgspec.Struct, frozen=True, gc=False):
    """A rate limit with the units it has left now."""

    key: str
    limit: int
    value: int
    window_us: int
    last_refill_at: datetime
    paused_until: datetime | None


class RateLimitReads:
    """The list of rate limits. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def rate_limits_page(
        self,
        tenant_id: str,
        search: str,
        order: RateLimitOrder,
        *,
        limit: int,
        offset: int,
        after: ByKey | ByNumber | None = None,
    ) -> tuple[Page[RateLimitRecord, ByKey | ByNumber], int]:
        """Rate limits whose key contains `search`, and how many there are, counting no further than `COUNT_MAX`.

        They are not counted for a page behind a place, which is a `ByKey` in the orders by key.
        """
        rows = await self._pool.fetch(
            statement("reads/rate_limits"),
            tenant_id,
            search,
            order,
            limit,
            offset,
            COUNT_MAX if after is None else 0,
            None if after is None else after.key,
            after.number if isinstance(after, ByNumber) else None,
        )
        records = [
            RateLimitRecord(
                row["key"],
                row["limit_value"],
                row["value"],
                row["window_us"],
                row["last_refill_at"],
                row["paused_until"],
            )
            for row in rows
        ]
        return page_of_rows(rows, records, limit, _rate_limit_place(order)), rows[0]["total"] if rows else 0


def _rate_limit_place(order: RateLimitOrder) -> Callable[[asyncpg.Record], ByKey | ByNumber]:
    if order.startswith("key"):
        return lambda row: ByKey(row["key"])
    column = "value" if order.startswith("value") else "limit_value"
    return lambda row: ByNumber(row[column], row["key"])
