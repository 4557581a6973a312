-- The runs some events started. Called by Reads for every event shown.
-- Rides run_by_event within the partitions from $3 on. $1 tenant, $2 events, $3 smallest id such a run can have, $4 limit.
select r.triggering_event_id as event_id, r.id, r.status
from broadaxe.run r
where r.tenant_id = $1 and r.triggering_event_id = any($2::uuid[]) and r.id >= $3::uuid
order by r.id
limit $4
