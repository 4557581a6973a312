-- The event that a delivery made, if it was taken lately. Called by Webhooks.delivered, once per signed request.
-- Rides webhook_delivery_by_digest. $1 tenant, $2 webhook, $3 digest, $4 how many seconds ago at most.
select event_id
from broadaxe.webhook_delivery
where tenant_id = $1 and webhook_id = $2 and digest = $3 and at > now() - make_interval(secs => $4)
order by at desc
limit 1
