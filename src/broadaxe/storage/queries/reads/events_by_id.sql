-- Pushed events by id within the tenants the caller may see. Called by EventReads.event and EventReads.events_by_id.
-- Rides the event primary key. $1 tenants, $2 events.
select e.tenant_id, e.id, e.key, e.payload, e.additional_metadata, e.scope, e.triggering_webhook_name, e.seen_at
from broadaxe.event e
where e.tenant_id = any($1::uuid[]) and e.id = any($2::uuid[])
