-- Values of memos $2 to $6 whose tasks are not in memory: what is kept already stays. Called by storage/journal.py after the
-- batch's entries; rides durable_entry_pkey within the partitions from $7 on.
update broadaxe.durable_entry as e
set satisfied_at = broadaxe.from_us(n.satisfied_at), result = n.result
from unnest($2::uuid[], $3::integer[], $4::integer[], $5::bigint[], $6::text[])
    as n (task_id, branch_id, node_id, satisfied_at, result)
where
    e.tenant_id = $1 and e.task_id = n.task_id and e.task_id >= $7::uuid
    and e.branch_id = n.branch_id and e.node_id = n.node_id
    and e.kind = 'MEMO' and e.satisfied_at is null
