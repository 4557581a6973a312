-- Runs by id, finished or not. Called by storage/loader.py for commands that name them, and beside a
-- backlog; rides run_pkey.
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
where r.tenant_id = $1 and r.id = any($2::uuid[])
order by r.id
