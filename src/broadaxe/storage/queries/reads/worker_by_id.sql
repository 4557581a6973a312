-- One worker within the tenants the caller may see. Called by Catalogue.worker.
-- Rides the worker primary key. $1 tenants, $2 worker, $3 the heartbeat before which a worker is inactive
-- that has no stream, $4 that of one that has.
select
    w.tenant_id, w.id, w.name, w.actions, w.slots, w.labels, w.runtime,
    case when w.last_heartbeat_at is null or w.last_heartbeat_at < case when w.is_listening then $4::timestamptz else $3::timestamptz end
             then 'INACTIVE'
         when w.is_paused then 'PAUSED'
         else 'ACTIVE' end as status,
    w.created_at, w.updated_at, w.last_heartbeat_at, w.listening_since, w.paused_by
from broadaxe.worker w
where w.tenant_id = any($1::uuid[]) and w.id = $2
