-- Results of entries of durable logs. Called by storage/payloads.py; rides durable_entry_pkey.
select e.task_id::text, e.branch_id, e.node_id, e.result, e.is_failure, e.error
from unnest($2::uuid[], $3::integer[], $4::integer[]) as n (task_id, branch_id, node_id)
join broadaxe.durable_entry as e
    on e.tenant_id = $1 and e.task_id = n.task_id and e.task_id = any($2::uuid[]) and e.branch_id = n.branch_id and e.node_id = n.node_id
