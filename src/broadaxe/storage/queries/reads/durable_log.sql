-- The log of a durable task in the order it was recorded. Called by DurableReads.log; rides
-- durable_entry_pkey. $1 tenant, $2 task, $3 limit, $4 offset, $5/$6 the branch and node behind which to begin or null.
select
    e.node_id, e.branch_id, e.kind::text, e.satisfied_at, e.created_at, e.label, e.wait, e.workflow_name,
    t.display_name
from broadaxe.durable_entry as e
join broadaxe.task as t on t.tenant_id = e.tenant_id and t.id = e.task_id
where e.tenant_id = $1 and e.task_id = $2
    and case when $5::integer is null then e.branch_id > 0 else (e.branch_id, e.node_id) > ($5, $6::integer) end
order by e.branch_id, e.node_id
limit $3 offset $4
