-- New and changed entries of durable logs. A result that is not given stays as it is. Called by storage/journal.py; rides
-- durable_entry_pkey.
insert into broadaxe.durable_entry as e (
    tenant_id, task_id, branch_id, node_id, kind, identity, label, created_at, child_run_id, child_key, workflow_name,
    wait, due_at, event_keys, is_awaited, is_on_path, satisfied_at, place, result
)
select
    $1, n.task_id, n.branch_id, n.node_id, n.kind::broadaxe.durable_entry_kind, n.identity, n.label,
    broadaxe.from_us(n.created_at), n.child_run_id, n.child_key, n.workflow_name, n.wait, broadaxe.from_us(n.due_at),
    array(select jsonb_array_elements_text(n.event_keys::jsonb)), n.is_awaited, n.is_on_path,
    broadaxe.from_us(n.satisfied_at), n.place, n.result
from unnest(
    $2::uuid[], $3::integer[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::uuid[], $10::text[],
    $11::text[], $12::text[], $13::bigint[], $14::text[], $15::boolean[], $16::boolean[], $17::bigint[], $18::bigint[],
    $19::text[]
) as n (
    task_id, branch_id, node_id, kind, identity, label, created_at, child_run_id, child_key, workflow_name,
    wait, due_at, event_keys, is_awaited, is_on_path, satisfied_at, place, result
)
on conflict (tenant_id, task_id, branch_id, node_id) do update
set label = excluded.label,
    child_run_id = excluded.child_run_id,
    wait = excluded.wait,
    due_at = excluded.due_at,
    event_keys = excluded.event_keys,
    is_awaited = excluded.is_awaited,
    is_on_path = excluded.is_on_path,
    satisfied_at = excluded.satisfied_at,
    place = excluded.place,
    result = coalesce(excluded.result, e.result)
