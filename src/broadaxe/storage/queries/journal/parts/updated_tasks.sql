-- As updated_runs.sql; the definition of a row that turns out to be missing is nil.
insert into broadaxe.task as t (
    tenant_id, id, status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id,
    slot_released, event_count, queued_at, assigned_at, started_at, finished_at, due_at, error, concurrency_held,
    batch_id, output, run_id, workflow_id, definition_id, name, action_id, display_name, created_at
)
select
    $1, (n.r ->> 0)::uuid, (n.r ->> 1)::broadaxe.task_status, (n.r ->> 2)::integer, (n.r ->> 3)::integer,
    (n.r ->> 4)::integer, (n.r ->> 5)::smallint, (n.r ->> 6)::uuid, (n.r ->> 7)::boolean, (n.r ->> 8)::integer,
    broadaxe.from_us((n.r ->> 9)::bigint), broadaxe.from_us((n.r ->> 10)::bigint),
    broadaxe.from_us((n.r ->> 11)::bigint), broadaxe.from_us((n.r ->> 12)::bigint),
    broadaxe.from_us((n.r ->> 13)::bigint), n.r ->> 14, (n.r ->> 15)::smallint, (n.r ->> 16)::uuid, n.output,
    (n.r ->> 0)::uuid, $1, '00000000-0000-0000-0000-000000000000'::uuid, '', '', '', timestamptz 'epoch'
from fence, rows from (jsonb_array_elements($6::jsonb), unnest($7::text[])) as n (r, output)
on conflict (tenant_id, id) do update
set status = excluded.status,
    retry_count = excluded.retry_count,
    app_retry_count = excluded.app_retry_count,
    internal_retry_count = excluded.internal_retry_count,
    queue_priority = excluded.queue_priority,
    worker_id = excluded.worker_id,
    slot_released = excluded.slot_released,
    event_count = excluded.event_count,
    queued_at = excluded.queued_at,
    assigned_at = excluded.assigned_at,
    started_at = excluded.started_at,
    finished_at = excluded.finished_at,
    due_at = excluded.due_at,
    error = excluded.error,
    concurrency_held = excluded.concurrency_held,
    batch_id = excluded.batch_id,
    output = excluded.output
returning t.definition_id <> '00000000-0000-0000-0000-000000000000'::uuid as was_there
