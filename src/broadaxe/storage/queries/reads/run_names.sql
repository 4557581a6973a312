-- What runs are called, for lists that know them by id. Called by live_names.run_names. Rides the primary keys of run and
-- workflow. $1 tenant, $2 ids.
select r.id, r.display_name, r.workflow_id, w.name as workflow_name
from broadaxe.run r
join broadaxe.workflow w on w.tenant_id = r.tenant_id and w.id = r.workflow_id
where r.tenant_id = $1 and r.id = any($2::uuid[])
