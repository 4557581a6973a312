-- New tasks.
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, created_at, status,
    retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id, slot_released, event_count,
    queued_at, assigned_at, started_at, finished_at, due_at, output, error, concurrency_held, batch_id
)
select
    $1, (n.r ->> 0)::uuid, (n.r ->> 1)::uuid, (n.r ->> 2)::uuid, (n.r ->> 3)::uuid, n.r ->> 4, n.r ->> 5,
    n.r ->> 6, broadaxe.from_us((n.r ->> 7)::bigint), (n.r ->> 8)::broadaxe.task_status, (n.r ->> 9)::integer,
    (n.r ->> 10)::integer, (n.r ->> 11)::integer, (n.r ->> 12)::smallint, (n.r ->> 13)::uuid,
    (n.r ->> 14)::boolean, (n.r ->> 15)::integer, broadaxe.from_us((n.r ->> 16)::bigint),
    broadaxe.from_us((n.r ->> 17)::bigint), broadaxe.from_us((n.r ->> 18)::bigint),
    broadaxe.from_us((n.r ->> 19)::bigint), broadaxe.from_us((n.r ->> 20)::bigint), n.r ->> 21, n.r ->> 22,
    (n.r ->> 23)::smallint, (n.r ->> 24)::uuid
from fence, jsonb_array_elements($10::jsonb) as n (r)
