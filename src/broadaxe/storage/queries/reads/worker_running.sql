-- The tasks that hold slots of some workers. Called by Catalogue to say how many slots are free.
-- Rides task_by_worker. $1 tenant, $2 workers, $3 limit.
select
    t.worker_id, t.id, t.run_id, t.action_id, t.definition_id, r.workflow_version_id, t.assigned_at, t.due_at
from broadaxe.task t
join broadaxe.run r on r.tenant_id = t.tenant_id and r.id = t.run_id
where t.tenant_id = $1 and t.worker_id = any($2::uuid[]) and t.finished_at is null and t.status = 'RUNNING'
    and not t.slot_released
order by t.assigned_at, t.id
limit $3
