-- Every event filter of a tenant, oldest first. Called by storage/loader.py at activation; rides event_filter_pkey.
select
    id::text, workflow_id::text, scope, expression, payload, is_declared,
    broadaxe.to_us(created_at) as created_at_us, broadaxe.to_us(updated_at) as updated_at_us
from broadaxe.event_filter
where tenant_id = $1
order by id
