-- How many runs each of some events started, by status. Called by EventReads for every event shown.
-- Rides run_by_event within the partitions from $3 on. $1 tenant, $2 events, $3 smallest id such a run can have.
select r.triggering_event_id as event_id, r.status, count(*) as runs
from broadaxe.run r
where r.tenant_id = $1 and r.triggering_event_id = any($2::uuid[]) and r.id >= $3::uuid
group by r.triggering_event_id, r.status
