-- The runs some events started, at most $4 of each. Called by EventReads for every event shown.
-- Rides run_by_event within the partitions from $3 on. $1 tenant, $2 events, $3 smallest id such a run can have.
select pushed.id as event_id, started.id, started.filter_id
from unnest($2::uuid[]) as pushed(id)
cross join lateral (
    select r.id, r.filter_id
    from broadaxe.run r
    where r.tenant_id = $1 and r.triggering_event_id = pushed.id and r.id >= $3::uuid
    order by r.id
    limit $4
) as started
order by started.id
