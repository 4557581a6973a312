-- One pushed event within the tenants the caller may see. Called by Reads.event.
-- Rides the event primary key. $1 tenants, $2 event.
select e.tenant_id, e.id, e.key, e.payload, e.additional_metadata, e.scope, e.seen_at
from broadaxe.event e
where e.tenant_id = any($1::uuid[]) and e.id = $2
