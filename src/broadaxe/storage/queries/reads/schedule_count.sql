-- How many schedules pass a filter, counting no further than $8. Called by CalendarReads.count_schedules for the page
-- count. Rides the same indexes as schedule_list; parameters $1 to $7 are those of schedule_list.
select count(*)
from (
    select 1
    from broadaxe.schedule as s
    where
        \ir parts/schedule_filter.sql
    limit $8
) as counted
