-- The workflows whose latest version has a task with one of these actions. Called by Catalogue.worker.
-- Rides the unique (tenant_id, workflow_id, ordinal). $1 tenant, $2 action ids, $3 limit.
select w.id, w.name
from broadaxe.workflow w
cross join lateral (
    select v.definition
    from broadaxe.workflow_version v
    where v.tenant_id = w.tenant_id and v.workflow_id = w.id
    order by v.ordinal desc
    limit 1
) as latest
where w.tenant_id = $1 and w.deleted_at is null
    and exists (
        select 1
        from jsonb_array_elements(latest.definition -> 'tasks') as task
        where task ->> 'action_id' = any($2::text[])
    )
order by w.name
limit $3
