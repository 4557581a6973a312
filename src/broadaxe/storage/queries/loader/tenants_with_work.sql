-- Tenants that have something to go on with: runs, crons, schedules or alerts that are not over. Called by
-- engine/postgres_store.py at the start; rides run_live, cron_pkey, schedule_pkey and alert_live, one look into each per
-- tenant.
select t.id as tenant_id
from broadaxe.tenant as t
where exists (select 1 from broadaxe.run as r where r.tenant_id = t.id and r.finished_at is null)
    or exists (select 1 from broadaxe.cron as c where c.tenant_id = t.id and c.is_enabled)
    or exists (select 1 from broadaxe.schedule as s where s.tenant_id = t.id)
    or exists (select 1 from broadaxe.alert as a where a.tenant_id = t.id and a.resolved_at is null)
