-- Alert rules of a tenant. Called by storage/loader.py at activation; rides alert_rule_pkey.
select
    id::text, name, kind, workflow, threshold, window_us, quiet_us, channel_ids::text[], is_enabled, template,
    broadaxe.to_us(created_at), broadaxe.to_us(updated_at)
from broadaxe.alert_rule
where tenant_id = $1
order by id
