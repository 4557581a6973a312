-- How many tasks pass a filter, counting no further than $10. Called by Reads.count_tasks for the page count.
-- Rides the same indexes as task_list; parameters $1 to $9 are those of task_list.
select count(*)
from (
    select 1
    from broadaxe.task t
    where
        \ir parts/task_filter.sql
    limit $10
) as counted
