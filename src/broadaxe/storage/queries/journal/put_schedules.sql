-- Upserts schedules; only their instant can change. Called by storage/journal.py; rides schedule_pkey.
insert into broadaxe.schedule (
    tenant_id, id, workflow_id, trigger_at, input, additional_metadata, priority, parent_run_id, parent_task_id,
    child_index, child_key, created_at, updated_at
)
select
    $1, n.id, n.workflow_id, broadaxe.from_us(n.trigger_at), n.input, n.additional_metadata::jsonb, n.priority,
    n.parent_run_id, n.parent_task_id, n.child_index, n.child_key, broadaxe.from_us(n.created_at),
    broadaxe.from_us(n.updated_at)
from unnest(
    $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::smallint[], $8::uuid[], $9::uuid[],
    $10::integer[], $11::text[], $12::bigint[], $13::bigint[]
) as n (
    id, workflow_id, trigger_at, input, additional_metadata, priority, parent_run_id, parent_task_id, child_index,
    child_key, created_at, updated_at
)
on conflict (tenant_id, id) do update
set trigger_at = excluded.trigger_at,
    updated_at = excluded.updated_at
