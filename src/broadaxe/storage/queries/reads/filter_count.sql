-- How many event filters pass, counting no further than $4. Called by EventReads.count_filters for the page count.
-- Rides the same indexes as filter_list; parameters $1 to $3 are those of filter_list.
select count(*)
from (
    select 1
    from broadaxe.event_filter f
    where f.tenant_id = $1
        and ($2::uuid[] is null or f.workflow_id = any($2))
        and ($3::text[] is null or f.scope = any($3))
    limit $4
) as counted
