-- All tasks of the runs that have not finished, without sleepers (sleepers.sql). A start is history only until the task's
-- next change, so for running tasks the history is asked. $2 are definitions whose outputs conditions look at, $3 the
-- smallest id that a run or task may have. Called by storage/loader.py at activation where there are not too many
-- (backlog.sql); rides run_live, task_pkey and task_by_run.
select
    t.id::text, t.run_id::text, t.workflow_id::text, t.definition_id::text, t.name, t.action_id, t.display_name,
    broadaxe.to_us(t.created_at) as created_at_us, t.status::text, t.retry_count, t.app_retry_count,
    t.internal_retry_count, t.queue_priority, t.worker_id::text, t.slot_released,
    coalesce(h.event_count, t.event_count) as event_count, broadaxe.to_us(t.queued_at) as queued_at_us,
    broadaxe.to_us(t.assigned_at) as assigned_at_us,
    broadaxe.to_us(coalesce(t.started_at, h.started_at)) as started_at_us,
    broadaxe.to_us(t.finished_at) as finished_at_us, broadaxe.to_us(t.due_at) as due_at_us, case when t.definition_id = any($2::uuid[]) then t.output end as output, t.error, t.concurrency_held,
    t.batch_id::text
from (
    select s.* from broadaxe.run as r
    join broadaxe.task as s on s.tenant_id = r.tenant_id and s.id = r.id and s.id >= $3::uuid
    where
        r.tenant_id = $1 and r.finished_at is null and r.id >= $3::uuid and not r.is_dag
        and not (r.keys is null and s.status = 'EVICTED')
    union all
    select m.* from broadaxe.run as r
    join broadaxe.task as m on m.tenant_id = r.tenant_id and m.run_id = r.id and m.id <> m.run_id and m.id >= $3::uuid
    where r.tenant_id = $1 and r.finished_at is null and r.id >= $3::uuid and r.is_dag
) as t
left join lateral (
    select
        max(e.seq) as event_count,
        -- A durable task may have been assigned several times within one attempt.
        case
            when max(e.seq) filter (where e.type = 'STARTED') > max(e.seq) filter (where e.type = 'ASSIGNED')
                then max(e.at) filter (where e.type = 'STARTED' and e.retry_count = t.retry_count)
        end as started_at
    from broadaxe.task_event as e
    where e.tenant_id = t.tenant_id and e.task_id = t.id and e.task_id >= $3::uuid
) as h on t.status = 'RUNNING'
order by t.run_id, t.id
