-- How many schedules pass a filter, counting no further than $8. Called by CalendarReads.count_schedules for the page
-- count. Rides the same indexes as schedule_list; parameters $1 to $7 are those of schedule_list.
select count(*)
from (
    select 1
    from broadaxe.schedule as s
    where s.tenant_id = $1
        and ($2::uuid is null or s.workflow_id = $2)
        and ($3::uuid is null or s.parent_run_id = $3)
        and ($4::uuid is null or s.parent_task_id = $4)
        and ($5::jsonb[] is null or s.additional_metadata @> any($5))
        and ($6::text[] is null or (
            select count(distinct pair.key)
            from unnest($6, $7::text[]) as pair(key, value)
            where s.additional_metadata ->> pair.key = pair.value
        ) = (select count(distinct wanted.key) from unnest($6) as wanted(key)))
    limit $8
) as counted
