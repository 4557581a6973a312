-- How many events that pass a filter started certain runs, counting no further than $14. Called by EventReads.count_events.
-- Rides run_of_workflow_by_event, run_of_status_by_event or an index of events, whichever promises fewer.
-- $1 to $11 are those of event_list, $12 workflows, $13 statuses, one of which may be null.
select count(*)
from (
    select 1
    from broadaxe.event e
    where e.tenant_id = $1
        and e.id >= $2 and e.id < $3
        and (
            \ir parts/event_filter.sql
        )
        and exists (
            select 1
            from broadaxe.run r
            where r.tenant_id = e.tenant_id and r.triggering_event_id = e.id
                and r.triggering_event_id >= $2 and r.triggering_event_id < $3 and r.id >= $2
                and ($12::uuid[] is null or r.workflow_id = any($12))
                and ($13::broadaxe.run_status[] is null or r.status = any($13))
        )
    limit $14
) as counted
