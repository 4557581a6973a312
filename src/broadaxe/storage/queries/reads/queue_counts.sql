-- How many tasks wait in each action's queue. Called by CountReads.queue_counts.
-- Rides task_live. $1 tenant, $2 limit.
select t.action_id, count(*) as tasks
from broadaxe.task t
where t.tenant_id = $1 and t.finished_at is null and t.status = 'QUEUED'
group by t.action_id
order by tasks desc, t.action_id
limit $2
