-- A page of refused requests, newest first. Called by Webhooks.failures. Rides webhook_failure_by_time backwards. $1
-- tenant, $2 names of webhooks or null for all, $3 limit, $4 offset, $5/$6/$7 the place behind which to begin (instant,
-- webhook, slot) or null.
select w.name, f.reason, f.message, f.at, f.webhook_id, f.slot
from broadaxe.webhook_failure f
join broadaxe.webhook w on w.tenant_id = f.tenant_id and w.id = f.webhook_id
where f.tenant_id = $1 and ($2::text[] is null or w.name = any($2))
    and ($5::timestamptz is null or (f.at <= $5 and (f.at < $5 or (f.webhook_id, f.slot) > ($6::uuid, $7::integer))))
order by f.at desc, f.webhook_id, f.slot
limit $3 offset $4
