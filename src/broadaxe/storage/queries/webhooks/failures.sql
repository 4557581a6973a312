-- A page of refused requests, newest first. Called by Webhooks.failures. Rides webhook_failure_by_time backwards.
-- $1 tenant, $2 names of webhooks or null for all, $3 limit, $4 offset.
select w.name, f.reason, f.message, f.at
from broadaxe.webhook_failure f
join broadaxe.webhook w on w.tenant_id = f.tenant_id and w.id = f.webhook_id
where f.tenant_id = $1 and ($2::text[] is null or w.name = any($2))
order by f.at desc, f.webhook_id, f.slot
limit $3 offset $4
