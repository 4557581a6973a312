-- How many events pass a filter, counting no further than $12. Called by EventReads.count_events for the page count.
-- Rides the same indexes as event_list; parameters $1 to $11 are those of event_list.
select count(*)
from (
    select 1
    from broadaxe.event e
    where e.tenant_id = $1
        and e.id >= $2 and e.id < $3
        and (
            \ir parts/event_filter.sql
        )
    limit $12
) as counted
