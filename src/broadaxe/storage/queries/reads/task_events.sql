-- The history of one task, newest first. Called by Reads.task_events and, for one attempt, by Reads.attempt.
-- The output of the latest attempt is still on the task row, so it is filled in from there.
-- Rides the task_event primary key. $1 tenant, $2 task, $3 attempt or null, $4 limit, $5 offset,
-- $6 the number behind which to begin or null.
select
    e.task_id, e.seq, e.type, e.at, e.retry_count, e.worker_id, e.message, e.error,
    case when e.type = 'FINISHED' then coalesce(e.output, case when e.retry_count = t.retry_count then t.output end)
         else e.output end as output,
    t.display_name
from broadaxe.task_event e
join broadaxe.task t on t.tenant_id = e.tenant_id and t.id = e.task_id
where e.tenant_id = $1 and e.task_id = $2 and ($3::integer is null or e.retry_count = $3)
    and ($6::integer is null or e.seq < $6)
order by e.seq desc
limit $4 offset $5
