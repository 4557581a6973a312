-- Writes a refused request into the next of $5 slots of its webhook, over the oldest one once all are taken.
-- Called by Webhooks.record_failure. Rides the primary keys. $1 tenant, $2 webhook, $3 reason, $4 message, $5 slots.
with counted as (
    update broadaxe.webhook
    set failure_count = failure_count + 1
    where tenant_id = $1 and id = $2
    returning failure_count
)
insert into broadaxe.webhook_failure (tenant_id, webhook_id, slot, reason, message)
select $1, $2, (counted.failure_count % $5)::smallint, $3, $4
from counted
on conflict (tenant_id, webhook_id, slot) do update
set reason = excluded.reason, message = excluded.message, at = excluded.at
