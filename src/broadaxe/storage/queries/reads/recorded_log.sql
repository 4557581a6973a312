-- What each operation of a durable task came to, on the path it took last. Called by DurableReads.recorded; rides
-- durable_entry_pkey. $1 tenant, $2 task, $3 limit.
select
    node_id, branch_id, identity, child_run_id::text, child_key, is_awaited, satisfied_at is not null as is_satisfied,
    place, result, is_failure, error
from broadaxe.durable_entry
where tenant_id = $1 and task_id = $2 and branch_id > 0 and is_on_path
order by node_id
limit $3
