-- Writes a delivery into the next of $5 slots of its webhook, over the oldest one once all are taken.
-- Called by Webhooks.remember_delivery. Rides the primary keys. $1 tenant, $2 webhook, $3 digest, $4 event, $5 slots.
with counted as (
    update broadaxe.webhook
    set delivery_count = delivery_count + 1
    where tenant_id = $1 and id = $2
    returning delivery_count
)
insert into broadaxe.webhook_delivery (tenant_id, webhook_id, slot, digest, event_id)
select $1, $2, (counted.delivery_count % $5)::integer, $3, $4
from counted
on conflict (tenant_id, webhook_id, slot) do update
set digest = excluded.digest, event_id = excluded.event_id, at = excluded.at
