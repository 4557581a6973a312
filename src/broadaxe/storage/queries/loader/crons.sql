-- Every cron of a tenant. Called by storage/loader.py at activation; rides cron_pkey.
select
    id::text, workflow_id::text, expression, name, is_declared, input, additional_metadata::text, priority, is_enabled,
    broadaxe.to_us(last_tick_at) as last_tick_us, broadaxe.to_us(created_at) as created_at_us,
    broadaxe.to_us(updated_at) as updated_at_us
from broadaxe.cron
where tenant_id = $1
order by id
