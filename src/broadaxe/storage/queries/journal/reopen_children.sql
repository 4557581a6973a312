-- The runs $3 start anew: their outcome in the logs of the durable tasks $2 is none any more. Called by
-- storage/journal.py; rides durable_entry_pkey within the partitions from $4 on.
update broadaxe.durable_entry as e
set satisfied_at = null, place = null, result = null, is_failure = false, error = null
from unnest($2::uuid[], $3::uuid[]) as n (task_id, run_id)
where e.tenant_id = $1 and e.task_id = n.task_id and e.task_id >= $4::uuid and e.child_run_id = n.run_id
