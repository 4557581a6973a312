-- Events $3 for durable tasks $2 that are not in memory; a task's row forgets them when it is written again. Called by
-- storage/journal.py; rides durable_task_pkey within the partitions from $4 on.
update broadaxe.durable_task as d
set news = d.news || n.events
from (
    select $1::uuid as tenant_id, noted.task_id, array_agg(noted.event_id order by noted.position) as events
    from unnest($2::uuid[], $3::uuid[]) with ordinality as noted (task_id, event_id, position)
    group by noted.task_id
    offset 0
) as n
where d.tenant_id = n.tenant_id and d.task_id = n.task_id and d.task_id >= $4::uuid
