-- Branches of the logs of tasks $2. Called by storage/loader.py; rides durable_branch_pkey.
select task_id::text, branch_id, parent_branch_id, fork_node_id
from broadaxe.durable_branch
where tenant_id = $1 and task_id = any($2::uuid[])
