-- Every run that has not finished, the oldest being $2, in their order, without sleepers (sleepers.sql). Called by
-- storage/loader.py at activation where there are not too many (backlog.sql); rides run_live and task_pkey.
select
    r.id::text, r.workflow_id::text, r.workflow_version_id::text as version_id, r.is_dag, r.display_name,
    r.priority, r.additional_metadata::text, r.parent_run_id::text, r.parent_task_id::text, r.child_index, r.child_key,
    r.desired_worker_id::text, r.triggering_event_id::text, r.triggering_event_key,
    broadaxe.to_us(r.created_at) as created_at_us, r.desired_labels::text, r.keys::text,
    r.idempotency_key, r.filter_id::text, r.filter_payload,
    coalesce(r.cause::text, case when r.triggering_event_id is null then 'MANUAL' else 'EVENT' end) as cause,
    r.status::text, broadaxe.to_us(r.started_at) as started_at_us,
    broadaxe.to_us(r.finished_at) as finished_at_us, r.concurrency_held
from broadaxe.run as r
where
    r.tenant_id = $1 and r.finished_at is null and r.id >= $2::uuid
    and not (
        r.status = 'RUNNING' and not r.is_dag and r.keys is null
        and exists (
            select 1
            from broadaxe.task as z
            where z.tenant_id = r.tenant_id and z.id = r.id and z.id >= $2::uuid and z.status = 'EVICTED'
        )
    )
order by r.id
