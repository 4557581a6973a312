-- What a tenant has used lately and uses now, whether or not anybody counts it against limits: tasks and events of the
-- last 24 hours, each counted up to $3, workers that listen with their slots, and webhooks; and whether the engine that
-- held the tenant last keeps it to its limits (null when it was not said). Called by storage/quotas.py.
-- Rides task_pkey, event_pkey, worker_by_day, webhook_pkey, lease_pkey. $1 tenant, $2 the least id of the last 24 hours,
-- $3 most rows counted of a kind.
with working as (
    select slots from broadaxe.worker
    where tenant_id = $1 and seen_on >= (now() at time zone 'UTC')::date - 1
        and is_listening and last_heartbeat_at > now() - interval '30 seconds'
)
select
    (select count(*) from (
        select from broadaxe.task where tenant_id = $1 and id >= $2 limit $3
    ) as made) as tasks,
    (select count(*) from (
        select from broadaxe.event where tenant_id = $1 and id >= $2 limit $3
    ) as pushed) as events,
    (select count(*) from working) as workers,
    (select coalesce(sum(slot.units::bigint), 0)
     from working cross join jsonb_each_text(working.slots) as slot (kind, units))::bigint as slots,
    (select count(*) from broadaxe.webhook where tenant_id = $1) as webhooks,
    (select enforces_limits from broadaxe.lease where tenant_id = $1) as enforces_limits
