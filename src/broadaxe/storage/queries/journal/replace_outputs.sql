-- Puts outputs that were replayed in the batch that brought them into the FINISHED (or SKIPPED) entries of the same
-- batch. Called by storage/journal.py after the batch's inserts; rides task_event_pkey within the
-- partitions from $5 on.
update broadaxe.task_event as e
set output = n.output
from unnest($2::uuid[], $3::integer[], $4::text[]) as n (task_id, retry_count, output)
where
    e.tenant_id = $1
    and e.task_id = n.task_id
    and e.task_id >= $5::uuid
    and e.retry_count = n.retry_count
    and e.type in ('FINISHED', 'SKIPPED')
