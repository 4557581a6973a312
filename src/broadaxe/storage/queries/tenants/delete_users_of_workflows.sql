-- Deletes what holds on to a tenant's workflows, which go with the tenant's row: versions, crons, schedules and filters.
-- Called by storage/tenant_deletion.py; rides their primary keys. $1 tenant.
with crons as (
    delete from broadaxe.cron where tenant_id = $1
),
schedules as (
    delete from broadaxe.schedule where tenant_id = $1
),
filters as (
    delete from broadaxe.event_filter where tenant_id = $1
)
delete from broadaxe.workflow_version where tenant_id = $1
