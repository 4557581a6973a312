-- Data of waits of the older protocol that are over, by (task $2, key $3). Called by storage/reads.py; rides
-- durable_entry_pkey.
select e.task_id::text, e.label, e.result
from unnest($2::uuid[], $3::text[]) as n (task_id, key)
join broadaxe.durable_entry as e
    on e.tenant_id = $1 and e.task_id = n.task_id and e.task_id = any($2::uuid[]) and e.branch_id = 0 and e.label = n.key
where e.satisfied_at is not null and e.result is not null
