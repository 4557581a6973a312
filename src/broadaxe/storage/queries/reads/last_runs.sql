-- The newest run of each of the workflows that has one. Called by Catalogue.last_runs. Rides run_by_workflow backwards, from
-- the newest partition on until there is a run. $1 tenant, $2 workflows.
select wanted.id as workflow_id, r.id, r.status, r.created_at, r.finished_at
from unnest($2::uuid[]) as wanted (id)
cross join lateral (
    select r.id, r.status, r.created_at, r.finished_at
    from broadaxe.run r
    where r.tenant_id = $1 and r.workflow_id = wanted.id
    order by r.id desc
    limit 1
) as r
