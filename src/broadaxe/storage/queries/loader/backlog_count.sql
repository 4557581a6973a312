-- How many tasks are nothing but waiting, counted up to $2, from the id $3 on: more than memory keeps? Called by storage/loader.py at
-- activation; rides run_live and task_pkey. "Nothing but waiting" is core/backlog.py's: the single task of a run, in its
-- first attempt, without keys, labels or a worker of its own.
select count(*)
from (
    select 1
    from broadaxe.run as r
    join broadaxe.task as t on t.tenant_id = r.tenant_id and t.id = r.id and t.id >= $3::uuid
    where
        r.tenant_id = $1 and r.finished_at is null and r.id >= $3::uuid and r.status = 'QUEUED' and not r.is_dag and r.keys is null
        and r.desired_labels is null and r.desired_worker_id is null and t.status = 'QUEUED' and t.retry_count = 0 and t.queue_priority < 4 and t.batch_id is null
    limit $2
) as waiting
