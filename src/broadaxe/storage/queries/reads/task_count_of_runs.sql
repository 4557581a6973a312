-- How many tasks of certain runs pass a filter, counting no further than $19. Called by Reads.count_tasks for the page
-- count. Rides the same indexes as task_list_of_runs; parameters $1 to $18 are those of task_list_of_runs.
with wanted_task as not materialized (
    select t.*
    from broadaxe.task t
    where
        \ir parts/task_filter.sql
),
wanted_run as not materialized (
    select r.id
    from broadaxe.run r
    where r.tenant_id = $1
        and r.id < $3
        and (
            \ir parts/run_traits.sql
        )
)
select least(count(*), $19)
from (
    (select 1 from wanted_task t join wanted_run r on r.id = t.id where r.id >= $2 limit $19)
    union all
    (select 1 from wanted_task t join wanted_run r on r.id = t.run_id where t.id <> t.run_id limit $19)
) as counted
