-- Where the durable tasks $2 are. Called by storage/loader.py; rides durable_task_pkey.
select task_id::text, branch_id, branch_count, invocation_count, order_at_eviction
from broadaxe.durable_task
where tenant_id = $1 and task_id = any($2::uuid[])
