-- The newest part of the history of a run's tasks, newest first. Called by Reads.run_events and Reads.run_events_page.
-- Rides the task_event primary key. $1 tenant, $2 tasks, $3 limit, $4/$5/$6 the entry behind which to begin
-- (instant, task, number) or null.
select
    e.task_id, e.seq, e.type, e.at, e.retry_count, e.worker_id, e.message, e.error,
    case when e.type = 'FINISHED' then coalesce(e.output, case when e.retry_count = t.retry_count then t.output end)
         else e.output end as output,
    t.display_name
from broadaxe.task_event e
join broadaxe.task t on t.tenant_id = e.tenant_id and t.id = e.task_id and t.id = any($2::uuid[])
where e.tenant_id = $1 and e.task_id = any($2::uuid[])
    and ($4::timestamptz is null or (e.at, e.task_id, e.seq) < ($4, $5::uuid, $6::integer))
order by e.at desc, e.task_id desc, e.seq desc
limit $3
