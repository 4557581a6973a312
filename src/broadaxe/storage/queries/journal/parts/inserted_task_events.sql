-- What history says of the batch.
insert into broadaxe.task_event (
    tenant_id, task_id, seq, type, at, retry_count, worker_id, message, error
)
select
    $1, (n.r ->> 0)::uuid, (n.r ->> 1)::integer, (n.r ->> 2)::broadaxe.task_event_type,
    broadaxe.from_us((n.r ->> 3)::bigint), (n.r ->> 4)::integer, (n.r ->> 5)::uuid, n.r ->> 6, n.r ->> 7
from fence, jsonb_array_elements($4::jsonb) as n (r)
