-- Runs by id within the tenants the caller may see. Called by Reads for a run page and for the runs behind tasks.
-- Rides the run primary key. $1 tenants, $2 ids, $3 whether inputs are wanted.
select
    r.tenant_id, r.id, r.workflow_id, w.name as workflow_name, r.workflow_version_id, r.is_dag, r.display_name, r.status,
    case when $3::boolean then r.input end as input, r.additional_metadata, r.parent_task_id,
    r.idempotency_key, r.priority, r.cause, r.created_at, r.started_at, r.finished_at
from broadaxe.run r
join broadaxe.workflow w on w.tenant_id = r.tenant_id and w.id = r.workflow_id
where r.tenant_id = any($1::uuid[]) and r.id = any($2::uuid[])
