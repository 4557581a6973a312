"""The limits people set for a tenant. What it has used is the journal's (`queries/journal/put_quota_usage.sql`).

Owns the rows of `broadaxe.quota` and telling engines that they changed: a notification, sent when the change commits,
names the tenant. Refuses to decide what a limit means. An engine that was not listening reads them when it connects
again (`OutboxListener`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.core.commands.quotas import Resource
from broadaxe.storage import audit
from broadaxe.storage.ids import id_floor
from broadaxe.storage.statements import statement

__all__ = ["CHANNEL", "COUNTED_MAX", "InUse", "QuotaUsage", "change_quotas", "in_use", "quotas_of", "usage_of"]

CHANNEL: Final = "broadaxe_quota"
#: So many tasks or events are counted when nobody keeps a counter; more are "so many or more".
COUNTED_MAX: Final = 100_000


class QuotaUsage(msgspec.Struct, frozen=True, gc=False):
    """What a tenant used of a resource in the window that began then."""

    value: int
    since: datetime


class InUse(msgspec.Struct, frozen=True):
    """What a tenant has used in the last 24 hours, or uses now, counted from its rows; a number that is `COUNTED_MAX`
    may be more. `enforces_limits` is what the engine that held the tenant last does; None when nobody has held it."""

    values: dict[Resource, int]
    enforces_limits: bool | None


async def in_use(connection: Any, tenant_id: str) -> InUse:
    """Counts what a tenant uses. `connection` may be a pool."""
    floor = id_floor(datetime.now(UTC) - timedelta(days=1))
    row = await connection.fetchrow(statement("quotas/in_use"), tenant_id, floor, COUNTED_MAX)
    counted = {
        Resource.TASK_RUN: row["tasks"],
        Resource.EVENT: row["events"],
        Resource.WORKER: row["workers"],
        Resource.WORKER_SLOT: row["slots"],
        Resource.INCOMING_WEBHOOK: row["webhooks"],
    }
    return InUse(counted, row["enforces_limits"])


async def quotas_of(connection: Any, tenant_id: str) -> dict[Resource, int | None]:
    """The tenant's own limits; None for no limit. `connection` may be a pool."""
    rows = await connection.fetch(statement("quotas/of_tenant"), tenant_id)
    return {Resource(row["resource"]): row["limit_value"] for row in rows}


async def usage_of(connection: asyncpg.Connection, tenant_id: str) -> dict[Resource, QuotaUsage]:
    """What the tenant used in its latest windows, which may have ended."""
    rows = await connection.fetch(statement("quotas/usage"), tenant_id)
    return {Resource(row["resource"]): QuotaUsage(row["value"], row["since"]) for row in rows}


async def change_quotas(
    connection: asyncpg.Connection,
    tenant_id: str,
    by: Initiator,
    limits: Mapping[Resource, int | None],
    defaults: frozenset[Resource] = frozenset(),
) -> None:
    """Sets limits, None for no limit, and takes the tenant's own away where `defaults` shall hold again. Running
    engines follow at once."""
    async with connection.transaction():
        before = await quotas_of(connection, tenant_id)
        await connection.execute(statement("quotas/delete"), tenant_id, [resource.value for resource in defaults])
        await connection.execute(
            statement("quotas/put"), tenant_id, [resource.value for resource in limits], list(limits.values())
        )
        await connection.execute(statement("quotas/tell"), CHANNEL, tenant_id)
        after = await quotas_of(connection, tenant_id)
        if after != before:
            subject = Subject("", "", {str(resource): limit for resource, limit in after.items()})
            told = {str(resource): limit for resource, limit in before.items()}
            await audit.write(connection, tenant_id, by, Action.LIMITS_CHANGE, subject, before=dict(told))
