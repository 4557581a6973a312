"""The shapes of a tenant's limits."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, Metadata, Wire


class ResourceLimit(Wire):
    """How much of a resource a tenant may have, and has. Without a window it is counted as it is now."""

    metadata: Metadata
    resource: Literal["TASK_RUN", "EVENT", "WORKER", "WORKER_SLOT", "INCOMING_WEBHOOK"]
    limit_value: int
    value: int
    alarm_value: int
    window: str | None = None
    last_refill: Instant | None = None


class ResourcePolicy(Wire):
    limits: list[ResourceLimit]


class TenantLimit(Wire):
    """A limit of a tenant and what is used. Without `limitValue` there is none; with `isMore` the value is only what
    was counted. Without a window it is counted as it is now."""

    resource: Literal["TASK_RUN", "EVENT", "WORKER", "WORKER_SLOT", "INCOMING_WEBHOOK"]
    limit_value: int | None = None
    is_default: bool
    value: int
    is_more: bool = False
    window: str | None = None
    last_refill: Instant | None = None


class TenantLimits(Wire):
    is_enforced: bool
    retention_days: int
    """Days that finished runs and their history are kept; 0 keeps them for ever."""
    limits: list[TenantLimit]
