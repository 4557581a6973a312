"""The shapes of rate limits."""

from __future__ import annotations

from broadaxe.rest.wire import Instant, Pagination, Wire


class RateLimit(Wire):
    key: str
    tenant_id: str
    limit_value: int
    value: int
    window: str
    last_refill: Instant
    paused_until: Instant | None = None


class RateLimitList(Wire):
    pagination: Pagination
    rows: list[RateLimit]
