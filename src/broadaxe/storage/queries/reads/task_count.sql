-- How many tasks pass a filter, counting no further than $10. Called by Reads.count_tasks for the page count.
-- Rides the same indexes as task_list; parameters $1 to $9 are those of task_list.
select count(*)
from (
    select 1
    from broadaxe.task t
    where t.tenant_id = $1
        and t.id >= $2 and t.id < $3
        and t.created_at >= $4 and t.created_at <= $5
        and ($6::broadaxe.task_status[] is null or t.status = any($6))
        and ($7::boolean is not true or t.finished_at is null)
        and ($8::uuid[] is null or t.workflow_id = any($8))
        and ($9::uuid is null or t.worker_id = $9)
        and (t.name <> '(group key)' or t.status in ('FAILED', 'CANCELLED'))
    limit $10
) as counted
