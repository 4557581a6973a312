-- Every workflow of a tenant, deleted ones too: their live runs still need them. Called by storage/loader.py.
select
    id::text, name, description, broadaxe.to_us(created_at) as created_at_us, broadaxe.to_us(updated_at) as updated_at_us,
    broadaxe.to_us(deleted_at) as deleted_at_us, broadaxe.to_us(paused_at) as paused_at_us, paused_queue_ttl_us,
    paused_crons, paused_schedules, broadaxe.to_us(unpaused_at) as unpaused_at_us, paused_by
from broadaxe.workflow
where tenant_id = $1
order by id
