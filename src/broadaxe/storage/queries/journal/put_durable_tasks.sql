-- Where durable tasks are. Called by storage/journal.py; rides durable_task_pkey.
insert into broadaxe.durable_task as d (
    tenant_id, task_id, branch_id, branch_count, invocation_count, order_at_eviction
)
select $1, n.*
from unnest($2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::bigint[]) as n
on conflict (tenant_id, task_id) do update
set branch_id = excluded.branch_id,
    branch_count = excluded.branch_count,
    invocation_count = excluded.invocation_count,
    order_at_eviction = excluded.order_at_eviction,
    news = '{}'
