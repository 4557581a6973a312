-- Those of the events $2 that are stored, with the runs that each started, for a push that is asked for again. Called by
-- storage/loader.py; rides the primary key of event and run_by_event, within the partitions from the id $3 on.
select
    e.id::text, broadaxe.to_us(e.seen_at) as seen_at_us,
    array(
        select r.id::text
        from broadaxe.run as r
        where r.tenant_id = $1 and r.triggering_event_id = e.id and r.id >= $3::uuid
        order by r.id
    ) as run_ids
from broadaxe.event as e
where e.tenant_id = $1 and e.id = any($2::uuid[])
order by e.id
