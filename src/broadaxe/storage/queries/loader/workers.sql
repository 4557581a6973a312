-- Workers heard of in the last day, and those that live tasks (from the id $3 on) were assigned to. Called by
-- storage/loader.py at activation; rides worker_by_day, worker_pkey and task_live.
select
    id::text, name, actions, slots::text, labels::text, runtime::text, is_paused, is_listening,
    broadaxe.to_us(created_at) as created_at_us, broadaxe.to_us(updated_at) as updated_at_us,
    broadaxe.to_us(last_heartbeat_at) as last_heartbeat_at_us, broadaxe.to_us(listening_since) as listening_since_us,
    speaks_durably, paused_by
from broadaxe.worker
where
    tenant_id = $1
    and id in (
        select w.id
        from broadaxe.worker as w
        where
            w.tenant_id = $1 and w.seen_on >= (($2::timestamptz - interval '1 day') at time zone 'UTC')::date
            and w.updated_at > $2::timestamptz - interval '1 day'
        union
        select t.worker_id from broadaxe.task as t where t.tenant_id = $1 and t.finished_at is null and t.id >= $3::uuid
    )
order by id
