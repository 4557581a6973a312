-- Workflows of a tenant by their names, deleted ones included, because their runs are still there. Called by
-- Catalogue.workflows_named. Rides the workflow primary key; a tenant has few workflows. $1 tenant, $2 names, any of
-- which will do, $3 escaped part of a name, $4 escaped end of a name, $5 limit. Null means that nothing is found by it.
select w.id, (w.name ilike '%' || $3::text || '%') is true as is_containing
from broadaxe.workflow w
where w.tenant_id = $1
    and (w.name = any($2::text[]) or w.name ilike '%' || $3 || '%' or w.name ilike '%' || $4::text)
order by w.id
limit $5
