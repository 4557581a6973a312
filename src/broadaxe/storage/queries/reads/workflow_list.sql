-- One page of workflows, an exact name match first, then newest first. Called by Catalogue.workflows_page.
-- Rides the workflow primary key; a tenant has few workflows. $1 tenant, $2 escaped part of the name or null,
-- $3 the name as given or null, $4 limit, $5 offset, $6 to $9 the workflow behind which to begin (whether its name is
-- the one given, or but for case; instant; id) or null; then only those behind it are counted.
select
    w.tenant_id, w.id, w.name, w.description, w.created_at, w.updated_at, w.paused_at is not null as is_paused,
    w.paused_at, w.paused_by, w.paused_crons, w.paused_schedules, (w.name = $3) is true as is_exact, (lower(w.name) = lower($3)) is true as is_alike,
    count(*) over () as total
from broadaxe.workflow w
where w.tenant_id = $1 and w.deleted_at is null and ($2::text is null or w.name ilike '%' || $2 || '%')
    and ($6::boolean is null or (
        (w.name = $3) is true, (lower(w.name) = lower($3)) is true, w.created_at, w.id
    ) < ($6, $7::boolean, $8::timestamptz, $9::uuid))
order by is_exact desc, is_alike desc, w.created_at desc, w.id desc
limit $4 offset $5
