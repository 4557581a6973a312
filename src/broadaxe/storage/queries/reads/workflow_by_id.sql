-- One workflow within the tenants the caller may see. Called by Catalogue.workflow.
-- Rides the workflow primary key. $1 tenants, $2 workflow.
select
    w.tenant_id, w.id, w.name, w.description, w.created_at, w.updated_at, w.paused_at is not null as is_paused,
    w.paused_at, w.paused_by, w.paused_crons, w.paused_schedules
from broadaxe.workflow w
where w.tenant_id = any($1::uuid[]) and w.id = $2 and w.deleted_at is null
