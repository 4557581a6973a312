-- Rows that are there are changed by way of an insert that meets them: an insert goes straight to the partition of its
-- id, while an update locks and prepares every partition there is before it looks at one. What such an insert gives
-- beside the state only fills columns that must not be null, and is never stored: a row that turns out to be missing
-- (its version is nil) makes `broadaxe.refuse_missing` undo the whole statement.
insert into broadaxe.run as r (
    tenant_id, id, status, started_at, finished_at, concurrency_held, workflow_id, workflow_version_id, is_dag,
    display_name, priority, input, created_at
)
select
    $1, (n.r ->> 0)::uuid, (n.r ->> 1)::broadaxe.run_status, broadaxe.from_us((n.r ->> 2)::bigint),
    broadaxe.from_us((n.r ->> 3)::bigint), (n.r ->> 4)::smallint, $1,
    '00000000-0000-0000-0000-000000000000'::uuid, false, '', 1, '', timestamptz 'epoch'
from fence, jsonb_array_elements($5::jsonb) as n (r)
on conflict (tenant_id, id) do update
set status = excluded.status,
    started_at = excluded.started_at,
    finished_at = excluded.finished_at,
    concurrency_held = excluded.concurrency_held
returning r.workflow_version_id <> '00000000-0000-0000-0000-000000000000'::uuid as was_there
