-- How many tasks wait in each queue, by workflow. Called by CountReads.queue_sizes for a tenant's gauges.
-- Rides task_live; costs one pass over the live tasks. $1 tenant, $2 limit.
with waiting as (
    select t.action_id, t.workflow_id, count(*) as tasks
    from broadaxe.task t
    where t.tenant_id = $1 and t.finished_at is null and t.status = 'QUEUED'
    group by t.action_id, t.workflow_id
    order by tasks desc
    limit $2
)
select waiting.action_id, w.name as workflow_name, waiting.tasks
from waiting
join broadaxe.workflow w on w.tenant_id = $1 and w.id = waiting.workflow_id
order by waiting.action_id, w.name
