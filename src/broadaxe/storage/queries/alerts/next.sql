-- In how many seconds the next message is due; null when none waits. Called by Alerts.next_in_s; rides
-- alert_delivery_due. $1: tenants whose messages shall wait.
select extract(epoch from next_at - now())::float8 as seconds
from broadaxe.alert_delivery
where status = 'WAITING' and tenant_id <> all($1::uuid[])
order by next_at
limit 1
