-- The log of a durable task in the order it was recorded. Called by storage/reads.py; rides durable_entry_pkey.
select
    e.node_id, e.branch_id, e.kind::text, e.satisfied_at, e.created_at, e.label, e.wait, e.workflow_name,
    t.display_name
from broadaxe.durable_entry as e
join broadaxe.task as t on t.tenant_id = e.tenant_id and t.id = e.task_id
where e.tenant_id = $1 and e.task_id = $2 and e.branch_id > 0
order by e.branch_id, e.node_id
limit $3 offset $4
