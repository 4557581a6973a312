-- Workers by id, for a command that names one which is not in memory. Called by storage/loader.py; rides worker_pkey.
select
    id::text, name, actions, slots::text, labels::text, runtime::text, is_paused, is_listening,
    broadaxe.to_us(created_at) as created_at_us, broadaxe.to_us(updated_at) as updated_at_us,
    broadaxe.to_us(last_heartbeat_at) as last_heartbeat_at_us, broadaxe.to_us(listening_since) as listening_since_us,
    speaks_durably, paused_by
from broadaxe.worker
where tenant_id = $1 and id = any($2::uuid[])
