-- Before a replay clears them, moves outputs into the FINISHED (or SKIPPED) entries they belong to. Called by
-- storage/journal.py before the batch's updates; rides task_pkey and task_event_pkey within the partitions from $3 on.
update broadaxe.task_event as e
set output = t.output
from unnest($2::uuid[]) as replayed (id)
join broadaxe.task as t on t.tenant_id = $1 and t.id = replayed.id
where
    e.tenant_id = $1
    and e.task_id = t.id
    and e.task_id >= $3::uuid
    and t.id >= $3::uuid
    and e.retry_count = t.retry_count
    and e.type in ('FINISHED', 'SKIPPED')
