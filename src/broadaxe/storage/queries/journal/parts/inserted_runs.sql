-- New runs.
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, priority, additional_metadata,
    parent_run_id, parent_task_id, child_index, child_key, desired_worker_id, triggering_event_id,
    triggering_event_key, created_at, desired_labels, keys, idempotency_key, filter_id, filter_payload, cause,
    status, started_at, finished_at, concurrency_held, input
)
select
    $1, (n.r ->> 0)::uuid, (n.r ->> 1)::uuid, (n.r ->> 2)::uuid, (n.r ->> 3)::boolean, n.r ->> 4,
    (n.r ->> 5)::smallint, (n.r ->> 6)::jsonb, (n.r ->> 7)::uuid, (n.r ->> 8)::uuid, (n.r ->> 9)::integer,
    n.r ->> 10, (n.r ->> 11)::uuid, (n.r ->> 12)::uuid, n.r ->> 13, broadaxe.from_us((n.r ->> 14)::bigint),
    (n.r ->> 15)::jsonb, (n.r ->> 16)::jsonb, n.r ->> 17, (n.r ->> 18)::uuid, n.r ->> 19,
    (n.r ->> 20)::broadaxe.run_cause, (n.r ->> 21)::broadaxe.run_status, broadaxe.from_us((n.r ->> 22)::bigint),
    broadaxe.from_us((n.r ->> 23)::bigint), (n.r ->> 24)::smallint, n.input
from fence, rows from (jsonb_array_elements($8::jsonb), unnest($9::text[])) as n (r, input)
