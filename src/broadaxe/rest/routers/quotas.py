"""What a tenant may have, and what it has used. The protocol calls it the tenant's resource policy.

Limits are set with `broadaxe tenant limits`. Source: REST specification 3.13 and 5.11.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from broadaxe.core.commands.quotas import QuotaState, Resource, ShowQuotas
from broadaxe.core.durations import format_duration
from broadaxe.core.quotas import DEFAULTS, WINDOW_US, WINDOWED, alarm_of
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import ViewerScope, missing
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.shapes import quotas as shapes
from broadaxe.storage import accounts
from broadaxe.storage.quotas import COUNTED_MAX, InUse, in_use
from broadaxe.storage.quotas import quotas_of as own_quotas

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

routes = router("people and tenants")


@routes.get(f"{API}/tenants/{{tenant}}/resource-policy")
async def resource_policy(scope: ViewerScope, context: ContextDep) -> shapes.ResourcePolicy:
    """The tenant's limits with what is used of them; none while the engine does not enforce limits."""
    found = await quotas_of(context, scope.tenant_id)
    if not found:
        return shapes.ResourcePolicy(limits=[])
    tenant = await accounts.tenant(context.pool, scope.tenant_id)
    if tenant is None:
        raise missing("tenant", scope.tenant_id)
    webhooks = await context.webhooks.count(scope.tenant_id)
    return shapes.ResourcePolicy(limits=[_limit(tenant, quota, webhooks) for quota in found])


@routes.get(f"{STABLE}/tenants/{{tenant}}/limits")
async def tenant_limits(scope: ViewerScope, context: ContextDep) -> shapes.TenantLimits:
    """What the tenant may have and uses, whether or not the engine holds it to that, and how long history is kept.
    Where no counter is kept, tasks and events of the last 24 hours are counted, up to a bound."""
    counted = await in_use(context.pool, scope.tenant_id)
    own = await own_quotas(context.pool, scope.tenant_id)
    kept = {quota.resource: quota for quota in await quotas_of(context, scope.tenant_id)}
    return shapes.TenantLimits(
        is_enforced=context.settings.enforce_limits,
        retention_days=context.settings.retention_days,
        limits=[
            _standing(resource, own.get(resource, default), resource not in own, kept.get(resource), counted)
            for resource, default in DEFAULTS.items()
        ],
    )


async def quotas_of(context: Context, tenant_id: str) -> list[QuotaState]:
    """Asks the engine; nothing while it does not enforce limits."""
    if not context.settings.enforce_limits:
        return []
    reply = await context.engine.submit(tenant_id, ShowQuotas())
    return [quota for quota in reply if isinstance(quota, QuotaState)] if isinstance(reply, tuple) else []


def _standing(
    resource: Resource, limit: int | None, is_default: bool, quota: QuotaState | None, counted: InUse
) -> shapes.TenantLimit:
    """`quota` is what the engine counts; the number of webhooks is not its business."""
    keeps_count = quota is not None and resource is not Resource.INCOMING_WEBHOOK
    value = quota.value if quota is not None and keeps_count else counted.values[resource]
    since_us = quota.since_us if quota is not None else None
    return shapes.TenantLimit(
        resource=resource.value,
        limit_value=limit,
        is_default=is_default,
        value=value,
        is_more=not keeps_count and resource in WINDOWED and value >= COUNTED_MAX,
        window=format_duration(WINDOW_US) if resource in WINDOWED else None,
        last_refill=None if since_us is None else _EPOCH + timedelta(microseconds=since_us),
    )


def _limit(tenant: accounts.Tenant, quota: QuotaState, webhooks: int) -> shapes.ResourceLimit:
    refilled_at = None if quota.since_us is None else _EPOCH + timedelta(microseconds=quota.since_us)
    limit_id = str(uuid.uuid5(uuid.UUID(tenant.id), quota.resource))
    return shapes.ResourceLimit(
        metadata=wire.metadata_of(limit_id, tenant.created_at, refilled_at),
        resource=quota.resource.value,
        limit_value=quota.limit,
        value=webhooks if quota.resource is Resource.INCOMING_WEBHOOK else quota.value,
        alarm_value=alarm_of(quota.limit),
        window=None if quota.window_us is None else format_duration(quota.window_us),
        last_refill=refilled_at,
    )
