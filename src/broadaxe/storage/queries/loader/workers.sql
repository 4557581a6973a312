-- Workers heard of in the last day, and those that live tasks (from the id $3 on) were assigned to. Called by storage/loader.py at
-- activation; rides worker_pkey and task_live.
select
    id::text, name, actions, slots::text, labels::text, runtime::text, is_paused, is_listening,
    broadaxe.to_us(created_at) as created_at_us, broadaxe.to_us(updated_at) as updated_at_us,
    broadaxe.to_us(last_heartbeat_at) as last_heartbeat_at_us, broadaxe.to_us(listening_since) as listening_since_us,
    speaks_durably
from broadaxe.worker
where
    tenant_id = $1
    and (
        updated_at > $2::timestamptz - interval '1 day'
        or id in (select worker_id from broadaxe.task where tenant_id = $1 and finished_at is null and id >= $3::uuid)
    )
order by id
