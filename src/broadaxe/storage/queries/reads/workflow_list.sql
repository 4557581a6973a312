-- One page of workflows, an exact name match first, then newest first. Called by Catalogue.workflows_page.
-- Rides the workflow primary key; a tenant has few workflows. $1 tenant, $2 escaped part of the name or null,
-- $3 the name as given or null, $4 limit, $5 offset.
select
    w.tenant_id, w.id, w.name, w.description, w.created_at, w.updated_at, w.paused_at is not null as is_paused,
    w.paused_crons, w.paused_schedules, count(*) over () as total
from broadaxe.workflow w
where w.tenant_id = $1 and w.deleted_at is null and ($2::text is null or w.name ilike '%' || $2 || '%')
order by (w.name = $3) is true desc, (lower(w.name) = lower($3)) is true desc, w.created_at desc, w.id desc
limit $4 offset $5
